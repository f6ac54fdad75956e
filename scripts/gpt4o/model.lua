-- GPT-4o's U-Net: five encoder stages with batch normalisation, 31,042,369 parameters. It
-- returns probabilities at half the input's size.

local lt = require "lunette"
local nn = require "lunette.nn"

local function conv_block(in_channels, out_channels)
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
  self.encoder = nn.ModuleList {
    conv_block(1, 64), conv_block(64, 128), conv_block(128, 256), conv_block(256, 512), conv_block(512, 1024),
  }
  self.pool = nn.MaxPool2d(2)
  self.decoder = nn.ModuleList {
    conv_block(1024, 512), conv_block(512, 256), conv_block(256, 128), conv_block(128, 64),
  }
  self.upconv = nn.ModuleList {
    nn.ConvTranspose2d(1024, 512, 2, { stride = 2 }), nn.ConvTranspose2d(512, 256, 2, { stride = 2 }),
    nn.ConvTranspose2d(256, 128, 2, { stride = 2 }), nn.ConvTranspose2d(128, 64, 2, { stride = 2 }),
  }
  self.final_conv = nn.Conv2d(64, 1, 1)
end

function UNet:forward(x)
  local skips = {}
  for i, block in ipairs(self.encoder) do
    skips[i] = block(x)
    -- QUIRK: the 1024 block is pooled too, so the decoder starts at 1/32 of the size and ends at
    -- half of it.
    x = self.pool(skips[i])
  end
  for i, up in ipairs(self.upconv) do
    x = up(x)
    -- QUIRK: the skip has the decoder's channels but twice its size. Its top left quarter is
    -- concatenated, so skips carry a part of the picture at another scale than the decoder's.
    local skip = skips[#skips - i]
    skip = skip[{ {}, {}, { 1, x:size(3) }, { 1, x:size(4) } }]
    x = self.decoder[i](lt.cat({ x, skip }, 2))
  end
  return self.final_conv(x):sigmoid()
end

return UNet
