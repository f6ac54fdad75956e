-- profile.table: a profile as text, at most 100 columns wide. What the columns mean is printed above them.

local MOST_ROWS, CHART_WIDTH, CHART_HEIGHT = 40, 80, 8

local short = { forward = "fwd", backward = "bwd", update = "upd" }

-- What the host was busy with besides the steps, in words.
local busy = {
  { "script", "the script: Lua and its calls, reading, printing" },
  { "record", "recording operations and gradients" },
  { "plan", "planning: what to compute, finding its plan" },
  { "build", "opening the device, making new plans: once" },
  { "bind", "around the steps: buffers, pointers, letting go" },
  { "collect", "collecting Lua's garbage before a plan" },
  { "load", "waiting for the loader and copying batches" },
  { "profile", "writing this down" },
}

local explanation = [[
  time     milliseconds in all calls; share is of the whole time
  GFLOP/s  billions of sums and products a second; convolutions count as if done directly
  GB/s     bytes a second, each input read and each output written once
  peak     how near that is to what this machine can do: F its arithmetic, B its memory, whichever
           bounds the operation. Above 100 % where data stay in caches or a method multiplies less]]

local function tail(s, width) return #s <= width and s or "..." .. s:sub(#s - width + 4) end

local function figure(x, width)
  local format = x >= 99.95 and "%.0f" or x >= 9.995 and "%.1f" or "%.2f"
  return ("%" .. width .. "s"):format(format:format(x))
end

local function megabytes(bytes)
  if bytes < 1e6 then return ("%9.1f KB"):format(bytes * 1e-3) end
  return ("%9.1f MB"):format(bytes * 1e-6)
end

local function title(last) return ("%10s %6s %7s %7s %6s %6s  %s"):format("time", "share", "calls", "GFLOP/s", "GB/s", "peak", last) end

local function time_and_share(seconds, share) return ("%10.2f %5.1f%%"):format(seconds * 1e3, share * 100) end

local function line(row, last)
  local peak = row.peak and ("%4.0f%%%s"):format(math.min(row.peak * 100, 9999), row.bound == "FLOP" and "F" or "B") or "-"
  return ("%s %7d %s %s %6s  %s"):format(time_and_share(row.seconds, row.share), row.calls, figure(row.gflops, 7), figure(row.gbs, 6),
    peak, last)
end

local function plain(seconds, share, last) return ("%s %29s  %s"):format(time_and_share(seconds, share), "", last) end

local function by_time(list)
  local sorted = {}
  for i, row in ipairs(list) do sorted[i] = row end
  table.sort(sorted, function(a, b) return a.seconds > b.seconds end)
  return sorted
end

local function place(row) return row.layer ~= "" and row.layer or row.where end

-- The first table: ops, and what else took time; the shares add up to all.
local function ops_table(p, lines)
  local list = p:by_op()
  for _, entry in ipairs(busy) do
    local seconds = p.activities[entry[1]]
    if seconds > 0 then list[#list + 1] = { seconds = seconds, share = seconds / p.seconds, text = entry[2] } end
  end
  lines[#lines + 1] = title("operation")
  for _, row in ipairs(by_time(list)) do
    lines[#lines + 1] = row.text and plain(row.seconds, row.share, "(" .. row.text .. ")")
      or line(row, ("%s, %s"):format(row.op, row.phase))
  end
  lines[#lines + 1] = plain(p.seconds, 1, "total: the time on the clock")
end

-- The second: ops in their layers.
local function layers_table(p, lines)
  local rows, rest = by_time(p.rows), { seconds = 0, count = 0 }
  lines[#lines + 1] = title(("%-22s %-3s %s"):format("operation", "", "layer or script line"))
  for i, row in ipairs(rows) do
    if i <= MOST_ROWS then
      lines[#lines + 1] = line(row, ("%-22s %-3s %s"):format(row.op, short[row.phase], tail(place(row), 24)))
    else
      rest.seconds, rest.count = rest.seconds + row.seconds, rest.count + 1
    end
  end
  if rest.count > 0 then
    lines[#lines + 1] = plain(rest.seconds, rest.seconds / p.seconds, ("%d more, all in the JSON file"):format(rest.count))
  end
  lines[#lines + 1] = plain(p.activities.step, p.activities.step / p.seconds, "total of all steps")
end

-- One column for some steps: the most memory among them, and the phase of the last.
local function buckets(steps)
  local columns, phases, n = {}, {}, math.min(CHART_WIDTH, #steps)
  local phase = " "
  for i, step in ipairs(steps) do
    local k = math.floor((i - 1) * n / #steps) + 1
    columns[k] = math.max(columns[k] or 0, step.bytes)
    if step.row then phase = short[step.row.phase]:sub(1, 1) end
    phases[k] = phase
  end
  return columns, table.concat(phases)
end

local function chart(memory, lines)
  local columns, phases = buckets(memory.steps)
  for level = CHART_HEIGHT, 1, -1 do
    local marks = {}
    for k, bytes in ipairs(columns) do marks[k] = bytes > memory.bytes * (level - 0.5) / CHART_HEIGHT and "#" or " " end
    lines[#lines + 1] = megabytes(memory.bytes * level / CHART_HEIGHT) .. " |" .. table.concat(marks):gsub(" +$", "")
  end
  lines[#lines + 1] = (" "):rep(13) .. "+" .. phases
  lines[#lines + 1] = (" "):rep(14) .. "f forward, b backward, u update"
end

local function memory_part(p, lines)
  local m = p.memory
  local at = m.steps[m.at]
  local where = at and at.row and ("%s, %s, in %s"):format(at.row.op, at.row.phase, place(at.row)) or "a step without work"
  lines[#lines + 1] = ("Memory: at most %s in use, at %s; of that"):format((megabytes(m.bytes):gsub("^ +", "")), where)
  local parts = {
    { m.cells, "parameters, buffers and the optimizer's state" },
    { m.kept, "results that stay: gradients, losses, what a later backward needs" },
    { m.temporaries, ("values on the way (%.1f MB are held for all of them)"):format(m.arena * 1e-6) },
    { m.workspace, "scratch of that step" },
    { m.free, "free, kept for the next results" },
    { m.outside - m.cells - m.kept - m.free, "the rest: batches, tensors of the script, the recorded operations" },
  }
  for _, part in ipairs(parts) do lines[#lines + 1] = megabytes(math.max(part[1], 0)) .. "  " .. part[2] end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Memory from step to step of that run:"
  chart(m, lines)
  lines[#lines + 1] = ""
  lines[#lines + 1] = "The largest values there:"
  for _, v in ipairs(m.largest) do
    local row = v.row
    lines[#lines + 1] = ("%s  %-20s %s"):format(megabytes(v.bytes), v.dtype .. " " .. v.shape,
      row and ("%s, %s, %s"):format(row.op, row.phase, tail(place(row), 30)) or "")
  end
end

return function(p)
  local lines = {
    ("Profile of %.3f s, flushes: %d, new plans: %d; %s"):format(p.seconds, p.flushes, p.plans,
      p.machine or p.device .. " device"),
  }
  if p.peaks then
    lines[2] = ("Peaks: %.0f GFLOP/s, %.1f GB/s; %s"):format(p.peaks.f32.all * 1e-9,
      math.max(p.peaks.read.all, p.peaks.copy.all) * 1e-9, p.peaks_from)
  end
  if p.incomplete then lines[#lines + 1] = "Memory ran out: some steps are missing below." end
  lines[#lines + 1] = ""
  lines[#lines + 1] = explanation
  lines[#lines + 1] = ""
  ops_table(p, lines)
  if #p.rows == 0 then return table.concat(lines, "\n") end
  lines[#lines + 1] = ""
  layers_table(p, lines)
  if #p.memory.steps > 0 then
    lines[#lines + 1] = ""
    memory_part(p, lines)
  end
  return table.concat(lines, "\n")
end
