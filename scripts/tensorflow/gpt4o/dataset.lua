-- GPT-4o's data set: image and mask by Keras' load_img, which takes the nearest pixel; the mask is
-- rounded to 0 or 1.

local data = require "lunette.data"

local function DataGenerator(pairs, size)
  -- QUIRK: the image too is resized by the nearest pixel, so shrinking it leaves jagged edges.
  return data.ImageMask(pairs, { size = size, resize = "nearest", mask_resize = "nearest", target = "half" })
end

return DataGenerator
