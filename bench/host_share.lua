-- What a training step costs besides its kernels: Lua, recording, planning, garbage, buffers. Prints the
-- least of each over the steps, which other programs disturb least.
--   lunette bench/host_share.lua NET SIZE BATCH STEPS
local core  = require "lunette.core"
local lt    = require "lunette"
local nn    = require "lunette.nn"
local optim = require "lunette.optim"
local c     = require "lunette.profile_c" -- as profile.start and stop, without the peaks

local id, size, batch, steps = arg[1] or "gpt4", tonumber(arg[2] or 64), tonumber(arg[3] or 2), tonumber(arg[4] or 30)
package.path = "scripts/" .. id .. "/?.lua;" .. package.path
local net = dofile("scripts/" .. id .. "/model.lua")()
local opt = optim.Adam(net:parameters(), { lr = 1e-3 })
local crit = nn.BCEWithLogitsLoss()
local images, masks = lt.rand(batch, 1, size, size), lt.rand(batch, 1, size, size):gt(0.9):float()
core.flush()

local least = {}
for i = 1, steps do
  local p = c.start()
  opt:zero_grad()
  local loss = crit(net(images), masks)
  loss:backward()
  opt:step()
  loss:item()
  p:stop()
  local activities = p:result().activities
  for name, seconds in pairs(activities) do
    if i > 3 then least[name] = math.min(least[name] or math.huge, seconds) end
  end
end

local host = 0
for _, name in ipairs { "script", "record", "plan", "collect", "bind" } do
  host = host + least[name]
  print(("%-8s %8.3f ms"):format(name, least[name] * 1e3))
end
print(("host     %8.3f ms, %.2f %% of a step whose kernels take %.1f ms"):format(host * 1e3, 100 * host / (host + least.step),
  least.step * 1e3))
