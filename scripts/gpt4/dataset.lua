-- GPT-4's data set: image and mask as 8-bit grey, resized to size x size (bilinear,
-- antialiased), divided by 255.

local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  return data.ImageMask(pairs, {
    size = size,
    -- QUIRK: the mask is not made binary after the resize. Its border keeps fractions, so the
    -- loss aims at them and the Dice cannot reach 1 where a batch has one.
    target = "fraction",
  })
end

return SegmentationDataset
