-- scripts/compare: the fair re-score by hand, results folders in every state, what the report holds.
local check = dofile("tests/check.lua")
package.path = "scripts/compare/?.lua;" .. package.path
local lt = require "lunette"
local nn = require "lunette.nn"
local data = require "lunette.data"
local save = require "lunette.save"
local sys = require "lunette.sys"
local progress = require "lunette.progress"
local base64 = require "lunette.report.base64"
local html = require "lunette.report.html"
local svg = require "lunette.report.svg"
local score = require "score"
local runs = require "runs"
local groups = require "groups"
local paper = require "paper"
local features_table = require "features_table"

progress.quiet = true
local folders = dofile("tests/results_folders.lua")
local folder, HOLDOUT, make_run, compare = folders.path, folders.holdout, folders.make, folders.compare

-- -- parts of the page

check.test("base64 as RFC 4648 has it", function()
  for text, want in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", foobar = "Zm9vYmFy" } do
    check.equal(base64.encode(text), want)
  end
  check.equal(base64.encode("\255\254\0\251\239\190"), "//4A++++")
  check.raises(function() base64.encode(3) end, "expected a string")
end)

check.test("HTML: text is escaped, markup is not", function()
  check.equal(tostring(html.tag("p", { class = 'a"b', hidden = true }, "1 < 2 & ", html.tag("b", "x"), { "y", nil }, false)),
    '<p class="a&quot;b" hidden>1 &lt; 2 &amp; <b>x</b>y</p>')
  check.equal(tostring(html.tag("br")), "<br>")
  check.equal(tostring(html.tag("td", { "a", "b" })), "<td>ab</td>")
  check.raises(function() html.tag("img", {}, "text") end, "holds no children")
end)

check.test("SVG: no fixed size, own ids, the page's colours", function()
  local path = folder .. "/f.svg"
  local done, message, code = save.figure(path, { xlabel = "x", boxes = { { values = { 1, 2, 9, 2, 2 }, label = "a<b", colour = "#66c2a5" } },
    horizontal = true })
  if code == "LN_ENODEV" then check.skip(message) end
  check.truthy(done, message)
  local text = tostring(svg.inline(save.read(path), "one", "what it shows"))
  check.truthy(text:match('^<svg [^>]*viewBox="0 0 %d+ %d+" role="img" aria%-label="what it shows">'), text:sub(1, 200))
  check.truthy(text:match("</svg>$"))
  for _, unwanted in ipairs { "<?xml", "<title", "black", "DejaVu", "id='gp", "href='#gp", 'id="gnuplot' } do
    check.equal(text:find(unwanted, 1, true), nil, unwanted)
  end
  check.truthy(text:find("currentColor", 1, true) and text:find("id='one-gpPt", 1, true) and text:find("a&lt;b", 1, true))
  check.raises(function() svg.inline("<p>", "x", "y") end, "no SVG")
end)

-- -- the fair score

-- torch's bilinear interpolation (align_corners false) of a list of rows, in plain loops.
local function resized(rows, height, width)
  local h, w, result = #rows, #rows[1], {}
  local function place(i, size, from)
    local x = math.max(0, (i + 0.5) * from / size - 0.5)
    local low = math.floor(x)
    return low + 1, math.min(low + 2, from), x - low
  end
  for y = 0, height - 1 do
    result[y + 1] = {}
    local y1, y2, fy = place(y, height, h)
    for x = 0, width - 1 do
      local x1, x2, fx = place(x, width, w)
      local top = rows[y1][x1] * (1 - fx) + rows[y1][x2] * fx
      local bottom = rows[y2][x1] * (1 - fx) + rows[y2][x2] * fx
      result[y + 1][x + 1] = top * (1 - fy) + bottom * fy
    end
  end
  return result
end

-- Dice and IoU of an image by hand, from logits of the network's size.
local function by_hand(logits, mask)
  local p = {}
  for y, row in ipairs(logits) do
    p[y] = {}
    for x, z in ipairs(row) do p[y][x] = 1 / (1 + math.exp(-z)) end
  end
  p = resized(p, #mask, #mask[1])
  local both, a, b = 0, 0, 0
  for y, row in ipairs(mask) do
    for x, level in ipairs(row) do
      local yes, truth = p[y][x] > 0.5, level >= 128
      a, b, both = a + (yes and 1 or 0), b + (truth and 1 or 0), both + (yes and truth and 1 or 0)
    end
  end
  return 2 * both / (a + b), both / (a + b - both)
end

-- Three bright phantoms as files of different sizes, their masks in levels of which only some count.
local function draw_pictures()
  local list = assert(data.phantom { family = "brain", count = 3, seed = 0, size = { 48, 40 } })
  for _, name in ipairs { "images", "masks" } do assert(sys.mkdir(folder .. "/" .. name)) end
  local stems = {}
  for i = 1, 3 do
    local image, mask = list:load(i)
    -- 255 becomes 128, the lowest level that counts, and a stripe of 127 is added, which does not
    mask = lt.where(mask:ge(128), 128, lt.where(lt.arange(40):reshape(1, 40):lt(4), 127, 0)):expand(48, 40)
    stems[i] = "picture" .. i
    local bottom, right = 48 - 4 * i, 40 - i
    assert(save.png(folder .. "/images/" .. stems[i] .. ".png", image[{ { 1, bottom }, { 1, right } }]))
    assert(save.png(folder .. "/masks/" .. stems[i] .. ".png", (mask:float() / 255)[{ { 1, bottom }, { 1, right } }]))
  end
  assert(save.write(folder .. "/pictures.txt", table.concat(stems, "\n")))
end

-- A net whose logit is the brightness around a pixel: it finds the tumour, and some of the skull.
local function bright_net()
  local net = nn.Sequential(nn.Conv2d(1, 1, 3, { padding = 1 }), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1))
  lt.no_grad(function()
    for name, value in pairs { ["0.weight"] = 1 / 9, ["0.bias"] = 0, ["3.weight"] = 30, ["3.bias"] = -17 } do
      local cell = net:state_dict()[name]
      cell:assign_(lt.full(cell.shape, value))
    end
  end)
  return net
end

check.test("the fair re-score equals a computation by hand on three images", function()
  draw_pictures()
  local run = make_run("pictures/gpt4", { options = { images = folder .. "/images", masks = folder .. "/masks",
    exclude = folder .. "/pictures.txt" } })
  assert(lt.save(run .. "/model.safetensors", bright_net(), { input = { 2, 1, 32, 32 } }))
  local group = assert(groups.make((runs.load { run })))[1]
  score.group(group, {})
  check.equal({ group.runs[1].problems, group.runs[1].features.ends_in }, { {}, "logits" })
  local net, set = bright_net(), data.ImageMask(group.pairs, { size = 32 })
  for i = 1, 3 do
    local _, mask = group.pairs:load(i)
    check.equal(mask.shape, { 48 - 4 * i, 40 - i })
    local image = set:get(i)
    local dice, iou = by_hand(lt.no_grad(function() return net(image:unsqueeze(1))[1][1]:tolist() end), mask:tolist())
    local got = group.runs[1].scores[i]
    check.equal(got.stem, "picture" .. i)
    check.near(got.dice, dice, 1e-6)
    check.near(got.iou, iou, 1e-6)
    check.truthy(dice > 0.3 and dice < 0.95, "a prediction that is neither hopeless nor perfect, but " .. dice)
  end
end)

check.test("empty masks: both 1, 1 and 0; one 0, 0 and the diagonal", function()
  local empty = lt.zeros(30, 40):gt(0.5)
  local dot = lt.ones(30, 40):gt(0.5)
  check.equal({ score.compare(empty, empty) }, { 1, 1, 0 })
  check.equal({ score.compare(empty, dot) }, { 0, 0, 50 })
  check.equal({ score.compare(dot, empty) }, { 0, 0, 50 })
  check.equal({ score.compare(dot, dot) }, { 1, 1, 0 })
end)

check.test("a net that ends in a sigmoid gets no second one; classes go by the most probable", function()
  local image = lt.full({ 1, 8, 8 }, 0.1)
  local identity = function(x) return x end
  check.equal(score.predict(identity, "sigmoid", image, 8, 8):float():sum():item(), 0)
  check.equal(score.predict(identity, "logits", image, 8, 8):float():sum():item(), 64)
  local two = function(x) return lt.cat({ x * 0, x }, 2) end
  check.equal(score.predict(two, "logits", image, 4, 4):float():sum():item(), 16)
  check.equal(score.predict(function(x) return two(-x) end, "logits", image, 4, 4):float():sum():item(), 0)
end)

-- -- results folders

make_run("all/gpt4")
make_run("all/copilot", {}, 2)
local running = make_run("all/gpt_o1", { status = "running", options = { phantom = "glottis:8",
  exclude = folder .. "/holdout.txt", epochs = 10, batch = 16, size = 256, lr = 1e-4 } })
assert(save.append(running .. "/metrics.jsonl", '{"kind":"epoch","epo'))
local failed = make_run("all/bing", { status = "failed", error = "out of <memory>", model = false })
os.remove(failed .. "/metrics.jsonl")
local damaged = make_run("all/llama31")
assert(save.write(damaged .. "/model.safetensors", ("x"):rep(100)))
assert(save.write(make_run("all/gemini15") .. "/run.json", "{ no"))
assert(sys.mkdir(folder .. "/all/claude35"))
assert(sys.mkdir(folder .. "/all/notes"))
assert(save.write(folder .. "/all/notes/text", "nothing of a run"))

local function find(list, id)
  for _, run in ipairs(list) do
    if run.id == id then return run end
  end
end

check.test("runs are found, in the paper's order, with what is wrong with them", function()
  local list, unusable = runs.load { folder .. "/all/", folder .. "/all/gpt4", folder .. "/nowhere" }
  local ids = {}
  for i, run in ipairs(list) do ids[i] = run.id end
  check.equal(ids, { "bing", "copilot", "gpt4", "gpt_o1", "llama31" })
  check.equal(#unusable, 3)
  local text = table.concat(unusable, "\n")
  check.truthy(text:find("gemini15: run.json cannot be read", 1, true), text)
  check.truthy(text:find("claude35: it has no run.json", 1, true), text)
  check.truthy(text:find("nowhere: there is no such folder", 1, true), text)
  check.equal(find(list, "gpt4").problems, {})
  local run = find(list, "gpt4")
  check.equal({ run.val_dice, run.test_dice, run.training_seconds, run.seconds }, { { 0.1, 0.2, 0.3 }, { 0.25, 0.75 }, 4.5, 4 })
  check.equal({ run.train_loss[2], run.val_loss[2] }, { 0.5, 0.6 })
  check.equal(find(list, "gpt_o1").problems, { "not finished (running): 3 of 10 epochs are there",
    "damaged lines in metrics.jsonl that were passed over: 1" })
  check.truthy(find(list, "bing").problems[1]:find("failed after 0 of 3 epochs: out of <memory>", 1, true))
  check.truthy(table.concat(find(list, "bing").problems, "\n"):find("names no whole-model file", 1, true))
  check.equal(find(list, "gpt4").name, "GPT-4")
end)

check.test("a run that says nothing of itself, and one whose file name leads elsewhere", function()
  make_run("odd/a", { options = false })
  make_run("odd/b", { model = "../b/model.safetensors" })
  make_run("odd/c", { id = "ninth", loss = { name = "Dice", smooth = 1 } })
  make_run("odd/d", { id = "ninth" })
  local list, unusable = runs.load { folder .. "/odd" }
  check.equal(#unusable, 1)
  check.truthy(unusable[1]:find("does not say what data it used", 1, true))
  check.truthy(find(list, "b").problems[1]:find("makes no sense", 1, true))
  check.equal({ find(list, "ninth").name, find(list, "ninth").loss }, { "ninth [c]", "Dice (smooth=1)" })
  check.equal(paper.find("tensorflow/bing", 1).name, "Bing Copilot (TensorFlow)")
end)

check.test("the holdout is what all runs left out; without one there is a reason", function()
  local list = runs.load { folder .. "/all/gpt4", folder .. "/all/copilot" }
  local made = groups.make(list)
  check.equal({ #made, #made[1].runs, #made[1].pairs }, { 1, 2, 3 })
  assert(save.write(folder .. "/other.txt", "glottis_0005\nglottis_0006\n"))
  make_run("other/gpt4", { options = { phantom = "glottis:8", exclude = folder .. "/other.txt" } })
  list = runs.load { folder .. "/all/gpt4", folder .. "/other" }
  made = groups.make(list)
  check.equal({ #made, #made[1].pairs, made[1].pairs:stem(1) }, { 1, 1, "glottis_0005" })
  check.truthy(made[1].notes[1]:find("left out different images", 1, true))
  -- one that saw everything: no holdout, unless one is named, and then it is said of that run
  make_run("none/gpt4", { options = { phantom = "glottis:8" } })
  list = runs.load { folder .. "/all/copilot", folder .. "/none" }
  made = groups.make(list)
  check.equal(made[1].pairs, nil)
  check.truthy(table.concat(made[1].notes, "\n"):find("no fair score", 1, true))
  list = runs.load { folder .. "/all/copilot", folder .. "/none" }
  made = groups.make(list, folder .. "/holdout.txt")
  check.equal(#made[1].pairs, 3)
  check.equal(find(list, "copilot").problems, {})
  check.truthy(find(list, "gpt4").problems[1]:find("may have been trained on the holdout", 1, true))
  -- stems that the data do not have
  assert(save.write(folder .. "/wrong.txt", "glottis_0099\n"))
  made = groups.make(runs.load { folder .. "/all/copilot" }, folder .. "/wrong.txt")
  check.equal(made[1].pairs, nil)
  check.truthy(table.concat(made[1].notes):find("cannot be opened", 1, true))
  check.fails("", nil, groups.make({}, folder .. "/nothing.txt"))
end)

check.test("other data are another group", function()
  make_run("data/gpt4", { options = { phantom = "brain:8", exclude = folder .. "/holdout.txt" } })
  local made = groups.make((runs.load { folder .. "/all", folder .. "/data" }))
  check.equal({ #made, #made[1].runs, #made[2].runs }, { 2, 5, 1 })
end)

-- -- the paper's words

check.test("the paper's words stand beside a graph that says something else", function()
  local function row(run, key)
    for _, r in ipairs(features_table.make { run }) do
      if r.key == key then return r.cells[1] end
    end
  end
  local copilot = { options = { epochs = 25, batch = 4, lr = 1e-4, size = 128 }, words = paper.find("copilot", 1).words, train_loss = {},
    training_seconds = 0, loss = "BCELoss", optimizer = "Adam", features = { input = { 1, 128, 128 }, output = { 1, 128, 128 },
      parameters = 6153297, encoder_stages = 4, decoder_stages = 4, encoder_channels = { 64, 128, 256, 512 }, bottleneck = 512,
      decoder_channels = { 256, 128, 64, 1 }, block = "(Conv2d 3×3 + BatchNorm2d + ReLU) ×2", down = "max pool 2×2", up = "x",
      skips = { kind = "add", concat = 0, add = 3, notes = {} }, residuals = 0, final_layer = "Conv2d(1, 1, 1)",
      final_activations = { "sigmoid" }, ends_in = "sigmoid" } }
  check.equal(row(copilot, "final_layer"), { text = "Conv2d(1, 1, 1), sigmoid", paper = "Conv2d(64, 1, 1)", mark = "other" })
  check.equal(row(copilot, "skips"), { text = "add ×3", paper = "concatenates encoder features", mark = "other" })
  check.equal(row(copilot, "decoder_channels").mark, "other")
  check.equal(row(copilot, "batch"), { text = "4", paper = "16", mark = "override" })
  for _, key in ipairs { "optimizer", "loss", "size", "encoder_stages", "block", "bottleneck", "encoder_channels", "parameters" } do
    check.equal({ row(copilot, key).paper, row(copilot, key).mark }, {}, key)
  end
  check.equal(row(copilot, "residuals"), nil)
  check.equal(features_table.overrides(copilot), { { label = "Batch size", value = "4", paper = "16" } })
end)

-- -- all of it

local function xlsx_there(name) return sys.exists(folder .. "/out/" .. name) == "file" end

check.test("a comparison of whole, partial and damaged runs", function()
  local status, out, err = compare(folder .. "/all", "--out", folder .. "/out")
  check.equal(status, 0, err)
  check.truthy(out:match("report%.html\n$"), out)
  for _, name in ipairs { "fair_scores.xlsx", "features.xlsx", "features.md", "statistics.xlsx" } do
    check.truthy(xlsx_there(name), name)
  end
  local all = assert(save.parse_json(assert(save.read(folder .. "/out/comparison.json"))))
  check.equal({ #all.groups, #all.unusable, all.groups[1].holdout, #all.groups[1].tests }, { 1, 2, HOLDOUT, 3 })
  local scored = {}
  for _, run in ipairs(all.groups[1].runs) do
    if run.scores then
      scored[#scored + 1] = run.id
      check.equal({ #run.scores, run.scores[1].stem }, { 3, "glottis_0002" })
      check.near(run.fair.dice.mean, (run.scores[1].dice + run.scores[2].dice + run.scores[3].dice) / 3, 1e-12)
    end
  end
  check.equal(scored, { "copilot", "gpt4", "gpt_o1" })
  check.truthy(table.concat(all.absent, ","):find("GPT-4o", 1, true))
end)

check.test("the report is one file with every table, and says what is missing", function()
  local text = assert(save.read(folder .. "/out/report.html"))
  -- the names of SVG's own vocabularies are no addresses that a browser opens
  local rest = text:gsub('xmlns[%w:]*="http://www%.w3%.org/[%w/]+"', "")
  check.equal(rest:match("https?://[^\"' ]*"), nil)
  for _, outside in ipairs { "<link", "@import", "url(", "srcset", "<iframe", ' src="http', ' src="/' } do
    check.equal(rest:find(outside, 1, true), nil, outside)
  end
  for source in rest:gmatch(' src="([^"]*)') do check.equal(source:sub(1, 22), "data:image/png;base64,") end
  for _, wanted in ipairs {
    "Fair scores on the holdout", "Features of the networks", "Tests between pairs of models", "One image, every model",
    "failed after 0 of 3 epochs: out of &lt;memory&gt;", "not finished (running): 3 of 10 epochs", "run.json cannot be read",
    "it has no run.json", "hard, per &lt;batch&gt; &amp; smooth 1", "3 images are few", "Batch size: 2 instead of the paper&#39;s 16 or 32",
    "Conv2d(64, 1, 1)",
  } do
    check.truthy(text:find(wanted, 1, true), wanted)
  end
  -- every element that is opened is closed, in order
  local open, void = {}, { meta = true, img = true, input = true, br = true }
  local body = text:gsub("<script>.-</script>", ""):gsub("<style>.-</style>", ""):gsub("^<!DOCTYPE html>", "")
  for slash, name, inside in body:gmatch("<(/?)([%a]%w*)([^>]*)>") do
    if slash == "/" then
      check.equal(table.remove(open), name, "closed")
    elseif not void[name] and inside:sub(-1) ~= "/" then
      open[#open + 1] = name
    end
  end
  check.equal(open, {})
  local seen = {}
  for id in text:gmatch("%sid=[\"']([^\"']+)") do
    check.equal(seen[id], nil, id)
    seen[id] = true
  end
end)

check.test("--sample shows that image, and one that is not there is named", function()
  local status, _, err = compare(folder .. "/all/gpt4", "--out", folder .. "/sample", "--sample", "glottis_0007")
  check.equal(status, 0, err)
  check.equal(save.parse_json(save.read(folder .. "/sample/comparison.json")).groups[1].sample, "glottis_0007")
  local _, out = compare(folder .. "/all/gpt4", "--out", folder .. "/sample", "--sample", "nobody")
  check.truthy(out:find("--sample nobody is not in this holdout", 1, true), out)
end)

check.test("words that make no sense end with 2, nothing to compare with 1", function()
  local status, _, err = compare("--out", folder .. "/out")
  check.equal(status, 2)
  check.truthy(err:find("RUN... is missing", 1, true) and err:find("usage: lunette scripts/compare/main.lua RUN...", 1, true), err)
  check.equal(compare(folder .. "/all", "--epochs", "3"), 2)
  local out
  status, out = compare("--help")
  check.equal(status, 0)
  check.truthy(out:find("--holdout FILE", 1, true), out)
  status, _, err = compare(folder .. "/all/notes", "--out", folder .. "/out")
  check.equal(status, 1)
  check.truthy(err:find("there is no run to compare", 1, true), err)
  check.equal(compare(folder .. "/all/gpt4", "--holdout", folder .. "/nothing.txt", "--out", folder .. "/out"), 1)
end)

folders.remove()
check.done()
