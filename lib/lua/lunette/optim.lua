-- optim: SGD, Adam, AdamW with torch's defaults, and learning-rate schedules.

require "lunette.tensor"

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local Optimizer = require "lunette.optim.optimizer"

local ops = core.ops
local optim = { lr_scheduler = require "lunette.optim.lr_scheduler" }

local check_not_negative, check_betas = Optimizer.check_not_negative, Optimizer.check_betas

docs("optim.SGD", "SGD(parameters, {lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=false}): stochastic"
  .. " gradient descent; as torch.optim.SGD")
optim.SGD = Optimizer.class("SGD", { lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0, nesterov = false },
  function(group)
    check_not_negative("SGD", group, { "lr", "momentum", "weight_decay" })
    args.check(not group.nesterov or (group.momentum > 0 and group.dampening == 0),
      "[SGD] nesterov wants a momentum and no dampening")
  end,
  function(group, cell, gradient, state)
    if group.momentum ~= 0 and not state.momentum_buffer then state.momentum_buffer = Optimizer.zeros_like(cell) end
    ops.sgd_step(cell, gradient, state.momentum_buffer, {
      nesterov = group.nesterov, lr = group.lr, momentum = group.momentum, weight_decay = group.weight_decay,
      -- torch's buffer starts as the first gradient itself
      dampening = state.step == 0 and 0 or group.dampening,
    })
  end)

local function check_adam(who)
  return function(group)
    check_not_negative(who, group, { "lr", "eps", "weight_decay" })
    check_betas(who, group)
  end
end

local function adam(decoupled)
  return function(group, cell, gradient, state)
    if not state.exp_avg then
      state.exp_avg, state.exp_avg_sq = Optimizer.zeros_like(cell), Optimizer.zeros_like(cell)
    end
    local beta1, beta2, t = group.betas[1], group.betas[2], state.step + 1
    ops.adam_step(cell, gradient, state.exp_avg, state.exp_avg_sq, {
      decoupled = decoupled, lr = group.lr, beta1 = beta1, beta2 = beta2, adam_eps = group.eps,
      weight_decay = group.weight_decay, bias1 = 1 - beta1 ^ t, bias2 = 1 - beta2 ^ t,
    })
  end
end

docs("optim.Adam", "Adam(parameters, {lr=1e-3, betas={0.9, 0.999}, eps=1e-8, weight_decay=0}): as torch.optim.Adam;"
  .. " weight decay is added to the gradient")
optim.Adam = Optimizer.class("Adam", { lr = 1e-3, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 0 },
  check_adam("Adam"), adam(false))

docs("optim.AdamW", "AdamW(parameters, {lr=1e-3, betas={0.9, 0.999}, eps=1e-8, weight_decay=0.01}): Adam with"
  .. " decoupled weight decay; as torch.optim.AdamW")
optim.AdamW = Optimizer.class("AdamW", { lr = 1e-3, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 0.01 },
  check_adam("AdamW"), adam(true))

return optim
