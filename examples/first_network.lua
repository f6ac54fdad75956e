-- A small U-Net learns to find the tumour in drawn brain slices. Under a minute on two cores.
--   build/lunette examples/first_network.lua [PICTURE.png]
-- With a file name it also draws five unseen slices, their masks and what the network found.
local lt    = require "lunette"
local nn    = require "lunette.nn"
local optim = require "lunette.optim"
local data  = require "lunette.data"
local progress = require "lunette.progress"

-- 96 pictures of 64x64 with their masks; the first 80 to learn from, the rest to look at.
local pictures = data.ImageMask(data.phantom { family = "brain", count = 96, seed = 1 }, { size = 64, target = "half" })
local learn, look = {}, {}
for i = 1, 96 do table.insert(i <= 80 and learn or look, i) end
local loader = data.DataLoader(data.Subset(pictures, learn), { batch_size = 8, shuffle = true })
local unseen = data.DataLoader(data.Subset(pictures, look), { batch_size = 16 })

-- Two convolutions with batch normalisation: the block that most U-Nets are made of.
local function block(from, to)
  return nn.Sequential(
    nn.Conv2d(from, to, 3, { padding = 1 }), nn.BatchNorm2d(to), nn.ReLU(),
    nn.Conv2d(to, to, 3, { padding = 1 }), nn.BatchNorm2d(to), nn.ReLU())
end

local UNet = nn.class("UNet")

function UNet:__init()
  self.down1, self.down2, self.bottom = block(1, 16), block(16, 32), block(32, 64)
  self.pool = nn.MaxPool2d(2)
  self.up2, self.join2 = nn.ConvTranspose2d(64, 32, 2, { stride = 2 }), block(64, 32)
  self.up1, self.join1 = nn.ConvTranspose2d(32, 16, 2, { stride = 2 }), block(32, 16)
  self.final = nn.Conv2d(16, 1, 1)
end

function UNet:forward(x)
  local a = self.down1(x)
  local b = self.down2(self.pool(a))
  local c = self.bottom(self.pool(b))
  b = self.join2(lt.cat({ self.up2(c), b }, 2)) -- the skip connection: detail from the way down
  a = self.join1(lt.cat({ self.up1(b), a }, 2))
  return self.final(a)
end

lt.manual_seed(0)
local net = UNet()
local optimizer = optim.Adam(net:parameters(), { lr = 1e-3 })
local criterion = nn.BCEWithLogitsLoss()

local function dice()
  local both, either = 0, 0
  net:eval()
  lt.no_grad(function()
    for images, masks in unseen do
      local found = net(images):gt(0):float() -- a logit above 0 is a probability above one half
      both = both + (found * masks):sum():item()
      either = either + (found:sum() + masks:sum()):item()
    end
  end)
  return 2 * both / either
end

print(("before: Dice %.3f on 16 unseen pictures"):format(dice()))
for epoch = 1, 8 do
  net:train()
  local total = 0
  for images, masks in progress(loader, "epoch " .. epoch) do
    optimizer:zero_grad()
    local loss = criterion(net(images), masks)
    loss:backward()
    optimizer:step()
    total = total + loss:item() * images:size(1)
  end
  print(("epoch %d: loss %.4f, Dice %.3f"):format(epoch, total / loader:samples(), dice()))
end

if arg[1] then
  local panels = {}
  net:eval()
  for images, masks in unseen do
    local found = lt.no_grad(function() return net(images):gt(0):float() end)
    for _, row in ipairs { images, masks, found } do
      for i = 1, 5 do panels[#panels + 1] = row[i][1] end
    end
  end
  assert(require("lunette.save").figure(arg[1], { size = { 1000, 600 }, images = panels, rows = 3, columns = 5 }))
end
