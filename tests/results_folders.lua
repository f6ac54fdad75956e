-- results_folders: results folders as the study's pipelines leave them, made by hand, for the tests of scripts/compare.

local lt = require "lunette"
local nn = require "lunette.nn"
local save = require "lunette.save"
local sys = require "lunette.sys"
local scratch = dofile("tests/scratch.lua")

local folder = scratch.folder
local folders = { path = folder, remove = scratch.remove }

folders.holdout = { "glottis_0002", "glottis_0005", "glottis_0007" }
assert(save.write(folder .. "/holdout.txt", table.concat(folders.holdout, "\n") .. "\n"))

--- A tiny network at half resolution.
function folders.net(sigmoid, seed)
  lt.manual_seed(seed or 1)
  local layers = { nn.Conv2d(1, 2, 3, { padding = 1 }), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 1, 1) }
  if sigmoid then layers[#layers + 1] = nn.Sigmoid() end
  return nn.Sequential(unpack(layers))
end

local function journal(epochs, finished)
  local lines = {}
  for e = 1, epochs do
    lines[#lines + 1] = ('{"kind":"val_batch","epoch":%d,"batch":1,"dice":%g}'):format(e, e / 10)
    lines[#lines + 1] = ('{"kind":"epoch","epoch":%d,"train_loss":%g,"val_loss":%g,"val_dice":%g,"seconds":1.5}'):format(e, 1 / e,
      1.2 / e, e / 10)
  end
  if finished then
    lines[#lines + 1] = '{"kind":"test_batch","batch":1,"dice":0.25}\n{"kind":"test_batch","batch":2,"dice":0.75}'
    lines[#lines + 1] = '{"kind":"end","test_dice":0.5,"params":23,"seconds":4,"peak_rss_bytes":1000}'
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Writes a run and returns its folder; `changes` replaces fields of run.json, false leaves one out.
function folders.make(name, changes, seed)
  local path = folder .. "/" .. name
  assert(sys.mkdir(path))
  local about = {
    id = sys.basename(name), status = "finished", data = { count = 5, fingerprint = "00000000" }, device = "cpu", threads = 1,
    options = { phantom = "glottis:8", exclude = folder .. "/holdout.txt", epochs = 3, batch = 2, size = 32, lr = 1e-3 },
    input = { size = 32, resize = "bilinear" }, loss = "BCEWithLogitsLoss", optimizer = "Adam",
    dice = "hard, per <batch> & smooth 1", model = "model.safetensors",
  }
  for key, value in pairs(changes or {}) do about[key] = value or nil end
  assert(save.write(path .. "/run.json", save.json(about)))
  assert(save.write(path .. "/metrics.jsonl", journal(3, about.status == "finished")))
  assert(lt.save(path .. "/model.safetensors", folders.net(about.id ~= "gpt4", seed), { input = { 2, 1, 32, 32 } }))
  return path
end

--- Runs the comparison; returns status, standard output, standard error.
function folders.compare(...)
  local words = { "scripts/compare/main.lua", ... }
  words[#words + 1] = "--threads"
  words[#words + 1] = "1"
  return scratch.lunette(words, { env = { LUNETTE_CHECK_LEAKS = "0" } })
end

return folders
