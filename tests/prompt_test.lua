-- scripts/PROMPT.txt, which teaches Lunette to a language model, stays true: every name in it exists, and
-- its example runs and can be compared.
local check = dofile("tests/check.lua")
local core = require "lunette.core"
local save = require "lunette.save"
local sys = require "lunette.sys"
local nn = require "lunette.nn"
local data = require "lunette.data"
local run = require "lunette.run"

local text = assert(save.read("scripts/PROMPT.txt"))
local modules = {
  lt = require "lunette", nn = nn, F = require "lunette.nn.functional", optim = require "lunette.optim", data = data, run = run,
}

check.test("the prompt fits into its 12,000 characters", function()
  assert(#text < 12000, #text .. " characters")
end)

check.test("every function of a module that the prompt names exists", function()
  local seen = 0
  for module, name in text:gmatch("%f[%w_](%a+)%.([%a_][%w_.]*)") do
    if modules[module] and not (module == "data" and name == "lua") then
      local value = modules[module]
      for part in name:gmatch("[^.]+") do
        assert(type(value) == "table" and value[part] ~= nil, module .. "." .. name .. " does not exist")
        value = value[part]
      end
      seen = seen + 1
    end
  end
  assert(seen > 50, "found only " .. seen)
end)

-- What the word before the colon stands for in the prompt.
local paper = run.class
local model = nn.ReLU()
local dataset = data.ImageMask(data.phantom { count = 1 }, { size = 8 })
local owners = { paper = paper, model = model, dataset = dataset, net = model }

check.test("every method that the prompt names exists", function()
  local seen = 0
  for owner, name in text:gmatch("%f[%w_]([%a_]+):([%a_]+)") do
    local object = owners[owner]
    if object then
      assert(object[name], owner .. ":" .. name .. " does not exist")
    elseif owner ~= "http" and owner ~= "https" and not owner:match("^[A-Z]") and owner ~= "epoch" then
      assert(core.methods[name], ("%s:%s is no method of a tensor"):format(owner, name))
    end
    seen = seen + 1
  end
  assert(seen > 50, "found only " .. seen)
  for _, field in ipairs { "options", "train_losses", "val_losses", "val_dice" } do
    assert(text:find("paper." .. field, 1, true), field .. " is not in the prompt any more")
  end
end)

check.test("the example runs as it stands, and what it leaves can be compared", function()
  local folder = os.tmpname()
  os.remove(folder)
  assert(sys.mkdir(folder))
  local at = assert(text:find("\n-- dataset.lua\n", 1, true))
  local part = text:sub(at + 1) .. "\n-- end.lua\n"
  local files = {}
  local name
  for line in part:gmatch("([^\n]*)\n") do
    name = line:match("^%-%- (%a+%.lua)$") or name
    files[name] = (files[name] or "") .. line .. "\n"
  end
  for _, wanted in ipairs { "dataset.lua", "model.lua", "train.lua", "main.lua" } do
    assert(save.write(folder .. "/" .. wanted, assert(files[wanted], wanted .. " is not in the prompt")))
  end
  local out = folder .. "/out"
  local result = assert(sys.run({ sys.executable(), folder .. "/main.lua", "--phantom", "brain:20", "--size", "32", "--epochs", "2",
    "--threads", "1", "--out", out }, { stdout = folder .. "/stdout", stderr = folder .. "/stderr" }))
  assert(result.status == 0, save.read(folder .. "/stderr"))
  local about = assert(save.parse_json(assert(save.read(out .. "/run.json"))))
  assert(about.status == "finished" and about.model == "model.safetensors" and about.dice)
  for _, file in ipairs { "train_losses.xlsx", "val_losses.xlsx", "validation_dice_scores.xlsx", "test_dice_scores.xlsx", "state.safetensors",
    "model.safetensors", "metrics.jsonl" } do
    assert(save.exists(out .. "/" .. file), file .. " is missing")
  end
  assert(sys.run { "rm", "-r", folder })
end)

check.done()
