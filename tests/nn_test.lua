-- Layers and losses against PyTorch's values (tests/reference/make_nn.py), and what a module
-- promises: registration order, state_dict, modes, error paths, printing.
local reference = dofile("tests/nn_reference.lua")
local check = reference.check
local lt = require "lunette"
local nn = require "lunette.nn"
local F = require "lunette.nn.functional"
local core = require "lunette.core"

local function apply(f)
  local class = nn.class("Apply")
  class.forward = function(_, x) return f(x) end
  return class()
end

-- -- layers; the same names and shapes stand in make_nn.py

local layers = {
  { "conv1d", nn.Conv1d(4, 6, 3, { padding = 1, groups = 2 }), { 2, 4, 9 } },
  { "conv2d", nn.Conv2d(3, 4, { 3, 5 }, { stride = 2, padding = { 1, 2 }, dilation = { 2, 1 } }), { 2, 3, 11, 10 } },
  { "conv2d_groups_nobias", nn.Conv2d(4, 6, 3, { groups = 2, bias = false }), { 2, 4, 7, 5 } },
  { "conv2d_same", nn.Conv2d(2, 3, 4, { padding = "same" }), { 2, 2, 6, 7 } },
  { "conv2d_reflect", nn.Conv2d(2, 3, 3, { padding = { 2, 1 }, padding_mode = "reflect" }), { 1, 2, 6, 5 } },
  { "conv2d_same_reflect", nn.Conv2d(2, 3, { 4, 3 }, { padding = "same", padding_mode = "reflect" }), { 1, 2, 6, 5 } },
  { "conv3d", nn.Conv3d(2, 3, 3, { padding = 1 }), { 1, 2, 4, 5, 3 } },
  { "convt1d", nn.ConvTranspose1d(3, 2, 4, { stride = 3 }), { 2, 3, 5 } },
  { "convt2d", nn.ConvTranspose2d(4, 3, 2, { stride = 2 }), { 2, 4, 3, 5 } },
  { "convt2d_odd", nn.ConvTranspose2d(4, 6, 3, { stride = 2, padding = 1, output_padding = 1, groups = 2 }),
    { 2, 4, 4, 3 } },
  { "convt3d", nn.ConvTranspose3d(2, 3, 2, { stride = 2 }), { 1, 2, 2, 3, 2 } },
  { "linear", nn.Linear(5, 3), { 4, 2, 5 } },
  { "linear_vector", nn.Linear(5, 3, { bias = false }), { 5 } },
  { "batchnorm1d", nn.BatchNorm1d(3), { 5, 3 } },
  { "batchnorm2d", nn.BatchNorm2d(3), { 4, 3, 5, 6 } },
  { "batchnorm2d_eval", nn.BatchNorm2d(3), { 4, 3, 5, 6 } },
  { "batchnorm2d_momentum", nn.BatchNorm2d(3, { eps = 1e-3, momentum = 0.3 }), { 4, 3, 5, 6 } },
  { "batchnorm2d_cumulative", nn.BatchNorm2d(3, { momentum = "cumulative" }), { 4, 3, 5, 6 } },
  { "batchnorm2d_plain", nn.BatchNorm2d(3, { affine = false, track_running_stats = false }), { 4, 3, 5, 6 } },
  { "batchnorm3d", nn.BatchNorm3d(2), { 2, 2, 3, 4, 5 } },
  { "instancenorm2d", nn.InstanceNorm2d(3, { affine = true }), { 2, 3, 5, 6 } },
  { "instancenorm3d", nn.InstanceNorm3d(2), { 2, 2, 3, 4, 5 } },
  { "groupnorm", nn.GroupNorm(2, 6), { 3, 6, 4, 5 } },
  { "layernorm", nn.LayerNorm({ 3, 4 }), { 2, 5, 3, 4 } },
  { "relu", nn.ReLU(), { 3, 7 } },
  { "leaky_relu", nn.LeakyReLU(0.2), { 3, 7 } },
  { "sigmoid", nn.Sigmoid(), { 3, 7 } },
  { "tanh", nn.Tanh(), { 3, 7 } },
  { "softmax", nn.Softmax(2), { 2, 4, 3, 5 } },
  { "log_softmax", nn.LogSoftmax(2), { 2, 4, 3, 5 } },
  { "silu", nn.SiLU(), { 3, 7 } },
  { "elu", nn.ELU(0.5), { 3, 7 } },
  { "softplus", apply(F.softplus), { 3, 7 } },
  { "maxpool2d", nn.MaxPool2d(3, { stride = 2, padding = 1, ceil_mode = true }), { 2, 3, 8, 7 } },
  { "maxpool2d_dilated", nn.MaxPool2d({ 2, 3 }, { stride = 1, dilation = 2 }), { 1, 2, 8, 9 } },
  { "maxpool3d", nn.MaxPool3d(2), { 1, 2, 4, 5, 6 } },
  { "avgpool2d", nn.AvgPool2d(3, { stride = 2, padding = 1, count_include_pad = false }), { 2, 3, 8, 7 } },
  { "avgpool3d", nn.AvgPool3d(2), { 1, 2, 4, 5, 6 } },
  { "upsample_nearest", nn.Upsample { scale_factor = 2 }, { 1, 2, 3, 5 } },
  { "upsample_bilinear", nn.Upsample { scale_factor = 1.5, mode = "bilinear" }, { 1, 2, 5, 6 } },
  { "upsample_corners", nn.Upsample { size = { 7, 9 }, mode = "bilinear", align_corners = true }, { 2, 2, 4, 5 } },
  { "upsample_trilinear", nn.Upsample { size = { 3, 5, 4 }, mode = "trilinear" }, { 1, 2, 2, 3, 3 } },
  { "upsample_linear", nn.Upsample { scale_factor = 2, mode = "linear" }, { 1, 2, 5 } },
  { "flatten", nn.Flatten(), { 2, 3, 4, 5 } },
  { "pad_reflect", apply(function(x) return F.pad(x, { 2, 1, 0, 3 }, "reflect") end), { 1, 2, 5, 4 } },
  { "pad_crop", apply(function(x) return F.pad(x, { -1, 2, 1, -2 }, "constant", 0.5) end), { 1, 2, 5, 4 } },
  { "interpolate_nearest", apply(function(x) return F.interpolate(x, { 5, 3 }) end), { 1, 2, 7, 8 } },
}

local function leaf(t) return core.cell(t, { requires_grad = true }) end

local function layer_case(name, layer, shape)
  local want = reference.values[name]
  for key, p in layer:named_parameters() do p:assign_(reference.tensor(name .. "." .. key, p.shape, 0.5)) end
  local x = leaf(reference.tensor(name .. ".x", shape))
  if name:find("_eval$") then
    layer(x)
    layer:eval()
  end
  if name:find("_cumulative$") then layer(reference.tensor(name .. ".before", shape)) end
  local y = layer(x);
  (y * reference.tensor(name .. ".gy", y.shape)):sum():backward()
  reference.compare(name .. ".y", y, want.y, "y")
  reference.compare(name .. ".gx", x.grad, want.gx, "gradient of x")
  for key, p in layer:named_parameters() do
    reference.compare(name .. ".g." .. key, p.grad, want["g." .. key], "gradient of " .. key)
    want["g." .. key] = nil
  end
  for key, b in layer:named_buffers() do
    reference.compare(name .. ".b." .. key, b, want["b." .. key], key)
    want["b." .. key] = nil
  end
  want.y, want.gx = nil, nil
  check.equal(next(want), nil, "PyTorch has more")
end

for _, case in ipairs(layers) do
  check.test(case[1] .. " equals PyTorch", function() layer_case(unpack(case)) end)
end

-- -- losses

local weights = { 0.5, 1, 2, 0.25 }
local losses = {
  { "bce", nn.BCELoss(), { 2, 1, 4, 5 }, "probability" },
  { "bce_sum_weight", nn.BCELoss { weight = reference.tensor("bce_sum_weight.w", { 4, 5 }) + 1.5, reduction = "sum" },
    { 2, 1, 4, 5 }, "probability" },
  { "bce_logits", nn.BCEWithLogitsLoss(), { 2, 1, 4, 5 }, "fraction" },
  { "bce_logits_pos", nn.BCEWithLogitsLoss { pos_weight = lt.tensor(3) }, { 2, 1, 4, 5 }, "fraction" },
  { "bce_logits_none", nn.BCEWithLogitsLoss { reduction = "none" }, { 2, 1, 4, 5 }, "fraction" },
  { "mse", nn.MSELoss(), { 3, 4 }, "fraction" },
  { "l1", nn.L1Loss { reduction = "sum" }, { 3, 4 }, "fraction" },
  { "nll", nn.NLLLoss(), { 3, 4, 2, 5 }, "class" },
  { "cross_entropy", nn.CrossEntropyLoss(), { 3, 4, 2, 5 }, "class" },
  { "cross_entropy_weight", nn.CrossEntropyLoss { weight = lt.tensor(weights) }, { 3, 4, 2, 5 }, "class" },
  { "cross_entropy_ignore", nn.CrossEntropyLoss { weight = lt.tensor(weights), ignore_index = 7 }, { 3, 4, 2, 5 },
    "ignored" },
  { "cross_entropy_smooth",
    nn.CrossEntropyLoss { weight = lt.tensor(weights), label_smoothing = 0.1, ignore_index = 7 }, { 3, 4, 2, 5 },
    "ignored" },
  { "cross_entropy_sum", nn.CrossEntropyLoss { reduction = "sum" }, { 5, 3 }, "class" },
  { "cross_entropy_soft", nn.CrossEntropyLoss { label_smoothing = 0.2 }, { 3, 4, 2 }, "soft" },
}

local function loss_target(name, shape, kind)
  if kind == "class" or kind == "ignored" then
    local size = { unpack(shape) }
    table.remove(size, 2)
    local t = reference.classes(name .. ".t", size, shape[2])
    if kind == "ignored" then t[1] = 7 end
    return t
  end
  local t = reference.tensor(name .. ".t", shape) * 0.5 + 0.5
  return kind == "soft" and t / t:sum(2, true) or t
end

for _, case in ipairs(losses) do
  local name, loss, shape, kind = unpack(case)
  check.test(name .. " equals PyTorch", function()
    local x = reference.tensor(name .. ".x", shape)
    x = leaf(kind == "probability" and x * 0.5 + 0.5 or x * 3)
    local y = loss(x, loss_target(name, shape, kind))
    y:sum():backward()
    reference.compare(name .. ".y", y, reference.values[name].y, "loss")
    reference.compare(name .. ".gx", x.grad, reference.values[name].gx, "gradient")
  end)
end

check.test("overlap losses by hand", function()
  local p, t = lt.tensor { { 0.5, 1 }, { 0, 0.25 } }, lt.tensor { { 1, 1 }, { 0, 0 } }
  check.near(F.soft_dice_loss(p, t):item(), 1 - (2 * 1.5 + 1) / (1.75 + 2 + 1), 1e-6, "batch")
  check.near(F.soft_dice_loss(p, t, { per = "sample", smooth = 0.5 }):item(),
    1 - ((3 + 0.5) / (1.5 + 2 + 0.5) + 0.5 / (0.25 + 0.5)) / 2, 1e-6, "sample")
  check.near(F.tversky_loss(p, t, { alpha = 0.3, beta = 0.7, smooth = 0 }):item(),
    1 - 1.5 / (1.5 + 0.3 * 0.25 + 0.7 * 0.5), 1e-6, "tversky")
  local logits = lt.tensor { { 0, 2 }, { -1, 3 } }
  check.near(F.soft_dice_loss(logits, t, { logits = true }):item(), F.soft_dice_loss(logits:sigmoid(), t):item(), 1e-7)
end)

-- -- modules

local Pair = nn.class("Pair")
function Pair:__init()
  self.second = nn.Linear(2, 2)
  self.note = "plain"
  self.first = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
  self.scale = nn.Parameter(lt.ones(3))
  self.list = nn.ModuleList { nn.Linear(1, 1, { bias = false }) }
end
function Pair:forward(x) return self.first(x) end

check.test("state_dict keeps the order of assignment and torch's names", function()
  local net = Pair()
  check.equal(nn.state_names(net:state_dict()), {
    "scale", "second.weight", "second.bias", "first.0.weight", "first.0.bias", "first.1.weight", "first.1.bias",
    "first.1.running_mean", "first.1.running_var", "first.1.num_batches_tracked", "list.0.weight",
  })
  check.equal(#net:parameters(), 8)
  check.equal(#net:buffers(), 3)
  check.equal(net.first[1].class_name, "Conv2d")
  check.equal(#net.first, 2)
  local paths = {}
  for path in net:named_modules() do paths[#paths + 1] = path end
  check.equal(paths, { "", "second", "first", "first.0", "first.1", "list", "list.0" })
  net.second = nil
  check.equal(#net:parameters(), 6)
end)

check.test("a shared layer counts once", function()
  local layer = nn.Linear(2, 2)
  local net = nn.Sequential(layer, nn.ReLU(), layer)
  check.equal(#net:parameters(), 2)
  check.equal(#net:modules(), 3)
end)

check.test("load_state_dict copies values, and says what does not fit", function()
  local a, b = Pair(), Pair()
  b:load_state_dict(a:state_dict())
  local x = lt.rand(2, 1, 5, 5)
  check.equal((a:eval()(x) - b:eval()(x)):abs():max():item(), 0)
  a.scale:assign_(lt.zeros(3))
  check.equal(b.scale:sum():item(), 3, "the copy is a copy")
  local state = {}
  for name, cell in pairs(a:state_dict()) do state[name] = cell end
  state.scale, state.extra, state["second.bias"] = nil, lt.ones(1), lt.ones(5)
  local before = b.second.weight:clone()
  local text = check.raises(function() b:load_state_dict(state) end, 'missing: "scale"')
  check.truthy(text:find('unexpected: "extra"', 1, true))
  check.truthy(text:find("second.bias: the state has shape [5], the layer [2]", 1, true))
  check.equal((b.second.weight - before):abs():max():item(), 0, "nothing was written")
  state["second.bias"] = nil
  local missing, unexpected = b:load_state_dict(state, { strict = false })
  check.equal(missing, { "scale", "second.bias" })
  check.equal(unexpected, { "extra" })
end)

check.test("train and eval reach every layer", function()
  local net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.BatchNorm2d(1)))
  net:eval()
  check.equal(net[2][1].training, false)
  local x = lt.ones(4, 1, 3, 3)
  net[2][1].running_var:fill_(4)
  check.near(net(x):sum():item(), 36 / math.sqrt(4 + 1e-5), 1e-4)
  check.equal(net[2][1].num_batches_tracked:item(), 0)
  net:train()
  local y = nn.Dropout(0.5)(lt.ones(1000))
  local kept = y:gt(0):sum():item()
  check.truthy(kept > 400 and kept < 600, "about half is kept")
  check.equal(y:max():item(), 2)
end)

check.test("initial values: bounds of torch's defaults", function()
  local function largest(cell) return cell:abs():max():item() end
  local function bounded(cell, bound, what)
    local m = largest(cell)
    check.truthy(m <= bound and m > 0.9 * bound, what .. ": largest " .. m .. ", bound " .. bound)
    check.near(cell:mean():item(), 0, 0.1 * bound, what .. ": mean")
  end
  bounded(nn.Conv2d(16, 32, 3).weight, 1 / math.sqrt(16 * 9), "Conv2d")
  bounded(nn.Conv2d(16, 256, 3, { groups = 4 }).bias, 1 / math.sqrt(4 * 9), "Conv2d bias")
  bounded(nn.ConvTranspose2d(16, 32, 2).weight, 1 / math.sqrt(32 * 4), "ConvTranspose2d")
  bounded(nn.ConvTranspose2d(16, 256, 2, { groups = 4 }).bias, 1 / math.sqrt(64 * 4), "ConvTranspose2d bias")
  bounded(nn.Linear(25, 300).weight, 1 / 5, "Linear")
  local w = core.cell({ 100, 50 })
  bounded(nn.init.kaiming_uniform_(w, { nonlinearity = "relu" }), math.sqrt(6 / 50), "kaiming_uniform_")
  bounded(nn.init.xavier_uniform_(w), math.sqrt(6 / 150), "xavier_uniform_")
  check.near(nn.init.kaiming_normal_(w, { mode = "fan_out" }):std():item(), math.sqrt(2 / 100), 0.005)
  check.near(nn.init.xavier_normal_(w, 2):std():item(), 2 * math.sqrt(2 / 150), 0.01)
end)

check.test("manual_seed repeats initial values", function()
  lt.manual_seed(3)
  local a = nn.Linear(4, 4)
  lt.manual_seed(3)
  local b = nn.Linear(4, 4)
  check.equal((a.weight - b.weight):abs():max():item(), 0)
  check.truthy((nn.Linear(4, 4).weight - b.weight):abs():max():item() > 0)
end)

check.test("errors name the layer's path, the shapes and the script's line; the path is restored", function()
  local Bad = nn.class("Bad")
  function Bad:__init() self.inner = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 1, 1)) end
  function Bad:forward(x) return self.inner(x) end
  local net = Bad()
  local text = check.raises(function() net(lt.zeros(1, 2, 4, 4)) end, "inner.1")
  check.truthy(text:find("nn_test.lua:%d+"), text)
  check.truthy(text:find("1x2x4x4", 1, true), text)
  text = check.raises(function() return lt.zeros(2, 3):matmul(lt.zeros(2, 3)) end, "2x3")
  check.truthy(not text:find("inner", 1, true), text)
  -- an error that forward catches itself
  function Bad:forward(x)
    pcall(self.inner, x)
    return lt.zeros(2, 3):matmul(lt.zeros(2, 3))
  end
  text = check.raises(function() net(lt.zeros(1, 2, 4, 4)) end, "2x3")
  check.truthy(not text:find("inner", 1, true), text)
end)

check.test("options are checked", function()
  check.raises(function() nn.Conv2d(1, 2, 3, { pading = 1 }) end, "unknown option 'pading'")
  check.raises(function() nn.Conv2d(3, 4, 3, { groups = 2 }) end, "do not divide into 2 groups")
  check.raises(function() nn.Conv2d(1, 2, { 3, 3, 3 }) end, "kernel_size must be a number or a list of 2")
  check.raises(function() nn.Conv2d(1, 2, 3)(lt.zeros(2, 2)) end, "must have rank 4")
  check.raises(function() nn.BatchNorm2d(3)(lt.zeros(1, 2, 4, 4)) end, "has 2 channels, the layer 3")
  check.raises(function() nn.BatchNorm2d(3)(lt.zeros(1, 3, 1, 1)) end, "more than 1 value per channel")
  check.raises(function() nn.BCELoss()(lt.zeros(2, 1), lt.zeros(2)) end, "must have the same shape")
  check.raises(function() nn.CrossEntropyLoss()(lt.zeros(2, 3, 4), lt.zeros(2, 5):long()) end, "wants a target of shape 2x4")
end)

check.test("printed as PyTorch prints", function()
  local net = nn.Sequential(
    nn.Conv2d(1, 8, 3, { padding = 1 }),
    nn.Conv2d(8, 8, { 3, 1 }, { stride = 2, groups = 2, bias = false, dilation = { 1, 2 } }),
    nn.Conv2d(8, 8, 3, { padding = "same", padding_mode = "reflect" }), nn.Conv1d(1, 2, 3),
    nn.ConvTranspose2d(8, 4, 2, { stride = 2 }),
    nn.ConvTranspose3d(8, 4, 3, { stride = 2, padding = 1, output_padding = 1, bias = false }),
    nn.ReLU(), nn.LeakyReLU(0.2), nn.Sigmoid(), nn.Softmax(2), nn.Dropout(0.25), nn.Dropout2d(),
    nn.MaxPool2d(2), nn.MaxPool3d({ 1, 2, 2 }, { stride = 2, ceil_mode = true }), nn.AvgPool2d(2),
    nn.Linear(5, 3, { bias = false }),
    nn.Sequential(nn.Upsample { scale_factor = 2, mode = "bilinear" }, nn.Upsample { size = { 4, 4 } }, nn.Identity(),
      nn.Flatten()),
    nn.ModuleList { nn.GroupNorm(2, 4), nn.InstanceNorm2d(3) })
  -- dims count from 1 here
  local want = reference.values.printed:gsub("Softmax%(dim=1%)", "Softmax(dim=2)"):gsub("start_dim=1", "start_dim=2")
  check.equal(tostring(net), want)
end)

check.test("nn.Function: a gradient written in Lua", function()
  local cube = nn.Function {
    forward = function(ctx, x)
      ctx.x = x
      local y = lt.zeros(x.shape)
      local from, to = x:ptr(), y:ptr("w")
      for i = 0, x:numel() - 1 do to[i] = from[i] ^ 3 end
      return y
    end,
    backward = function(ctx, gy) return gy * 3 * ctx.x * ctx.x end,
  }
  local x = leaf(lt.tensor { 1, -2, 0.5 })
  local y = cube(x * 2)
  check.equal(y:tolist(), { 8, -64, 1 });
  (y * lt.tensor { 1, 2, 3 }):sum():backward()
  check.equal(x.grad:tolist(), { 24, 192, 18 })
end)

check.test("BCELoss says what lies outside 0..1, on every device and before anything is written", function()
  for _, count in ipairs { 3, 100000 } do
    local p = lt.full({ count }, 0.5)
    p[count - 1], p[count] = 1.25, -0.5
    local cell = lt.tensor(1, { requires_grad = true })
    local t = lt.zeros(count)
    local text = check.raises(function() nn.BCELoss()(p * cell, t):backward() print(cell.grad) end,
      "[bce] predictions must lie in 0..1, and these are from -0.5 to 1.25")
    check.truthy(text:find("^tests/nn_test.lua:%d+: "), text)
    check.raises(function() return nn.BCELoss()(p, t):item() end, "from -0.5 to 1.25")
  end
  check.truthy(nn.BCELoss()(lt.tensor { 0, 1, 1 }, lt.tensor { 0, 1, 0 }):item() > 33, "0 and 1 themselves are inside")
  local sys, stderr = require "lunette.sys", os.tmpname()
  local code = "local lt = require 'lunette' require('lunette.nn').BCELoss()(lt.tensor { 1.25, -0.5 }, lt.ones(2)):item()"
  local result = assert(sys.run({ sys.executable(), "--device", "reference", "-e", code }, { stderr = stderr }))
  local said = assert(require("lunette.save").read(stderr))
  os.remove(stderr)
  check.equal(result.status, 1)
  check.truthy(said:find("[bce] predictions must lie in 0..1, and these are from -0.5 to 1.25", 1, true), said)
  local nan = lt.tensor({ 0 / 0, 0.5 }, { requires_grad = true })
  check.raises(function() nn.BCELoss()(nan, lt.zeros(2)):backward() print(nan.grad) end, "the loss is not finite")
end)

check.test("constructors say what they expected", function()
  for pattern, f in pairs {
    ["[Linear] out_features must be a positive whole number, got nothing"] = function() nn.Linear(2) end,
    ["[Linear] in_features must be a positive whole number, got the number 2.5"] = function() nn.Linear(2.5, 3) end,
    ["[Conv2d] in_channels must be a positive whole number, got the string \"1\""] = function() nn.Conv2d("1", 2, 3) end,
    ["[Conv2d] kernel_size must be a number or a list of 2 numbers, got nothing"] = function() nn.Conv2d(1, 2) end,
    ["[Conv2d] options go by name in a table, as in { "] = function() nn.Conv2d(1, 2, 3, 1) end,
    ["got the number 1 (known: bias, dilation, groups, padding, padding_mode, stride)"] = function() nn.Conv2d(1, 2, 3, 1) end,
    ["[ConvTranspose3d] groups must be a positive whole number, got the number 0"] = function()
      nn.ConvTranspose3d(1, 2, 3, { groups = 0 })
    end,
    ["[BatchNorm2d] num_features must be a positive whole number, got a table"] = function() nn.BatchNorm2d {} end,
    ["[InstanceNorm1d] num_features must be"] = function() nn.InstanceNorm1d() end,
    ["[GroupNorm] num_channels must be"] = function() nn.GroupNorm(2) end,
    ["[LayerNorm] normalized_shape must be a number or a list of numbers, got nothing"] = function() nn.LayerNorm() end,
    ["[LayerNorm] normalized_shape[2] must be"] = function() nn.LayerNorm { 2, "3" } end,
    ["[Dropout] p must be a number in 0..1, got the string \"x\""] = function() nn.Dropout("x") end,
    ["[Dropout2d] p must be a number in 0..1, got the number 2"] = function() nn.Dropout2d(2) end,
    ["[Linear] options go by name in a table, as in { bias = ... }, got the boolean false (known: bias)"] = function()
      nn.Linear(1, 2, false)
    end,
  } do
    local text = check.raises(f, pattern)
    check.truthy(text:find("^tests/nn_test.lua:%d+: "), text)
  end
end)

check.done()
