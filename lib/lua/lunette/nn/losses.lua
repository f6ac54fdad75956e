-- nn.losses: the functional forms of the losses; lunette.nn.functional passes them on.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ops = core.ops
local losses = {}

local function define(name, text, f)
  docs("nn.functional." .. name, text)
  losses[name] = f
end

local function reduce(who, x, reduction)
  if reduction == nil or reduction == "mean" then return ops.mean(x) end
  if reduction == "sum" then return ops.sum(x) end
  args.check(reduction == "none", "[%s] reduction must be mean, sum or none, got '%s'", who, tostring(reduction))
  return x
end

local function check_same(who, input, target)
  local a, b = table.concat(input.shape, "x"), table.concat(target.shape, "x")
  args.check(a == b, "[%s] input %s and target %s must have the same shape", who, a, b)
  return target.dtype == input.dtype and target or target:to(input.dtype)
end

local function option(who, given, known) return args.options(who, given, known) end

define("binary_cross_entropy", "binary_cross_entropy(input, target, {weight=nil, reduction=\"mean\"}): -(t log p +"
  .. " (1-t) log(1-p)), logarithms clamped at -100; same shapes; a probability outside 0..1 is an error when the loss"
  .. " is computed, at backward() or step() or when it is read; as torch",
  function(input, target, options)
    local o = option("binary_cross_entropy", options, { weight = false, reduction = "mean" })
    local y = ops.bce(input, check_same("binary_cross_entropy", input, target))
    if o.weight then y = y * o.weight end
    return reduce("binary_cross_entropy", y, o.reduction)
  end)

define("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits(input, target, {weight=nil,"
  .. " pos_weight=nil, reduction=\"mean\"}): the same of sigmoid(input), without overflow; pos_weight multiplies the"
  .. " positive part; as torch",
  function(input, target, options)
    local who = "binary_cross_entropy_with_logits"
    local o = option(who, options, { weight = false, pos_weight = false, reduction = "mean" })
    target = check_same(who, input, target)
    local y
    if o.pos_weight then
      -- (1 - t) x + (1 + (w - 1) t) softplus(-x); softplus(-x) is the loss against target 1
      local softplus = ops.bce_with_logits(input, ops.full({ size = input.shape, value = 1, dtype = input.dtype }))
      y = (1 - target) * input + (1 + (o.pos_weight - 1) * target) * softplus
    else
      y = ops.bce_with_logits(input, target)
    end
    if o.weight then y = y * o.weight end
    return reduce(who, y, o.reduction)
  end)

define("mse_loss", "mse_loss(input, target, {reduction=\"mean\"}): squared differences; same shapes; as torch",
  function(input, target, options)
    local o = option("mse_loss", options, { reduction = "mean" })
    local d = input - check_same("mse_loss", input, target)
    return reduce("mse_loss", d * d, o.reduction)
  end)

define("l1_loss", "l1_loss(input, target, {reduction=\"mean\"}): absolute differences; same shapes; as torch",
  function(input, target, options)
    local o = option("l1_loss", options, { reduction = "mean" })
    return reduce("l1_loss", (input - check_same("l1_loss", input, target)):abs(), o.reduction)
  end)

-- -- classes

-- log-probabilities at the target class, the weight of each target, and where targets count; all [N, ...].
local function picked(who, logp, target, o)
  local shape = table.concat(target.shape, "x")
  local expected = logp.shape
  table.remove(expected, 2)
  args.check(table.concat(expected, "x") == shape, "[%s] input %s wants a target of shape %s, got %s", who,
    table.concat(logp.shape, "x"), table.concat(expected, "x"), shape)
  target = target:long()
  local valid = target:ne(o.ignore_index)
  local safe = target:masked_fill(valid:logical_not(), 0)
  local value = ops.gather(logp, safe:unsqueeze(2), { dim = 2 }):squeeze(2)
  local counted = valid:to(logp.dtype)
  local weight = counted
  if o.weight then
    weight = ops.index_select(o.weight, safe:reshape(-1), { dim = 1 }):reshape(safe.shape) * counted
  end
  return value, weight, counted
end

local function average(who, terms, weight, reduction)
  if reduction == "mean" then return terms:sum() / weight:sum() end
  return reduce(who, terms, reduction)
end

define("nll_loss", "nll_loss(input, target, {weight=nil, ignore_index=-100, reduction=\"mean\"}): minus the"
  .. " log-probability of the target class; input [N, C, ...], target [N, ...] integers counted from 0; as torch",
  function(input, target, options)
    local o = option("nll_loss", options, { weight = false, ignore_index = -100, reduction = "mean" })
    local value, weight = picked("nll_loss", input, target, o)
    return average("nll_loss", -value * weight, weight, o.reduction)
  end)

-- Targets given as probabilities [N, C, ...].
local function soft_cross_entropy(logp, target, o)
  local classes = logp:size(2)
  if o.label_smoothing > 0 then target = target * (1 - o.label_smoothing) + o.label_smoothing / classes end
  local terms = -logp * target
  if o.weight then
    local size = { 1, classes }
    for i = 3, #logp.shape do size[i] = 1 end
    terms = terms * o.weight:reshape(size)
  end
  terms = terms:sum(2)
  if o.reduction == "mean" then return terms:sum() / (logp:numel() / classes) end
  return reduce("cross_entropy", terms, o.reduction)
end

-- The part of label smoothing that spreads over all classes.
local function smoothing(logp, o)
  if not o.weight then return -logp:sum(2) end
  local size = { 1, logp:size(2) }
  for i = 3, #logp.shape do size[i] = 1 end
  return -(logp * o.weight:reshape(size)):sum(2)
end

define("cross_entropy", "cross_entropy(input, target, {weight=nil, ignore_index=-100, label_smoothing=0,"
  .. " reduction=\"mean\"}): logits [N, C, ...] against classes [N, ...] (integers counted from 0) or probabilities"
  .. " [N, C, ...]; as torch",
  function(input, target, options)
    local o = option("cross_entropy", options,
      { weight = false, ignore_index = -100, label_smoothing = 0, reduction = "mean" })
    if #input.shape == 1 then input, target = input:unsqueeze(1), target:unsqueeze(1) end
    local logp = ops.log_softmax(input, { dim = 2 })
    local probabilities = target.dtype == "f32" or target.dtype == "bf16" or target.dtype == "f64"
    if probabilities then
      return soft_cross_entropy(logp, check_same("cross_entropy", input, target), o)
    end
    local value, weight, counted = picked("cross_entropy", logp, target, o)
    local nll = average("cross_entropy", -value * weight, weight, o.reduction)
    if o.label_smoothing == 0 then return nll end
    local spread = average("cross_entropy", smoothing(logp, o) * counted, weight, o.reduction)
    return (1 - o.label_smoothing) * nll + o.label_smoothing / logp:size(2) * spread
  end)

-- -- overlap

-- Sums over all but the batch dim (per = "sample") or over everything (per = "batch").
local function sums(who, x, per)
  if per == "batch" then return x:sum() end
  args.check(per == "sample", "[%s] per must be sample or batch, got '%s'", who, tostring(per))
  return x:reshape(x:size(1), -1):sum(2)
end

define("soft_dice_loss", "soft_dice_loss(input, target, {smooth=1, per=\"batch\", logits=false}): 1 - (2 sum(p t) +"
  .. " smooth) / (sum p + sum t + smooth), over the batch or the mean over samples; same shapes",
  function(input, target, options)
    local o = option("soft_dice_loss", options, { smooth = 1, per = "batch", logits = false })
    target = check_same("soft_dice_loss", input, target)
    local p = o.logits and input:sigmoid() or input
    local overlap = sums("soft_dice_loss", p * target, o.per)
    local total = sums("soft_dice_loss", p, o.per) + sums("soft_dice_loss", target, o.per)
    return 1 - ((2 * overlap + o.smooth) / (total + o.smooth)):mean()
  end)

define("tversky_loss", "tversky_loss(input, target, {alpha=0.5, beta=0.5, smooth=1, per=\"batch\", logits=false}): 1"
  .. " - (TP + smooth) / (TP + alpha FP + beta FN + smooth); alpha = beta = 0.5 is Dice with smooth doubled; Salehi"
  .. " et al. 2017",
  function(input, target, options)
    local o = option("tversky_loss", options, { alpha = 0.5, beta = 0.5, smooth = 1, per = "batch", logits = false })
    target = check_same("tversky_loss", input, target)
    local p = o.logits and input:sigmoid() or input
    local tp = sums("tversky_loss", p * target, o.per)
    local fp = sums("tversky_loss", p * (1 - target), o.per)
    local fn = sums("tversky_loss", (1 - p) * target, o.per)
    return 1 - ((tp + o.smooth) / (tp + o.alpha * fp + o.beta * fn + o.smooth)):mean()
  end)

return losses
