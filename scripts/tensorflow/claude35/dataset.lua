-- Claude 3.5 Sonnet's data set: Pillow's resize, bilinear for the image, the nearest pixel for the
-- mask, which is 1 above 0.5.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, { size = size, resize = "bilinear", mask_resize = "nearest", target = "half" })
end

return SegmentationDataset
