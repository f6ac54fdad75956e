-- Optimizers, schedules and gradient clipping against PyTorch (tests/reference/make_nn.py), and
-- what step() promises when a loss is not finite.
local reference = dofile("tests/nn_reference.lua")
local check = reference.check
local lt = require "lunette"
local nn = require "lunette.nn"
local optim = require "lunette.optim"
local core = require "lunette.core"

local shapes = { { 3, 4 }, { 5 } }

local function parameters(prefix)
  local list = {}
  for i, shape in ipairs(shapes) do
    list[i] = core.cell(reference.tensor(prefix .. ".p" .. i - 1, shape), { requires_grad = true })
  end
  return list
end

-- Steps `from` to `to` with hashed gradients, by way of a loss whose gradient they are.
local function steps(opt, ps, from, to)
  for step = from, to do
    opt:zero_grad()
    local loss = 0
    for i, p in ipairs(ps) do
      loss = (p * reference.tensor(("optim.g%d.%d"):format(i - 1, step), p.shape)):sum() + loss
    end
    loss:backward()
    opt:step()
  end
end

local cases = {
  { "sgd", optim.SGD, { lr = 0.1 } },
  { "sgd_momentum", optim.SGD, { lr = 0.1, momentum = 0.9, dampening = 0.3, weight_decay = 0.01 } },
  { "sgd_nesterov", optim.SGD, { lr = 0.1, momentum = 0.9, nesterov = true } },
  { "adam", optim.Adam, { lr = 0.01 } },
  { "adam_decay", optim.Adam, { lr = 0.01, betas = { 0.8, 0.95 }, eps = 1e-6, weight_decay = 0.1 } },
  { "adamw", optim.AdamW, { lr = 0.01 } },
}

local function compare(name, ps)
  for i, p in ipairs(ps) do
    local key = "p" .. i - 1
    reference.compare(name .. "." .. key, p, reference.values[name][key], key)
  end
end

for _, case in ipairs(cases) do
  local name, class, options = unpack(case)
  check.test(name .. " equals PyTorch", function()
    local ps = parameters("optim")
    steps(class(ps, options), ps, 0, 5)
    compare(name, ps)
  end)

  check.test(name .. " goes on from its state_dict", function()
    local ps = parameters("optim")
    local first = class(ps, options)
    steps(first, ps, 0, 2)
    local second = class(ps, { lr = 77 })
    second:load_state_dict(first:state_dict())
    steps(second, ps, 3, 5)
    compare(name, ps)
  end)
end

check.test("parameter groups have their own options", function()
  local ps = parameters("optim")
  local opt = optim.SGD({ { params = { ps[1] }, lr = 1 }, { params = { ps[2] } } }, { lr = 0.5 })
  local before = { ps[1]:clone(), ps[2]:clone() };
  (ps[1]:sum() + ps[2]:sum()):backward()
  opt:step()
  check.near((before[1] - ps[1]):mean():item(), 1, 1e-6)
  check.near((before[2] - ps[2]):mean():item(), 0.5, 1e-6)
  opt.param_groups[1].lr = 0
  opt:step()
  check.near((before[1] - ps[1]):mean():item(), 1, 1e-6, "a new rate holds from the next step")
  check.near((before[2] - ps[2]):mean():item(), 1, 1e-6)
end)

check.test("gradients add up until zero_grad, and a parameter without one stays", function()
  local ps = parameters("optim")
  local opt, other = optim.SGD(ps, { lr = 1 }), ps[2]:clone()
  local before = ps[1]:clone()
  for _ = 1, 3 do ps[1]:sum():backward() end
  opt:step()
  check.near((before - ps[1]):mean():item(), 3, 1e-6)
  check.equal((other - ps[2]):abs():max():item(), 0)
  opt:zero_grad()
  check.equal(ps[1].grad, nil)
end)

check.test("a loss that is not finite changes nothing", function()
  local net = nn.Linear(2, 1)
  local opt = optim.Adam(net:parameters(), { lr = 0.1 })
  local function loss(x) return net(x):pow(2):mean() end
  loss(lt.ones(3, 2)):backward()
  opt:step()
  local weight, moment = net.weight:clone(), opt.state[net.weight].exp_avg:clone()
  core.flush()
  opt:zero_grad()
  loss(lt.full({ 3, 2 }, 1e30)):backward()
  local ok, problem = pcall(opt.step, opt)
  check.equal(ok, false)
  check.equal(problem.code, "LN_ENONFINITE")
  check.equal(problem.message:match("at step (%d+) of the optimizer") ~= nil, true)
  check.equal((net.weight - weight):abs():max():item(), 0, "weight")
  check.equal((opt.state[net.weight].exp_avg - moment):abs():max():item(), 0, "moment")
  check.equal(opt.state[net.weight].step, 1, "step count")
  opt:zero_grad()
  loss(lt.ones(3, 2)):backward()
  opt:step()
  check.equal(opt.state[net.weight].step, 2, "the next step works")
end)

check.test("misuse is refused", function()
  local ps = parameters("optim")
  check.raises(function() optim.Adam({}) end, "needs a list of parameters")
  check.raises(function() optim.Adam({ ps[1], ps[1] }) end, "appears twice")
  check.raises(function() optim.Adam(ps, { lr = -1 }) end, "lr must be a number, 0 or more")
  check.raises(function() optim.Adam(ps, { betas = { 1, 0.9 } }) end, "betas")
  check.raises(function() optim.SGD(ps, { nesterov = true }) end, "nesterov wants a momentum")
  check.raises(function() optim.Adam({ lt.ones(2) }) end, "no parameter")
  check.raises(function() optim.Adam(ps, { momentum = 0.9 }) end, "unknown option 'momentum'")
end)

check.test("clip_grad_norm_ and clip_grad_value_ equal PyTorch", function()
  local ps, want = parameters("clip"), reference.values.clip
  for i, p in ipairs(ps) do p.grad = reference.tensor("clip.g" .. i - 1, p.shape) end
  check.near(nn.utils.clip_grad_norm_(ps, 1.5):item(), want.norm, 1e-5)
  for i, p in ipairs(ps) do reference.compare("clip.c" .. i - 1, p.grad, want["g" .. i - 1], "gradient " .. i) end
  nn.utils.clip_grad_value_(ps, 0.1)
  check.near(ps[1].grad:abs():max():item(), 0.1, 1e-7)
end)

local schedules = {
  step = function(o) return optim.lr_scheduler.StepLR(o, { step_size = 3, gamma = 0.5 }) end,
  exponential = function(o) return optim.lr_scheduler.ExponentialLR(o, { gamma = 0.9 }) end,
  cosine = function(o) return optim.lr_scheduler.CosineAnnealingLR(o, { T_max = 10, eta_min = 0.001 }) end,
  polynomial = function(o) return optim.lr_scheduler.PolynomialLR(o, { total_iters = 8, power = 2 }) end,
  lambda = function(o)
    return optim.lr_scheduler.LambdaLR(o, { lr_lambda = function(epoch) return 1 / (1 + epoch) end })
  end,
  plateau = function(o)
    return optim.lr_scheduler.ReduceLROnPlateau(o, { factor = 0.5, patience = 1, cooldown = 1, min_lr = 0.01 })
  end,
}

for name, make in pairs(schedules) do
  check.test("schedule " .. name .. " equals PyTorch", function()
    local opt = optim.SGD({ core.cell({ 1 }, { requires_grad = true }) }, { lr = 0.1 })
    local schedule = make(opt)
    for epoch, metric in ipairs(reference.values.metric) do
      schedule:step(name == "plateau" and metric or nil)
      check.near(opt.param_groups[1].lr, reference.values.schedules[name][epoch], 1e-12, "epoch " .. epoch)
    end
  end)
end

check.done()
