-- GPT-o1's training, validation and test.

local nn = require "lunette.nn"

local criterion = nn.BCELoss()

-- One ratio over all pixels of the batch.
local function dice_coefficient(outputs, targets)
  local smooth = 1e-6
  local preds = outputs:gt(0.5):float()
  local intersection = (preds * targets):sum()
  return (2 * intersection + smooth) / (preds:sum() + targets:sum() + smooth)
end

local steps = { mean = "samples" }

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
