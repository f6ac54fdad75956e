-- Claude 3.5 Sonnet's training, validation and test.

local keras = require "lunette.keras"

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are: every pixel that is not certain lowers the score.
local function dice_coefficient(targets, outputs)
  local smooth = 1e-6
  local intersection = (targets * outputs):sum()
  return (2 * intersection + smooth) / (targets:sum() + outputs:sum() + smooth)
end

local steps = { mean = "batches" }

function steps.train(model, images, masks)
  return keras.binary_crossentropy(masks, model(images))
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  return keras.binary_crossentropy(masks, outputs), dice_coefficient(masks, outputs)
end

function steps.test(model, images, masks)
  return dice_coefficient(masks, model(images))
end

return steps
