-- The U-Net of GPT-4's row in the study's TensorFlow table: encoder 64, 128, 256, 512, bottleneck 512,
-- decoder 256, 128, 64, 32, no batch normalisation: 13,235,073 parameters. The answer itself held
-- no layers (main.lua).

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
  local w = width or 64
  self.enc1 = conv_block(1, w)
  self.enc2 = conv_block(w, 2 * w)
  self.enc3 = conv_block(2 * w, 4 * w)
  self.enc4 = conv_block(4 * w, 8 * w)
  self.pool = keras.MaxPooling2D()
  self.bottleneck = conv_block(8 * w, 8 * w)

  self.up4 = keras.Conv2DTranspose(8 * w, 4 * w, 2, { strides = 2, padding = "same" })
  self.dec4 = conv_block(4 * w + 8 * w, 4 * w)
  self.up3 = keras.Conv2DTranspose(4 * w, 2 * w, 2, { strides = 2, padding = "same" })
  self.dec3 = conv_block(2 * w + 4 * w, 2 * w)
  self.up2 = keras.Conv2DTranspose(2 * w, w, 2, { strides = 2, padding = "same" })
  self.dec2 = conv_block(w + 2 * w, w)
  self.up1 = keras.Conv2DTranspose(w, w / 2, 2, { strides = 2, padding = "same" })
  self.dec1 = conv_block(w / 2 + w, w / 2)

  self.outputs = keras.Conv2D(w / 2, 1, 1, { activation = "sigmoid" })
end

function UNet:forward(x)
  local e1 = self.enc1(x)
  local e2 = self.enc2(self.pool(e1))
  local e3 = self.enc3(self.pool(e2))
  local e4 = self.enc4(self.pool(e3))
  x = self.bottleneck(self.pool(e4))

  x = self.dec4(lt.cat({ self.up4(x), e4 }, 2))
  x = self.dec3(lt.cat({ self.up3(x), e3 }, 2))
  x = self.dec2(lt.cat({ self.up2(x), e2 }, 2))
  x = self.dec1(lt.cat({ self.up1(x), e1 }, 2))
  return self.outputs(x)
end

return UNet
