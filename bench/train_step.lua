-- One training step after another of a paper network on made-up data: prints the seconds of each
-- step, then the peak resident bytes. The twin of bench/train_step.py.
--   lunette bench/train_step.lua NET SIZE BATCH STEPS
local sys   = require "lunette.sys"
local core  = require "lunette.core"
local lt    = require "lunette"
local nn    = require "lunette.nn"
local optim = require "lunette.optim"

local id, size, batch, steps = arg[1], tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])
package.path = "scripts/" .. id .. "/?.lua;" .. package.path
local net = dofile("scripts/" .. id .. "/model.lua")()
local opt = optim.Adam(net:parameters(), { lr = 1e-3 })
local crit = nn.BCEWithLogitsLoss()
local images, masks = lt.rand(batch, 1, size, size), lt.rand(batch, 1, size, size):gt(0.9):float()
core.flush()
for _ = 1, steps do
  local start = sys.clock()
  opt:zero_grad()
  local loss = crit(net(images), masks)
  loss:backward()
  opt:step()
  loss:item()
  print(("step %.6f"):format(sys.clock() - start))
end
print(("peak %d"):format(sys.peak_rss()))
