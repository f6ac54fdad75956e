-- GPT-4o's training, validation and test.

local nn = require "lunette.nn"
local F = require "lunette.nn.functional"

local criterion = nn.BCELoss()

-- QUIRK: the model ends at half the input's size; its probabilities are enlarged for loss and
-- Dice, so borders are never finer than two pixels.
local function predict(model, images, masks)
  return F.interpolate(model(images), { size = { masks:size(3), masks:size(4) }, mode = "bilinear" })
end

-- One ratio over all pixels of the batch.
local function dice_coefficient(outputs, targets)
  local smooth = 1e-6
  local preds = outputs:gt(0.5):float()
  local intersection = (preds * targets):sum()
  return (2 * intersection + smooth) / (preds:sum() + targets:sum() + smooth)
end

local steps = { mean = "samples" }

function steps.train(model, images, masks)
  return criterion(predict(model, images, masks), masks)
end

function steps.validate(model, images, masks)
  local outputs = predict(model, images, masks)
  return criterion(outputs, masks), dice_coefficient(outputs, masks)
end

function steps.test(model, images, masks)
  return dice_coefficient(predict(model, images, masks), masks)
end

return steps
