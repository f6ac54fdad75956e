-- metrics: how well a prediction fits a mask: overlap, made of tensor operations, and distances
-- between surfaces, measured in C.

require "lunette.tensor"

local c = require "lunette.metrics_c"
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
  .. " + smooth) / (areas + smooth), a scalar; the prediction, probabilities, is thresholded unless soft (logits: threshold=0); one"
  .. " ratio over the batch, or the mean of one per sample; same shapes")
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

-- -- surfaces

-- The image's own dims: without spacing those that are left when leading ones of size 1 (batch, channel) are
-- dropped from more than two; with a list of spacings the last so many.
local function spatial_rank(shape, spacing)
  if type(spacing) == "table" then return #spacing end
  local rank = #shape
  while rank > 2 and shape[#shape - rank + 1] == 1 do rank = rank - 1 end
  return rank
end

local function spacings(who, shape, spacing)
  local rank = spatial_rank(shape, spacing)
  local fits = rank >= 1 and rank <= 3 and rank <= #shape
  for d = 1, #shape - rank do fits = fits and shape[d] == 1 end
  args.check(fits, "[%s] expected one image [H,W] or volume [D,H,W], maybe with leading dimensions of size 1,%s got"
    .. " shape %s", who, type(spacing) == "table" and (" and %d spacings for it,"):format(rank) or "",
    table.concat(shape, "x"))
  local list = {}
  for d = 1, rank do
    local x = type(spacing) == "table" and spacing[d] or spacing
    args.check(type(x) == "number" and x > 0 and x < math.huge,
      "[%s] spacing must be a number above 0, or a list of them, got %s", who, tostring(x))
    list[d] = x
  end
  return list
end

local function surfaces(who, prediction, target, spacing, percentile)
  args.check(args.is_tensor(prediction), "[%s] the prediction must be a tensor, got %s", who, type(prediction))
  args.check(args.is_tensor(target), "[%s] the target must be a tensor, got %s", who, type(target))
  local shape, other = table.concat(prediction.shape, "x"), table.concat(target.shape, "x")
  args.check(shape == other, "[%s] prediction %s and target %s must have the same shape", who, shape, other)
  args.check(type(percentile) == "number" and percentile >= 0 and percentile <= 100,
    "[%s] percentile must be a number from 0 to 100, got %s", who, tostring(percentile))
  return c.surface(who, prediction, target, spacings(who, prediction.shape, spacing), percentile)
end

docs("metrics.hd95", "hd95(prediction, target, {percentile=95, spacing=1}): the Hausdorff distance of two masks' surfaces"
  .. " without its outliers, a number: the larger of the two directed percentiles, in pixels or in units of spacing (a"
  .. " number, or one for each of D, H, W). Masks: one image [H,W] or volume [D,H,W], leading dimensions of size 1"
  .. " allowed; what is above 0.5 is inside. Surface: the pixels with a face neighbour outside, or at the image's border."
  .. " Both masks empty: 0; one empty: the image's diagonal. As MONAI's compute_hausdorff_distance with percentile=95,"
  .. " which gives nan and inf for empty masks")
function metrics.hd95(prediction, target, options)
  local o = args.options("hd95", options, { percentile = 95, spacing = 1 })
  return (surfaces("hd95", prediction, target, o.spacing, o.percentile))
end

docs("metrics.hausdorff", "hausdorff(prediction, target, {spacing=1}): the Hausdorff distance of two masks' surfaces, a"
  .. " number: the longest way from a pixel of either to the nearest of the other; otherwise as hd95")
function metrics.hausdorff(prediction, target, options)
  local o = args.options("hausdorff", options, { spacing = 1 })
  return (surfaces("hausdorff", prediction, target, o.spacing, 100))
end

docs("metrics.assd", "assd(prediction, target, {spacing=1}): the average symmetric surface distance, a number: the mean"
  .. " over the pixels of both surfaces of the way to the other surface; otherwise as hd95")
function metrics.assd(prediction, target, options)
  local o = args.options("assd", options, { spacing = 1 })
  return (select(2, surfaces("assd", prediction, target, o.spacing, 100)))
end

return metrics
