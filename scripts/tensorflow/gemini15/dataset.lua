-- Gemini 1.5 Pro's data set: image and mask resized by torchvision (bilinear, antialiased), divided by
-- 255.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, {
    size = size,
    -- QUIRK: the mask is 1 wherever the resize has left anything above 0, so targets grow by the filter's
    -- reach, thin ones most.
    target = "any",
  })
end

return SegmentationDataset
