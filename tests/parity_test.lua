-- The paper's eight networks and what their pipelines make of an output beside PyTorch: see tests/parity.lua.
local check  = dofile("tests/check.lua")
local parity = dofile("tests/parity.lua")

local pipelines = {
  { "gpt4", lr = 1e-3, cases = { "64x8", "256x2" }, logits = true }, { "gpt4o", lr = 1e-4, cases = { "64x2" } },
  { "gpt_o1", lr = 1e-4, cases = { "64x2" } }, { "claude35", lr = 1e-3, cases = { "64x2" } },
  { "copilot", lr = 1e-4, cases = { "64x4" } }, { "bing", lr = 1e-4, cases = { "64x4" } },
  { "llama31", lr = 1e-3, cases = { "64x4" } }, { "gemini15", lr = 1e-4, cases = { "64x2" } },
}

for _, pipeline in ipairs(pipelines) do
  local id = pipeline[1]
  local reference = dofile("tests/reference/parity_" .. id .. ".lua")
  local steps = dofile("scripts/" .. id .. "/train.lua")
  for _, case in ipairs(pipeline.cases) do
    check.test(id .. " " .. case .. " equals PyTorch", function()
      local worst = {}
      local options = { kind = id, case = case, reference = reference[case], steps = steps, lr = pipeline.lr,
        net = dofile("scripts/" .. id .. "/model.lua")(), logits = pipeline.logits }
      parity.run(options, function(what, measured, bound)
        local group = what:match "^%a+"
        if not worst[group] or measured / bound > worst[group].share then
          worst[group] = { what = what, measured = measured, bound = bound, share = measured / bound }
        end
        if not (measured <= bound) then error(("%s: relative difference %.3g, bound %.3g"):format(what, measured, bound)) end
      end)
      for _, group in ipairs { "output", "gradient", "loss" } do
        local w = worst[group]
        print(("  %s %s %s: worst %s, relative difference %.2e, bound %.1e"):format(id, case, group, w.what, w.measured, w.bound))
      end
    end)
    check.test(id .. " " .. case .. " losses and Dice of given predictions equal PyTorch", function()
      parity.scores({ kind = id, case = case, reference = reference[case], steps = steps, logits = pipeline.logits },
        function(what, measured, bound)
          if not (measured <= bound) then error(("%s: relative difference %.3g, bound %.3g"):format(what, measured, bound)) end
        end)
    end)
  end
end
check.done()
