-- profile: where time and memory go, by operation and by layer.
--
--   lunette --profile script.lua            the table on stderr when the program ends
--   lunette --profile=FILE script.lua       also FILE.json and FILE.trace.json (chrome://tracing, ui.perfetto.dev)
--
-- or around a part of a script, or of a session at the prompt:
--
--   profile.start()
--   ...
--   print(profile.stop())
--
-- lunette/profile/table.lua says what the columns mean.

local core = require "lunette.core"
local c = require "lunette.profile_c"
local docs = require "lunette.docs"
local args = require "lunette.args"
local save = require "lunette.save"
local tune = require "lunette.tune"
local text = require "lunette.profile.table"
local trace = require "lunette.profile.trace"

local Profile = {}
Profile.__index = Profile

local profile = {}
local running, program

docs("profile.start", "start(): from now on time and memory are booked by operation and layer; until profile.stop()")
function profile.start()
  args.check(not running, "[profile.start] a profile is running%s", program and " (--profile): it ends with the program" or "")
  running = c.start()
end

-- The peaks to compare with and where they are from; nil for a device without. They are measured once
-- a session at most.
local measured = {} -- by machine
local function find_peaks(machine)
  local entry, problem = tune.entry()
  if entry then return entry.peaks, "measured by 'lunette tune'" end
  if machine and not measured[machine] then measured[machine] = tune.measure(0.5) end
  return measured[machine], ("measured briefly: %s"):format(problem or "'lunette tune' does better and keeps it")
end

-- The derived figures of a row: rates, and the share of the peak that bounds it: "F": FLOP, "B": bytes.
local function rate(row, seconds, peaks)
  row.share = row.seconds / seconds
  local time = math.max(row.seconds, 1e-9)
  row.gflops, row.gbs = row.flop / time * 1e-9, row.bytes / time * 1e-9
  if not peaks then return end
  local compute, memory = row.flop / peaks.f32.all, row.bytes / math.max(peaks.read.all, peaks.copy.all)
  row.bound = compute >= memory and "FLOP" or "bytes"
  row.peak = math.max(compute, memory) / time
end

docs("profile.stop", "stop(): ends what start began and returns the profile: tostring(p) is its table, p:json() and p:trace() are"
  .. " texts, p:write(FILE) writes FILE.json and FILE.trace.json; p.rows, p.activities, p.memory, p.seconds are the numbers")
function profile.stop()
  args.check(running, "[profile.stop] no profile is running; profile.start() begins one")
  local raw = running
  running, program = nil, nil
  raw:stop()
  local r = raw:result()
  local self = setmetatable({ raw = raw, seconds = r.seconds, flushes = r.flushes, plans = r.plans, events = r.events,
    lost = r.lost, incomplete = r.incomplete, activities = r.activities, rows = r.rows, memory = r.peak }, Profile)
  self.device, self.device_text = core.device()
  self.machine = tune.machine()
  self.peaks, self.peaks_from = find_peaks(self.machine)
  for number, row in ipairs(self.rows) do
    row.number = number
    rate(row, self.seconds, self.peaks)
  end
  for _, step in ipairs(self.memory.steps) do step.row = self.rows[step.row] end
  for _, value in ipairs(self.memory.largest) do value.row = self.rows[value.row] end
  return self
end

--- Rows of the same op and phase added up.
function Profile:by_op()
  local sums, list = {}, {}
  for _, row in ipairs(self.rows) do
    local key = row.op .. row.phase
    local sum = sums[key]
    if not sum then
      sum = { op = row.op, phase = row.phase, calls = 0, seconds = 0, flop = 0, bytes = 0 }
      sums[key] = sum
      list[#list + 1] = sum
    end
    for _, name in ipairs { "calls", "seconds", "flop", "bytes" } do sum[name] = sum[name] + row[name] end
  end
  for _, sum in ipairs(list) do rate(sum, self.seconds, self.peaks) end
  return list
end

function Profile:__tostring() return text(self) end

local function copy_row(row)
  local copy = {}
  for name, value in pairs(row) do
    if name ~= "number" then copy[name] = value end
  end
  return copy
end

local function place(row) return row and { op = row.op, phase = row.phase, layer = row.layer, where = row.where } or save.null end

local function memory_part(memory)
  local m = {}
  for name, value in pairs(memory) do m[name] = value end
  m.steps, m.largest = save.array {}, save.array {}
  for i, step in ipairs(memory.steps) do m.steps[i] = { bytes = step.bytes, step = place(step.row) } end
  for i, v in ipairs(memory.largest) do
    m.largest[i] = { bytes = v.bytes, shape = v.shape, dtype = v.dtype, step = place(v.row) }
  end
  return m
end

--- The numbers as JSON: seconds, FLOP and bytes, not the rounded figures of the table.
function Profile:json()
  local rows, ops = save.array {}, save.array {}
  for i, row in ipairs(self.rows) do rows[i] = copy_row(row) end
  for i, row in ipairs(self:by_op()) do ops[i] = copy_row(row) end
  return save.json({ version = 1, seconds = self.seconds, flushes = self.flushes, plans = self.plans, device = self.device,
    machine = self.machine, peaks = self.peaks, peaks_from = self.peaks and self.peaks_from, activities = self.activities,
    rows = rows, ops = ops, memory = memory_part(self.memory), events = self.events, lost = self.lost },
    { indent = 1, order = { "version", "seconds" } }) .. "\n"
end

--- Every step and pause, as chrome://tracing and Perfetto read them.
function Profile:trace() return trace(self) end

--- Writes FILE.json and FILE.trace.json; true, or nil, message, code.
function Profile:write(file)
  local done, message, code = save.write(file .. ".json", self:json())
  if done then done, message, code = save.write(file .. ".trace.json", self:trace()) end
  return done, message, code
end

-- -- --profile

--- Begins the profile of the whole program, for the host and for a script's own --profile.
function profile.program(file)
  if program then return end
  profile.start()
  program = { file = file }
end

--- Called by the host when the program ends; nil and a message when a file could not be written.
function profile.finish()
  if not program then return true end
  local file = program.file
  local result = profile.stop()
  io.stdout:flush()
  io.stderr:write(tostring(result), "\n")
  if not file then return true end
  local done, message = result:write(file)
  if not done then return nil, message end
  io.stderr:write(("written: %s.json, %s.trace.json\n"):format(file, file))
  return true
end

return profile
