-- Copilot's U-Net: four encoder and four decoder blocks with batch normalisation, skips that
-- are added, 6,153,297 parameters. It returns probabilities.

local nn = require "lunette.nn"

local function encoder_block(in_channels, out_channels)
  return nn.Sequential(
    nn.Conv2d(in_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    nn.MaxPool2d(2)
  )
end

local function decoder_block(in_channels, out_channels, ...)
  return nn.Sequential(
    nn.ConvTranspose2d(in_channels, out_channels, 2, { stride = 2 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.BatchNorm2d(out_channels),
    nn.ReLU(),
    ...
  )
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.encoder = nn.ModuleList {
    encoder_block(1, 64), encoder_block(64, 128), encoder_block(128, 256), encoder_block(256, 512),
  }
  self.decoder = nn.ModuleList {
    decoder_block(512, 256), decoder_block(256, 128), decoder_block(128, 64),
    -- QUIRK: the last block squeezes everything through one channel, twice: the background level
    -- hangs on a handful of scalars, which Adam at 1e-4 can move by about 0.63 in the paper's
    -- 6,275 steps. The loss falls in a line and the probabilities never leave the middle.
    decoder_block(64, 1, nn.Conv2d(1, 1, 1)),
  }
end

function UNet:forward(x)
  local e1 = self.encoder[1](x)
  local e2 = self.encoder[2](e1)
  local e3 = self.encoder[3](e2)
  local e4 = self.encoder[4](e3)

  -- QUIRK: the skips are the pooled outputs, and they are added: nothing at full size arrives.
  local d = self.decoder[1](e4)
  d = self.decoder[2](d + e3)
  d = self.decoder[3](d + e2)
  d = self.decoder[4](d + e1)
  return d:sigmoid()
end

return UNet
