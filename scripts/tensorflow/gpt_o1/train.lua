-- GPT-o1's training, validation and test.

local keras = require "lunette.keras"

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are, in the Dice scores too: every pixel that is not certain
-- lowers them.
local function dice_coefficient(targets, outputs)
  local smooth = 1
  local intersection = (targets * outputs):sum()
  return (2 * intersection + smooth) / (targets:sum() + outputs:sum() + smooth)
end

-- Cross-entropy of each pixel plus the Dice loss of the batch.
local function combined_loss(targets, outputs)
  return keras.binary_crossentropy(targets, outputs, { reduction = "none" }) + (1 - dice_coefficient(targets, outputs))
end

local steps = { mean = "samples" }

-- QUIRK: the loss is not reduced before it is differentiated, so the gradient is that of its sum over all
-- pixels: as many times the mean's as there are pixels, which leaves Adam's eps without effect.
function steps.train(model, images, masks)
  local loss = combined_loss(masks, model(images))
  return loss:sum(), loss:mean()
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  return combined_loss(masks, outputs):mean(), dice_coefficient(masks, outputs)
end

function steps.test(model, images, masks)
  return dice_coefficient(masks, model(images))
end

return steps
