-- What a measurement was made on: the machine, the versions of everything, the commit.

local save = require "lunette.save"
local sys = require "lunette.sys"

local machine = {}

--- A child's standard output and sys.run's result, or nil and why not: how it ended, and what it said last.
function machine.output(argv, env)
  local out, err = os.tmpname(), os.tmpname()
  local result, message = sys.run(argv, { stdout = out, stderr = err, env = env })
  local text, words = save.read(out), save.read(err)
  os.remove(out)
  os.remove(err)
  if not result then return nil, message end
  if result.status == 0 then return text, result end
  local last
  for line in (words or ""):gmatch("[^\r\n]+") do
    if line:find("%S") then last = line:match("^lunette: (.*)") or line end
  end
  local ended = result.signal and ("killed by signal %d"):format(result.signal) or ("ended with status %d"):format(result.status)
  return nil, last and ("%s: %s"):format(ended, last) or ended
end

--- The line of JSON that a child prints last, as a table; nil and why not. `timeout`, where given, ends one that takes longer.
function machine.ask(argv, env, timeout)
  if timeout then argv = { "timeout", "--foreground", tostring(timeout), unpack(argv) } end
  local text, why = machine.output(argv, env)
  if not text then
    if timeout then why = why:gsub("^ended with status 124.*", ("took longer than %g seconds"):format(timeout)) end
    return nil, why
  end
  local result = save.parse_json(text:match("({[^\n]*})%s*$") or "")
  if not result then return nil, "gave no result: " .. text:sub(-200) end
  return result
end

local function first_line(path, pattern)
  for line in (save.read(path) or ""):gmatch("[^\n]+") do
    local found = line:match(pattern)
    if found then return found end
  end
end

local function trimmed(text) return text and text:match("^%s*(.-)%s*$") end

-- The widest instruction set that matters here, by the kernel's words for it.
local function instruction_set(flags)
  flags = " " .. (flags or "") .. " "
  for _, level in ipairs { { "amx_bf16", "amx" }, { "avx512f", "avx512" }, { "avx2", "avx2" } } do
    if flags:find(" " .. level[1] .. " ", 1, true) then return level[2], flags:find(" avx512_bf16 ", 1, true) ~= nil end
  end
  return "generic", false
end

function machine.describe()
  local isa, bf16 = instruction_set(first_line("/proc/cpuinfo", "^flags%s*:%s*(.*)"))
  return {
    cpu = first_line("/proc/cpuinfo", "^model name%s*:%s*(.*)") or "unknown",
    family = first_line("/proc/cpuinfo", "^cpu family%s*:%s*(.*)"), model = first_line("/proc/cpuinfo", "^model%s*:%s*(.*)"),
    cores = sys.cores(), isa = isa, avx512_bf16 = bf16,
    memory = 1024 * (first_line("/proc/meminfo", "^MemTotal:%s*(%d+)") or 0),
    system = first_line("/etc/os-release", '^PRETTY_NAME="(.*)"'),
    kernel = trimmed(save.read("/proc/sys/kernel/osrelease")),
  }
end

--- How many processes wanted to run, on average of the last minute: what else was going on.
function machine.load() return tonumber((save.read("/proc/loadavg") or ""):match("^%S+")) end

--- GFLOP/s of fused multiply-adds in f32 on that many threads, as `lunette tune` measures them; nil and why not.
function machine.peak(threads)
  local text, why = machine.output { sys.executable(), "--threads", tostring(threads), "-e",
    "print(require('lunette.tune').measure(1).f32.all)" }
  if not text then return nil, why end
  return tonumber(text) * 1e-9
end

--- Lunette's own pieces; what the peers are is the peers' to say.
function machine.versions(root)
  local found = { lunette = sys.version, luajit = jit.version }
  for line in (machine.output { root .. "/tools/detect", "cc" } or ""):gmatch("[^\n]+") do
    local piece, version = line:match("^(%S+) (%S+)")
    if version:find("%d") and piece ~= "luajit" then found[piece] = version end
  end
  found.cc = (machine.output { "cc", "--version" } or ""):match("^[^\n]*")
  return found
end

--- The commit, and whether files differ from it; nil where this is no checkout.
function machine.commit(root)
  local commit = trimmed(machine.output { "git", "-C", root, "rev-parse", "--short=12", "HEAD" })
  if not commit then return nil end
  return commit, trimmed(machine.output { "git", "-C", root, "status", "--porcelain", "-uno" }) ~= ""
end

--- LUNETTE_... variables change what is measured.
function machine.environment()
  local found = {}
  for name, value in (save.read("/proc/self/environ") or ""):gmatch("(LUNETTE[%w_]*)=(%Z*)") do found[name] = value end
  return found
end

return machine
