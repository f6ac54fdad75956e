-- Gemini 1.5 Pro's U-Net: three levels and a bottleneck of 512, no batch normalisation, 7,696,193
-- parameters.

local lt = require "lunette"
local nn = require "lunette.nn"
local keras = require "lunette.keras"

local function conv_block(in_channels, filters)
  return nn.Sequential(
    keras.Conv2D(in_channels, filters, 3, { activation = "relu", padding = "same" }),
    keras.Conv2D(filters, filters, 3, { activation = "relu", padding = "same" })
  )
end

local function up_conv(in_channels, filters)
  return keras.Conv2DTranspose(in_channels, filters, 2, { strides = 2, padding = "same" })
end

local UNet = nn.class("UNet")

function UNet:__init(width)
  local w = width or 64
  self.enc1 = conv_block(1, w)
  self.enc2 = conv_block(w, 2 * w)
  self.enc3 = conv_block(2 * w, 4 * w)
  self.pool = keras.MaxPooling2D()
  self.bottleneck = conv_block(4 * w, 8 * w)

  self.up3 = up_conv(8 * w, 4 * w)
  self.dec3 = conv_block(8 * w, 4 * w)
  self.up2 = up_conv(4 * w, 2 * w)
  self.dec2 = conv_block(4 * w, 2 * w)
  self.up1 = up_conv(2 * w, w)
  self.dec1 = conv_block(2 * w, w)

  self.outputs = keras.Conv2D(w, 1, 1, { activation = "sigmoid" })
end

function UNet:forward(x)
  local e1 = self.enc1(x)
  local e2 = self.enc2(self.pool(e1))
  local e3 = self.enc3(self.pool(e2))
  x = self.bottleneck(self.pool(e3))

  x = self.dec3(lt.cat({ self.up3(x), e3 }, 2))
  x = self.dec2(lt.cat({ self.up2(x), e2 }, 2))
  x = self.dec1(lt.cat({ self.up1(x), e1 }, 2))
  return self.outputs(x)
end

return UNet
