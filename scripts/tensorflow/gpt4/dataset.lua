-- GPT-4's data set: image and mask resized by tf.image.resize (bilinear, no antialiasing); the mask
-- is 1 above level 127.

local keras = require "lunette.keras"

local function load_dataset(pairs, size)
  return keras.ResizedPairs(pairs, { size = size, mask = function(levels) return levels:gt(127):float() end })
end

return load_dataset
