-- The planner's passes: with and without each, networks of every make compute the same, and the
-- passes do what they are for (what is fused is gone, nothing is copied that need not be).
local check = dofile("tests/check.lua")
local core  = require "lunette.core"
local lt    = require "lunette"
local nn    = require "lunette.nn"
local F     = require "lunette.nn.functional"
local optim = require "lunette.optim"

local ops = core.ops

-- lunette --precision bf16 tests/passes_test.lua: the same, as near as eight bits allow
local low = require("lunette.sys").settings().precision == "bf16"
local PASSES = { "fuse_norm", "fold_norm", "fuse_conv", "fuse_relu", "fuse_pool", "fuse_bce", "recompute", "layout", "fuse_norm_pool", "concat", "group" }

local function block(conv, norm, ins, outs, act)
  local layers = {}
  for i = 1, 2 do
    layers[#layers + 1] = conv(i == 1 and ins or outs, outs, 3, { padding = 1 })
    if norm then layers[#layers + 1] = norm(outs) end
    layers[#layers + 1] = act()
  end
  return nn.Sequential(unpack(layers))
end

local Net = nn.class("Net")

function Net:__init(o)
  local conv = o.dims == 3 and nn.Conv3d or nn.Conv2d
  local norm = o.norm and (o.dims == 3 and nn.BatchNorm3d or nn.BatchNorm2d)
  local act = o.act or nn.ReLU
  self.o = o
  self.pool = (o.dims == 3 and nn.MaxPool3d or nn.MaxPool2d)(2)
  self.down = block(conv, norm, o.channels or 1, o.width, act)
  self.bottom = block(conv, norm, o.width, 2 * o.width, act)
  if o.up == "interpolate" then
    self.up = conv(2 * o.width, o.width, 1)
  else
    self.up = (o.dims == 3 and nn.ConvTranspose3d or nn.ConvTranspose2d)(2 * o.width, o.width, 2, { stride = 2 })
  end
  self.top = block(conv, norm, o.skip == "none" and o.width or 2 * o.width, o.width, act)
  self.head = conv(o.width, o.classes or 1, 1)
end

function Net:forward(x)
  local skip = self.down(x)
  local deep = self.bottom(self.pool(skip))
  if self.o.up == "interpolate" then deep = F.interpolate(deep, { scale_factor = 2, mode = "bilinear" }) end
  local up = self.up(deep)
  if self.o.keep then self.kept = { skip, up } end
  if self.o.skip == "twice" then up = lt.cat({ up, lt.cat({ skip, skip }, 2):narrow(2, 1, self.o.width) }, 2)
  elseif self.o.skip ~= "none" then up = lt.cat({ up, skip }, 2) end
  return self.head(self.top(up))
end

local NETS = {
  plain     = { width = 16 },
  norm      = { width = 32, norm = true },
  kept      = { width = 16, norm = true, keep = true },
  bilinear  = { width = 16, norm = true, up = "interpolate" },
  noskip    = { width = 16, skip = "none" },
  twice     = { width = 16, skip = "twice" },
  odd       = { width = 12, norm = true },           -- no multiple of the lanes: nothing is blocked
  leaky     = { width = 16, act = function() return nn.LeakyReLU(0.1) end },
  classes   = { width = 16, classes = 16, channels = 16 },
  volume    = { width = 16, norm = true, dims = 3 },
}

local function train(o, steps)
  lt.manual_seed(7)
  local net = Net(o)
  -- not Adam, which makes a step of any gradient, also of the noise that a bias before a norm has
  local opt = optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9 })
  local shape = o.dims == 3 and { 1, o.channels or 1, 4, 12, 8 } or { 2, o.channels or 1, 20, 12 }
  local x = lt.randn(unpack(shape))
  shape[2] = o.classes or 1
  local y = lt.rand(unpack(shape))
  local out = {}
  for _ = 1, steps do
    opt:zero_grad()
    local loss = nn.BCEWithLogitsLoss()(net(x), y)
    loss:backward()
    opt:step()
    out[#out + 1] = loss:item()
  end
  local grads = {}
  for name, p in pairs(net:state_dict()) do grads[name] = { p:float():norm():item(), p.grad and p.grad:norm():item() } end
  for i, v in ipairs(net.kept or {}) do out[#out + 1] = v:float():norm():item() * i end
  net:eval()
  lt.no_grad(function() out[#out + 1] = net(x):norm():item() end)
  return out, grads
end

local function same(got, want, tolerance, what)
  for i, w in ipairs(want) do check.near(got[i], w, tolerance * math.max(1, math.abs(w)), what .. " value " .. i) end
end

local function compare(o, passes)
  core.passes("-" .. table.concat(PASSES, ",-"))
  local want, want_grads = train(o, 2)
  core.passes(passes)
  local got, got_grads = train(o, 2)
  core.passes("")
  same(got, want, low and 1e-2 or 2e-5, "loss or output")
  for name, w in pairs(want_grads) do
    check.near(got_grads[name][1], w[1], (low and 1e-2 or 2e-4) * math.max(1e-2, w[1]), name)
    if w[2] and not low then check.near(got_grads[name][2], w[2], 2e-3 * math.max(1e-3, w[2]), name .. ".grad") end
  end
end

for name, o in pairs(NETS) do
  check.test("all passes, " .. name, function() compare(o, "") end)
end

for _, name in ipairs { "norm", "plain" } do
  for _, pass in ipairs(PASSES) do
    check.test(("without %s, %s"):format(pass, name), function() compare(NETS[name], "-" .. pass) end)
  end
end

check.test("the same bits twice, and with a value that somebody keeps", function()
  local function bits(keep)
    local out = train({ width = 16, norm = true, keep = keep }, 2)
    return ("%.9g %.9g"):format(out[1], out[2])
  end
  check.equal(bits(false), bits(false))
  check.equal(bits(true), bits(false))
end)

-- -- what a training step consists of

local function ops_of(o)
  train(o, 1) -- leaves the plan of the evaluation
  lt.manual_seed(1)
  local net = Net(o)
  local x, y = lt.randn(2, 1, 16, 16), lt.rand(2, 1, 16, 16)
  local loss = nn.BCEWithLogitsLoss()(net(x), y)
  loss:backward()
  core.flush()
  local count, steps = {}, core.plan_steps()
  for _, s in ipairs(steps) do
    if not s.elided then count[s.op] = (count[s.op] or 0) + 1 end
  end
  return count, steps
end

check.test("batch norm, ReLU and what follows a convolution are fused", function()
  local count = ops_of(NETS.norm)
  for _, op in ipairs { "batch_norm", "batch_norm_eval", "batch_norm_grad", "relu", "relu_grad", "moments", "max_pool", "max_pool_grad", "max_pool_grad_add", "cat" } do
    check.equal(count[op], nil, op)
  end
  check.equal(count.conv_moments, 6)
  check.equal(count.norm_relu, 10) -- five, and five again for weight gradients
  check.equal(count.norm_relu_grad, 5)
  check.equal(count.norm_relu_pool, 1)
  check.equal(count.norm_relu_pool_grad, 1)
end)

check.test("a network without norms keeps no separate ReLU", function()
  local count = ops_of(NETS.plain)
  for _, op in ipairs { "relu", "cat", "slice", "max_pool_grad" } do check.equal(count[op], nil, op) end
  check.equal(count.conv_relu, 6)
end)

check.test("values are reordered at the ends only", function()
  local _, steps = ops_of(NETS.norm)
  local reorders = 0
  for _, s in ipairs(steps) do reorders = reorders + (s.op == "reorder" and 1 or 0) end
  check.equal(reorders <= 2, true, "reorders: " .. reorders)
end)

check.test("in evaluation a norm is part of its convolution, and follows the parameters", function()
  lt.manual_seed(3)
  local net = Net(NETS.norm)
  local x, outs = lt.randn(2, 1, 16, 16), {}
  net:eval()
  core.flush() -- what the norm is made of must be there before
  local function evaluate()
    local y
    lt.no_grad(function() y = net(x):tolist() end)
    return y[1][1][5][7]
  end
  for round = 1, 3 do
    core.passes("")
    outs[round] = evaluate()
    local count = {}
    for _, s in ipairs((core.plan_steps())) do count[s.op] = (count[s.op] or 0) + 1 end
    check.equal(count.conv_norm_relu, 6)
    check.equal(count.batch_norm_eval, nil)
    check.equal(evaluate(), outs[round])
    core.passes("-fold_norm")
    check.near(outs[round], evaluate(), low and 1e-3 or 1e-5) -- under bf16 unfolded rounds once more
    local norm = net.down[2]
    if round == 1 then norm.running_mean:add_(0.3) else norm.weight:mul_(1.7) end
    core.flush()
  end
  core.passes("")
  check.equal(math.abs(outs[1] - outs[2]) > 1e-4 and math.abs(outs[2] - outs[3]) > 1e-4, true)
end)

check.test("what is derived from one network's weights is not used for another's", function()
  core.passes("")
  local x = lt.randn(2, 1, 16, 16)
  local function outputs(fresh)
    local out = {}
    for seed = 1, 3 do
      lt.manual_seed(seed)
      local net = Net(NETS.norm):eval()
      core.flush()
      if fresh then core.passes(seed % 2 == 0 and "-group" or "-recompute") end -- plans of their own
      lt.no_grad(function() out[seed] = net(x):norm():item() end)
    end
    core.passes("")
    return out
  end
  check.equal(outputs(false), outputs(true))
end)

-- -- cross-entropy of a sigmoid

local LOGITS = { -200, -104, -88.5, -20, -16.7, -3, -0.5, -1e-8, 0, 1e-8, 0.5, 3, 16.7, 20, 88.5, 104, 200, 1 / 0, -1 / 0, 0 / 0 }
local TARGETS = { 0, 1, 0.25, 1e-7, 0 / 0 }

-- Every logit with every target, as often as it takes to be more than a block, [1, C, H, W].
local function pairs_of_all(channels)
  local x, t = {}, {}
  for _ = 1, 8 * channels do
    for _, a in ipairs(LOGITS) do
      for _, b in ipairs(TARGETS) do x[#x + 1], t[#t + 1] = a, b end
    end
  end
  local function image(list) return lt.tensor(list):reshape(1, channels, 8 * #LOGITS, #TARGETS) end
  return image(x), image(t)
end

local function bits(t)
  local out = {}
  for i, v in ipairs(t:reshape(t:numel()):tolist()) do out[i] = ("%.9g"):format(v):gsub("-nan", "nan") end
  return table.concat(out, " ")
end

local function ops_that_ran()
  local count = {}
  for _, s in ipairs((core.plan_steps())) do count[s.op] = (count[s.op] or 0) + 1 end
  return count
end

-- The loss of x and its gradient, as text, and what ran. loss(x, t) may return a second tensor, which is kept.
local function loss_and_gradient(loss, passes, channels)
  core.passes(passes)
  local x, t = pairs_of_all(channels or 1)
  local cell = core.cell(x, { requires_grad = true })
  core.flush()
  local value, kept = loss(cell, t)
  local gradients = core.grad(value, lt.ones(value.shape) * 0.7, cell)
  core.flush()
  local count = ops_that_ran()
  core.passes("")
  return bits(value) .. "\n" .. bits(gradients) .. "\n" .. (kept and bits(kept) or ""), count
end

local weight = lt.rand(8 * #LOGITS, #TARGETS)
local LOSSES = {
  mean = function(x, t) return nn.BCELoss()(x:sigmoid(), t) end,
  sum = function(x, t) return nn.BCELoss { reduction = "sum" }(x:sigmoid(), t) end,
  none = function(x, t) return nn.BCELoss { reduction = "none" }(x:sigmoid(), t) end,
  weighted = function(x, t) return nn.BCELoss { weight = weight }(x:sigmoid(), t) end,
  logits = function(x, t) return nn.BCEWithLogitsLoss()(x, t) end,
  ["weighted logits"] = function(x, t) return nn.BCEWithLogitsLoss { weight = weight, pos_weight = lt.tensor(3) }(x, t) end,
}

for name, loss in pairs(LOSSES) do
  check.test("cross-entropy has the same bits fused, " .. name, function()
    local got, count = loss_and_gradient(loss, "")
    local want, plain = loss_and_gradient(loss, "-fuse_bce")
    check.truthy(got == want, "they differ")
    check.truthy(got ~= loss_and_gradient(function(x, t) return loss(x, t) * 1.0001 end, ""), "any loss would do")
    if name:find("logits") then
      check.equal({ count.bce_with_logits_grad, count.sigmoid_bce }, { 1, nil })
    else
      check.equal({ count.sigmoid_bce, count.sigmoid_bce_grad, count.sigmoid, count.bce_grad }, { 1, 1, nil, nil })
      check.equal({ plain.sigmoid_bce, plain.sigmoid, plain.bce, plain.bce_grad, plain.sigmoid_grad }, { nil, 1, 1, 1, 1 })
    end
    if name == "mean" or name == "sum" or name == "logits" then check.equal({ count.expand, plain.expand }, { nil, 1 }) end
  end)
end

check.test("cross-entropy of sixteen channels has the same bits fused", function()
  check.truthy(loss_and_gradient(LOSSES.mean, "", 16) == loss_and_gradient(LOSSES.mean, "-fuse_bce", 16), "they differ")
end)

check.test("probabilities and targets may be used otherwise too", function()
  local bce = nn.BCELoss()
  local function shared(use) return function(x, t) local p = x:sigmoid(); return use(p, t) end end
  local cases = { -- what is fused: forward, backward
    kept = { shared(function(p, t) return bce(p, t), p end), 1, 1 },
    dice = { shared(function(p, t) return bce(p, t) + (p * t):sum() end), 1, nil },
    twice = { shared(function(p, t) return bce(p, t) + bce(p, 1 - t) end), 1, nil },
    itself = { shared(function(p) return ops.sum(ops.bce(p, p)) end), nil, nil },
    ["a target made later"] = { shared(function(p, t) return bce(p, t * 0.5) end), 1, 1 },
    ["a target made of them"] = { shared(function(p) return bce(p, p:gt(0.5):float()) end), nil, 1 },
    ["read before backward"] = { shared(function(p, t) local y = bce(p, t); y:item(); return y end), nil, 1 },
  }
  for name, case in pairs(cases) do
    local got, count = loss_and_gradient(case[1], "")
    check.equal({ name, count.sigmoid_bce, count.sigmoid_bce_grad }, { name, case[2], case[3] })
    check.truthy(got == loss_and_gradient(case[1], "-fuse_bce"), name)
  end
end)

check.test("without gradients the loss alone is fused", function()
  local x, t = pairs_of_all(1)
  core.flush()
  local function loss(passes)
    core.passes(passes)
    local y
    lt.no_grad(function() y = bits(nn.BCELoss { reduction = "none" }(x:sigmoid(), t)) end)
    local count = ops_that_ran()
    core.passes("")
    return y, count
  end
  local got, count = loss("")
  check.equal({ count.sigmoid_bce, count.sigmoid, count.bce }, { 1, nil, nil })
  check.equal(got, (loss("-fuse_bce")))
end)

check.test("a loss whose gradient is asked for by its target too", function()
  local function gradient(passes)
    core.passes(passes)
    local x = core.cell(lt.tensor { -3, 0.5, 7 }, { requires_grad = true })
    local t = core.cell(lt.tensor { 0.2, 1, 0 }, { requires_grad = true })
    nn.BCELoss()(x:sigmoid(), t):backward()
    local text = bits(x.grad) .. " " .. bits(t.grad)
    core.passes("")
    return text
  end
  check.equal(gradient(""), gradient("-fuse_bce"))
end)

check.test("an unknown pass is refused", function()
  check.raises(function() core.passes("-fuse_all") end, "fuse_all")
end)

check.done()
