-- LLaMA 3.1's data set: image and mask as 8-bit grey, resized to size x size (bilinear,
-- antialiased), divided by 255. The mask keeps its fractions; train.lua shrinks it.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, { size = size, target = "fraction" })
end

return SegmentationDataset
