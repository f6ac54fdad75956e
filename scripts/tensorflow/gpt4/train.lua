-- GPT-4's training and validation: what model.fit does with loss "binary_crossentropy" and the metric
-- MeanIoU. The answer has no Dice and no test.

local keras = require "lunette.keras"

local steps = { mean = "samples", mean_iou = keras.MeanIoU(2) }

function steps.train(model, images, masks)
  return keras.binary_crossentropy(masks, model(images))
end

-- QUIRK: the metric takes the probabilities as class numbers, which truncates every one below 1 to
-- background: it says how much of the masks is background, not what was predicted.
function steps.validate(model, images, masks)
  local outputs = model(images)
  steps.mean_iou:update_state(masks, outputs)
  return keras.binary_crossentropy(masks, outputs)
end

return steps
