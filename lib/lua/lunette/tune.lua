-- tune: what was measured of this machine, kept in a file from run to run.
--
--   lunette tune          measures for some seconds, prints a table, writes the file (--help says more)
--
-- The file is LUNETTE_TUNE, else lunette/tune.json in XDG_CACHE_HOME or ~/.cache:
--
--   { "version": 1, "machines": { "<processor>, avx2, 2 threads": { "peaks": {...}, "measured": "2026-01-31" } } }
--
-- One entry for each processor, instruction set and thread count, so that a home folder may serve
-- several machines. Whoever writes it keeps what it does not know; choices of kernels belong under
-- "kernels" in the machine's entry. The entry's hash is in run.json.

local core = require "lunette.core"
local c = require "lunette.profile_c"
local docs = require "lunette.docs"
local hash = require "lunette.hash"
local options = require "lunette.options"
local save = require "lunette.save"
local sys = require "lunette.sys"

local VERSION = 1
local tune = {}

docs("tune.path", "path(): the file with what was measured: LUNETTE_TUNE, or lunette/tune.json in XDG_CACHE_HOME or"
  .. " ~/.cache; nil without a home")
function tune.path()
  local function set(name)
    local value = os.getenv(name)
    return value and value ~= "" and value or nil
  end
  if set "LUNETTE_TUNE" then return set "LUNETTE_TUNE" end
  local cache = set "XDG_CACHE_HOME" or set "HOME" and set "HOME" .. "/.cache"
  return cache and cache .. "/lunette/tune.json"
end

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

-- The whole file; nil when there is none, nil and what is wrong with it when it cannot be used, and
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

local function pair(t) return type(t) == "table" and type(t.one) == "number" and type(t.all) == "number" end

docs("tune.entry", "entry(): what the file says of this machine: peaks = { f32 = {one=, all=}, read=, copy=, touch=, touch_huge= }"
  .. " in FLOP and bytes a second with one thread and with all; nil when it was not measured, with a message when the"
  .. " file cannot be used")
function tune.entry()
  local name = tune.machine()
  if not name then return nil end
  local all, problem = read(tune.path())
  if not all then return nil, problem end
  local entry = all.machines[name]
  local peaks = type(entry) == "table" and type(entry.peaks) == "table" and entry.peaks or {}
  if pair(peaks.f32) and pair(peaks.read) and pair(peaks.copy) then return entry end
end

docs("tune.hash", "hash(): a hash of this machine's entry, for run.json; nil without one")
function tune.hash()
  local entry = core.device() == "cpu" and tune.entry()
  return entry and bit.tohex(hash(save.json(entry))) or nil
end

docs("tune.measure", "measure(seconds): the peaks of this machine, measured now")
tune.measure = c.peaks

docs("tune.store", "store(peaks): puts them into the file; the path, or nil and what went wrong")
function tune.store(peaks)
  local path, name = tune.path(), tune.machine()
  if not path then return nil, "no place for the cache: neither LUNETTE_TUNE, XDG_CACHE_HOME nor HOME is set" end
  local all, problem, keep = read(path)
  if keep then return nil, problem end
  all = all or { version = VERSION, machines = {} }
  local entry = type(all.machines[name]) == "table" and all.machines[name] or {}
  entry.peaks = { f32 = peaks.f32, read = peaks.read, copy = peaks.copy, touch = peaks.touch, touch_huge = peaks.touch_huge }
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
  { "help", nil, nil, "print this and exit" },
}

docs("tune.command", "command(words): what 'lunette tune' does; returns the exit status")
function tune.command(words)
  words[0] = "[options] tune"
  local o = options.command(words, { rows = rows_of_command, defaults = { seconds = 5 } })
  local name, message = tune.machine()
  local peaks = name and tune.measure(o.seconds)
  if peaks then
    print(name)
    print(tune.text(peaks))
    local path
    path, message = tune.store(peaks)
    if path then
      print("kept in " .. path)
      return 0
    end
  end
  io.stderr:write("lunette: tune: ", message, "\n")
  return 1
end

return tune
