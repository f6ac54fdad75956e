-- Copilot's data set: image and mask by Keras' load_img, which takes the nearest pixel; the mask is
-- 1 above 0.5. Batches are made before they are shuffled.

local lt = require "lunette"
local data = require "lunette.data"

local function SegmentationDataset(pairs, size)
  -- QUIRK: the image too is resized by the nearest pixel, so shrinking it leaves jagged edges.
  return data.ImageMask(pairs, { size = size, resize = "nearest", mask_resize = "nearest", target = "half" })
end

-- QUIRK: a data set whose items are whole batches, as dataset.batch(16).shuffle(...) makes it: every epoch
-- sees the same batches in another order, so that the same images always meet in a step.
local Batched = {}
Batched.__index = Batched

function Batched.new(dataset, size)
  return setmetatable({ dataset = dataset, size = size }, Batched)
end

function Batched:count() return math.ceil(self.dataset:count() / self.size) end

function Batched:get(i)
  local images, masks = {}, {}
  for k = (i - 1) * self.size + 1, math.min(i * self.size, self.dataset:count()) do
    images[#images + 1], masks[#masks + 1] = self.dataset:get(k)
  end
  return lt.stack(images), lt.stack(masks)
end

return { SegmentationDataset = SegmentationDataset, batched = Batched.new }
