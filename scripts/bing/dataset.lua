-- Bing Copilot's data set: image and mask as 8-bit grey, resized to size x size, divided by 255:
-- the image bilinear (antialiased), the mask by its nearest pixel, so that it stays as binary as
-- the file is.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, { size = size, mask_resize = "nearest", target = "fraction" })
end

return SegmentationDataset
