-- LLaMA 3.1's training and validation.

local keras = require "lunette.keras"

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are, and nothing is added to the ratio: a batch without
-- foreground scores 0 as soon as one pixel has any probability, and is no number when none has.
local function dice_coefficient(targets, outputs)
  local intersection = (targets * outputs):sum()
  return 2 * intersection / (targets:sum() + outputs:sum())
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
