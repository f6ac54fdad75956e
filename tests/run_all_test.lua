-- scripts/run_all.lua with small pipelines of its own: what fails is recorded and the others go on,
-- what was stopped goes on, what is finished is skipped, and the comparison says who is missing.
local check = dofile("tests/check.lua")
local save = require "lunette.save"
local sys = require "lunette.sys"

local scratch = dofile("tests/scratch.lua")
local folder = scratch.folder

-- A pipeline in one file. KILL_IN=<epoch> makes it kill itself there, as kill -9 by hand does.
local pipeline = [[
local nn, optim, data = require "lunette.nn", require "lunette.optim", require "lunette.data"
local run, metrics, sys = require "lunette.run", require "lunette.metrics", require "lunette.sys"
local paper = run.start { id = "NAME", epochs = 3, batch = 4, size = 16, lr = 1e-2, dice = "hard" }
local o = paper.options
local set = data.ImageMask(paper:pairs(), { size = o.size, target = "half" })
local train, rest = paper:train_test_split(set:count(), { test_size = 0.25, random_state = 42 })
local loader = paper:loader(data.Subset(set, train), { shuffle = true })
local other = paper:loader(data.Subset(set, rest))
local criterion = nn.BCEWithLogitsLoss()
local steps = { mean = "samples" }
function steps.train(model, images, masks) return criterion(model(images), masks) end
function steps.validate(model, images, masks) return criterion(model(images), masks), steps.test(model, images, masks) end
function steps.test(model, images, masks) return metrics.dice(model(images), masks, { threshold = 0 }) end
local model = nn.Sequential(nn.Conv2d(1, WIDTH, 3, { padding = 1 }), nn.ReLU(), nn.Conv2d(WIDTH, 1, 1))
paper:summary(model, { 1, 1, o.size, o.size })
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })
for epoch in paper:epochs(model, optimizer) do
  if os.getenv("KILL_IN") == "NAME" .. epoch then sys.run { "sh", "-c", "kill -9 $PPID" } end
  local train_loss = paper:train_epoch(steps, model, loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, other)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
end
paper:log_test(paper:test(steps, model, other))
paper:save("model.safetensors", model, { input = { 1, 1, o.size, o.size } })
paper:finish()
]]

local function write_pipeline(name, text)
  assert(sys.mkdir(folder .. "/" .. name))
  assert(save.write(folder .. "/" .. name .. "/main.lua", text))
end
for name, width in pairs { sound = "4", stopped = "6" } do
  write_pipeline(name, (pipeline:gsub("NAME", name):gsub("WIDTH", width)))
end
write_pipeline("broken", "local x = = 1\n")
write_pipeline("greedy", (pipeline:gsub("NAME", "greedy"):gsub("WIDTH", "400000")))

local ids = { "sound", "broken", "greedy", "stopped" }
local with = {}
for i, id in ipairs(ids) do with[i] = folder .. "/" .. id end

local kill_in = ""
local function study(out, ...)
  local result = assert(sys.run({ sys.executable(), "scripts/run_all.lua", "--only", table.concat(ids, ","), "--with", table.concat(with, ","),
    "--out", folder .. "/" .. out, "--phantom", "brain:24", "--threads", "1", "--memory", "0.05", ... }, {
    stdout = folder .. "/stdout", stderr = folder .. "/stderr", env = { KILL_IN = kill_in, LUNETTE_CHECK_LEAKS = "0" } }))
  return result.status, save.read(folder .. "/stdout"), save.read(folder .. "/stderr")
end

local function about(out, id) return assert(save.parse_json(assert(save.read(("%s/%s/%s/run.json"):format(folder, out, id))))) end

local function epochs(out, id)
  local count = 0
  for _ in save.read(("%s/%s/%s/metrics.jsonl"):format(folder, out, id)):gmatch('"kind":"epoch"') do count = count + 1 end
  return count
end

check.test("one that breaks, one too large and one that is killed are recorded; the others run", function()
  kill_in = "stopped3"
  local status, out, err = study("study")
  check.equal(status, 1)
  check.equal(about("study", "sound").status, "finished")
  local broken = about("study", "broken")
  check.equal(broken.status, "failed")
  check.truthy(broken.error:find("main.lua:1: unexpected symbol near '='", 1, true), broken.error)
  local greedy = about("study", "greedy")
  check.equal({ greedy.status, greedy.exit_status }, { "failed", 1 })
  check.truthy(greedy.error:find("out of memory", 1, true) or greedy.error:find("limit", 1, true), greedy.error)
  local stopped = about("study", "stopped")
  check.equal({ stopped.status, stopped.signal, epochs("study", "stopped") }, { "failed", 9, 2 })
  check.truthy(stopped.error:find("killed by signal 9", 1, true), stopped.error)
  check.truthy(out:find("3 of 4  greedy", 1, true), out)
  check.truthy(err:find("failed: broken, greedy, stopped", 1, true), err)
end)

check.test("the comparison says who is missing and who is partial", function()
  local text = assert(save.read(folder .. "/study/compare/report.html"))
  for _, words in ipairs { "broken", "unexpected symbol", "killed by signal 9" } do
    check.truthy(text:find(words, 1, true), words .. " is not in the report")
  end
end)

check.test("--resume goes on where it was killed, skips what is finished, and ends as an uninterrupted run", function()
  kill_in = ""
  local before = save.read(folder .. "/study/sound/metrics.jsonl")
  local _, out = study("study", "--resume")
  check.truthy(out:find("sound +finished before, skipped"), out)
  check.equal(save.read(folder .. "/study/sound/metrics.jsonl"), before)
  check.equal({ about("study", "stopped").status, epochs("study", "stopped") }, { "finished", 3 })
  check.equal(about("study", "stopped").error, nil)
  study("whole")
  local function losses(name)
    local list = {}
    for value in save.read(folder .. "/" .. name .. "/stopped/metrics.jsonl"):gmatch('"train_loss":([%d.e-]+)') do list[#list + 1] = value end
    return list
  end
  check.equal(losses("study"), losses("whole"))
end)

check.test("the holdout is drawn once and no pipeline sees it", function()
  local held = assert(save.read(folder .. "/study/holdout.txt"))
  check.equal(select(2, held:gsub("\n", "")), 3) -- a tenth of 24, rounded up
  check.equal(held, save.read(folder .. "/whole/holdout.txt"))
  check.equal(about("study", "sound").data.count, 21)
  local scores = assert(save.parse_json(save.read(folder .. "/study/compare/comparison.json")))
  check.truthy(scores, "comparison.json")
end)

check.test("a study that goes on must have the same options", function()
  local status, _, err = study("study", "--size", "24")
  check.equal(status, 1)
  check.truthy(err:find("was started without --size, now it is with --size 24", 1, true), err)
end)

check.test("children are this program, also when another was built in its place meanwhile", function()
  local copy = folder .. "/program"
  assert(sys.run({ "cp", sys.executable(), copy }))
  local result = assert(sys.run({ copy, "-e", ([[
    local sys = require "lunette.sys"
    assert(sys.executable() == "%s")
    os.remove("%s")
    local child = sys.run({ sys.executable(), "-e", "print(6 * 7)" })
    os.exit(child and child.status or 9)]]):format(copy, copy) }, { stdout = folder .. "/stdout", stderr = folder .. "/stderr" }))
  check.equal(result.status, 0, save.read(folder .. "/stderr"))
  check.equal(save.read(folder .. "/stdout"), "42\n")
end)

check.test("words that make no sense end with the usage and status 2", function()
  for _, case in ipairs {
    { "no pipeline 'gpt5'", "--only", "gpt5" }, { "no .*/main.lua", "--with", "/nowhere" }, { "below 1", "--holdout", "1" },
    { "wants %-%-epochs", "--budget", "10" }, { "unknown option %-%-epoch ", "--epoch", "3" }, { "where the masks are", "--images", "x" },
  } do
    local result = assert(sys.run({ sys.executable(), "scripts/run_all.lua", unpack(case, 2) }, { stdout = folder .. "/stdout", stderr = folder .. "/stderr" }))
    local err = save.read(folder .. "/stderr")
    check.equal(result.status, 2, err)
    check.truthy(err:find(case[1]), err)
  end
end)

scratch.remove()
check.done()
