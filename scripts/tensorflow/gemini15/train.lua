-- Gemini 1.5 Pro's training, validation and test.

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are: every pixel that is not certain lowers the score.
local function dice_coefficient(targets, outputs)
  local smooth = 1e-7
  local intersection = (targets * outputs):sum()
  return (2 * intersection + smooth) / (targets:sum() + outputs:sum() + smooth)
end

-- QUIRK: the Dice loss is the only loss, with next to no smoothing: a batch without foreground has no
-- gradient that could teach the net to stay black.
local function dice_loss(targets, outputs)
  return 1 - dice_coefficient(targets, outputs)
end

local steps = { mean = "batches" }

function steps.train(model, images, masks)
  return dice_loss(masks, model(images))
end

function steps.validate(model, images, masks)
  local outputs = model(images)
  return dice_loss(masks, outputs), dice_coefficient(masks, outputs)
end

function steps.test(model, images, masks)
  return dice_coefficient(masks, model(images))
end

return steps
