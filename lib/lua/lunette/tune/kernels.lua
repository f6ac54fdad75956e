-- Choices among kernels: timed one after the other, kept as { [key] = { choice=, shipped=, ms = { kernel = time } } }, shown
-- as a table. What a key says is the backend's business.

local c = require "lunette.tune_c"
local sys = require "lunette.sys"

local kernels = {}
local GAIN = 1.05 -- another kernel than the shipped rule's must be faster by more than measurements differ

--- Is it an entry that can be read? What others wrote, or a damaged file holds, is passed over.
function kernels.valid(entry)
  if type(entry) ~= "table" or type(entry.choice) ~= "string" or type(entry.shipped) ~= "string" or type(entry.ms) ~= "table" then
    return false
  end
  for name, ms in pairs(entry.ms) do
    if type(name) ~= "string" or type(ms) ~= "number" or not (ms > 0 and ms < math.huge) then return false end
  end
  return entry.ms[entry.choice] ~= nil and entry.ms[entry.shipped] ~= nil
end

--- The pairs that tune_c.choose takes: where another kernel than the shipped rule's won.
function kernels.choices(entries)
  local list = {}
  for key, entry in pairs(type(entries) == "table" and entries or {}) do
    if type(key) == "string" and kernels.valid(entry) and entry.choice ~= entry.shipped then list[#list + 1] = { key, entry.choice } end
  end
  return list
end

-- timings: tune_c.time's.
local function entry_of(timings)
  local shipped, best, ms = timings[1], timings[1], {}
  for _, t in ipairs(timings) do
    ms[t.kernel] = tonumber(("%.4g"):format(1e3 * t.seconds))
    if t.seconds < best.seconds then best = t end
  end
  if shipped.seconds < GAIN * best.seconds then best = shipped end
  return { choice = best.kernel, shipped = shipped.kernel, ms = ms }
end
kernels.entry_of = entry_of

-- The entry of a key, or nil and why not. Who beats the shipped rule must do so twice: other programs come and go.
local function measure_one(key, seconds)
  local timings, problem = c.time(key, seconds)
  if not timings or not timings[1] then return nil, problem end
  local entry = entry_of(timings)
  if entry.choice == entry.shipped then return entry end
  timings, problem = c.time(key, seconds)
  if not timings then return nil, problem end
  local again = entry_of(timings)
  if again.choice ~= entry.choice then again.choice = again.shipped end
  return again
end

--- Times the keys of a list in about so many seconds: the entries by key, how many there was no time for, and the
--- number of those that failed with the last failure's message.
function kernels.measure(keys, seconds)
  local entries, failed, message = {}, 0, nil
  local started, terminal, left = sys.clock(), sys.isatty("stderr"), 0
  for i, key in ipairs(keys) do
    local remaining = seconds - (sys.clock() - started)
    if remaining <= 0 then
      left = #keys - i + 1
      break
    end
    if terminal then io.stderr:write(("\rconvolution %d of %d, %.0f s "):format(i, #keys, seconds - remaining)) end
    -- half of an even share goes into rounds: the first run of each kernel takes the rest
    local entry, problem = measure_one(key, math.min(0.5, 0.5 * remaining / (#keys - i + 1)))
    entries[key] = entry
    if not entry then failed, message = failed + 1, problem end
  end
  if terminal then io.stderr:write("\r\27[K") end
  return entries, left, failed, message
end

local function gain(entry) return entry.ms[entry.shipped] / entry.ms[entry.choice] end

--- The table of `lunette tune --list`, the greatest gains first; all: also where the shipped kernel stays.
function kernels.text(entries, all)
  local keys, others = {}, 0
  for key, entry in pairs(entries) do
    local valid = type(key) == "string" and kernels.valid(entry)
    if valid and (all or entry.choice ~= entry.shipped) then keys[#keys + 1] = key
    elseif valid then others = others + 1 end
  end
  table.sort(keys, function(a, b)
    local x, y = gain(entries[a]), gain(entries[b])
    if x ~= y then return x > y end
    return a < b
  end)
  local width = 11
  for _, key in ipairs(keys) do width = math.max(width, #key) end
  local lines = {}
  if #keys > 0 then
    lines[1] = ("%-" .. width .. "s  %-9s %10s  %-9s %10s  %s"):format("convolution", "shipped", "ms", "measured", "ms", "gain")
  end
  for _, key in ipairs(keys) do
    local e = entries[key]
    lines[#lines + 1] = ("%-" .. width .. "s  %-9s %10.4g  %-9s %10.4g  %.2f"):format(key, e.shipped, e.ms[e.shipped], e.choice,
      e.ms[e.choice], gain(e))
  end
  local count = #keys + others
  lines[#lines + 1] = ("%d convolution%s measured; another kernel than the shipped rule's is taken for %d"):format(count,
    count == 1 and "" or "s", #kernels.choices(entries))
  return table.concat(lines, "\n")
end

return kernels
