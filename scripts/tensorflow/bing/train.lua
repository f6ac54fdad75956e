-- Bing Copilot's training and validation.

local keras = require "lunette.keras"

-- What the answer calls the Dice score.
-- QUIRK: it is Keras' MeanIoU of background and foreground. A black prediction scores about 0.5, since the
-- background is right. Keras truncates both sides to whole numbers: the prediction is rounded before,
-- but the mask's fractions become background.
local function dice_score(targets, outputs)
  local metric = keras.MeanIoU(2)
  metric:update_state(targets, outputs:round())
  return metric:result()
end

local steps = { mean = "batches" }

function steps.train(model, images, masks)
  return keras.binary_crossentropy(masks, model(images))
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  return keras.binary_crossentropy(masks, outputs), dice_score(masks, outputs)
end

function steps.test(model, images, masks)
  return dice_score(masks, model(images))
end

return steps
