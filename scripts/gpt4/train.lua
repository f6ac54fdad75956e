-- GPT-4's training, validation and test.

local nn = require "lunette.nn"

local criterion = nn.BCEWithLogitsLoss()

-- One ratio over all pixels of the batch.
-- QUIRK: the model returns logits, and 0.5 is applied to the logit: a pixel counts from a
-- probability of 0.6225 on, so that fewer pixels are foreground than at 0.5. The mask keeps its
-- fractions, so a batch that has some cannot reach 1.
local function dice_coefficient(logits, targets)
  local smooth = 1e-6
  local preds = logits:gt(0.5):float()
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
