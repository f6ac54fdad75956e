-- GPT-4o's U-Net: 29,804,481 trainable parameters; half the size comes out.

local lt = require "lunette"
local nn = require "lunette.nn"
local keras = require "lunette.keras"

local EncoderBlock = nn.class("EncoderBlock")

function EncoderBlock:__init(in_channels, filters)
  self.conv1 = keras.Conv2D(in_channels, filters, 3, { padding = "same" })
  self.bn1 = keras.BatchNormalization(filters)
  self.conv2 = keras.Conv2D(filters, filters, 3, { padding = "same" })
  self.bn2 = keras.BatchNormalization(filters)
  self.pool = keras.MaxPooling2D()
end

function EncoderBlock:forward(x)
  x = self.bn1(self.conv1(x)):relu()
  x = self.bn2(self.conv2(x)):relu()
  return self.pool(x)
end

local DecoderBlock = nn.class("DecoderBlock")

function DecoderBlock:__init(in_channels, filters)
  self.up = keras.Conv2DTranspose(in_channels, filters, 3, { strides = 2, padding = "same" })
  self.bn1 = keras.BatchNormalization(filters)
  self.conv = keras.Conv2D(filters, filters, 3, { padding = "same" })
  self.bn2 = keras.BatchNormalization(filters)
end

-- QUIRK: the skip is joined behind the convolutions, and none follows: the next block's transposed
-- convolution, or the last 1x1, is the only layer that sees both.
function DecoderBlock:forward(x, skip)
  x = self.bn1(self.up(x)):relu()
  x = self.bn2(self.conv(x)):relu()
  return lt.cat({ x, skip }, 2)
end

local UNet = nn.class("UNet")

function UNet:__init(width)
  local w = width or 64
  self.enc1 = EncoderBlock(1, w)
  self.enc2 = EncoderBlock(w, 2 * w)
  self.enc3 = EncoderBlock(2 * w, 4 * w)
  self.enc4 = EncoderBlock(4 * w, 8 * w)
  self.bottleneck = EncoderBlock(8 * w, 16 * w)

  self.dec1 = DecoderBlock(16 * w, 8 * w)
  self.dec2 = DecoderBlock(16 * w, 4 * w)
  self.dec3 = DecoderBlock(8 * w, 2 * w)
  self.dec4 = DecoderBlock(4 * w, w)

  self.final = keras.Conv2D(2 * w, 1, 1, { activation = "sigmoid" })
end

-- QUIRK: every block pools its output, the bottleneck too, and the skips are the pooled outputs: five
-- halvings, four doublings. Nothing of full resolution reaches the end.
function UNet:forward(x)
  local e1 = self.enc1(x)
  local e2 = self.enc2(e1)
  local e3 = self.enc3(e2)
  local e4 = self.enc4(e3)
  x = self.bottleneck(e4)

  x = self.dec1(x, e4)
  x = self.dec2(x, e3)
  x = self.dec3(x, e2)
  x = self.dec4(x, e1)
  return self.final(x)
end

return UNet
