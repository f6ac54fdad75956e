-- optim.lr_scheduler: learning-rate schedules. scheduler:step() once an epoch, as torch.

local docs = require "lunette.docs"
local args = require "lunette.args"

local lr_scheduler = {}

-- A schedule is a function epoch -> factor or rate; `rate(self, group, base, epoch)`.
local function define(name, known, text, rate, check)
  docs("optim.lr_scheduler." .. name, text .. "; as torch.optim.lr_scheduler." .. name)
  local class = {}
  class.__index = class

  function class:step()
    self.last_epoch = self.last_epoch + 1
    for i, group in ipairs(self.optimizer.param_groups) do
      group.lr = rate(self.options, self.base_lrs[i], self.last_epoch)
    end
  end

  function class:get_last_lr()
    local list = {}
    for i, group in ipairs(self.optimizer.param_groups) do list[i] = group.lr end
    return list
  end

  function class:state_dict() return { last_epoch = self.last_epoch, base_lrs = self.base_lrs } end

  function class:load_state_dict(dict)
    self.last_epoch, self.base_lrs = dict.last_epoch, dict.base_lrs
  end

  lr_scheduler[name] = function(optimizer, options)
    local self = setmetatable({ optimizer = optimizer, last_epoch = 0, base_lrs = {} }, class)
    self.options = args.options(name, options, known)
    if check then check(self.options) end
    for i, group in ipairs(optimizer.param_groups) do
      self.base_lrs[i] = group.lr
      group.lr = rate(self.options, group.lr, 0)
    end
    return self
  end
end

local function wants(name, option)
  return function(o) args.check(o[option], "[%s] needs %s", name, option) end
end

define("StepLR", { step_size = false, gamma = 0.1 },
  "StepLR(optimizer, {step_size, gamma=0.1}): lr gamma^floor(epoch / step_size)",
  function(o, base, epoch) return base * o.gamma ^ math.floor(epoch / o.step_size) end, wants("StepLR", "step_size"))

define("ExponentialLR", { gamma = false }, "ExponentialLR(optimizer, {gamma}): lr gamma^epoch",
  function(o, base, epoch) return base * o.gamma ^ epoch end, wants("ExponentialLR", "gamma"))

define("CosineAnnealingLR", { T_max = false, eta_min = 0 },
  "CosineAnnealingLR(optimizer, {T_max, eta_min=0}): eta_min + (lr - eta_min)(1 + cos(pi epoch / T_max)) / 2",
  function(o, base, epoch)
    return o.eta_min + (base - o.eta_min) * (1 + math.cos(math.pi * epoch / o.T_max)) / 2
  end, wants("CosineAnnealingLR", "T_max"))

define("PolynomialLR", { total_iters = 5, power = 1 },
  "PolynomialLR(optimizer, {total_iters=5, power=1}): lr (1 - epoch / total_iters)^power, 0 from there on",
  function(o, base, epoch) return base * (1 - math.min(epoch, o.total_iters) / o.total_iters) ^ o.power end)

define("LambdaLR", { lr_lambda = false }, "LambdaLR(optimizer, {lr_lambda = function(epoch) return factor end}): lr"
  .. " factor",
  function(o, base, epoch) return base * o.lr_lambda(epoch) end, wants("LambdaLR", "lr_lambda"))

-- -- the one that looks at a metric

local Plateau = {}
Plateau.__index = Plateau

docs("optim.lr_scheduler.ReduceLROnPlateau", "ReduceLROnPlateau(optimizer, {mode=\"min\", factor=0.1, patience=10,"
  .. " threshold=1e-4, threshold_mode=\"rel\", cooldown=0, min_lr=0, eps=1e-8}): step(metric) multiplies the rates"
  .. " by factor after more than patience epochs without a better metric; as"
  .. " torch.optim.lr_scheduler.ReduceLROnPlateau")
function lr_scheduler.ReduceLROnPlateau(optimizer, options)
  local o = args.options("ReduceLROnPlateau", options, {
    mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, threshold_mode = "rel", cooldown = 0, min_lr = 0,
    eps = 1e-8,
  })
  args.check(o.factor < 1, "[ReduceLROnPlateau] factor must be below 1")
  args.check(o.mode == "min" or o.mode == "max", "[ReduceLROnPlateau] mode must be min or max")
  args.check(o.threshold_mode == "rel" or o.threshold_mode == "abs", "[ReduceLROnPlateau] threshold_mode must be rel"
    .. " or abs")
  return setmetatable({
    optimizer = optimizer, options = o, best = o.mode == "min" and math.huge or -math.huge, bad_epochs = 0,
    cooldown_left = 0, last_epoch = 0,
  }, Plateau)
end

local function better(self, metric)
  local o, sign = self.options, self.options.mode == "min" and -1 or 1
  local bound = o.threshold_mode == "rel" and self.best * (1 + sign * o.threshold) or self.best + sign * o.threshold
  if self.best == math.huge or self.best == -math.huge then bound = self.best end
  if o.mode == "min" then return metric < bound end
  return metric > bound
end

function Plateau:step(metric)
  args.check(type(metric) == "number", "[ReduceLROnPlateau] step takes a number, use :item()")
  local o = self.options
  self.last_epoch = self.last_epoch + 1
  if better(self, metric) then
    self.best, self.bad_epochs = metric, 0
  else
    self.bad_epochs = self.bad_epochs + 1
  end
  if self.cooldown_left > 0 then
    self.cooldown_left, self.bad_epochs = self.cooldown_left - 1, 0
  end
  if self.bad_epochs > o.patience then
    for _, group in ipairs(self.optimizer.param_groups) do
      local lower = math.max(group.lr * o.factor, o.min_lr)
      if group.lr - lower > o.eps then group.lr = lower end
    end
    self.cooldown_left, self.bad_epochs = o.cooldown, 0
  end
end

function Plateau:state_dict()
  return {
    best = self.best, bad_epochs = self.bad_epochs, cooldown_left = self.cooldown_left, last_epoch = self.last_epoch,
  }
end

function Plateau:load_state_dict(dict)
  for name, value in pairs(dict) do self[name] = value end
end

return lr_scheduler
