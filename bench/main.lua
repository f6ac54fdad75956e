-- The benchmark: Lunette beside its peers, in turns (A B A B), so that a drifting machine drifts
-- for all. Every measurement is a process of its own: bench/side.lua or bench/peer.py.
--
--   build/lunette bench/main.lua [options]        (make bench BENCH="[options]"; --help lists them)
--
-- Every sample goes into a JSON file, which is written anew after each cell; bench/report.lua makes
-- tables of it. A side that fails is recorded with its error and the others go on; the status is 1 only when
-- Lunette itself failed.

local data = require "lunette.data"
local options = require "lunette.options"
local save = require "lunette.save"
local stats = require "lunette.stats"
local sys = require "lunette.sys"
local jobs = require "jobs"
local machine = require "machine"

local rows = {
  { "only", "IDS", "text", "these pipelines only, as in gpt4,bing" },
  { "what", "LIST", "text", "of startup, loader, train, infer, memory, first (default all)" },
  { "peers", "LIST", "text", "of installed, tuned, onnxruntime, openvino, or none (default all)" },
  { "variants", "LIST", "text", "of PyTorch's eager, channels_last, compile (default all)" },
  { "batch", "LIST", "text", "batch sizes of training; the first is that of inference" },
  { "rounds", "N", "count", "how often each side has its turn" },
  { "steps", "N", "count", "training steps measured in one turn; inference makes three times as many" },
  { "warm", "N", "whole", "steps before these, recorded but not counted" },
  { "size", "N", "count", "images of N x N (default: the paper's)" },
  { "data", "DIR", "text", "for the loader: a folder of N.png with N_seg.png, as BAGLS (default: drawn)" },
  { "timeout", "SECONDS", "positive", "the most that one process may take" },
  { "json", "FILE", "text", "results (default build/bench/results.json)" },
  options.row("precision"), options.row("threads"), options.row("help"),
}
local o = options.command(arg, { rows = rows, defaults = {
  batch = "2,8", rounds = 3, steps = 3, warm = 2, timeout = 3600, precision = "f32" } })

local shared = require "words" (o)
local stop, chosen = shared.stop, shared.chosen

o.root = sys.realpath((arg[0]:match("^(.*)/") or ".") .. "/..")
local kinds, peers, _
o.nets = chosen("only", jobs.nets)
kinds, o.what = chosen("what", jobs.kinds)
_, o.variants = chosen("variants", jobs.variants)
if o.peers == "none" then peers, o.peers = {}, {} else peers, o.peers = chosen("peers", jobs.peers) end
o.batches = {}
for word in o.batch:gmatch("[^,%s]+") do
  local batch = word:match("^[1-9]%d*$") or stop("--batch wants whole numbers, as in 2,8, got '%s'", o.batch)
  o.batches[#o.batches + 1] = tonumber(batch)
end
if #o.batches == 0 then stop("--batch names no batch size") end
o.python = os.getenv("PYTHON") or o.root .. "/build/peers/bin/python"
o.work = o.root .. "/build/bench"
o.json = o.json or o.work .. "/results.json"
assert(sys.mkdir(o.work))

-- Phantoms as files, drawn once; the files are read here, so that no side pays for the disk.
local function prepare_pictures()
  if not o.data then
    o.data = o.work .. "/phantoms"
    local list = data.phantom { family = "glottis", count = 200, size = 256 }
    assert(sys.mkdir(o.data))
    for i = 1, #list do
      local image, mask = list:load(i)
      assert(save.png(("%s/%d.png"):format(o.data, i), image))
      assert(save.png(("%s/%d_seg.png"):format(o.data, i), mask))
    end
  end
  o.data = sys.realpath(o.data) or stop("--data: there is no %s", o.data)
  for _, name in ipairs(assert(sys.list(o.data))) do save.read(o.data .. "/" .. name) end
end

-- -- one turn

local function print_now(...)
  io.stdout:write(string.format(...), "\n")
  io.stdout:flush()
end

local function ask(argv, env) return machine.ask(argv, env, o.timeout) end

-- Three starts of a program: all there is to measure of it.
local function starts(side)
  local seconds = {}
  for i = 1, 3 do
    local text, result = machine.output(side.argv, side.env)
    if not text then return nil, result end
    seconds[i] = result.seconds
  end
  return { values = seconds }
end

local function turn(cell, side)
  if cell.what == "startup" then return starts(side) end
  if side.exported and cell.export_error then return nil, "no ONNX file: " .. cell.export_error end
  local argv = { unpack(side.argv) }
  argv[#argv + 1] = ("started=%.6f"):format(sys.clock())
  return ask(argv, side.env)
end

local function words_of(sample)
  if sample.error then return "FAILED: " .. sample.error end
  if sample.epochs then return ("%.0f pairs/s, later %.0f"):format(sample.epochs[1], sample.epochs[#sample.epochs]) end
  local text = ("%.4f s"):format(stats.median(sample.values))
  if sample.first then text = ("%s, first after %.1f s, peak %.0f MiB"):format(text, sample.first, sample.peak / 2 ^ 20) end
  return text
end

-- -- rounds

-- PyTorch's variants that were more than a tenth slower than the best of their class in the first round have
-- no further turns; the best ones stand for the class.
local function drop_slow(cell)
  local best = {}
  for _, side in ipairs(cell.sides) do
    local values = side.samples[1].values
    side.median = values and stats.median(values)
    if side.median then best[side.class] = math.min(best[side.class] or math.huge, side.median) end
  end
  for _, side in ipairs(cell.sides) do
    if side.median and side.median > 1.1 * best[side.class] then side.done = true end
  end
end

local function measure(cell, title)
  if cell.count then
    local count = assert(ask(cell.count))
    cell.gflop = count[cell.what]
  end
  if cell.exporter then
    local done, why = ask(cell.exporter)
    cell.export_error = not done and why or nil
  end
  for _, side in ipairs(cell.sides) do side.samples = {} end
  for round = 1, o.rounds do
    for _, side in ipairs(cell.sides) do
      if not side.done then
        local sample, why = turn(cell, side)
        sample = sample or { error = why }
        sample.round, side.done = round, sample.error ~= nil
        side.samples[#side.samples + 1] = sample
        print_now("%s round %d  %-24s %s", title, round, side.side, words_of(sample))
      end
    end
    if round == 1 and cell.net then drop_slow(cell) end
  end
  if cell.export then
    os.remove(cell.export)
    os.remove(cell.export .. ".data")
  end
end

-- -- the whole run

local commit, changed = machine.commit(o.root)
local threads = o.threads or sys.cores()
local bench = {
  date = os.date("!%Y-%m-%dT%H:%M:%SZ"), command = "bench/main.lua " .. table.concat(arg, " "), commit = commit, changed = changed,
  machine = machine.describe(), environment = machine.environment(), versions = { lunette = machine.versions(o.root) },
  settings = { what = save.array(kinds), precision = o.precision, threads = threads, rounds = o.rounds, steps = o.steps,
    warm = o.warm, data = o.data and sys.basename(sys.realpath(o.data) or o.data) or "drawn" },
  load = {}, peak = save.array {}, cells = save.array {},
}

local function note_machine()
  local peak, why = machine.peak(threads)
  if peak then bench.peak[#bench.peak + 1] = peak else print_now("no peak, so no floors: %s", why) end
  bench.load[#bench.load + 1] = machine.load()
end

local function write()
  assert(sys.mkdir(sys.dirname(o.json)))
  assert(save.write(o.json, save.json(bench, { indent = 1, order = { "date", "command", "commit", "machine" } }) .. "\n"))
end

if #peers > 0 then
  local why
  if not machine.output { o.python, "--version" } then
    stop("no Python of the peers at %s: make bench makes it, PYTHON names another, --peers none goes without", o.python)
  end
  bench.versions.peers, why = ask { o.python, o.root .. "/bench/peer.py", "what=versions" }
  if not bench.versions.peers then print_now("the peers do not say their versions: %s", why) end
end
if o.what.loader then prepare_pictures() end
note_machine()
local cells, failed, started = jobs.cells(o), 0, sys.clock()
for i, cell in ipairs(cells) do
  local title = ("[%d/%d] %s%s"):format(i, #cells, cell.what,
    cell.net and (" %s %dx%d batch %d"):format(cell.net, cell.size, cell.size, cell.batch) or "")
  measure(cell, title)
  if cell.sides[1].samples[#cell.sides[1].samples].error then failed = failed + 1 end
  bench.cells[i] = jobs.plain(cell)
  bench.seconds = sys.clock() - started
  write()
end
note_machine()
write()
print_now("%.0f s; results in %s\n", bench.seconds or 0, o.json)
sys.run { sys.executable(), o.root .. "/bench/report.lua", o.json }
sys.exit(failed > 0 and 1 or 0)
