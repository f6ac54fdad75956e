-- LLaMA 3.1's data set: image and mask by Keras' load_img, which takes the nearest pixel, divided by
-- 255.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, {
    size = size, resize = "nearest", mask_resize = "nearest",
    -- QUIRK: the mask is not made binary. Levels between 0 and 255, as JPEG leaves them, stay
    -- fractions that the loss aims at.
    target = "fraction",
  })
end

return SegmentationDataset
