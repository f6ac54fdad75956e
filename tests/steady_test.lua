-- A training step that is like the one before takes no memory from the system: no allocation of the size of
-- data, next to no page faults. GPT-4's network at 64x64, after three steps.
local check = dofile("tests/check.lua")
require("lunette.sys").configure { threads = 1 } -- the counts are the same with more
local core = require "lunette.core"
local lt = require "lunette"
local nn = require "lunette.nn"
local optim = require "lunette.optim"
package.path = "scripts/gpt4/?.lua;" .. package.path

local net = require("model")()
local opt = optim.Adam(net:parameters(), { lr = 1e-3 })
local crit = nn.BCEWithLogitsLoss()
local images, masks = lt.rand(2, 1, 64, 64), lt.rand(2, 1, 64, 64):gt(0.9):float()

local function step()
  opt:zero_grad()
  local loss = crit(net(images), masks)
  loss:backward()
  opt:step()
  return loss:item()
end

-- What n steps add to the counters, for each.
local function growth(n)
  local before = core.stats()
  for _ = 1, n do step() end
  local after, each = core.stats(), {}
  for name, value in pairs(after) do each[name] = (value - before[name]) / n end
  return each
end

for _ = 1, 3 do step() end

check.test("the counters count", function()
  local before = core.stats()
  local big = lt.ones(512, 1024)
  big:ptr()
  local after = core.stats()
  check.truthy(after.large_allocations > before.large_allocations)
  check.truthy(after.allocations > before.allocations)
  check.truthy(after.page_faults >= before.page_faults)
  big:free()
end)

step()
local each = growth(5)

check.test("no allocation of 64 KB or more", function() check.equal(each.large_allocations, 0) end)

check.test("no new plan", function() check.equal(each.plans, 0) end)

-- A feature map of 64 channels is 512 pages in this step, and there are dozens: these are single pages of
-- Lua's heap and of stacks.
check.test("next to no page faults", function()
  if os.getenv("ASAN_OPTIONS") then check.skip("AddressSanitizer keeps freed memory apart") end
  check.truthy(each.page_faults <= 16, ("%g a step"):format(each.page_faults))
end)

check.test("small ones are few: recorded operations are used again", function()
  check.truthy(each.allocations < 150, ("%g a step"):format(each.allocations))
end)

check.test("other values meanwhile do not grow the memory", function()
  local live = core.mem().live
  growth(3)
  collectgarbage()
  check.truthy(core.mem().live <= live + 65536, "live " .. core.mem().live - live)
end)

check.done()
