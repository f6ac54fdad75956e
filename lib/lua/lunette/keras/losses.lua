-- keras.losses: cross-entropy as Keras computes it, and MeanIoU. Arguments stand in Keras'
-- order: the truth first.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local layers = require "lunette.keras.layers"

local losses = {}

local EPSILON = 1e-7 -- keras.backend.epsilon()

local function check_same(who, y_true, y_pred)
  local a, b = table.concat(y_true.shape, "x"), table.concat(y_pred.shape, "x")
  args.check(a == b, "[%s] y_true %s and y_pred %s must have the same shape", who, a, b)
end

docs("keras.binary_crossentropy", "binary_crossentropy(y_true, y_pred, {reduction=\"mean\"}): -(t log p + (1-t) log(1-p))"
  .. " of [N, C, H, W]. Of a layer's own sigmoid output it is computed from the logits, without saturation, as Keras on"
  .. " TensorFlow does in fit() and in a gradient tape alike; of any other tensor p is clipped to [1e-7, 1 - 1e-7], so"
  .. " that what lies outside has no gradient. \"none\" keeps the pixels, [N, H, W], as the Keras function does; \"mean\""
  .. " is keras.losses.BinaryCrossentropy()")
function losses.binary_crossentropy(y_true, y_pred, options)
  local o = args.options("keras.binary_crossentropy", options, { reduction = "mean" })
  args.check(o.reduction == "mean" or o.reduction == "none", "[keras.binary_crossentropy] reduction must be mean or"
    .. " none, got '%s'", tostring(o.reduction))
  check_same("keras.binary_crossentropy", y_true, y_pred)
  local logits = layers.logits(y_pred)
  local pixels = logits and core.ops.bce_with_logits(logits, y_true)
    or core.ops.bce(y_pred:clamp(EPSILON, 1 - EPSILON), y_true)
  if o.reduction == "mean" then return pixels:mean() end
  return pixels:mean(2)
end

local MeanIoU = {}
MeanIoU.__index = MeanIoU

docs("keras.MeanIoU", "MeanIoU(num_classes): the mean over classes of overlap / union, summed over all updates; classes"
  .. " that neither side has do not count. Both sides are truncated to whole numbers: a probability below 1 is class 0,"
  .. " so round it first. metric:update_state(y_true, y_pred), metric:result(), metric:reset_state(); as"
  .. " keras.metrics.MeanIoU")
function losses.MeanIoU(num_classes)
  args.check(type(num_classes) == "number" and num_classes >= 1 and num_classes % 1 == 0,
    "[keras.MeanIoU] num_classes must be a positive whole number, got %s", tostring(num_classes))
  local self = setmetatable({ classes = num_classes }, MeanIoU)
  self:reset_state()
  return self
end

function MeanIoU:reset_state()
  self.overlap, self.areas = {}, {}
  for class = 1, self.classes do self.overlap[class], self.areas[class] = 0, 0 end
end

function MeanIoU:update_state(y_true, y_pred)
  check_same("keras.MeanIoU", y_true, y_pred)
  local truth, prediction = y_true:long(), y_pred:long()
  local both, areas = {}, {}
  for class = 1, self.classes do
    local t, p = truth:eq(class - 1), prediction:eq(class - 1)
    both[class], areas[class] = t:logical_and(p):sum(), t:sum() + p:sum()
  end
  for class = 1, self.classes do
    self.overlap[class] = self.overlap[class] + both[class]:item()
    self.areas[class] = self.areas[class] + areas[class]:item()
  end
end

function MeanIoU:result()
  local total, count = 0, 0
  for class = 1, self.classes do
    local union = self.areas[class] - self.overlap[class]
    if union > 0 then total, count = total + self.overlap[class] / (union + EPSILON), count + 1 end
  end
  return total / (count + EPSILON)
end

return losses
