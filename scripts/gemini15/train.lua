-- Gemini 1.5 Pro's training, validation and test.

local nn = require "lunette.nn"
local F = require "lunette.nn.functional"

local criterion = nn.BCELoss()

-- One ratio over all pixels of the batch, both empty 1.
local function dice_coefficient(outputs, targets)
  local smooth = 1
  local preds = outputs:gt(0.5):float()
  local intersection = (preds * targets):sum()
  return (2 * intersection + smooth) / (preds:sum() + targets:sum() + smooth)
end

-- QUIRK: training and validation shrink the mask to the output's size (every second pixel), the
-- test enlarges the output instead: the validation's Dice is one at half size, the test's at full.
local function shrink(masks, outputs)
  return F.interpolate(masks, { size = { outputs:size(3), outputs:size(4) } })
end

local steps = { mean = "batches" }

function steps.train(model, images, masks)
  local outputs = model(images)
  return criterion(outputs, shrink(masks, outputs))
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  local targets = shrink(masks, outputs)
  return criterion(outputs, targets), dice_coefficient(outputs, targets)
end

function steps.test(model, images, masks)
  local outputs = F.interpolate(model(images), { size = { masks:size(3), masks:size(4) }, mode = "bilinear" })
  return dice_coefficient(outputs, masks)
end

return steps
