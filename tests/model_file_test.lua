-- Whole-model files (a net that runs without its script), the summary, and the overlap metrics.
local check = dofile("tests/check.lua")
local lt = require "lunette"
local nn = require "lunette.nn"
local F = require "lunette.nn.functional"
local metrics = require "lunette.metrics"
local save = require "lunette.save"
local summary = require "lunette.summary"
local core = require "lunette.core"

local path = os.tmpname()

-- -- whole models

local Net = nn.class("Net")
function Net:__init()
  self.conv = nn.Conv2d(1, 4, 3, { padding = "same" })
  self.bn = nn.BatchNorm2d(4)
  self.gn = nn.GroupNorm(2, 4)
  self.drop = nn.Dropout(0.3)
  self.up = nn.Upsample { scale_factor = 2, mode = "bilinear" }
  self.linear = nn.Linear(4, 3)
  self.constant = lt.tensor { 1, 2, 3, 4 }:reshape(1, 4, 1, 1)
end
function Net:forward(x)
  local h = self.drop(self.gn(self.bn(self.conv(x)))) * self.constant
  h = self.up(F.max_pool2d(h, 2))[{ {}, { 1, -1 }, {}, { 2, 7 } }]
  h = h:clamp(0) - h / 2 + (h % 3) ^ 2
  local pooled = h:mean({ 3, 4 })
  local largest = pooled:max(2)
  local joined = lt.cat({ self.linear(pooled), (-largest):unsqueeze(2), lt.zeros(x:size(1), 2) }, 2)
  return joined, h[{ {}, 1 }]:flatten(2):softmax(2) / x:size(1)
end

local function equal(a, b, what)
  check.equal(a.shape, b.shape, what)
  check.equal((a - b):abs():max():item(), 0, what)
end

check.test("a saved net gives the same values for any batch size, and keeps names, buffers and modes", function()
  local net = Net()
  net(lt.rand(3, 1, 8, 8)) -- moves the running statistics
  check.equal(lt.save(path, net, { input = { 16, 1, 8, 8 } }), true)
  check.equal(net.training, true, "saving leaves the mode")
  local loaded = assert(lt.load(path))
  net:eval()
  for _, batch in ipairs { 1, 2, 3, 5 } do
    local x = lt.rand(batch, 1, 8, 8)
    local a, b = net(x)
    local c, d = loaded(x)
    equal(a, c, "first result")
    equal(b, d, "second result")
  end
  local names = {}
  for name in loaded:named_buffers() do names[#names + 1] = name end
  check.equal(names, { "bn.running_mean", "bn.running_var", "bn.num_batches_tracked" })
  check.equal(#loaded:parameters(), #net:parameters())
  check.raises(function() loaded(lt.rand(1, 1, 9, 8)) end, "the model was saved for")
  Net():load_state_dict(loaded:state_dict())
end)

check.test("a loaded net can be trained", function()
  lt.save(path, nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)), { input = { 1, 3 } })
  local net = assert(lt.load(path))
  net(lt.rand(4, 3)):sum():backward()
  check.truthy(net:parameters()[4].grad, "the last bias has a gradient")
end)

check.test("a forward that recording would get wrong is refused", function()
  local function refused(forward, pattern)
    local Bad = nn.class("Bad")
    Bad.forward = forward
    check.raises(function() lt.save(path, Bad(), { input = { 1, 1, 4, 4 } }) end, pattern)
  end
  refused(function(_, x) return x * x:mean():item() end, "reads values (item)")
  refused(function(_, x) return x / (x:size(1) + 1) end, "no multiple of the batch size")
  refused(function(_, x) x:add_(1) return x end, "writes into a tensor")
  refused(function(_, x) x[1] = 0 return x end, "writes elements")
  refused(function(_, x) return x + lt.rand(4, 4) end, "is random")
  refused(function(_, x) return x:size(1) == 2 and x or x:relu() end, "other operations")
  refused(function() return 3 end, "is no tensor but a number")
  check.equal((lt.ones(2) + 1):sum():item(), 4, "operators work as before")
  check.equal(lt.ones(2)[1]:item(), 1, "so do indices")
end)

check.test("a table of tensors keeps its order; other files are named", function()
  local net = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
  assert(lt.save(path, net))
  local state = assert(lt.load(path))
  check.equal(nn.state_names(state), nn.state_names(net:state_dict()))
  net:load_state_dict(state)
  check.fails("absent", "LN_EIO", lt.load("/absent/file"))
  assert(save.write(path, "no safetensors"))
  check.fails(path, "LN_EFORMAT", lt.load(path))
end)

check.test("a damaged graph is refused when it is read", function()
  local function refused(change, pattern)
    local graph = {
      version = 1, inputs = { { 1, 2 } }, results = { 2 }, buffers = save.array {},
      nodes = { { op = "mul", inputs = { 1, { tensor = "w" } }, attrs = {}, outputs = 1 } },
    }
    change(graph)
    assert(save.safetensors(path, { w = lt.ones(2) }, { metadata = { ["lunette.graph"] = save.json(graph) } }))
    check.fails(pattern, "LN_EFORMAT", lt.load(path))
  end
  local sound = pcall(refused, function() end, "")
  check.equal(sound, false, "without a change it loads")
  refused(function(g) g.version = 2 end, "its version is 2")
  refused(function(g) g.nodes = nil end, "it has no nodes")
  refused(function(g) g.nodes[1].op = "system" end, "operation 1 is 'system'")
  refused(function(g) g.nodes[1].op = "assign" end, "operation 1 is 'assign'")
  refused(function(g) g.nodes[1].inputs[1] = 2 end, "an input is 2")
  refused(function(g) g.nodes[1].inputs[1] = -1 end, "an input is -1")
  refused(function(g) g.nodes[1].inputs[2].tensor = "v" end, "there is no tensor 'v'")
  refused(function(g) g.nodes[1].inputs[3] = 1 end, "wrong inputs")
  refused(function(g) g.nodes[1].attrs.dim = 1 end, "has an attribute 'dim'")
  refused(function(g) g.nodes[1].outputs = 1e9 end, "outputs")
  refused(function(g) g.results = { 3 } end, "an input is 3")
  refused(function(g) g.inputs[1] = { -5 } end, "size -5")
  refused(function(g) g.inputs = { "x" } end, "has no shape")
end)

-- -- summary

local Double = nn.class("DC")
function Double:__init(i, o)
  self.double_conv = nn.Sequential(nn.Conv2d(i, o, 3, { padding = 1 }), nn.BatchNorm2d(o), nn.ReLU(),
    nn.Sequential(nn.Conv2d(o, o, 3, { padding = 1, bias = false })))
end
function Double:forward(x) return self.double_conv(x) end

local Small = nn.class("Net")
function Small:__init()
  self.down = nn.ModuleList { Double(1, 8), Double(8, 16) }
  self.pool = nn.MaxPool2d(2)
  self.up = nn.ConvTranspose2d(16, 8, 2, { stride = 2 })
  self.scale = nn.Parameter(lt.ones(3))
  self.final = nn.Conv2d(16, 1, 1)
  self.unused = nn.Linear(5, 5)
  self.final.bias:requires_grad_(false)
end
function Small:forward(x)
  local a = self.down[1](x)
  local b = self.pool(self.down[2](self.pool(a)))
  b = self.up(b)
  return self.final(lt.cat({ self.pool(a), b }, 2))
end

-- Printed by torchinfo 1.8.0 for the same net, its "(Units.MEGABYTES)" written as "(M)".
local printed = [[
==========================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==========================================================================================
Net                                      [2, 1, 8, 8]              33
├─ModuleList: 1-3                        --                        (recursive)
│    └─DC: 2-1                           [2, 8, 16, 16]            --
│    │    └─Sequential: 3-1              [2, 8, 16, 16]            672
├─MaxPool2d: 1-2                         [2, 8, 8, 8]              --
├─ModuleList: 1-3                        --                        (recursive)
│    └─DC: 2-2                           [2, 16, 8, 8]             --
│    │    └─Sequential: 3-2              [2, 16, 8, 8]             3,504
├─MaxPool2d: 1-4                         [2, 16, 4, 4]             --
├─ConvTranspose2d: 1-5                   [2, 8, 8, 8]              520
├─MaxPool2d: 1-6                         [2, 8, 8, 8]              --
├─Conv2d: 1-7                            [2, 1, 8, 8]              17
==========================================================================================
Total params: 4,746
Trainable params: 4,745
Non-trainable params: 1
Total mult-adds (M): 0.85
==========================================================================================
Input size (MB): 0.00
Forward/backward pass size (MB): 0.16
Params size (MB): 0.02
Estimated Total Size (MB): 0.18
==========================================================================================]]

check.test("the summary is torchinfo's, and nothing is computed", function()
  local net = Small()
  core.flush()
  local before = core.stats().flushes
  local text, totals = summary(net, { 2, 1, 16, 16 })
  check.equal(core.stats().flushes, before, "flushes")
  check.equal(text, printed)
  check.equal(totals.trainable, 4745)
  check.equal(net.training, true)
  check.equal(net.down[1].double_conv[2].num_batches_tracked:item(), 0)
end)

-- -- metrics

check.test("dice and iou by hand", function()
  local p, t = lt.tensor { { 0.9, 0.2 }, { 0.6, 0.1 } }, lt.tensor { { 1, 0 }, { 0, 0 } }
  check.near(metrics.dice(p, t):item(), 2 / 3, 1e-6)
  check.near(metrics.iou(p, t):item(), 1 / 2, 1e-6)
  check.near(metrics.dice(p, t, { threshold = 0.7 }):item(), 1, 1e-6)
  check.near(metrics.dice(p, t, { soft = true, smooth = 1 }):item(), (1.8 + 1) / (1.8 + 1 + 1), 1e-6)
  check.near(metrics.dice(p, t, { per = "sample", smooth = 1 }):item(), (1 + 1 / 2) / 2, 1e-6)
  check.near(metrics.dice(p, t * 0, { threshold = 1 }):item(), 1, 1e-6, "both empty")
  check.raises(function() metrics.dice(p, lt.ones(4)) end, "must have the same shape")
end)

os.remove(path)
check.done()
