-- How exact is one step? The gradients of one batch, in Lunette at each precision and in PyTorch, beside PyTorch's in double.
--
--   build/lunette bench/gradients.lua [options]        (--help lists them)
--
-- Every network first learns some steps in f32, so that its gradients are those of a training, and not of noise. An error is the
-- distance from double's gradient over that gradient's own length.

local root = (arg[0]:match("^(.*)/") or ".") .. "/.."

local lt = require "lunette"
local options = require "lunette.options"
local open = require("lunette.run").open
local stats = require "lunette.stats"
local sys = require "lunette.sys"
local jobs = require "jobs"

local modes_of = { "strict", "f32", "bf16", "eager", "channels_last", "autocast" }
local titles = { eager = "PyTorch contiguous", channels_last = "PyTorch channels_last", autocast = "PyTorch autocast to bf16" }

local rows = {
  { "only", "LIST", "text", "of the eight pipelines (default all)" },
  { "modes", "LIST", "text", "of strict, f32, bf16 and PyTorch's eager, channels_last, autocast (default all)" },
  { "phantom", "F[:N]", "phantom", "drawn data: glottis, bolus or brain, N images" },
  { "size", "N", "count", "images of N x N" }, { "batch", "N", "count", "batch size" }, { "steps", "N", "count", "steps learned before" },
  { "lr", "X", "positive", "learning rate of those" },
  options.row("threads"), options.row("help"),
}
local o = options.command(arg, { rows = rows, defaults = { phantom = "brain:120", size = 64, batch = 2, steps = 50, lr = 1e-4 } })
local shared = require "words" (o)
local folder = os.tmpname()
os.remove(folder)
local lesson = require "lesson" { root = root, folder = folder, threads = o.threads,
  python = os.getenv("PYTHON") or root .. "/build/peers/bin/python" }

local function gradients(case, mode)
  os.remove(lesson.path "gradients.safetensors")
  local found, why = lesson.child(case, mode, "gradients")
  if not found then return nil, why end
  return assert(lt.load(lesson.path "gradients.safetensors"))
end

local function length_of(tensors)
  local sum = 0
  for _, t in pairs(tensors) do sum = sum + t:norm():item() ^ 2 end
  return math.sqrt(sum)
end

-- The error of the gradient as a whole, and the median of its tensors' own. Where the gradient is nought but for rounding (a bias
-- before a norm) a tensor has no error of its own.
local function errors(found, want)
  local length, off, own = length_of(want), {}, {}
  for name, w in pairs(want) do
    off[name] = found[name] - w
    local l = w:norm():item()
    if l > 1e-6 * length then own[#own + 1] = off[name]:norm():item() / l end
  end
  return length_of(off) / length, stats.median(own)
end

-- The cells of a network's row, and how many sides failed.
local function measure(net, modes)
  local case = { net = net, lr = o.lr, seed = 1, batch = o.batch }
  local pairs_of, positions = assert(open(o)), {}
  for i = 1, #pairs_of do positions[i] = i end
  lesson.write_weights(net, case.seed)
  lesson.write_batches(case, pairs_of, positions, { size = o.size, count = o.steps * o.batch, epochs = 1, test = { 1 } })
  local want, why = lesson.child(case, "f32", "outcome", "keep=1")
  if want then want, why = gradients(case, "double") end
  if not want then return { net, "failed: " .. why }, 1 end
  if length_of(want) == 0 then return { net, "no gradient: a ReLU has died" }, 0 end
  local cells, broken = { net }, 0
  for _, mode in ipairs(modes) do
    local found, problem = gradients(case, mode)
    cells[#cells + 1] = found and ("%.1e, %.1e"):format(errors(found, want)) or "failed: " .. problem
    broken = broken + (found and 0 or 1)
  end
  return cells, broken
end

local modes, failed = shared.chosen("modes", modes_of), 0
assert(sys.mkdir(folder))
local head = { "network" }
for _, mode in ipairs(modes) do head[#head + 1] = titles[mode] or "Lunette " .. mode end
print("Error of the whole gradient, median over its tensors:\n")
print("| " .. table.concat(head, " | ") .. " |\n|" .. ("---|"):rep(#head))
for _, net in ipairs((shared.chosen("only", jobs.nets))) do
  local cells, broken = measure(net, modes)
  failed = failed + broken
  print("| " .. table.concat(cells, " | ") .. " |")
  io.stdout:flush()
  collectgarbage()
end
sys.run { "rm", "-rf", folder }
sys.exit(failed > 0 and 1 or 0)
