-- keras.images: tf.image.resize, and a data set of pairs that are resized with it.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"

local images = {}

docs("keras.resize", "resize(x, {height, width} or size): [N, C, H, W] resized bilinearly with half-pixel centres and no"
  .. " antialiasing; as tf.image.resize")
function images.resize(x, size)
  return F.interpolate(x, { size = size, mode = "bilinear", align_corners = false })
end

local ResizedPairs = {}
ResizedPairs.__index = ResizedPairs

docs("keras.ResizedPairs", "ResizedPairs(list, {size=, mask=function(levels) ... end}): a data set of a list's pairs"
  .. " (data.folder, data.phantom), both resized by keras.resize; get(i) gives the image, f32 [1,H,W] in 0..1, and the"
  .. " mask, f32 [1,H,W]: what the function makes of its levels in 0..255 (without one they are divided by 255)")
function images.ResizedPairs(list, options)
  local o = args.options("keras.ResizedPairs", options, { size = false, mask = function(levels) return levels / 255 end })
  args.check(o.size, "[keras.ResizedPairs] needs a size")
  return setmetatable({ list = list, size = o.size, mask = o.mask }, ResizedPairs)
end

local function levels(picture, size)
  local shape = picture.shape
  return images.resize(picture:float():reshape(1, 1, shape[1], shape[2]), size):squeeze(1)
end

function ResizedPairs:get(i)
  local image, mask = self.list:load(i)
  image, mask = levels(image, self.size) / 255, self.mask(levels(mask, self.size))
  -- Now, so that the plan of a training step does not depend on the sizes of its pictures.
  core.flush()
  return image, mask
end

function ResizedPairs:count() return #self.list end
function ResizedPairs:stem(i) return self.list:stem(i) end

return images
