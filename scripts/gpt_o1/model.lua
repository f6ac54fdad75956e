-- GPT-o1's U-Net: the standard one, four stages and a bottleneck of 1024 channels, 31,042,369
-- parameters. It returns probabilities.

local lt = require "lunette"
local nn = require "lunette.nn"

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

local function up_conv(in_channels, out_channels)
  return nn.ConvTranspose2d(in_channels, out_channels, 2, { stride = 2 })
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.pool = nn.MaxPool2d(2)
  self.conv1 = double_conv(1, 64)
  self.conv2 = double_conv(64, 128)
  self.conv3 = double_conv(128, 256)
  self.conv4 = double_conv(256, 512)
  self.conv5 = double_conv(512, 1024)

  self.up6 = up_conv(1024, 512)
  self.conv6 = double_conv(1024, 512)
  self.up7 = up_conv(512, 256)
  self.conv7 = double_conv(512, 256)
  self.up8 = up_conv(256, 128)
  self.conv8 = double_conv(256, 128)
  self.up9 = up_conv(128, 64)
  self.conv9 = double_conv(128, 64)

  self.conv10 = nn.Conv2d(64, 1, 1)
end

function UNet:forward(x)
  local c1 = self.conv1(x)
  local c2 = self.conv2(self.pool(c1))
  local c3 = self.conv3(self.pool(c2))
  local c4 = self.conv4(self.pool(c3))
  local c5 = self.conv5(self.pool(c4))

  x = self.conv6(lt.cat({ self.up6(c5), c4 }, 2))
  x = self.conv7(lt.cat({ self.up7(x), c3 }, 2))
  x = self.conv8(lt.cat({ self.up8(x), c2 }, 2))
  x = self.conv9(lt.cat({ self.up9(x), c1 }, 2))
  return self.conv10(x):sigmoid()
end

return UNet
