-- GPT-o1's U-Net, the classic one of Keras examples: dropout at the bottom, nearest up-sampling with a
-- 2x2 convolution, 31,031,685 parameters.

local lt = require "lunette"
local nn = require "lunette.nn"
local keras = require "lunette.keras"

local function conv(in_channels, filters, size)
  return keras.Conv2D(in_channels, filters, size, { activation = "relu", padding = "same" })
end

local function double_conv(in_channels, filters)
  return nn.Sequential(conv(in_channels, filters, 3), conv(filters, filters, 3))
end

local UNet = nn.class("UNet")

function UNet:__init(width)
  local w = width or 64

  self.conv1 = double_conv(1, w)
  self.conv2 = double_conv(w, 2 * w)
  self.conv3 = double_conv(2 * w, 4 * w)
  self.conv4 = double_conv(4 * w, 8 * w)
  self.drop4 = keras.Dropout(0.5)
  self.pool = keras.MaxPooling2D()
  self.conv5 = double_conv(8 * w, 16 * w)
  self.drop5 = keras.Dropout(0.5)

  self.up = keras.UpSampling2D()
  self.up6 = conv(16 * w, 8 * w, 2)
  self.conv6 = double_conv(16 * w, 8 * w)
  self.up7 = conv(8 * w, 4 * w, 2)
  self.conv7 = double_conv(8 * w, 4 * w)
  self.up8 = conv(4 * w, 2 * w, 2)
  self.conv8 = double_conv(4 * w, 2 * w)
  self.up9 = conv(2 * w, w, 2)
  self.conv9 = double_conv(2 * w, w)
  -- QUIRK: the 64 channels go through two with a ReLU before the last 1x1; where both are 0 the
  -- probability is that of the last bias.
  self.conv9_out = conv(w, 2, 3)
  self.conv10 = keras.Conv2D(2, 1, 1, { activation = "sigmoid" })
end

function UNet:forward(x)
  local c1 = self.conv1(x)
  local c2 = self.conv2(self.pool(c1))
  local c3 = self.conv3(self.pool(c2))
  local c4 = self.drop4(self.conv4(self.pool(c3)))
  x = self.drop5(self.conv5(self.pool(c4)))

  x = self.conv6(lt.cat({ c4, self.up6(self.up(x)) }, 2))
  x = self.conv7(lt.cat({ c3, self.up7(self.up(x)) }, 2))
  x = self.conv8(lt.cat({ c2, self.up8(self.up(x)) }, 2))
  x = self.conv9(lt.cat({ c1, self.up9(self.up(x)) }, 2))
  return self.conv10(self.conv9_out(x))
end

return UNet
