-- The study's eight networks, planned as their pipelines train them but not run: what `lunette tune` times.

local c = require "lunette.tune_c"
local lt = require "lunette"
local save = require "lunette.save"
local sys = require "lunette.sys"

local networks = {}
local ids = { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" }

--- The folder of pipelines: ./scripts, or that beside the build folder which holds the program; nil without one.
function networks.folder()
  local program = sys.executable()
  for _, folder in ipairs { "scripts", sys.dirname(sys.dirname(program)) .. "/scripts" } do
    if sys.exists(folder .. "/" .. ids[1] .. "/main.lua") == "file" then return folder end
  end
end

-- The pipeline's own size and batch, from what it gives to run.start.
local function shape_of(folder)
  local text = assert(save.read(folder .. "/main.lua"))
  local given = assert(text:match("run%.start%s*(%b{})"), folder .. "/main.lua has no run.start")
  return { tonumber(given:match("batch%s*=%s*(%d+)")), 1, tonumber(given:match("size%s*=%s*(%d+)")),
    tonumber(given:match("size%s*=%s*(%d+)")) }
end

local function plan_step(folder)
  local net, steps = dofile(folder .. "/model.lua")(), dofile(folder .. "/train.lua")
  c.rehearse() -- the weights may stay zeros
  local shape = shape_of(folder)
  local loss = steps.train(net, lt.zeros(shape), lt.zeros(shape))
  loss:backward()
  c.rehearse()
end

--- Plans a training step of each at its paper's size and batch: tune_c.planned() has the keys then.
function networks.plan(folder)
  for _, id in ipairs(ids) do
    plan_step(folder .. "/" .. id)
    collectgarbage()
  end
  return #ids
end

return networks
