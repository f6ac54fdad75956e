-- Bing Copilot's data set: image and mask resized by tf.image.resize (bilinear, no antialiasing),
-- divided by 255.

local keras = require "lunette.keras"

local function SegmentationDataset(pairs, size)
  -- QUIRK: the mask is not made binary; its border keeps fractions, which the loss aims at.
  return keras.ResizedPairs(pairs, { size = size })
end

return SegmentationDataset
