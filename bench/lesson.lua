-- What bench/precision.lua and bench/gradients.lua share: a network's first weights and its batches in files of one folder, and
-- the processes that learn from them, Lunette's (bench/side.lua) and PyTorch's (bench/precision.py).
--
--   local lesson = require "lesson" { root =, folder =, threads =, python = }
--   lesson.write_weights(net, seed)
--   lesson.write_batches({ net =, seed =, batch = }, pairs, positions, { size =, count =, epochs =, test = positions })
--   lesson.child({ net =, lr = }, mode, what, word ...) -> the line of JSON that it prints, or nil, why not
--
-- Modes: Lunette's precisions, and "eager" (contiguous), "channels_last" and others of PyTorch's, as precision.py has them.

local lt = require "lunette"
local data = require "lunette.data"
local sys = require "lunette.sys"
local machine = require "machine"

local precisions = { strict = true, f32 = true, bf16 = true }

local function stacked(loader, epochs)
  local images, masks = {}, {}
  for _ = 1, epochs do
    for x, y in loader do images[#images + 1], masks[#masks + 1] = x, y end
  end
  return lt.stack(images), lt.stack(masks)
end

return function(o)
  local lesson = {}

  function lesson.path(name) return o.folder .. "/" .. name end

  local function part(net, name) return dofile(("%s/scripts/%s/%s.lua"):format(o.root, net, name)) end

  function lesson.write_weights(net, seed)
    lt.manual_seed(seed)
    assert(lt.save(lesson.path "weights.safetensors", part(net, "model")():state_dict()))
  end

  -- `count` of the pairs at these positions in their order, and the images of `test`.
  function lesson.write_batches(case, pairs, positions, of)
    local set = part(case.net, "dataset")(pairs, of.size)
    local _, train = data.train_test_split(positions, { test_size = of.count, random_state = case.seed })
    local loader = data.DataLoader(data.Subset(set, train), { batch_size = case.batch, shuffle = true, seed = case.seed, drop_last = true })
    local images, masks = stacked(loader, of.epochs)
    local asked = {}
    for k, i in ipairs(of.test) do asked[k] = set:get(i) end
    assert(lt.save(lesson.path "batches.safetensors", { images = images, masks = masks, test = lt.stack(asked) }))
  end

  local function command(case, mode, what)
    local words = { "what=" .. what, "net=" .. case.net, ("lr=%g"):format(case.lr), "folder=" .. o.folder }
    if precisions[mode] then
      return { sys.executable(), "--precision", mode, "--threads", tostring(o.threads or sys.cores()), o.root .. "/bench/side.lua", unpack(words) }
    end
    return { o.python, o.root .. "/bench/precision.py", "variant=" .. mode, "threads=" .. (o.threads or 0), unpack(words) }
  end

  function lesson.child(case, mode, what, ...)
    local argv = command(case, mode, what)
    for _, word in ipairs { ... } do argv[#argv + 1] = word end
    return machine.ask(argv, o.threads and { OMP_NUM_THREADS = tostring(o.threads) })
  end

  return lesson
end
