-- tune: what was measured of this machine, kept in a file from run to run: its peaks, and which kernel is the fastest for
-- which convolution.
--
--   lunette tune               the peaks, and the convolutions of the study's networks
--   lunette tune FILE ARGS     runs a script, then times the convolutions that it planned
--   lunette tune --list        what was found (--help says more)
--
-- The file is LUNETTE_TUNE, else lunette/tune.json in XDG_CACHE_HOME or ~/.cache:
--
--   { "version": 1, "machines": { "<processor>, avx2, 2 threads": {
--       "peaks": {...}, "kernels": { "<key>": { "choice": "tiles", "shipped": "direct", "ms": { "tiles": 1.2, "direct": 1.5 } } },
--       "measured": "2026-01-31", "lunette": "0.1.0" } } }
--
-- One entry for each processor, instruction set and thread count, so that a home folder may serve
-- several machines. Whoever writes it keeps what it does not know. When the device opens, the choices are handed to
-- it (docs/architecture.md, measured choices); the entry's hash is in run.json.

local core = require "lunette.core"
local c = require "lunette.profile_c"
local choices = require "lunette.tune_c"
local docs = require "lunette.docs"
local hash = require "lunette.hash"
local kernels = require "lunette.tune.kernels"
local options = require "lunette.options"
local save = require "lunette.save"
local sys = require "lunette.sys"

local VERSION = 1
local DETERMINISTIC = "--deterministic takes the shipped kernels alone; --peaks measures the rest"
local tune = {}

docs("tune.path", "path(): the file with what was measured: LUNETTE_TUNE, or lunette/tune.json in XDG_CACHE_HOME or"
  .. " ~/.cache; nil without a home")
tune.path = choices.path

local function processor()
  local file = io.open("/proc/cpuinfo")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return (text:match("model name%s*:%s*([^\n]+)") or jit.arch):gsub("%s+", " ")
end

docs("tune.machine", "machine(): the name of this processor, instruction set and thread count in the file; or nil, message, code for"
  .. " a device without peaks")
function tune.machine()
  local now, message, code = c.peaks(0)
  if not now then return nil, message, code end
  return ("%s, %s, %d thread%s"):format(processor(), now.isa, now.threads, now.threads == 1 and "" or "s")
end

-- What the file holds; nil when there is none; nil and what is wrong with it when it cannot be used, and
-- whether that must stay as it is.
local function read(path)
  if not path or sys.exists(path) ~= "file" then return nil end
  local text, message = save.read(path)
  if not text then return nil, message, true end
  local all = save.parse_json(text)
  if type(all) ~= "table" or type(all.version) ~= "number" or type(all.machines) ~= "table" then
    return nil, ("%s is damaged; 'lunette tune' writes it anew"):format(path)
  end
  if all.version > VERSION then return nil, ("%s is from a newer version of Lunette"):format(path), true end
  return all
end

-- This machine's entry, whatever is in it; nil without one, with a message when the file cannot be used.
local function own_entry()
  local name = tune.machine()
  if not name then return nil end
  local all, problem = read(tune.path())
  if not all then return nil, problem end
  local entry = all.machines[name]
  return type(entry) == "table" and entry or nil
end

local function pair(t) return type(t) == "table" and type(t.one) == "number" and type(t.all) == "number" end

docs("tune.entry", "entry(): what the file says of this machine: peaks = { f32 = {one=, all=}, read=, copy=, touch=, touch_huge= }"
  .. " in FLOP and bytes a second with one thread and with all, and kernels; nil when its peaks were not measured, with a"
  .. " message when the file cannot be used")
function tune.entry()
  local entry, problem = own_entry()
  local peaks = entry and type(entry.peaks) == "table" and entry.peaks or {}
  if pair(peaks.f32) and pair(peaks.read) and pair(peaks.copy) then return entry end
  return nil, problem
end

local function hash_of(entry) return bit.tohex(hash(save.json(entry))) end

local loaded -- the hash of the entry whose choices are in force

docs("tune.load", "load(): hands the file's choices among kernels to the device, as happens by itself when it opens; how many"
  .. " there are, 0 with --deterministic; nil and a message when the file cannot be used")
function tune.load()
  local entry, problem = own_entry()
  if problem then return nil, problem end
  local list = entry and not sys.settings().deterministic and kernels.choices(entry.kernels) or {}
  local done, message = choices.choose(list)
  if not done then return nil, message end
  loaded = entry and hash_of(entry)
  return #list
end

--- Called by the host when the device opens.
function tune.opened()
  local count, problem = tune.load()
  if not count then io.stderr:write("lunette: measured choices are not used: ", problem, "\n") end
end

docs("tune.hash", "hash(): a hash of this machine's entry as the device took it, for run.json; nil without one")
function tune.hash()
  if core.device() ~= "cpu" or not tune.machine() then return nil end
  return loaded
end

docs("tune.measure", "measure(seconds): the peaks of this machine, measured now")
tune.measure = c.peaks

docs("tune.store", "store(peaks, entries): puts them into the file, either may be nil; entries are choices by key and join"
  .. " those that are there; the path, or nil and what went wrong")
function tune.store(peaks, entries)
  local path, name = tune.path(), tune.machine()
  if not path then return nil, "no place for the cache: neither LUNETTE_TUNE, XDG_CACHE_HOME nor HOME is set" end
  local all, problem, keep = read(path)
  if keep then return nil, problem end
  all = all or { version = VERSION, machines = {} }
  local entry = type(all.machines[name]) == "table" and all.machines[name] or {}
  if peaks then
    entry.peaks = { f32 = peaks.f32, read = peaks.read, copy = peaks.copy, touch = peaks.touch, touch_huge = peaks.touch_huge }
  end
  if entries then
    entry.kernels = type(entry.kernels) == "table" and entry.kernels or {}
    for key, value in pairs(entries) do entry.kernels[key] = value end
  end
  entry.measured, entry.lunette = os.date("!%Y-%m-%d"), sys.version
  all.machines[name] = entry
  local done, message = sys.mkdir(sys.dirname(path))
  if done then done, message = save.write(path, save.json(all, { indent = 2, order = { "version" } }) .. "\n") end
  if not done then return nil, message end
  return path
end

-- -- the command

local rows = {
  { "f32", "GFLOP/s", "multiply-add of 32-bit floats, in registers" },
  { "read", "GB/s", "reading memory far beyond the caches" },
  { "copy", "GB/s", "copying it, both directions counted" },
  { "touch", "GB/s", "first touch of fresh memory, 4 KB pages" },
  { "touch_huge", "GB/s", "the same where the system may give huge pages" },
}

docs("tune.text", "text(peaks): the table that 'lunette tune' prints")
function tune.text(peaks)
  local lines = { ("%10s %10s"):format("1 thread", peaks.threads .. " threads") }
  if peaks.threads == 1 then lines[1] = ("%10s %10s"):format("1 thread", "") end
  for _, row in ipairs(rows) do
    local value = peaks[row[1]]
    local all = peaks.threads > 1 and ("%.1f"):format(value.all * 1e-9) or ""
    lines[#lines + 1] = ("%10.1f %10s  %-8s %s"):format(value.one * 1e-9, all, row[2], row[3])
  end
  return table.concat(lines, "\n")
end

local rows_of_command = {
  { "seconds", "X", "positive", "about so many seconds of measuring" },
  { "peaks", nil, nil, "arithmetic and memory only, in 5 seconds" },
  { "list", nil, nil, "measure nothing: print what was measured of the convolutions" },
  { "all", nil, nil, "with --list: also where the shipped kernel stays" },
  { "help", nil, nil, "print this and exit" },
}

local function fail(message)
  io.stderr:write("lunette: tune: ", message, "\n")
  return 1
end

local function list(all)
  local entry, problem = own_entry()
  if not entry then return fail(problem or "nothing was measured of this machine; 'lunette tune' does") end
  print(kernels.text(type(entry.kernels) == "table" and entry.kernels or {}, all))
  return 0
end

-- Times the convolutions of all plans at hand; nil and a message where none can be.
local function measure_planned(seconds)
  if sys.settings().deterministic then return nil, DETERMINISTIC end
  local planned = choices.planned()
  if #planned == 0 then return nil, "no convolution was planned" end
  local started = sys.clock()
  local entries, left, failed, message = kernels.measure(planned, seconds)
  print(kernels.text(entries))
  print(("%.0f seconds"):format(sys.clock() - started))
  if left > 0 then print(("there was no time for %d more: --seconds X gives it"):format(left)) end
  if failed > 0 then print(("%d could not be timed: %s"):format(failed, message)) end
  return entries
end

local function finish(peaks, entries)
  local path, message = tune.store(peaks, entries)
  if not path then return fail(message) end
  print("kept in " .. path)
  return 0
end

local function measure_peaks(seconds)
  local name, message = tune.machine()
  if not name then return nil, message end
  local peaks
  peaks, message = tune.measure(seconds)
  if not peaks then return nil, message end
  print(name)
  print(tune.text(peaks))
  return peaks
end

-- Without a script: the peaks, and the study's networks where their pipelines are at hand.
local function measure_all(o)
  if not o.peaks and sys.settings().deterministic then return fail(DETERMINISTIC) end
  sys.configure { eager = false }
  local peaks, message = measure_peaks(o.peaks and (o.seconds or 5) or math.min(5, (o.seconds or 150) / 4))
  if not peaks then return fail(message) end
  local networks = require "lunette.tune.networks"
  local folder, entries = networks.folder(), nil
  if folder and not o.peaks then
    networks.plan(folder)
    entries, message = measure_planned((o.seconds or 150) * 29 / 30)
    if not entries then return fail(message) end
  elseif not o.peaks then
    print("the study's pipelines (./scripts) are not here: 'lunette tune FILE' times the convolutions of a script")
  end
  return finish(peaks, entries)
end

-- The words of the command itself; then the position of the script's name.
local function split(words)
  local own, i, takes_value = { [0] = "[options] tune [FILE [ARGUMENTS]]" }, 1, {}
  for _, row in ipairs(rows_of_command) do takes_value["--" .. row[1]] = row[2] ~= nil end
  while words[i] and words[i]:sub(1, 1) == "-" do
    own[#own + 1] = words[i]
    if takes_value[words[i]] then
      i = i + 1
      own[#own + 1] = words[i]
    end
    i = i + 1
  end
  return own, words[i] and i
end

local script -- what the script's end waits for: { seconds = }

docs("tune.command", "command(words): what 'lunette tune' does; returns the exit status, or nil and the position of the script"
  .. " that the host shall run: tune.finish() is for its end")
function tune.command(words)
  local own, file = split(words)
  local o = options.command(own, { rows = rows_of_command })
  if o.list then return list(o.all) end
  if not file then return measure_all(o) end
  script = { seconds = o.seconds or 150 }
  return nil, file
end

--- Called by the host when the program ends, however it does: times what a script of 'lunette tune' planned. The exit
--- status, 0 without such a script.
function tune.finish()
  if not script then return 0 end
  local seconds = script.seconds
  script = nil
  io.stdout:flush()
  local entries, message = measure_planned(seconds)
  if not entries then return fail(message) end
  return finish(nil, entries)
end

return tune
