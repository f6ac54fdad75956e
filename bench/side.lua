-- Lunette's side of the benchmark: one process makes one measurement and prints it as a line of
-- JSON. The twin of bench/peer.py; bench/main.lua starts both.
--
--   lunette bench/side.lua what=train net=gpt4 size=256 batch=2 warm=2 steps=3 started=SECONDS
--
-- what: train, infer, loader, outcome or gradients (the twin of which is bench/precision.py), or count (the arithmetic of
-- a step, nothing is computed). started is sys.clock() before the process began.

local core  = require "lunette.core"
local lt    = require "lunette"
local nn    = require "lunette.nn"
local optim = require "lunette.optim"
local save  = require "lunette.save"
local sys   = require "lunette.sys"

local root = (arg[0]:match("^(.*)/") or ".") .. "/.."
local o = {}
for _, word in ipairs(arg) do
  local name, value = word:match("^(%w+)=(.*)$")
  o[name] = tonumber(value) or value
end

-- The pipeline's own network and steps.
local function network()
  local folder = ("%s/scripts/%s/"):format(root, o.net)
  return dofile(folder .. "model.lua")(), dofile(folder .. "train.lua")
end

-- The same, with made-up images and masks, a tenth of them foreground.
local function pipeline()
  local net, steps = network()
  local shape = { o.batch, 1, o.size, o.size }
  local images, masks = lt.rand(shape), lt.rand(shape):gt(0.9):float()
  core.flush()
  return net, steps, images, masks
end

-- The most memory that the whole process had, in bytes.
local function peak_memory()
  return 1024 * assert(save.read("/proc/self/status")):match("VmHWM:%s*(%d+) kB")
end

-- Calls step warm + steps times. first: seconds from the start of the process to the first result.
local function timed(step)
  local result = { warmup = save.array {}, values = save.array {}, threads = sys.settings().threads }
  for i = 1, o.warm + o.steps do
    local start = sys.clock()
    step()
    local list = i <= o.warm and result.warmup or result.values
    list[#list + 1] = sys.clock() - start
    result.first = result.first or sys.clock() - o.started
  end
  result.peak = peak_memory()
  result.tune = require("lunette.tune").hash() -- which kernels: nil is the shipped table
  return result
end

local measure = {}

function measure.train()
  local net, steps, images, masks = pipeline()
  local optimizer = optim.Adam(net:parameters(), { lr = 1e-4 })
  local value
  local result = timed(function()
    optimizer:zero_grad()
    local loss = steps.train(net, images, masks)
    loss:backward()
    optimizer:step()
    value = loss:item()
  end)
  result.loss = value
  return result
end

function measure.infer()
  local net, _, images = pipeline()
  net:eval()
  return lt.no_grad(function()
    return timed(function()
      local outputs = net(images) -- luacheck: ignore 211 (what is not held is not computed)
      core.flush()
    end)
  end)
end

-- The floating-point operations of the convolutions as direct ones: a multiplication and an addition
-- for each weight at each place that it is applied to. Backward is twice forward, but for a layer whose input needs no gradient.
function measure.count()
  local net, steps, images, masks = pipeline()
  local infer, train = 0, 0
  for name, places in pairs { Conv2d = "output", ConvTranspose2d = "input" } do
    local class = nn[name]
    local forward = class.forward
    class.forward = function(self, x)
      local y = forward(self, x)
      local at = places == "output" and y or x
      local flop = 2 * self.weight:numel() * at:numel() / at:size(2)
      infer, train = infer + flop, train + flop * (x.requires_grad and 3 or 2)
      return y
    end
  end
  steps.train(net, images, masks)
  return { infer = infer * 1e-9, train = train * 1e-9 }
end

-- Pairs a second, epoch after epoch; N.png with N_seg.png.
function measure.loader()
  local rates, count = dofile(root .. "/bench/loader.lua") { images = o.data, size = o.size, batch = o.batch, epochs = o.epochs,
    clock = sys.clock }
  return { epochs = rates, pairs = count, peak = peak_memory() }
end

-- The gradients of the first batch at the weights in folder=, into a file there.
function measure.gradients()
  local net, steps = network()
  net:load_state_dict(assert(lt.load(o.folder .. "/weights.safetensors")))
  local given = assert(lt.load(o.folder .. "/batches.safetensors"))
  local loss = steps.train(net, given.images[1], given.masks[1])
  loss:backward()
  local found = {}
  for name, p in net:named_parameters() do found[name] = p.grad:float() end
  assert(lt.save(o.folder .. "/gradients.safetensors", found))
  return { loss = loss:item() }
end

-- A whole training, by bench/precision.lua's weights and batches in folder=. What the network then says of the
-- test images goes into a file there; how good that is, is not judged here. With keep= its weights take the place of the first.
function measure.outcome()
  local net, steps = network()
  net:load_state_dict(assert(lt.load(o.folder .. "/weights.safetensors")))
  local given = assert(lt.load(o.folder .. "/batches.safetensors"))
  local optimizer = optim.Adam(net:parameters(), { lr = o.lr })
  local start, losses = os.clock(), save.array {}
  for i = 1, given.images:size(1) do
    optimizer:zero_grad()
    local loss = steps.train(net, given.images[i], given.masks[i])
    loss:backward()
    optimizer:step()
    losses[i] = loss:item()
  end
  if o.keep then assert(lt.save(o.folder .. "/weights.safetensors", net:state_dict())) end
  net:eval()
  local outputs = {}
  lt.no_grad(function()
    for i = 1, given.test:size(1) do outputs[i] = net(given.test[{ { i, i } }]) end
    outputs = lt.cat(outputs, 1)
    core.flush()
  end)
  assert(lt.save(o.folder .. "/outputs.safetensors", { outputs = outputs }))
  return { losses = losses, seconds = os.clock() - start }
end

print(save.json(measure[o.what]()))
