-- GPT-4's network beside PyTorch, at 256x256 batch 2 and 64x64 batch 8: see tests/parity.lua.
local check  = dofile("tests/check.lua")
local parity = dofile("tests/parity.lua")
local nn     = require "lunette.nn"

local function model(id)
  package.path = "scripts/" .. id .. "/?.lua;" .. package.path
  return dofile("scripts/" .. id .. "/model.lua")
end

local reference = dofile("tests/reference/parity_gpt4.lua")
for _, case in ipairs { "64x8", "256x2" } do
  check.test("gpt4 " .. case .. " equals PyTorch", function()
    local worst = {}
    parity.run({ kind = "gpt4", case = case, reference = reference[case], net = model("gpt4")(), loss = nn.BCEWithLogitsLoss(), lr = 1e-3 },
      function(what, measured, bound)
        local group = what:match "^%a+"
        if not worst[group] or measured / bound > worst[group].share then worst[group] = { what = what, measured = measured, bound = bound, share = measured / bound } end
        if not (measured <= bound) then error(("%s: relative difference %.3g, bound %.3g"):format(what, measured, bound)) end
      end)
    for _, group in ipairs { "output", "gradient", "loss" } do
      local w = worst[group]
      print(("  %s %s: worst %s, relative difference %.2e, bound %.1e"):format(case, group, w.what, w.measured, w.bound))
    end
  end)
end
check.done()
