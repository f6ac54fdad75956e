-- bench/: Lunette's side at tiny sizes, the orchestrator with peers that are made up (no Python), and the report.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")
local data = require "lunette.data"
local save = require "lunette.save"
local sys = require "lunette.sys"

assert(sys.mkdir(scratch.path "pictures"))

local function lunette(...) return scratch.lunette({ ... }, { env = { PYTHON = scratch.path "python", LUNETTE_CHECK_LEAKS = "0" } }) end

local function side(...)
  local status, out, err = lunette("--threads", "1", "bench/side.lua", ...)
  check.equal(status, 0, err)
  return assert(save.parse_json(out:match("({[^\n]*})\n$")))
end

check.test("the arithmetic of a step is that of its convolutions, done directly", function()
  -- LLaMA's network by hand: weights times the places that each is applied to, output places or, transposed, input places
  local first = 9 * 64 * 254 ^ 2
  local rest = 9 * 64 * 128 * 125 ^ 2 + 9 * 128 * 256 * 60 ^ 2 + 4 * 256 * 128 * 30 ^ 2 + 4 * 128 * 64 * 60 ^ 2 + 4 * 64 * 120 ^ 2
  local count = side("what=count", "net=llama31", "size=256", "batch=2")
  check.near(count.infer, 2 * 2e-9 * (first + rest), 1e-9)
  check.near(count.train, 2 * 2e-9 * (2 * first + 3 * rest), 1e-9)
end)

for _, net in ipairs { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" } do
  check.test("a step of " .. net .. " is timed, and its loss is one", function()
    local result = side("what=train", "net=" .. net, "size=32", "batch=2", "warm=1", "steps=1", ("started=%f"):format(sys.clock()))
    check.equal(#result.warmup, 1)
    check.equal(#result.values, 1)
    check.equal(result.threads, 1)
    check.truthy(result.loss > 0.1 and result.loss < 3, "loss")
    check.truthy(result.first >= result.warmup[1] and result.first < 60, "first")
    check.truthy(result.peak > 2 ^ 23 and result.peak < 2 ^ 31, "peak")
  end)
end

-- A peer that answers as bench/peer.py does: its channels_last breaks, its compile is slow, its OpenVINO hangs.
scratch.write("python", [[
#!/bin/sh
echo "$@" "$MALLOC_TOP_PAD_" >>"$(dirname "$0")/calls"
step() { echo "{\"warmup\": [], \"values\": [$1], \"first\": 50, \"peak\": 1e12, \"threads\": 1}"; }
case "$*" in
  *what=versions*) echo 'a warning first'; echo '{"torch": "9.9"}' ;;
  *what=export*) : ;;
  *what=loader*) echo '{"epochs": [1, 2, 2, 2], "pairs": 4}' ;;
  *variant=channels_last*) echo 'RuntimeError: no such layout' >&2; exit 3 ;;
  *variant=eager*) step 10 ;;
  *variant=compile*) step 20 ;;
  *variant=openvino*) sleep 60 ;;
esac
]])
assert(sys.run { "chmod", "+x", scratch.path "python" })
local phantoms = data.phantom { family = "glottis", count = 4, size = 32 }
for i = 1, #phantoms do
  local image, mask = phantoms:load(i)
  assert(save.png(scratch.path(("pictures/%d.png"):format(i)), image))
  assert(save.png(scratch.path(("pictures/%d_seg.png"):format(i)), mask))
end

local function bench(...)
  local status, out, err = lunette("bench/main.lua", "--threads", "1", "--size", "32", "--batch", "2", "--steps", "1", "--warm", "0",
    "--json", scratch.path "results/r.json", ...)
  local text = scratch.read "results/r.json"
  return status, text and assert(save.parse_json(text)), out, err
end

check.test("sides have their turns in rounds, and one that fails is recorded while the others go on", function()
  local status, results, out, err = bench("--only", "llama31", "--rounds", "2", "--peers", "installed,tuned,onnxruntime", "--data", scratch.path "pictures")
  check.equal(status, 0, err)
  check.equal(results.versions.peers.torch, "9.9")
  check.equal(#results.cells, 4)
  local cells = {}
  for _, cell in ipairs(results.cells) do
    cells[cell.what] = {}
    for _, s in ipairs(cell.sides) do cells[cell.what][s.side] = s.samples end
  end
  check.equal(#cells.startup.lunette, 2)
  check.equal(#cells.loader["installed 1"][1].epochs, 4)
  check.equal(cells.loader.lunette[1].pairs, 4)
  check.equal(#cells.train.lunette, 2)
  check.equal(#cells.train["installed eager"], 2, "the best has all rounds")
  check.equal(#cells.train["installed compile"], 1, "one that is much slower has the first only")
  check.equal(cells.train["installed channels_last"],
    { { round = 1, error = "ended with status 3: RuntimeError: no such layout" } })
  check.equal(#cells.train["tuned eager"], 2)
  check.equal(#cells.train["tuned compile"], 1)
  check.equal(#cells.infer.lunette[1].values, 3)
  check.truthy(cells.infer.onnxruntime[1].error:find("no ONNX file: gave no result", 1, true))
  check.truthy(out:find("llama31 | 0.223 |", 1, true), out)
end)

check.test("peers are told what Lunette is told, and the tuned ones keep their memory", function()
  local calls = scratch.read "calls"
  for line in calls:gmatch("[^\n]*what=train[^\n]*") do
    check.truthy(line:find("batch=2 net=llama31 precision=f32 size=32 steps=1 threads=1 variant=%a+[%a_]* warm=0 what=train started=%d"), line)
  end
  local eager, tuned = calls:match("[^\n]*variant=eager[^\n]*what=train[^\n]*"), calls:match("[^\n]*what=train[^\n]*268435456\n")
  check.truthy(eager and not eager:find("268435456", 1, true), "installed")
  check.truthy(tuned, "tuned")
end)

check.test("a peer that hangs is ended", function()
  scratch.write("python", (scratch.read("python"):gsub("%*what=export%*%) :", "*what=export*) echo '{}'")))
  local _, results = bench("--only", "llama31", "--rounds", "1", "--timeout", "3", "--what", "infer", "--peers", "openvino")
  check.equal(results.cells[1].sides[2].samples, { { round = 1, error = "took longer than 3 seconds" } })
end)

check.test("words that make no sense end it with status 2", function()
  for _, words in ipairs { { "--only", "gpt5" }, { "--batch", "two" }, { "--what", "speed" }, { "--peers", "jax" } } do
    local status, _, _, err = bench(unpack(words))
    check.equal(status, 2, words[1])
    check.truthy(err:find(words[1], 1, true) and err:find(words[2], 1, true), err)
  end
end)

check.test("the report has floors, ratios of rounds and what was asked", function()
  local status, out, err = lunette("bench/report.lua", "tests/reference/bench.json")
  check.equal(status, 0, err)
  local function has(line) check.truthy(out:find("\n" .. line .. "\n", 1, true), line .. "\n" .. out) end
  -- 440 GFLOP at 200 GFLOP/s are 2.2 s, 55 % of 4 s; rounds 8/4, 6/2, 5/5; a side that broke off in round 2 stands behind
  has("| gpt4 | 440 | 2.20 s | 4.00 s | 55 % | 6.00 s (eager) | 5.00 s (channels last) | 2.00 (1.00-3.00) met | 1.25 (1.00-2.50) short |")
  has("| gpt4 | 100 MiB | 200 MiB (eager) | 400 MiB (channels last) | 0.500 (0.500-0.500) met |")
  has("| gpt4 | 10.0 s | 12.0 s (channels last) | 1.20 (1.20-1.20) |")
  has("| gpt4 | 147 | 0.735 s | 0.500 s | 147 % | 0.100 s (eager) | 2.00 s (compile) | - | 1.25 s | 2.50 (2.50-2.50) aim |")
  has("| first epoch at 256x256, pairs a second | 400 | 200 (torchvision, 1 workers) | 2.00 (2.00-2.00) met |")
  has("| later epochs at 256x256, pairs a second | 10000 | 250 (torchvision, 1 workers) | 40.0 (40.0-40.0) aim |")
  has("- infer gpt4 batch 2, onnxruntime: no ONNX file: torch said no")
  check.truthy(not out:find("/where", 1, true), "where files lie is left out")
end)

-- -- bench/precision.lua

-- Lines of results: Dice by mode, one value a seed; false: that training is not there.
local function precision_lines(about, dice)
  local lines = {}
  for mode, values in pairs(dice) do
    for seed, value in ipairs(values) do
      local line = { data = "phantom", net = "gpt4", size = 64, train = 30, epochs = 5, batch = 2, test = 40, lr = 0.001, seed = seed,
        mode = mode, dice = value }
      for name, other in pairs(about) do line[name] = other end
      if value then lines[#lines + 1] = save.json(line) end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

check.test("what precision changes: means, Student's intervals, and the verdict beside twice PyTorch's spread", function()
  local path = scratch.path "made_up.jsonl"
  assert(save.write(path, precision_lines({}, {
    strict = { 0.5, 0.6, 0.7, 0.8, 0.9 }, f32 = { 0.51, 0.59, 0.72, 0.8, 0.93 }, bf16 = { 0.54, 0.64, 0.74, 0.84, 0.94 },
    eager = { 0.5, 0.5, 0.5, 0.5, 0.5 }, channels_last = { 0.51, 0.49, 0.52, 0.48, 0.5 },
  })))
  assert(save.append(path, precision_lines({ net = "gpt_o1", data = "bagls", size = 128, lr = 1e-4, warm = 200 }, {
    strict = { 0.5, 0.5, 0.5, 0.5 }, f32 = { 0.5, 0.52, 0.5, 0.52 }, bf16 = { 0.5, false, false, 0.52 },
    eager = { 0.3, 0.3, 0.3, false }, channels_last = { false, 0.304, 0.296, 0.3 },
  })))
  local status, out, err = lunette("bench/precision.lua", "--table", "--results", path)
  check.equal(status, 0, err)
  local function has(line) check.truthy(out:find("\n" .. line .. "\n", 1, true), line .. "\n" .. out) end
  -- differences 1, -1, 2, 0, 3 hundredths: std 1.5811, half the interval 2.7764 std / sqrt(5) = 1.9632; spread 6 / 5, std 1.5811
  has("| gpt4 | phantom 64x64 | 5 | +0.01000 (-0.00963 to +0.02963) | +0.04000 (+0.04000 to +0.04000) | +0.00000 (-0.01963 to +0.01963)"
    .. " | 0.01200 | 0.01581 | 0.02400 | met | falls short |")
  -- 0, 2, 0, 2 hundredths: std 1.1547, t of 3 degrees 3.1824; 0, 2 with t 12.7062 of one; layouts of seeds 2 and 3: 4, -4 thousandths
  has("| gpt_o1 | bagls 128x128 | 4 | +0.01000 (-0.00837 to +0.02837) | +0.01000 (-0.11706 to +0.13706) | +0.00000 (-0.05082 to +0.05082)"
    .. " | 0.00400 | 0.00566 | 0.00800 | falls short | falls short |")
  has("| gpt4 | phantom 64x64 | 3 | 0.7000 | 0.7200 | 0.7400 | 0.5000 | 0.5200 |")
  has("| gpt4 | phantom 64x64 | mean | 0.7000 | 0.7100 | 0.7400 | 0.5000 | 0.5000 |")
  has("| gpt_o1 | bagls 128x128 | 4 | 0.5000 | 0.5200 | 0.5200 | - | 0.3000 |")
  has("- gpt_o1, bagls 128x128: 30 training images, epochs: 5, batch 2, learning rate 0.0001, 40 test images, warmed up on 200 images")
end)

-- A peer that is Lunette itself, its contiguous layout in f32, and whose other layout breaks.
scratch.write("python", ([[
#!/bin/sh
precision=f32
case "$*" in
  *variant=channels_last*) echo 'RuntimeError: no such layout' >&2; exit 3 ;;
  *variant=double*) precision=strict ;;
  *variant=autocast*) precision=bf16 ;;
esac
shift
echo "$@" >>"%strained"
exec "%s" --precision $precision --threads 1 bench/side.lua "$@"
]]):format(scratch.path "", sys.executable()))

check.test("trainings of one seed share weights and batches, a failure is said, and what is there is not repeated", function()
  local results = scratch.path "precision.jsonl"
  local function run(...)
    return lunette("bench/precision.lua", "--threads", "1", "--only", "gpt4", "--phantom", "glottis:20", "--size", "16", "--train", "4",
      "--epochs", "2", "--test", "3", "--warm", "2", "--results", results, ...)
  end
  local status, out, err = run("--seeds", "1")
  check.equal(status, 1, err)
  check.truthy(out:find("seed 1  channels_last  FAILED: ended with status 3: RuntimeError: no such layout", 1, true), out)
  local by_mode = {}
  for line in save.read(results):gmatch("[^\n]+") do
    local one = assert(save.parse_json(line))
    check.equal({ one.data, one.net, one.seed, one.size, one.warm, #one.images }, { "phantom", "gpt4", 1, 16, 2, 3 })
    by_mode[one.mode] = one
  end
  check.equal({ by_mode.eager.dice, by_mode.eager.loss }, { by_mode.f32.dice, by_mode.f32.loss }, "the same training")
  check.near(by_mode.strict.loss, by_mode.f32.loss, 1e-4)
  check.near(by_mode.bf16.loss, by_mode.f32.loss, 1e-2)
  check.truthy(by_mode.bf16.loss ~= by_mode.f32.loss, "bf16 is another")
  check.equal({ by_mode.channels_last }, {})

  local before = save.read(results)
  status, out, err = run("--seeds", "2", "--modes", "f32,eager")
  check.equal(status, 0, err)
  local after = save.read(results)
  check.equal(after:sub(1, #before), before)
  check.equal(select(2, after:sub(#before + 1):gsub("\n", "\n")), 2, out)
  check.truthy(after:find('"seed":2,"mode":"eager"', #before, true), after)
  check.equal(select(2, scratch.read("trained"):gsub("net=gpt4 lr=0.001", "")), 2)
end)

-- -- bench/gradients.lua

check.test("how exact a step is: errors beside double's gradients, and a side that fails", function()
  local status, out, err = lunette("bench/gradients.lua", "--threads", "1", "--only", "gpt4", "--phantom", "glottis:20", "--size", "16",
    "--steps", "2")
  check.equal(status, 1, err)
  local cells = {}
  for cell in out:match("\n| gpt4 |([^\n]*)"):gmatch(" ([^|]+) |") do cells[#cells + 1] = cell end
  check.equal(#cells, 6, out)
  local function errors(i)
    local whole, median = cells[i]:match("^(%S+), (%S+)$")
    return tonumber(whole), tonumber(median)
  end
  check.equal({ errors(1) }, { 0, 0 }) -- strict beside itself
  check.truthy(errors(2) > 0 and errors(2) < 1e-5, cells[2])
  check.equal(cells[4], cells[2], "the made-up contiguous layout is Lunette's f32")
  check.truthy(errors(3) > 1e-4 and errors(3) < 0.1 and select(2, errors(3)) > 1e-4, cells[3])
  check.equal(cells[6], cells[3])
  check.equal(cells[5], "failed: ended with status 3: RuntimeError: no such layout")
end)

scratch.remove()
check.done()
