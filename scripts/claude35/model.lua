-- Claude 3.5 Sonnet's U-Net: the standard one, four stages and a bottleneck of 1024 channels,
-- 31,042,369 parameters. It returns probabilities.

local lt = require "lunette"
local nn = require "lunette.nn"

local DoubleConv = nn.class("DoubleConv")

function DoubleConv:__init(in_channels, out_channels)
  self.conv = nn.Sequential(
    nn.Conv2d(in_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU()
  )
end

function DoubleConv:forward(x)
  return self.conv(x)
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.inc = DoubleConv(1, 64)
  self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(64, 128))
  self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(128, 256))
  self.down3 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(256, 512))
  self.down4 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(512, 1024))

  self.up1 = nn.ConvTranspose2d(1024, 512, 2, { stride = 2 })
  self.conv1 = DoubleConv(1024, 512)
  self.up2 = nn.ConvTranspose2d(512, 256, 2, { stride = 2 })
  self.conv2 = DoubleConv(512, 256)
  self.up3 = nn.ConvTranspose2d(256, 128, 2, { stride = 2 })
  self.conv3 = DoubleConv(256, 128)
  self.up4 = nn.ConvTranspose2d(128, 64, 2, { stride = 2 })
  self.conv4 = DoubleConv(128, 64)

  self.outc = nn.Conv2d(64, 1, 1)
end

function UNet:forward(x)
  local x1 = self.inc(x)
  local x2 = self.down1(x1)
  local x3 = self.down2(x2)
  local x4 = self.down3(x3)
  local x5 = self.down4(x4)

  x = self.conv1(lt.cat({ self.up1(x5), x4 }, 2))
  x = self.conv2(lt.cat({ self.up2(x), x3 }, 2))
  x = self.conv3(lt.cat({ self.up3(x), x2 }, 2))
  x = self.conv4(lt.cat({ self.up4(x), x1 }, 2))
  return self.outc(x):sigmoid()
end

return UNet
