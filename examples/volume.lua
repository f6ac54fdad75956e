-- Nothing here is flat by nature: the same layers in three dimensions find a ball in a noisy volume.
--   build/lunette examples/volume.lua
local lt    = require "lunette"
local nn    = require "lunette.nn"
local optim = require "lunette.optim"

local N = 16 -- voxels a side

-- A ball at a random place, brighter than its surroundings, under noise; and its mask.
local function volume()
  local axis = lt.arange(0, N):float()
  local function centre() return math.random(4, N - 5) end
  local z = ((axis - centre()) ^ 2):view(N, 1, 1)
  local y = ((axis - centre()) ^ 2):view(1, N, 1)
  local x = ((axis - centre()) ^ 2):view(1, 1, N)
  local mask = (z + y + x):le(9):float()
  return (mask * 0.7 + lt.randn(N, N, N) * 0.3):view(1, 1, N, N, N), mask:view(1, 1, N, N, N)
end

lt.manual_seed(0)
math.randomseed(1)
local net = nn.Sequential(
  nn.Conv3d(1, 8, 3, { padding = 1 }), nn.BatchNorm3d(8), nn.ReLU(),
  nn.Conv3d(8, 8, 3, { padding = 1 }), nn.BatchNorm3d(8), nn.ReLU(),
  nn.Conv3d(8, 1, 1))
local optimizer, criterion = optim.Adam(net:parameters(), { lr = 1e-2 }), nn.BCEWithLogitsLoss()

for step = 1, 60 do
  local image, mask = volume()
  optimizer:zero_grad()
  local out = net(image)
  local loss = criterion(out, mask)
  loss:backward()
  optimizer:step()
  if step % 20 == 0 then
    local found = out:gt(0):float()
    print(("step %d: loss %.4f, Dice %.3f"):format(step, loss:item(),
      (2 * (found * mask):sum() / (found:sum() + mask:sum())):item()))
  end
end
