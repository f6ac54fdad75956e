-- Calibration of the brain family: how far two of the paper's networks come in 100 steps of
-- eight 64x64 pictures at a rate of 1e-3. Too easy and every network looks alike; too hard
-- and the demo shows black pictures.
local check   = dofile("tests/check.lua")
local lt      = require "lunette"
local nn      = require "lunette.nn"
local optim   = require "lunette.optim"
local data    = require "lunette.data"
local metrics = require "lunette.metrics"

local DoubleConv = nn.class("DoubleConv")

function DoubleConv:__init(from, to, norm)
  local layers = {}
  for _, channels in ipairs { from, to } do
    layers[#layers + 1] = nn.Conv2d(channels, to, 3, { padding = 1 })
    if norm then layers[#layers + 1] = nn.BatchNorm2d(to) end
    layers[#layers + 1] = nn.ReLU()
  end
  self.body = nn.Sequential(unpack(layers))
end

function DoubleConv:forward(x) return self.body(x) end

local UNet = nn.class("UNet")

function UNet:__init(widths, norm)
  local down, up, after = {}, {}, {}
  for i, width in ipairs(widths) do down[i] = DoubleConv(widths[i - 1] or 1, width, norm) end
  for i = 1, #widths - 1 do
    up[i] = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, { stride = 2 })
    after[i] = DoubleConv(2 * widths[i], widths[i], norm)
  end
  self.down, self.up, self.after = nn.ModuleList(down), nn.ModuleList(up), nn.ModuleList(after)
  self.pool, self.out, self.depth = nn.MaxPool2d(2), nn.Conv2d(widths[1], 1, 1), #widths
end

function UNet:forward(x)
  local skips = {}
  for i = 1, self.depth do
    x = self.down[i](i > 1 and self.pool(x) or x)
    skips[i] = x
  end
  for i = self.depth - 1, 1, -1 do x = self.after[i](lt.cat({ self.up[i](x), skips[i] }, 2)) end
  return self.out(x)
end

-- The best Dice of the last 40 of 200 pictures after 80, 90 and 100 steps on the others: as a pipeline keeps its best weights, since
-- at this rate a network with batch normalisation swings by a tenth from one evaluation to the next, with the last bits of its sums.
local function train(net, probability, target)
  local list = assert(data.phantom { family = "brain", count = 200, seed = 0, size = 64 })
  local set = data.ImageMask(list, { target = target })
  local first, last = {}, {}
  for i = 1, 200 do table.insert(i <= 160 and first or last, i) end
  local loader = data.DataLoader(data.Subset(set, first), { batch_size = 8, shuffle = true, seed = 0 })
  local opt = optim.Adam(net:parameters(), { lr = 1e-3 })
  local crit = probability and nn.BCELoss() or nn.BCEWithLogitsLoss()
  local function predict(x) return probability and lt.sigmoid(net(x)) or net(x) end
  local function judge()
    local sum, batches = 0, 0
    net:eval()
    lt.no_grad(function()
      for images, masks in data.DataLoader(data.Subset(set, last), { batch_size = 8 }) do
        sum, batches = sum + metrics.dice(predict(images), masks):item(), batches + 1
      end
    end)
    net:train()
    return sum / batches
  end
  local done, best = 0, 0
  repeat
    for images, masks in loader do
      opt:zero_grad()
      crit(predict(images), masks):backward()
      opt:step()
      done = done + 1
      if done >= 80 and done % 10 == 0 then best = math.max(best, judge()) end
      if done == 100 then break end
    end
  until done == 100
  return best
end

check.test("o1's network (batch normalisation) learns it", function()
  lt.manual_seed(0)
  local dice = train(UNet({ 64, 128, 256, 512, 1024 }, true), true, "half")
  check.truthy(dice >= 0.8, "dice " .. dice)
end)

check.test("GPT-4's network (none, logits cut at 0.5) is on its way", function()
  lt.manual_seed(0)
  local dice = train(UNet({ 64, 128, 256, 512 }, false), false, "fraction")
  check.truthy(dice >= 0.3 and dice < 0.8, "dice " .. dice)
end)

check.done()
