-- Bing Copilot's U-Net, which is none: an encoder and a decoder without skips and without
-- batch normalisation, 6,147,659 parameters. It returns probabilities of 0.5 and more.

local nn = require "lunette.nn"

local function encoder_block(in_channels, out_channels)
  return nn.Sequential(
    nn.Conv2d(in_channels, out_channels, 3, { padding = 1 }),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.ReLU(),
    nn.MaxPool2d(2)
  )
end

local function decoder_block(in_channels, out_channels)
  return nn.Sequential(
    nn.ConvTranspose2d(in_channels, out_channels, 2, { stride = 2 }),
    nn.ReLU(),
    nn.Conv2d(out_channels, out_channels, 3, { padding = 1 }),
    nn.ReLU()
  )
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.encoder1 = encoder_block(1, 64)
  self.encoder2 = encoder_block(64, 128)
  self.encoder3 = encoder_block(128, 256)
  self.encoder4 = encoder_block(256, 512)
  self.decoder1 = decoder_block(512, 256)
  self.decoder2 = decoder_block(256, 128)
  self.decoder3 = decoder_block(128, 64)
  self.decoder4 = decoder_block(64, 1)
end

function UNet:forward(x)
  x = self.encoder4(self.encoder3(self.encoder2(self.encoder1(x))))
  x = self.decoder4(self.decoder3(self.decoder2(self.decoder1(x))))
  -- QUIRK: the last block ends in a ReLU, so no probability can fall below 0.5. The background
  -- pushes everything to exactly 0.5, where the ReLU is dead: the loss stays at ln 2 for ever.
  return x:sigmoid()
end

return UNet
