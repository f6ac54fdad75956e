-- LLaMA 3.1's training, validation and test.

local nn = require "lunette.nn"
local F = require "lunette.nn.functional"

local criterion = nn.BCELoss()

-- QUIRK: the mask is shrunk evenly to the output's size, whereas the convolutions cut borders
-- off: at 256x256 the two are seven pixels apart at the top left, eight the other way at the
-- bottom right.
local function shrink(masks, outputs)
  return F.interpolate(masks, { size = { outputs:size(3), outputs:size(4) } })
end

-- One ratio over all pixels of the batch, without a smoothing term.
-- QUIRK: a batch without foreground in mask and prediction scores 1, where the original crashes
-- (the value is a Python number and .item() is called on it). Foreground only in the prediction
-- scores 0.
local function dice_coefficient(outputs, targets)
  local preds = outputs:gt(0.5):float()
  local total = (preds:sum() + targets:sum()):item()
  if total == 0 then return 1 end
  return 2 * (preds * targets):sum():item() / total
end

local steps = { mean = "batches", shrink = shrink }

function steps.train(model, images, masks)
  local outputs = model(images)
  return criterion(outputs, shrink(masks, outputs))
end

-- QUIRK: here, and only here and in the test, the mask is made binary: training and validation
-- losses have different targets.
function steps.validate(model, images, masks)
  local outputs = model(images)
  local targets = shrink(masks, outputs):gt(0.5):float()
  return criterion(outputs, targets), dice_coefficient(outputs, targets)
end

function steps.test(model, images, masks)
  local outputs = model(images)
  return dice_coefficient(outputs, shrink(masks, outputs):gt(0.5):float())
end

return steps
