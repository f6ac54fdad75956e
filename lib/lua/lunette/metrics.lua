-- metrics: overlap between a prediction and a mask, made of tensor operations.

require "lunette.tensor"

local docs = require "lunette.docs"
local args = require "lunette.args"

local metrics = {}

local known = { threshold = 0.5, soft = false, smooth = 1e-6, per = "batch" }

-- What both scores are made of: overlap and the two areas, for the batch or per sample.
local function areas(who, prediction, target, options)
  local o = args.options(who, options, known)
  args.check(table.concat(prediction.shape, "x") == table.concat(target.shape, "x"),
    "[%s] prediction %s and target %s must have the same shape", who, table.concat(prediction.shape, "x"),
    table.concat(target.shape, "x"))
  args.check(o.per == "batch" or o.per == "sample", "[%s] per must be batch or sample, got '%s'", who, tostring(o.per))
  local p = (o.soft and prediction or prediction:gt(o.threshold)):float()
  local t = target:float()
  local function sum(x) return o.per == "batch" and x:sum() or x:reshape(x:size(1), -1):sum(2) end
  return sum(p * t), sum(p), sum(t), o.smooth
end

docs("metrics.dice", "dice(prediction, target, {threshold=0.5, soft=false, smooth=1e-6, per=\"batch\"}): (2 overlap"
  .. " + smooth) / (areas + smooth), a scalar; the prediction is thresholded unless soft; one ratio over the batch,"
  .. " or the mean of one per sample; same shapes")
function metrics.dice(prediction, target, options)
  local overlap, a, b, smooth = areas("dice", prediction, target, options)
  return ((2 * overlap + smooth) / (a + b + smooth)):mean()
end

docs("metrics.iou", "iou(prediction, target, {threshold=0.5, soft=false, smooth=1e-6, per=\"batch\"}): (overlap +"
  .. " smooth) / (union + smooth), otherwise as dice; same shapes")
function metrics.iou(prediction, target, options)
  local overlap, a, b, smooth = areas("iou", prediction, target, options)
  return ((overlap + smooth) / (a + b - overlap + smooth)):mean()
end

return metrics
