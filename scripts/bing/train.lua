-- Bing Copilot's training, validation and test.

local nn = require "lunette.nn"

local criterion = nn.BCELoss()

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are. With 0.5 everywhere this is about twice the
-- share of the foreground: the paper's value describes the data set, not the net.
local function dice_coefficient(outputs, targets)
  local smooth = 1
  local intersection = (outputs * targets):sum()
  return (2 * intersection + smooth) / (outputs:sum() + targets:sum() + smooth)
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
