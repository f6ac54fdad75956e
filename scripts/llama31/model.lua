-- LLaMA 3.1's U-Net, which is none: three single convolutions down, three transposed ones up, no
-- skips, no batch normalisation, 533,953 parameters. It returns probabilities.

local nn = require "lunette.nn"

local UNet = nn.class("UNet")

function UNet:__init()
  -- QUIRK: the convolutions have no padding, so 256x256 ends as 240x240: 254, 127, 125, 62, 60,
  -- 30, then three times doubled. Each 8x8 block of the output comes from one cell of the 30x30
  -- grid, hence its blocky masks.
  self.encoder = nn.Sequential(
    nn.Conv2d(1, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(64, 128, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(128, 256, 3), nn.ReLU(), nn.MaxPool2d(2)
  )
  self.decoder = nn.Sequential(
    nn.ConvTranspose2d(256, 128, 2, { stride = 2 }), nn.ReLU(),
    nn.ConvTranspose2d(128, 64, 2, { stride = 2 }), nn.ReLU(),
    nn.ConvTranspose2d(64, 1, 2, { stride = 2 }), nn.Sigmoid()
  )
end

function UNet:forward(x)
  return self.decoder(self.encoder(x))
end

return UNet
