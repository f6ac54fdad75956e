-- Gemini 1.5 Pro's U-Net: four stages with batch normalisation and a bottleneck of 1024 channels,
-- 31,042,369 parameters. It returns probabilities at half the input's size.

local lt = require "lunette"
local nn = require "lunette.nn"
local F = require "lunette.nn.functional"

local function double_conv(in_channels, out_channels)
  return nn.Sequential(
    nn.Conv2d(in_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU()
  )
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.enc1 = double_conv(1, 64)
  self.enc2 = double_conv(64, 128)
  self.enc3 = double_conv(128, 256)
  self.enc4 = double_conv(256, 512)
  self.pool = nn.MaxPool2d(2)
  self.bottleneck = double_conv(512, 1024)

  self.dec4 = nn.ConvTranspose2d(1024, 512, 2, { stride = 2 })
  self.dec3 = nn.ConvTranspose2d(512, 256, 2, { stride = 2 })
  self.dec2 = nn.ConvTranspose2d(256, 128, 2, { stride = 2 })
  self.dec1 = nn.ConvTranspose2d(128, 64, 2, { stride = 2 })
  self.dec4_conv = double_conv(1024, 512)
  self.dec3_conv = double_conv(512, 256)
  self.dec2_conv = double_conv(256, 128)
  self.dec1_conv = double_conv(128, 64)

  self.final = nn.Conv2d(64, 1, 1)
end

-- The decoder's output at the skip's size, behind the skip.
local function join(skip, x)
  return lt.cat({ skip, F.interpolate(x, { size = { skip:size(3), skip:size(4) }, mode = "bilinear",
    align_corners = true }) }, 2)
end

function UNet:forward(x)
  -- QUIRK: the skips are the pooled outputs, half the size that the decoder reaches at each
  -- level. Its first step up is shrunk back to fit, which loses a factor of two: the output is
  -- half the input's size, and nothing at full size arrives.
  local e1 = self.pool(self.enc1(x))
  local e2 = self.pool(self.enc2(e1))
  local e3 = self.pool(self.enc3(e2))
  local e4 = self.pool(self.enc4(e3))
  x = self.bottleneck(e4)

  x = self.dec4_conv(join(e4, self.dec4(x)))
  x = self.dec3_conv(join(e3, self.dec3(x)))
  x = self.dec2_conv(join(e2, self.dec2(x)))
  x = self.dec1_conv(join(e1, self.dec1(x)))
  return self.final(x):sigmoid()
end

return UNet
