-- A folder of a test's own, and Lunette as a process that leaves what it said in there.
--
--   local scratch = dofile("tests/scratch.lua")
--   scratch.folder, scratch.path(name), scratch.write(name, text) -> path, scratch.read(name)
--   scratch.run({ word, ... }, options) -> status or "signal N", stdout, stderr   options: env, stdin (text)
--   scratch.lunette({ word, ... }, options)         the same with this program as the first word
--   scratch.remove()                                at the end
local save = require "lunette.save"
local sys = require "lunette.sys"

local scratch = {}
local folder = os.tmpname()
os.remove(folder)
assert(sys.mkdir(folder))

scratch.folder = folder

function scratch.path(name) return folder .. "/" .. name end

function scratch.write(name, text)
  assert(save.write(scratch.path(name), text))
  return scratch.path(name)
end

function scratch.read(name) return assert(save.read(scratch.path(name))) end

function scratch.run(words, options)
  options = options or {}
  if options.stdin then words = { "sh", "-c", 'input=$1; shift; exec "$@" < "$input"', "sh", scratch.write("stdin", options.stdin), unpack(words) } end
  local result = assert(sys.run(words, { stdout = scratch.path "stdout", stderr = scratch.path "stderr", env = options.env }))
  return result.status or "signal " .. result.signal, scratch.read "stdout", scratch.read "stderr"
end

function scratch.lunette(words, options) return scratch.run({ assert(sys.executable()), unpack(words) }, options) end

function scratch.remove() sys.run { "rm", "-rf", folder } end

return scratch
