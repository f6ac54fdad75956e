-- GPT-4o's training and validation.

local keras = require "lunette.keras"

-- One ratio over all pixels of the batch, of the probabilities as they are.
local function dice_coefficient(targets, outputs)
  local smooth = 1
  local intersection = (targets * outputs):sum()
  return (2 * intersection + smooth) / (targets:sum() + outputs:sum() + smooth)
end

-- The output has half the size of the masks; see main.lua.
local function predict(model, images, masks)
  return keras.resize(model(images), { masks:size(3), masks:size(4) })
end

local steps = { mean = "batches", predict = predict }

-- QUIRK: the Dice coefficient is added to the cross-entropy instead of its loss, 1 - Dice: training
-- makes the overlap smaller as far as the cross-entropy lets it.
-- QUIRK: the sum is taken of the cross-entropy of each pixel, so its gradient is that of the sum over
-- all pixels: as many times the mean's as there are pixels, which leaves Adam's eps without effect.
function steps.train(model, images, masks)
  local outputs = predict(model, images, masks)
  local loss = keras.binary_crossentropy(masks, outputs, { reduction = "none" }) + dice_coefficient(masks, outputs)
  return loss:sum(), loss:mean()
end

-- QUIRK: the validation loss is the cross-entropy alone: it lies below the training loss by the Dice.
function steps.validate(model, images, masks)
  local outputs = predict(model, images, masks)
  return keras.binary_crossentropy(masks, outputs), dice_coefficient(masks, outputs)
end

function steps.test(model, images, masks)
  return dice_coefficient(masks, predict(model, images, masks))
end

return steps
