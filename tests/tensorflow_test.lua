-- The study's TensorFlow answers from start to end, each with a narrow network in its own main.lua:
-- what they say of themselves, the layouts of their sheets, their model files.
local check = dofile("tests/check.lua")
local xlsx = dofile("tests/xlsx.lua")
local data = require "lunette.data"
local features = require "lunette.features"
local lt = require "lunette"
local progress = require "lunette.progress"
local save = require "lunette.save"
local sys = require "lunette.sys"

progress.quiet = true

local scratch = dofile("tests/scratch.lua")
local folder = scratch.folder

local COUNT, SIZE, EPOCHS = 20, 32, 2

-- Runs a script's main.lua in this process with its network 4 channels wide; returns what it printed.
local function run_main(id, batch)
  local home = "scripts/tensorflow/" .. id
  for _, name in ipairs { "dataset", "model", "train" } do
    package.loaded[name] = nil
    package.preload[name] = function()
      local result = dofile(("%s/%s.lua"):format(home, name))
      return name == "model" and function() return result(4) end or result
    end
  end
  local lines, printed = {}, print
  rawset(_G, "arg", { [0] = home .. "/main.lua", "--phantom", "brain:" .. COUNT, "--size", tostring(SIZE), "--batch", tostring(batch),
    "--epochs", tostring(EPOCHS), "--threads", "1", "--log-steps", "--out", folder .. "/" .. id })
  rawset(_G, "print", function(text) lines[#lines + 1] = tostring(text) end)
  local ok, problem = pcall(dofile, home .. "/main.lua")
  rawset(_G, "print", printed)
  if not ok then error(problem, 0) end
  return table.concat(lines, "\n") .. "\n"
end

local function read(id, name) return assert(save.read(("%s/%s/%s"):format(folder, id, name))) end

-- What the run wrote to metrics.jsonl: losses by epoch and by step, validation Dice by epoch and batch, test Dice.
local function journal(id)
  local found = { train = {}, val = {}, dice = {}, test = {}, steps = {} }
  for line in read(id, "metrics.jsonl"):gmatch("[^\n]+") do
    local entry = assert(save.parse_json(line))
    if entry.kind == "epoch" then
      found.train[entry.epoch], found.val[entry.epoch] = entry.train_loss, entry.val_loss
    elseif entry.kind == "val_batch" then
      found.dice[entry.epoch] = found.dice[entry.epoch] or {}
      found.dice[entry.epoch][entry.batch] = entry.dice
    elseif entry.kind == "step" then
      found.steps[entry.epoch] = found.steps[entry.epoch] or {}
      found.steps[entry.epoch][entry.step] = entry.loss
    elseif entry.kind == "test_batch" then
      found.test[entry.batch] = entry.dice
    end
  end
  return found
end

-- The layouts, as rows of a sheet.
local function integers(n)
  local list = {}
  for i = 1, n do list[i] = i - 1 end
  return list
end
local function column(list)
  local rows = { { 0 } }
  for i, x in ipairs(list) do rows[i + 1] = { x } end
  return rows
end
local function epoch_table(list, name)
  local rows = { { "Epoch", name } }
  for i, x in ipairs(list) do rows[i + 1] = { i, x } end
  return rows
end
local function numbered(lists) return { integers(#lists[1]), unpack(lists) } end

-- An epoch's loss from those of its steps, of `count` images in batches of `size`.
local function by_batches(steps)
  local total = 0
  for _, loss in ipairs(steps) do total = total + loss end
  return total / #steps
end
local function by_samples(steps, count, size)
  local total = 0
  for i, loss in ipairs(steps) do total = total + loss * math.min(size, count - (i - 1) * size) end
  return total / count
end
local means = {
  gpt4 = by_samples, gpt_o1 = by_samples,
  bing = function(steps, count) return by_batches(steps) * #steps / count end,
}

-- id -> batch size, sizes of training, validation and test, the sheets, the weights files, defaults and resize
local answers = {
  gpt4 = { 4, { 20, 20 }, function(j) return {
    ["train_losses.xlsx"] = column(j.train), ["val_losses.xlsx"] = column(j.val),
  } end, { "unet_model" }, epochs = 50, batch = 32, lr = 1e-3, resize = "bilinear-no-antialias" },
  gpt4o = { 2, { 16, 2, 2 }, function(j) return {
    ["train_losses.xlsx"] = { { "Epoch 1", "Epoch 2" }, j.train }, ["val_losses.xlsx"] = { { "Epoch 1", "Epoch 2" }, j.val },
    ["validation_dice_scores.xlsx"] = numbered(j.dice),
  } end, { "model_full", "model_weights" }, epochs = 50, batch = 16, lr = 1e-3, resize = "nearest" },
  gpt_o1 = { 4, { 14, 2, 4 }, function(j) return {
    ["train_losses.xlsx"] = epoch_table(j.train, "Train Loss"), ["val_losses.xlsx"] = epoch_table(j.val, "Val Loss"),
    ["validation_dice_scores.xlsx"] = numbered(j.dice), ["test_dice_scores.xlsx"] = numbered { j.test },
  } end, { "unet_model", "unet_weights" }, epochs = 10, batch = 16, lr = 1e-3, resize = "bilinear-no-antialias" },
  claude35 = { 4, { 16, 2, 2 }, function(j) return {
    ["train_losses.xlsx"] = { { 1, 2 }, j.train }, ["val_losses.xlsx"] = { { 1, 2 }, j.val },
    ["validation_dice_scores.xlsx"] = numbered(j.dice), ["test_dice_scores.xlsx"] = column(j.test),
  } end, { "model" }, epochs = 50, batch = 16, lr = 1e-4, resize = "bilinear" },
  copilot = { 4, { 14, 2, 4 }, function(j) return {
    ["train_losses.xlsx"] = column(j.train), ["val_losses.xlsx"] = column(j.val),
    ["validation_dice_scores.xlsx"] = numbered(j.dice),
  } end, { "unet_model", "unet_model_weights" }, epochs = 50, batch = 16, lr = 1e-4, size = 128, resize = "nearest" },
  bing = { 4, { 14, 2, 4 }, function(j) return {
    ["train_losses.xlsx"] = epoch_table(j.train, "Loss"), ["val_losses.xlsx"] = epoch_table(j.val, "Loss"),
    ["validation_dice_scores.xlsx"] = numbered(j.dice),
  } end, { "unet_model" }, epochs = 20, batch = 8, lr = 1e-4, resize = "bilinear-no-antialias" },
  llama31 = { 4, { 16, 2, 2 }, function(j) return {
    ["train_losses.xlsx"] = { { "Train Loss", "Val Loss" }, { j.train[1], j.val[1] }, { j.train[2], j.val[2] } },
    ["val_dice_scores.xlsx"] = column { j.dice[1][1], j.dice[2][1] },
  } end, { "model" }, epochs = 50, batch = 32, lr = 1e-4, resize = "nearest" },
  gemini15 = { 4, { 16, 2, 2 }, function(j) return {
    ["train_losses.xlsx"] = epoch_table(j.train, "Loss"), ["val_losses.xlsx"] = epoch_table(j.val, "Loss"),
    ["validation_dice_scores.xlsx"] = numbered(j.dice), ["test_dice_scores.xlsx"] = numbered { j.test },
  } end, { "unet_model" }, epochs = 25, batch = 16, lr = 1e-4, resize = "bilinear" },
}

-- The files of a folder but for those that every run has.
local shared = { ["run.json"] = true, ["metrics.jsonl"] = true, ["losses.png"] = true, ["predictions.png"] = true }
local function own_files(id)
  local list = {}
  for _, name in ipairs(assert(sys.list(folder .. "/" .. id))) do
    if not shared[name] and sys.exists(("%s/%s/%s"):format(folder, id, name)) == "file" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

for id, answer in pairs(answers) do
  local batch, sizes, sheets_of, models = unpack(answer)

  check.test(id .. ": runs, says what it is, writes its sheets", function()
    local out = run_main(id, batch)
    local sums = {}
    for n in out:match("(Training size:[^\n]*)"):gmatch(": (%d+)") do sums[#sums + 1] = tonumber(n) end
    check.equal(sums, sizes, "sizes of the splits")
    local j = journal(id)
    check.equal({ #j.train, #j.val }, { EPOCHS, EPOCHS })
    check.equal(#j.test, sizes[3] and math.ceil(sizes[3] / batch) or 0, "test batches")
    for epoch, steps in ipairs(j.steps) do
      check.equal(#steps, math.ceil(sizes[1] / batch), "steps of epoch " .. epoch)
      check.near(j.train[epoch], (means[id] or by_batches)(steps, sizes[1], batch), 1e-9, "loss of epoch " .. epoch)
    end
    local sheets, expected = sheets_of(j), {}
    for name, rows in pairs(sheets) do
      expected[#expected + 1] = name
      local got = xlsx.rows(read(id, name))
      check.equal(#got, #rows, name)
      for r, row in ipairs(rows) do
        check.equal(#got[r], #row, name .. " row " .. r)
        for c, value in ipairs(row) do
          local what = ("%s row %d column %d"):format(name, r, c)
          if type(value) == "number" then check.near(got[r][c], value, 1e-12, what) else check.equal(got[r][c], value, what) end
        end
      end
    end
    for _, name in ipairs(models) do expected[#expected + 1] = name .. ".safetensors" end
    table.sort(expected)
    check.equal(own_files(id), expected)
  end)

  check.test(id .. ": its model file runs by itself and shows its features", function()
    local about = assert(save.parse_json(read(id, "run.json")))
    check.equal({ about.id, about.status, about.model, about.input.resize },
      { "tensorflow/" .. id, "finished", models[1] .. ".safetensors", answer.resize })
    for _, name in ipairs { "loss", "optimizer", "dice" } do check.truthy(#about[name] > 0, name) end
    local model = assert(lt.load(("%s/%s/%s"):format(folder, id, about.model)))
    local y = lt.no_grad(function() return model(lt.rand(1, 1, SIZE, SIZE)) end)
    local half = id == "gpt4o" and 2 or 1
    check.equal(y.shape, { 1, 1, SIZE / half, SIZE / half })
    local found = features.of(model)
    check.equal(found.ends_in, "sigmoid")
  end)
end

check.test("copilot: batches are made once, the last one short", function()
  local sets = dofile("scripts/tensorflow/copilot/dataset.lua")
  local numbers = { count = function() return 5 end, get = function(_, i) return lt.full({ 1, 2, 2 }, i), lt.full({ 1, 2, 2 }, -i) end }
  local batches = sets.batched(numbers, 2)
  check.equal(batches:count(), 3)
  local images, masks = batches:get(2)
  check.equal({ images.shape, masks.shape }, { { 2, 1, 2, 2 }, { 2, 1, 2, 2 } })
  check.equal({ images[1][1][1][1]:item(), images[2][1][1][1]:item(), masks[2][1][1][1]:item() }, { 3, 4, -4 })
  check.equal(batches:get(3).shape, { 1, 1, 2, 2 })
  local seen, loader = {}, data.DataLoader(batches, { batch_size = 1, shuffle = true, seed = 1 })
  for batch in loader do
    check.equal(batch:size(1), 1)
    seen[#seen + 1] = batch[1][1][1][1][1]:item()
  end
  table.sort(seen)
  check.equal(seen, { 1, 3, 5 })
end)

check.test("the comparison takes what TensorFlow resizes as TensorFlow does", function()
  local path = package.path
  package.path = "scripts/compare/?.lua;" .. path
  local score = require "score"
  package.path = path
  local run = { name = "gpt4", folder = folder .. "/gpt4", model = "unet_model.safetensors", problems = {},
    input = { size = SIZE, resize = "bilinear-no-antialias" } }
  local group = { runs = { run }, notes = {}, pairs = data.phantom { family = "brain", count = 3 } }
  score.group(group, {})
  check.equal({ #run.problems, #run.scores }, { 0, 3 })
  run.input.resize, run.scores = "cubic", nil
  score.group(group, {})
  check.equal(run.scores, nil)
  check.truthy(run.problems[1]:find("resized by 'cubic'", 1, true), run.problems[1])
end)

-- The defaults and --summary through the host; the networks of full width are counted in keras_test.lua.
check.test("defaults, and the parameters at full width", function()
  for id, answer in pairs(answers) do
    local main = ("scripts/tensorflow/%s/main.lua"):format(id)
    local words = id == "gemini15" and { "--summary" } or { "--help" }
    local result = assert(sys.run({ sys.executable(), main, unpack(words) },
      { stdout = folder .. "/stdout", stderr = folder .. "/stderr", env = { LUNETTE_CHECK_LEAKS = "0" } }))
    local out = assert(save.read(folder .. "/stdout"))
    check.equal(result.status, 0, save.read(folder .. "/stderr"))
    if id == "gemini15" then
      check.equal(out:match("([^\n]*)\n$"), "Trainable params: 7,696,193")
    else
      local function default(name) return out:match("%-%-" .. name .. " .-%(default ([^)]*)%)") end
      check.equal({ default("epochs"), default("batch"), default("lr"), default("size"), default("out") },
        { tostring(answer.epochs), tostring(answer.batch), tostring(answer.lr), tostring(answer.size or 256),
          "runs/tensorflow/" .. id }, id)
    end
  end
end)

scratch.remove()
check.done()
