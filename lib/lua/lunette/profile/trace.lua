-- profile.trace: a profile as Chrome's trace format: one track for the steps of plans, one for the pauses
-- between them, a curve of the memory in use. chrome://tracing and ui.perfetto.dev open it.

local STEPS, PAUSES = 1, 2
local pause = { plan = "planning", build = "making a plan", collect = "garbage collection", load = "waiting for the loader" }

-- A text as JSON has it; layers and files have no more than quotes, backslashes and control characters.
local function quoted(s)
  return '"' .. s:gsub('[%c"\\]', function(ch) return ("\\u%04x"):format(ch:byte()) end) .. '"'
end

local function head(track, name)
  return ('{"ph":"M","pid":1,"tid":%d,"name":"thread_name","args":{"name":%s}}'):format(track, quoted(name))
end

local function span(track, name, category, start, seconds, arguments)
  return ('{"ph":"X","pid":1,"tid":%d,"name":%s,"cat":%s,"ts":%.3f,"dur":%.3f,"args":{%s}}'):format(track, name, category,
    start * 1e6, seconds * 1e6, arguments)
end

return function(p)
  local lines, names = { head(STEPS, "steps of plans"), head(PAUSES, "between them") }, {}
  local phases = { forward = quoted "forward", backward = quoted "backward", update = quoted "update" }
  for i, row in ipairs(p.rows) do
    names[i] = quoted(row.layer ~= "" and row.op .. " " .. row.layer or row.op .. " " .. row.where)
    row.arguments = ('"layer":%s,"line":%s,"GFLOP":%.6f,"MB":%.6f'):format(quoted(row.layer), quoted(row.where),
      row.flop / row.calls * 1e-9, row.bytes / row.calls * 1e-6)
  end
  for i = 1, p.events do
    local what, start, seconds, memory = p.raw:event(i)
    local row = p.rows[what]
    if row then
      lines[#lines + 1] = span(STEPS, names[what], phases[row.phase], start, seconds, row.arguments)
      lines[#lines + 1] = ('{"ph":"C","pid":1,"name":"memory in use","ts":%.3f,"args":{"MB":%.3f}}'):format(start * 1e6,
        memory * 1e-6)
    else
      lines[#lines + 1] = span(PAUSES, quoted(pause[what] or what), quoted "pause", start, seconds, "")
    end
  end
  for _, row in ipairs(p.rows) do row.arguments = nil end
  return '{"displayTimeUnit":"ms","traceEvents":[\n' .. table.concat(lines, ",\n") .. "\n]}\n"
end
