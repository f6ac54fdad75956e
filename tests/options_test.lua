-- The options that all paper scripts share: what is read, what is refused and how the program ends.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")
local options = require "lunette.options"

local defaults = { id = "x", epochs = 25, batch = 16, size = 256, lr = 1e-3 }

local function read(line)
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  return options.read(words, defaults)
end

local function refused(line, pattern)
  local o, message = read(line)
  check.equal(o, nil, line)
  check.truthy(message:find(pattern, 1, true), ("%s: %s"):format(line, message))
end

check.test("defaults are the pipeline's, then the general ones", function()
  local o = read("")
  check.equal({ o.epochs, o.batch, o.size, o.lr, o.seed, o.workers, o.phantom, o.out, o.shuffle },
    { 25, 16, 256, 1e-3, 0, 1, "glottis:200", "runs/x", true })
  check.equal(o.given, {})
end)

check.test("values in both forms, switches, dashes in names", function()
  local o = read("--epochs 3 --lr=5e-4 --no-shuffle --log-steps --group-by video --memory 0 --seed 0 --phantom brain:70")
  check.equal({ o.epochs, o.lr, o.shuffle, o.log_steps, o.group_by, o.memory, o.phantom },
    { 3, 5e-4, false, true, "video", 0, "brain:70" })
  check.equal(o.given.batch, nil)
  o = read("--images a --suffix _seg --out b")
  check.equal({ o.images, o.masks, o.suffix, o.out }, { "a", nil, "_seg", "b" })
end)

check.test("what makes no sense is refused and named", function()
  refused("--epcohs 3", "unknown option --epcohs (did you mean --epochs?)")
  refused("--wurzel", "unknown option --wurzel")
  refused("--batch 0", "--batch wants a whole number, at least 1, got '0'")
  refused("--batch 1.5", "got '1.5'")
  refused("--size -4", "--size wants")
  refused("--size 1e2", "--size wants")
  refused("--lr abc", "--lr wants a positive number, got 'abc'")
  refused("--lr 0", "--lr wants")
  refused("--lr nan", "--lr wants")
  refused("--lr 0x10", "--lr wants")
  refused("--lr 1e999", "--lr wants")
  refused("--epochs", "--epochs needs a value: N")
  refused("--epochs --batch 3", "--epochs needs a value")
  refused("--no-shuffle=1", "--no-shuffle takes no value")
  refused("word", "unexpected argument 'word'")
  refused("--phantom liver", "glottis, bolus or brain")
  refused("--phantom brain:0", "glottis, bolus or brain")
  refused("--device gpu", "--device wants cpu, cuda, reference or auto, got 'gpu'")
  refused("--precision f16", "strict, f32 or bf16")
  refused("--memory much", "--memory wants a number of gigabytes")
  refused("--out=", "--out wants")
  refused("--images a", "say where the masks are")
  refused("--masks a", "--masks goes with --images")
  refused("--images a --suffix _m --phantom brain", "exclude each other")
  refused("--init a --resume", "exclude each other")
end)

-- -- as a program

local script = scratch.write("script.lua", [[
local o = require("lunette.options").parse(arg, { id = "t", epochs = 2, batch = 4, size = 32, lr = 1e-3 })
print(o.epochs, require("lunette.sys").settings().threads)
]])

check.test("a script's own options and words, with shared ones among them", function()
  local command = { words = "RUN...", defaults = { level = 3 }, rows = {
    options.row("threads"), options.row("help"), { "level", "N", "count", "how much" }, { "out", "DIR", "text", "results" },
  } }
  local o = options.read_command({ "a", "--level", "7", "b", "--threads=2", "--", "--c" }, command)
  check.equal(o, { "a", "b", "--c", level = 7, threads = 2, given = { level = 7, threads = 2 } })
  check.equal(options.read_command({ "a" }, command).level, 3)
  local function bad(pattern, ...)
    local result, problem = options.read_command({ ... }, command)
    check.equal(result, nil, pattern)
    check.truthy(problem:find(pattern, 1, true), problem)
  end
  bad("RUN... is missing")
  bad("--level wants a whole number, at least 1, got 'x'", "a", "--level", "x")
  bad("unknown option --epochs", "a", "--epochs", "3")
  bad("unknown option --leve (did you mean --level?)", "a", "--leve", "3")
  bad("--out needs a value", "a", "--out")
  check.truthy(options.read_command({ "--help" }, command).help)
  command.words = nil
  bad("unexpected argument 'a'", "a")
end)

-- status, standard output, standard error of the script with these words
local function program(...) return scratch.lunette({ script, ... }, { env = { LUNETTE_CHECK_LEAKS = "0" } }) end

check.test("a good command line runs", function()
  local status, out, err = program("--epochs", "7", "--threads", "1")
  check.equal({ status, out, err }, { 0, "7\t1\n", "" })
end)

check.test("--help goes to standard output, with the defaults", function()
  local status, out = program("--help")
  check.equal(status, 0)
  check.truthy(out:find("usage: lunette " .. script .. " [options]", 1, true))
  check.truthy(out:find("--epochs N           epochs (default 2)", 1, true), out)
end)

check.test("a bad one goes to standard error and ends with 2", function()
  local status, out, err = program("--epcohs", "7")
  check.equal(status, 2)
  check.equal(out, "")
  check.truthy(err:find("did you mean --epochs", 1, true))
  check.truthy(err:find("usage: lunette", 1, true))
end)

check.test("a device or precision that is not there ends with 1", function()
  local status, _, err = program("--device", "cuda")
  if status == 0 then check.skip("there is a CUDA device") end
  check.equal(status, 1)
  check.truthy(err:find("cuda: ", 1, true), err)
  check.truthy(not err:find("traceback", 1, true), err)
end)

scratch.remove()
check.done()
