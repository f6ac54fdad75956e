-- GPT-4's U-Net: four levels, no batch normalisation, 7,696,193 parameters. It returns logits.

local lt = require "lunette"
local nn = require "lunette.nn"

local DoubleConv = nn.class("DoubleConv")

function DoubleConv:__init(in_channels, out_channels)
  self.double_conv = nn.Sequential(
    nn.Conv2d(in_channels, out_channels, 3, { padding = 1 }),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.ReLU()
  )
end

function DoubleConv:forward(x)
  return self.double_conv(x)
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.down1 = DoubleConv(1, 64)
  self.pool1 = nn.MaxPool2d(2)
  self.down2 = DoubleConv(64, 128)
  self.pool2 = nn.MaxPool2d(2)
  self.down3 = DoubleConv(128, 256)
  self.pool3 = nn.MaxPool2d(2)
  self.down4 = DoubleConv(256, 512)

  self.up1 = nn.ConvTranspose2d(512, 256, 2, { stride = 2 })
  self.conv1 = DoubleConv(512, 256)
  self.up2 = nn.ConvTranspose2d(256, 128, 2, { stride = 2 })
  self.conv2 = DoubleConv(256, 128)
  self.up3 = nn.ConvTranspose2d(128, 64, 2, { stride = 2 })
  self.conv3 = DoubleConv(128, 64)

  self.final = nn.Conv2d(64, 1, 1)
end

function UNet:forward(x)
  local d1 = self.down1(x)
  local d2 = self.down2(self.pool1(d1))
  local d3 = self.down3(self.pool2(d2))
  local d4 = self.down4(self.pool3(d3))

  x = self.conv1(lt.cat({ self.up1(d4), d3 }, 2))
  x = self.conv2(lt.cat({ self.up2(x), d2 }, 2))
  x = self.conv3(lt.cat({ self.up3(x), d1 }, 2))
  return self.final(x)
end

return UNet
