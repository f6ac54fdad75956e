-- Does precision change results? The same trainings in Lunette at each precision and in PyTorch in its two memory
-- layouts: from the same weights, over the same batches in the same order, judged by the study's fair Dice.
--
--   build/lunette bench/precision.lua --bagls DIR [options]        (--help lists them)
--
-- Every training is a process of its own (bench/side.lua, bench/precision.py). Each one that is finished adds a line of JSON
-- to the results, and what has its line is not repeated, so that the same command completes what was stopped. In the end,
-- or at once with --table, come the tables of docs/performance.md (precision_report.lua).

local root = (arg[0]:match("^(.*)/") or ".") .. "/.."
package.path = root .. "/scripts/compare/?.lua;" .. package.path

local lt = require "lunette"
local data = require "lunette.data"
local groups = require "lunette.run.groups"
local options = require "lunette.options"
local open = require("lunette.run").open
local save = require "lunette.save"
local stats = require "lunette.stats"
local sys = require "lunette.sys"
local report = require "precision_report"
local score = require "score"

-- Learning rates are the pipelines' own. warm: epochs of the warm-up, where there is one; without normalisation it takes more.
local nets = { gpt_o1 = { lr = 1e-4, ends_in = "sigmoid", warm = 1 }, gpt4 = { lr = 1e-3, ends_in = "logits", warm = 3 } }
local net_names = { "gpt_o1", "gpt4" }

-- How much is learned of what: enough for both networks to learn it. On BAGLS, whose glottis is small, they answer black for
-- hundreds of steps, and all black is alike in any precision: so they first learn `warm` images at half the size in f32, once a
-- seed, and what is compared starts from there.
local lessons = {
  phantom = { size = 64, train = 30, epochs = 5, batch = 2, test = 40, warm = 0 },
  bagls = { size = 128, train = 120, epochs = 1, batch = 2, test = 32, warm = 300 },
}

local rows = {
  { "only", "LIST", "text", "of gpt_o1, gpt4 (default both)" },
  { "bagls", "DIR", "text", "BAGLS: N.png with N_seg.png and N.meta; without it the phantoms alone" },
  { "phantom", "F[:N]", "phantom", "drawn data: glottis, bolus or brain, N images" }, { "no-phantom", nil, nil, "BAGLS alone" },
  { "seeds", "N", "count", "trainings of each kind, paired by their seed: seeds 1 to N" },
  { "from-seed", "N", "count", "the first of them (default 1): machines that share the work each write a file of results" },
  { "modes", "LIST", "text", "of strict, f32, bf16 and PyTorch's eager, channels_last (default all)" },
  { "size", "N", "count", "images of N x N (default: phantoms 64, BAGLS 128)" },
  { "train", "N", "count", "training images" }, { "epochs", "N", "count", "epochs" }, { "batch", "N", "count", "batch size" },
  { "test", "N", "count", "test images" }, { "warm", "N", "whole", "images of the warm-up (default: phantoms 0, BAGLS 300)" },
  { "lr", "X", "positive", "learning rate (default: the pipeline's)" },
  { "results", "FILE", "text", "lines of JSON (default build/bench/precision.jsonl)" },
  { "table", nil, nil, "only make the tables of what is there" },
  options.row("threads"), options.row("help"),
}
local o = options.command(arg, { rows = rows, defaults = { seeds = 5, phantom = "brain:200" } })

local shared = require "words" (o)
local stop, chosen = shared.stop, shared.chosen

local function must(value, message)
  if value == nil then stop("%s", message) end
  return value
end

local results = o.results or root .. "/build/bench/precision.jsonl"
local work = results .. ".work" -- weights, batches and outputs of the trainings of one seed
local python = os.getenv("PYTHON") or root .. "/build/peers/bin/python"

-- -- what is there

local function read_results()
  local list = {}
  for line in (save.exists(results) and save.read(results) or ""):gmatch("[^\n]+") do
    list[#list + 1] = must(save.parse_json(line))
  end
  return list
end

local said = { "data", "net", "size", "train", "epochs", "batch", "test", "warm", "lr", "seed", "mode" } -- what a line says before its result

local function key_of(run)
  local words = {}
  for i, name in ipairs(said) do words[i] = tostring(run[name]) end
  return table.concat(words, " ")
end

-- -- data

-- The pairs, the positions of the test images (the same for all seeds) and of those that are left for training. Frames of
-- one video are alike, so whole videos are set aside.
local sources = {}

function sources.phantom(given)
  local list = must(open(o))
  local rest, test = data.train_test_split(#list, { test_size = given.test, random_state = 42 })
  return list, test, rest
end

function sources.bagls(given)
  local list = must(data.folder { images = o.bagls, suffix = "_seg" })
  local rest, held_out = groups.split(must(groups.read(list, "Video Id")), #list, { test_size = 0.2, random_state = 42 })
  local _, test = data.train_test_split(held_out, { test_size = given.test, random_state = 42 })
  return list, test, rest
end

-- -- one training

local lesson = require "lesson" { root = root, folder = work, threads = o.threads, python = python }

local function write_batches(case, source, size, count, epochs, test)
  lesson.write_batches(case, source.list, source.rest, { size = size, count = count, epochs = epochs, test = test })
end

-- Writes what all trainings of this network and seed share: first weights, batches, test images.
local function prepare(case, source)
  lesson.write_weights(case.net, case.seed)
  if case.warm > 0 then
    write_batches(case, source, case.size / 2, case.warm, nets[case.net].warm, { source.test[1] })
    must(lesson.child(case, "f32", "outcome", "keep=1"))
  end
  write_batches(case, source, case.size, case.train, case.epochs, source.test)
end

-- The mean of the fair Dice over the test images: each side's outputs go the same way from here on.
local function fair_dice(case, source)
  local outputs = must(lt.load(work .. "/outputs.safetensors")).outputs
  local function network(x) return x end -- it has spoken
  local dice = {}
  for k, i in ipairs(source.test) do
    local _, mask = source.list:load(i)
    local target = mask:ge(128)
    dice[k] = score.compare(score.predict(network, nets[case.net].ends_in, outputs[k], target:size(1), target:size(2)), target)
  end
  return stats.mean(dice), dice
end

local function train(case, source, mode)
  os.remove(work .. "/outputs.safetensors") -- nobody is judged by another's
  local found, why = lesson.child(case, mode, "outcome")
  if not found then return nil, why end
  local run = { mode = mode, seconds = found.seconds }
  for _, name in ipairs(said) do run[name] = run[name] or case[name] end
  run.dice, run.images = fair_dice(case, source)
  local last = case.epochs > 1 and #found.losses * (case.epochs - 1) / case.epochs or 0
  run.loss = stats.mean { unpack(found.losses, last + 1) }
  must(save.append(results, save.json(run, { order = said })))
  return run
end

-- -- all of them

local failed = 0

-- Those trainings of one network and seed that have no line yet.
local function train_missing(case, source, modes, done)
  local missing = {}
  for _, mode in ipairs(modes) do
    case.mode = mode
    if not done[key_of(case)] then missing[#missing + 1] = mode end
  end
  if #missing == 0 then return end
  prepare(case, source)
  for _, mode in ipairs(missing) do
    local run, why = train(case, source, mode)
    failed = failed + (run and 0 or 1)
    print(("%s %s seed %d  %-14s %s"):format(case.data, case.net, case.seed, mode,
      run and ("Dice %.4f, loss %.4f, %.0f s"):format(run.dice, run.loss, run.seconds) or "FAILED: " .. why))
    io.stdout:flush()
  end
end

local function train_all(modes)
  must(sys.mkdir(work))
  local done = {}
  for _, run in ipairs(read_results()) do done[key_of(run)] = true end
  local names = {}
  if not o.no_phantom then names[1] = "phantom" end
  if o.bagls then names[#names + 1] = "bagls" end
  for _, name in ipairs(names) do
    local given, source = {}, {}
    for key, value in pairs(lessons[name]) do given[key] = o[key] or value end
    source.list, source.test, source.rest = sources[name](given)
    for seed = o.from_seed or 1, o.seeds do
      for _, net in ipairs((chosen("only", net_names))) do
        local case = { data = name, net = net, seed = seed, lr = o.lr or nets[net].lr }
        for key, value in pairs(given) do case[key] = value end
        train_missing(case, source, modes, done)
        collectgarbage()
      end
    end
  end
  sys.run { "rm", "-rf", work }
end

if not o.table then
  train_all((chosen("modes", { "strict", "f32", "bf16", "eager", "channels_last" })))
end
report(read_results())
sys.exit(failed > 0 and 1 or 0)
