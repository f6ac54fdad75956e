-- Claude 3.5 Sonnet's training, validation and test.

local nn = require "lunette.nn"

local criterion = nn.BCELoss()

-- A ratio per image, then the mean over the batch.
-- QUIRK: the probabilities are used as they are. Every pixel that is not certain costs, so this
-- lies below the Dice of the same predictions after a threshold.
local function dice_coefficient(preds, targets)
  local smooth = 1e-5
  preds, targets = preds:reshape(preds:size(1), -1), targets:reshape(targets:size(1), -1)
  local intersection = (preds * targets):sum(2)
  return ((2 * intersection + smooth) / (preds:sum(2) + targets:sum(2) + smooth)):mean()
end

local steps = { mean = "batches" }

function steps.train(model, images, masks)
  return criterion(model(images), masks)
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  return criterion(outputs, masks), dice_coefficient(outputs, masks)
end

function steps.test(model, images, masks)
  return dice_coefficient(model(images), masks)
end

return steps
