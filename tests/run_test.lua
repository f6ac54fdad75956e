-- A paper run from start to end on a tiny network: files, journal, stopping and going on.
local check = dofile("tests/check.lua")
local save = require "lunette.save"
local sys = require "lunette.sys"
local lt = require "lunette"

local scratch = dofile("tests/scratch.lua")
local folder = scratch.folder

local script = folder .. "/main.lua"
assert(save.write(script, [[
local nn, optim, data = require "lunette.nn", require "lunette.optim", require "lunette.data"
local metrics, run = require "lunette.metrics", require "lunette.run"
local paper = run.start { id = "tiny", epochs = 3, batch = 4, size = 16, lr = 1e-2 }
local o = paper.options
local pairs = paper:pairs()
local set = data.ImageMask(pairs, { size = o.size })
local train, rest = paper:train_test_split(#pairs, { test_size = 0.25, random_state = 42 })
local loader = paper:loader(data.Subset(set, train), { shuffle = true })
local other = paper:loader(data.Subset(set, rest))
local model = nn.Sequential(nn.Conv2d(1, 4, 3, { padding = 1 }), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2),
  nn.Conv2d(4, 1, 1))
paper:summary(model, { 1, 1, o.size, o.size })
local criterion, optimizer = nn.BCEWithLogitsLoss(), optim.Adam(model:parameters(), { lr = o.lr })
for epoch in paper:epochs(model, optimizer) do
  if os.getenv("STOP_IN") == tostring(epoch) then error("stopped") end
  model:train()
  local total = 0
  for images, masks in loader do
    optimizer:zero_grad()
    local loss = criterion(model(images), masks)
    loss:backward()
    optimizer:step()
    total = total + loss:item()
    paper:log_step(loss:item())
  end
  model:eval()
  local scores = {}
  for images, masks in other do scores[#scores + 1] = metrics.dice(model(images), masks, { threshold = 0 }):item() end
  paper:log_epoch { train_loss = total / loader:batches(), val_loss = 0, val_dice = scores }
  paper:xlsx("dice.xlsx", paper.val_dice)
end
paper:log_test { 0.5, 0.25 }
paper:save("state.safetensors", model:state_dict())
paper:finish()
]]))

local stop_in = "" -- the epoch in which the script breaks off

local images = { "--phantom", "glottis:24" }

local function lunette(out, ...)
  local words = { sys.executable(), script, "--out", folder .. "/" .. out, "--threads", "1" }
  for _, word in ipairs(images) do words[#words + 1] = word end
  for _, word in ipairs { ... } do words[#words + 1] = word end
  local result = assert(sys.run(words, {
    stdout = folder .. "/stdout", stderr = folder .. "/stderr",
    env = { LUNETTE_CHECK_LEAKS = "0", STOP_IN = stop_in },
  }))
  return result.status, assert(save.read(folder .. "/stdout")), assert(save.read(folder .. "/stderr"))
end

local function last_line(text) return text:match("([^\n]*)\n$") end

-- The journal without its times.
local function journal(out)
  local lines = {}
  for line in assert(save.read(folder .. "/" .. out .. "/metrics.jsonl")):gmatch("[^\n]+") do
    local entry = assert(save.parse_json(line))
    entry.seconds, entry.peak_rss_bytes = nil, nil
    lines[#lines + 1] = entry
  end
  return lines
end

local function weights(out)
  local tensors = assert(save.load_safetensors(folder .. "/" .. out .. "/state.safetensors"))
  local values = {}
  for name, tensor in pairs(tensors) do values[name] = tensor:reshape(-1):tolist() end
  return values
end

check.test("a run writes its journal, sheet, weights and last line", function()
  local status, out, err = lunette("whole")
  check.equal(status, 0, err)
  check.truthy(last_line(out):match("^test dice 0%.3750  params 53  time %d+%.%d s$"), last_line(out))
  local lines = journal("whole")
  check.equal(#lines, 3 * (2 + 1) + 2 + 1)
  check.equal({ lines[1].kind, lines[1].epoch, lines[1].batch }, { "val_batch", 1, 1 })
  check.equal({ lines[3].kind, lines[3].val_loss }, { "epoch", 0 })
  check.near(lines[3].val_dice, (lines[1].dice + lines[2].dice) / 2, 1e-12)
  check.equal(lines[#lines - 1], { kind = "test_batch", batch = 2, dice = 0.25 })
  check.equal(lines[#lines], { kind = "end", test_dice = 0.375, params = 53 })
  local text = save.read(folder .. "/whole/metrics.jsonl")
  check.truthy(text:find('^{"kind":"val_batch","epoch":1,"batch":1,"dice":'), "order of the fields")
  local about = assert(save.parse_json(save.read(folder .. "/whole/run.json")))
  check.equal({ about.id, about.status, about.seed, about.data.count, about.options.batch, about.device },
    { "tiny", "finished", 0, 24, 4, "cpu" })
  check.equal(sys.exists(folder .. "/whole/checkpoint.safetensors"), false)
  check.equal(sys.exists(folder .. "/whole/dice.xlsx"), "file")
end)

check.test("the same options give the same run, another seed another", function()
  lunette("again")
  check.equal(journal("again"), journal("whole"))
  check.equal(weights("again"), weights("whole"))
  lunette("other", "--seed", "1")
  check.truthy(weights("other")["0.weight"][1] ~= weights("whole")["0.weight"][1])
end)

check.test("--exclude leaves drawn pictures out too", function()
  local held = folder .. "/held.txt"
  assert(save.write(held, "glottis_0003\nglottis_0020\n"))
  local status, _, err = lunette("held", "--exclude", held, "--epochs", "1")
  check.equal(status, 0, err)
  local about = assert(save.parse_json(save.read(folder .. "/held/run.json")))
  check.equal({ about.data.count, about.options.exclude }, { 22, held })
  status, _, err = lunette("held", "--exclude", folder .. "/absent.txt")
  check.equal(status, 1)
  check.truthy(err:find("absent.txt: No such file", 1, true), err)
end)

check.test("--log-steps writes every step", function()
  lunette("steps", "--log-steps", "--epochs", "1")
  local lines = journal("steps")
  check.equal({ lines[5].kind, lines[5].step, #lines }, { "step", 5, 5 + 2 + 1 + 2 + 1 })
end)

check.test("a stopped run that is resumed equals a whole one", function()
  stop_in = "3"
  local status, _, err = lunette("halves")
  stop_in = ""
  check.equal(status, 1)
  check.truthy(err:find("stopped", 1, true))
  check.equal(sys.exists(folder .. "/halves/checkpoint.safetensors"), "file")
  -- what a kill in the middle of epoch 3 may have left
  assert(save.append(folder .. "/halves/metrics.jsonl", '{"kind":"val_batch","epoch":3,"batch":1,"dice":0.9}'))
  status, _, err = lunette("halves", "--resume", "--batch", "5")
  check.equal(status, 1)
  check.truthy(err:find("was started with --batch 4, now it is 5", 1, true), err)
  status = lunette("halves", "--resume", "--phantom", "glottis:25")
  check.equal(status, 1)
  status, _, err = lunette("halves", "--resume")
  check.equal(status, 0, err)
  check.equal(journal("halves"), journal("whole"))
  check.equal(weights("halves"), weights("whole"))
  status, _, err = lunette("halves", "--resume")
  check.equal(status, 1)
  check.truthy(err:find("is finished", 1, true), err)
end)

check.test("so does one on files", function()
  local list = assert(require("lunette.data").phantom { family = "glottis", count = 24, seed = 0 })
  assert(sys.mkdir(folder .. "/files"))
  for i = 1, #list do
    local image, mask = list:load(i)
    assert(save.png(("%s/files/%s.png"):format(folder, list:stem(i)), image))
    assert(save.png(("%s/files/%s_seg.png"):format(folder, list:stem(i)), mask))
  end
  local drawn = images
  images, stop_in = { "--images", folder .. "/files", "--suffix", "_seg" }, "2"
  check.equal(lunette("from_files"), 1)
  stop_in = ""
  local status, _, err = lunette("from_files", "--resume")
  images = drawn
  check.equal(status, 0, err)
  check.equal(journal("from_files"), journal("whole"))
end)

check.test("a fresh run leaves nothing of an earlier one", function()
  check.equal(lunette("again"), 0)
  check.equal(save.exists(folder .. "/again/state.safetensors") ~= nil, true)
  stop_in = "1"
  local status = lunette("again", "--seed", "3")
  stop_in = ""
  check.equal(status, 1)
  check.equal(save.exists(folder .. "/again/run.json") and true, true)
  check.equal(save.exists(folder .. "/again/state.safetensors") or false, false)
  check.equal(save.exists(folder .. "/again/dice.xlsx") or false, false)
end)

check.test("--resume wants a run; a split wants enough pairs", function()
  local status, _, err = lunette("never", "--resume")
  check.equal(status, 1)
  check.equal(err:match("no run in") ~= nil, true, err)
  status, _, err = lunette("few", "--phantom", "glottis:1")
  check.equal(status, 1)
  check.equal(err:match("too few pairs %(1%)") ~= nil, true, err)
end)

check.test("--init starts from weights; a file that does not fit is named", function()
  lunette("init", "--init", folder .. "/whole/state.safetensors", "--epochs", "1")
  check.truthy(journal("init")[3].train_loss < journal("whole")[3].train_loss)
  assert(save.safetensors(folder .. "/wrong.safetensors", { x = lt.ones(1) }))
  local status, _, err = lunette("init", "--init", folder .. "/wrong.safetensors")
  check.equal(status, 1)
  check.truthy(err:find("wrong.safetensors", 1, true) and err:find('unexpected: "x"', 1, true), err)
  status, _, err = lunette("init", "--init", folder .. "/absent.safetensors")
  check.equal(status, 1)
  check.truthy(err:find("absent.safetensors", 1, true), err)
end)

check.test("--summary prints the trainable parameters last and computes nothing", function()
  local status, out = lunette("summary", "--summary")
  check.equal(status, 0)
  check.equal(last_line(out), "Trainable params: 53")
  check.equal(sys.exists(folder .. "/summary"), false)
end)

check.test("--group-by wants files", function()
  local status, _, err = lunette("groups", "--group-by", "video")
  check.equal(status, 1)
  check.truthy(err:find("--group-by", 1, true), err)
end)

check.test("whole groups go to one side", function()
  local groups = require "lunette.run.groups"
  local value_of = {}
  for i = 1, 40 do value_of[i] = "g" .. math.floor((i - 1) / 4) end
  local train, test = groups.split(value_of, 40, { test_size = 0.2, random_state = 42 })
  check.equal({ #train, #test }, { 32, 8 })
  local side = {}
  for _, i in ipairs(train) do side[value_of[i]] = "train" end
  for _, i in ipairs(test) do check.equal(side[value_of[i]], nil) end
end)

check.test("run.start refuses what it does not know and misses what it needs", function()
  local run = require "lunette.run"
  check.raises(function() run.start { id = "x", epochs = 1, batch_size = 8, size = 8, lr = 1 } end, "batch_size")
  check.raises(function() run.start { id = "x", epochs = 1, size = 8, lr = 1 } end, "batch is missing")
end)

-- Root may read everything, so root hands this test to another user.
check.test("a file that may not be read is named", function()
  local data = folder .. "/private"
  assert(sys.mkdir(data))
  for _, name in ipairs { "a", "a_seg", "b", "b_seg" } do
    assert(save.png(("%s/%s.png"):format(data, name), lt.zeros(8, 8, { dtype = "u8" })))
  end
  local words = { "env", "LUNETTE_CHECK_LEAKS=0", sys.executable(), "-e", ([[
    local list, message = require("lunette.data").folder { images = "%s", suffix = "_seg" }
    io.stderr:write(tostring(message)) os.exit(list and 0 or 3)]]):format(data) }
  sys.run { "sh", "-c", ("chmod 755 '%s' '%s'; chmod 000 '%s/b_seg.png'"):format(folder, data, data) }
  if sys.run({ "sh", "-c", "test $(id -u) = 0" }).status == 0 then
    local other = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" }
    -- through env: setpriv itself starts programs with root's rights to folders
    local able = sys.run({ other[1], other[2], other[3], other[4], "env", sys.executable(), "-e", "" }, { stderr = "/dev/null" })
    if not able or able.status ~= 0 then check.skip("runs as root, and no other user can start the program here") end
    for i = #other, 1, -1 do table.insert(words, 1, other[i]) end
  end
  local result = assert(sys.run(words, { stderr = folder .. "/stderr" }))
  local err = save.read(folder .. "/stderr")
  check.equal(result.status, 3, err)
  check.truthy(err:find("b_seg.png: Permission denied", 1, true), err)
end)

scratch.remove()
check.done()
