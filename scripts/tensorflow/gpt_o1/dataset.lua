-- GPT-o1's data set: image and mask resized by tf.image.resize (bilinear, no antialiasing), divided
-- by 255; the mask is rounded to 0 or 1.

local keras = require "lunette.keras"

local function load_dataset(pairs, size)
  return keras.ResizedPairs(pairs, { size = size, mask = function(levels) return (levels / 255):round() end })
end

return load_dataset
