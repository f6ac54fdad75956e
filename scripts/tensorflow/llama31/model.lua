-- LLaMA 3.1's U-Net: 32 to 256 channels, bottleneck 512, nearest up-sampling without a convolution of
-- its own, no batch normalisation, 7,846,081 parameters.

local lt = require "lunette"
local nn = require "lunette.nn"
local keras = require "lunette.keras"

local function conv_block(in_channels, filters)
  return nn.Sequential(
    keras.Conv2D(in_channels, filters, 3, { activation = "relu", padding = "same" }),
    keras.Conv2D(filters, filters, 3, { activation = "relu", padding = "same" })
  )
end

local UNet = nn.class("UNet")

function UNet:__init(width)
  local w = width or 32
  self.enc1 = conv_block(1, w)
  self.enc2 = conv_block(w, 2 * w)
  self.enc3 = conv_block(2 * w, 4 * w)
  self.enc4 = conv_block(4 * w, 8 * w)
  self.pool = keras.MaxPooling2D()
  self.bottleneck = conv_block(8 * w, 16 * w)

  self.up = keras.UpSampling2D()
  self.dec4 = conv_block(8 * w + 16 * w, 8 * w)
  self.dec3 = conv_block(4 * w + 8 * w, 4 * w)
  self.dec2 = conv_block(2 * w + 4 * w, 2 * w)
  self.dec1 = conv_block(w + 2 * w, w)

  self.outputs = keras.Conv2D(w, 1, 1, { activation = "sigmoid" })
end

function UNet:forward(x)
  local e1 = self.enc1(x)
  local e2 = self.enc2(self.pool(e1))
  local e3 = self.enc3(self.pool(e2))
  local e4 = self.enc4(self.pool(e3))
  x = self.bottleneck(self.pool(e4))

  x = self.dec4(lt.cat({ e4, self.up(x) }, 2))
  x = self.dec3(lt.cat({ e3, self.up(x) }, 2))
  x = self.dec2(lt.cat({ e2, self.up(x) }, 2))
  x = self.dec1(lt.cat({ e1, self.up(x) }, 2))
  return self.outputs(x)
end

return UNet
