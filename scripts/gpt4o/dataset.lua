-- GPT-4o's data set: image and mask as 8-bit grey, resized to size x size (bilinear,
-- antialiased), divided by 255; the mask is 1 above 0.5.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, { size = size, target = "half" })
end

return SegmentationDataset
