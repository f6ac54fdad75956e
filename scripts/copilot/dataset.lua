-- Copilot's data set: image and mask as 8-bit grey, resized to size x size (bilinear,
-- antialiased), divided by 255.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, {
    size = size,
    -- QUIRK: the mask is not made binary after the resize; its border keeps fractions.
    target = "fraction",
  })
end

return SegmentationDataset
