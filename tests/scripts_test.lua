-- The paper's eight pipelines: their networks' names and sizes, what their Dice does at the edges,
-- and each from start to end on a few small drawn images. Values beside PyTorch: parity_test.lua.
local check = dofile("tests/check.lua")
local bit = require "bit"
local lt = require "lunette"
local save = require "lunette.save"
local sys = require "lunette.sys"
local groups = require "lunette.run.groups"

-- names: a checksum over "name shape\n" of the state_dict of the paper's own class, in its order.
local pipelines = {
  { "gpt4", params = 7696193, entries = 36, names = 0xa7a79994, out = 256, batch = 16, size = 256 },
  { "gpt4o", params = 31042369, entries = 136, names = 0x92dcdddb, out = 128, batch = 8, size = 256 },
  { "gpt_o1", params = 31042369, entries = 136, names = 0xfd61fc4b, out = 256, batch = 16, size = 256 },
  { "claude35", params = 31042369, entries = 136, names = 0x62270ead, out = 256, batch = 16, size = 256 },
  { "copilot", params = 6153297, entries = 114, names = 0x4787d919, out = 128, batch = 16, size = 128 },
  { "bing", params = 6147659, entries = 32, names = 0xb5809a85, out = 256, batch = 16, size = 256 },
  { "llama31", params = 533953, entries = 12, names = 0x68d25681, out = 240, batch = 32, size = 256 },
  { "gemini15", params = 31042369, entries = 136, names = 0xd7532869, out = 128, batch = 8, size = 256 },
}

local scratch = dofile("tests/scratch.lua")
local folder = scratch.folder

-- FNV-1a, as bit operations see 32 bits: the multiplication by the prime 16777619 is done by shifts.
local function checksum(text)
  local h = bit.tobit(0x811c9dc5)
  for i = 1, #text do
    h = bit.bxor(h, text:byte(i))
    h = bit.tobit(h + bit.lshift(h, 1) + bit.lshift(h, 4) + bit.lshift(h, 7) + bit.lshift(h, 8) + bit.lshift(h, 24))
  end
  return h % 2 ^ 32
end

for _, p in ipairs(pipelines) do
  local id = p[1]

  check.test(id .. ": parameters, and the paper's names in its order", function()
    local model = dofile("scripts/" .. id .. "/model.lua")()
    local count = 0
    for _, cell in ipairs(model:parameters()) do count = count + cell:numel() end
    check.equal(count, p.params)
    local state, lines = model:state_dict(), {}
    for i, name in ipairs(require "lunette.nn.state" (state)) do
      local shape = table.concat(state[name].shape, "x")
      lines[i] = name .. " " .. (shape == "" and "scalar" or shape) .. "\n"
    end
    check.equal(#lines, p.entries)
    check.equal(checksum(table.concat(lines)), p.names)
    -- shapes are known without anything being computed
    check.equal(table.concat(model(lt.zeros(1, 1, p.size, p.size)).shape, "x"), ("1x1x%dx%d"):format(p.out, p.out))
  end)
end

-- What a pipeline's Dice is for given predictions and masks of the same size.
local function dice_of(id, prediction, masks)
  local value = dofile("scripts/" .. id .. "/train.lua").test(function() return prediction end, masks, masks)
  return type(value) == "number" and value or value:item()
end

check.test("the pipelines' Dice at the edges", function()
  local none, half = lt.zeros(2, 1, 8, 8), lt.full({ 2, 1, 8, 8 }, 0.5)
  local some = lt.zeros(2, 1, 8, 8)
  some[{ {}, {}, { 1, 2 }, {} }] = 1
  -- nothing there and nothing found: 1 by the smoothing term, and by a rule of its own in LLaMA's, which crashed here
  for _, id in ipairs { "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" } do
    check.equal(dice_of(id, none, none), 1, id)
  end
  check.equal(dice_of("llama31", some, none), 0)
  -- GPT-4's threshold lies on the logit: a probability of 0.62 (logit 0.49) is not foreground
  check.near(dice_of("gpt4", some * 0.49, some), 0, 1e-6)
  check.near(dice_of("gpt4", some * 0.51, some), 1, 1e-6)
  check.near(dice_of("gpt_o1", some * 0.51, some), 1, 1e-6)
  -- Claude's is soft: the same prediction has a hard Dice of 1
  check.near(dice_of("claude35", some * 0.75, some), 2 * 0.75 / 1.75, 1e-5)
  -- Bing's net ends at 0.5 everywhere: F foreground pixels of N give (F + 1) / (N/2 + F + 1)
  check.near(dice_of("bing", half, some), (32 + 1) / (64 + 32 + 1), 1e-6)
end)

check.test("LLaMA shrinks its masks, evenly and to the nearest pixel", function()
  local steps = dofile("scripts/llama31/train.lua")
  local masks = lt.arange(16):reshape(1, 1, 1, 16):expand(1, 1, 16, 16)
  local small = steps.shrink(masks, lt.zeros(1, 1, 15, 15))
  for i = 1, 15 do check.equal(small[1][1][1][i]:item(), math.floor((i - 1) * 16 / 15)) end
end)

check.test("a random split of groups keeps each group whole", function()
  local value_of = {}
  for i = 1, 60 do value_of[i] = "video " .. i % 10 end
  local sides = { groups.random_split(value_of, 60, { lengths = { 48, 6, 6 }, seed = 3 }) }
  check.equal({ #sides[1], #sides[2], #sides[3] }, { 48, 6, 6 })
  local side_of = {}
  for side, list in ipairs(sides) do
    for _, i in ipairs(list) do
      check.equal(side_of[value_of[i]] or side, side)
      side_of[value_of[i]] = side
    end
  end
end)

-- -- from start to end

local function files(folder_name)
  local seen = {}
  for _, name in ipairs(assert(sys.list(folder_name))) do seen[name] = true end
  return seen
end

local function lunette(id, ...)
  local result = assert(sys.run({ sys.executable(), "scripts/" .. id .. "/main.lua", "--out", folder .. "/" .. id, "--phantom", "brain:20",
    "--size", "32", "--batch", "4", "--epochs", "1", ... }, { stdout = folder .. "/stdout", stderr = folder .. "/stderr" }))
  return result.status, save.read(folder .. "/stdout"), save.read(folder .. "/stderr")
end

-- What the pipeline leaves: state, whole model.
local left = {
  gpt4 = { "model_state", "model" }, gpt4o = { "unet_model_state_dict", "unet_model" },
  gpt_o1 = { "unet_model_state_dict", "unet_model" }, claude35 = { "best_model", "best_model_full" },
  copilot = { "unet_model", "unet_model_full" }, bing = { "unet_model", "unet_model_full" },
  llama31 = { "unet_model_state_dict", "unet_model" }, gemini15 = { "unet_model_weights", "unet_model" },
}

for _, p in ipairs(pipelines) do
  local id = p[1]
  check.test(id .. ": from drawn images to results", function()
    local status, out, err = lunette(id)
    check.equal(status, 0, err)
    check.truthy(out:match("test dice %d%.%d%d%d%d  params " .. p.params .. "  time %d+%.%d s\n$"), out:sub(-200))
    local seen = files(folder .. "/" .. id)
    for _, name in ipairs { "train_losses.xlsx", "val_losses.xlsx", "validation_dice_scores.xlsx", "test_dice_scores.xlsx", "run.json",
      "metrics.jsonl", left[id][1] .. ".safetensors", left[id][2] .. ".safetensors" } do
      check.truthy(seen[name], name .. " is missing")
    end
    check.truthy(not seen["checkpoint.safetensors"], "the checkpoint is still there")
    local about = assert(save.parse_json(save.read(folder .. "/" .. id .. "/run.json")))
    check.equal({ about.status, about.model, about.input.size, about.input.resize }, { "finished", left[id][2] .. ".safetensors", 32, "bilinear" })
    check.truthy(about.dice and about.loss and about.optimizer, "run.json says how it scores and learns")
    -- the whole-model file runs without the script and gives what the state gives
    local whole = assert(lt.load(folder .. "/" .. id .. "/" .. about.model))
    local model = dofile("scripts/" .. id .. "/model.lua")()
    model:load_state_dict(assert(lt.load(folder .. "/" .. id .. "/" .. left[id][1] .. ".safetensors")))
    local x = lt.rand(1, 1, 32, 32)
    check.equal((whole(x) - model:eval()(x)):abs():amax():item(), 0)
  end)
end

check.test("the options that are left out are the pipeline's own", function()
  for _, p in ipairs(pipelines) do
    local result = assert(sys.run({ sys.executable(), "scripts/" .. p[1] .. "/main.lua", "--help" }, { stdout = folder .. "/stdout" }))
    check.equal(result.status, 0)
    local text = save.read(folder .. "/stdout")
    check.equal({ tonumber(text:match("batch size %(default (%d+)%)")), tonumber(text:match("resized to N x N %(default (%d+)%)")) },
      { p.batch, p.size }, p[1])
  end
end)

check.test("o1 copies its splits, and a second run begins with empty folders", function()
  local images = folder .. "/gpt_o1/train/images"
  local before = #sys.list(images)
  assert(save.write(images .. "/left_over.png", "from an earlier run"))
  local status, _, err = lunette("gpt_o1")
  check.equal(status, 0, err)
  check.equal(#sys.list(images), before)
  local seen = files(folder .. "/gpt_o1")
  check.truthy(seen.train and seen.val and seen.test and seen["test_predictions.png"])
end)

check.test("folders of somebody else's files are not emptied", function()
  local out = folder .. "/theirs"
  assert(sys.mkdir(out .. "/train/images"))
  assert(save.write(out .. "/train/images/mine.png", "precious"))
  local status, _, err = lunette("gpt_o1", "--out", out)
  check.equal(status, 1)
  check.truthy(err:find("holds files that no run has put there", 1, true), err)
  check.equal(save.read(out .. "/train/images/mine.png"), "precious")
end)

scratch.remove()
check.done()
