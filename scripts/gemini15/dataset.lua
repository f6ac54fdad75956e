-- Gemini 1.5 Pro's data set: image and mask as 8-bit grey, resized to size x size (bilinear,
-- antialiased), divided by 255.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, {
    size = size,
    -- QUIRK: after the smoothing resize every mask pixel above 0 is foreground. Targets grow by
    -- the width of the filter, thin ones most, and on JPEG masks by all of the ringing.
    target = "any",
  })
end

return SegmentationDataset
