-- lunette tune: measured choices among kernels, from the plan that asks for them to the file and back. That a method which
-- is told to run is right, and what a key may be, is tests/conv_blocked_test.c's and conv_measured_test.c's business.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")
local core = require "lunette.core"
local kernels = require "lunette.tune.kernels"
local lt = require "lunette"
local save = require "lunette.save"
local sys = require "lunette.sys"
local tune_c = require "lunette.tune_c"

local path = scratch.path
local tune_file = path "tune.json"

local function lunette(...) return scratch.lunette({ "--threads", "1", ... }, { env = { LUNETTE_TUNE = tune_file } }) end

-- One convolution that Winograd does by the shipped rule; prints its kernel and key, and a number.
local script = scratch.write("script.lua", [[
  local lt, core, F = require "lunette", require "lunette.core", require "lunette.nn.functional"
  lt.manual_seed(1)
  local y = F.conv2d(lt.rand(2, 16, 24, 24), lt.rand(32, 16, 3, 3), nil, { padding = 1 })
  core.flush()
  for _, s in ipairs((core.plan_steps())) do
    if s.kernel then print(s.kernel, s.key) end
  end
  print(y:mean():item())
  if arg[1] == "exit" then os.exit(3) end
  if arg[1] == "fail" then error("gone") end]])

local function run_script(...)
  local status, out, err = lunette(...)
  local kernel, key, number = out:match("^(%w+)\t([^\n]+)\n([^\n]+)\n$")
  check.equal(status, 0, err)
  return kernel, key, tonumber(number), err
end

local kernel, key, number = run_script(script)
local machine = select(2, lunette("-e", "print(require('lunette.tune').machine())")):match("^([^\n]+)\n$")

local function write_entry(entry, name)
  assert(save.write(tune_file, save.json { version = 1, machines = { [name or machine] = entry } }))
end

local function choice(name, extra)
  local entry = { choice = name, shipped = "winograd", ms = { [name] = 1, winograd = 2 } }
  for field, value in pairs(extra or {}) do entry[field] = value end
  return entry
end

check.test("without a file the shipped rule decides, and plan_steps says so", function()
  check.equal(kernel, "winograd")
  check.truthy(key:find("^forward f32 bb 2x16@1x24x24 32@1x24x24 k1x3x3 s1x1x1 p0x1x1 d1x1x1 g1$"), key)
end)

check.test("an entry flips the choice, on this machine alone", function()
  for _, name in ipairs { "direct", "products" } do
    write_entry { kernels = { [key] = choice(name) } }
    local now, same, value = run_script(script)
    check.equal({ now, same }, { name, key })
    check.near(value, number, 1e-5 * math.abs(number))
  end
  write_entry({ kernels = { [key] = choice "direct" } }, "another machine")
  check.equal(run_script(script), "winograd")
end)

check.test("entries that say nothing, or nonsense, or what cannot be", function()
  local same = choice "direct"
  same.choice = "winograd"
  local entries = {
    same, choice "tiles", choice "thin", choice "no such kernel", choice "", choice("direct", { ms = save.array {} }), choice("direct", { ms = "fast" }),
    choice("direct", { ms = { direct = "1", winograd = 2 } }), choice("direct", { ms = { direct = -1, winograd = 2 } }),
    choice("direct", { ms = { direct = 1 } }), choice("direct", { shipped = 3 }), { choice = "direct" }, "direct", 7, true, save.array { 1, "direct" },
  }
  for i, entry in ipairs(entries) do
    write_entry { kernels = { [key] = entry } }
    local now, _, _, err = run_script(script)
    check.equal(now, "winograd", "entry " .. i)
    check.equal(err:find("lunette: [^%d]"), nil, err) -- no complaint
  end
  for _, whole in ipairs { { kernels = "x" }, { kernels = save.array { "x", choice "direct" } }, { kernels = 1 }, save.array {}, "x", 1,
    { kernels = { [key .. " "] = choice "direct", [("x"):rep(100000)] = choice "direct", [""] = choice "direct" } } } do
    write_entry(whole)
    check.equal(run_script(script), "winograd")
  end
end)

check.test("strict has keys of its own and never takes Winograd; --deterministic takes the shipped rules", function()
  local shipped, strict_key = run_script("--precision", "strict", script)
  check.equal(shipped, "direct")
  check.equal(strict_key, (key:gsub("f32", "strict")))
  write_entry { kernels = { [key] = choice "products", [strict_key] = choice("winograd", { shipped = "direct", ms = { winograd = 1, direct = 2 } }) } }
  check.equal(run_script("--precision", "strict", script), "direct")
  check.equal(run_script("--deterministic", script), "winograd")
  check.equal(run_script(script), "products")
end)

check.test("a file that cannot be used is told, once, and the work goes on", function()
  for text, word in pairs { ["{"] = "damaged", ["[1]"] = "damaged", ['{"version": 2, "machines": {}}'] = "newer" } do
    assert(save.write(tune_file, text))
    local now, _, _, err = run_script(script)
    check.equal(now, "winograd")
    local _, told = err:gsub(word, "")
    check.equal(told, 1, err)
    check.equal(save.read(tune_file), text)
  end
end)

check.test("lunette tune FILE: runs it with its arguments, times what it planned, keeps the rest of the file", function()
  os.remove(tune_file)
  write_entry({ kernels = { old = 1 }, peaks = { mine = 1 } })
  local all = save.parse_json(assert(save.read(tune_file)))
  all.later, all.machines.other = "x", { peaks = {} }
  assert(save.write(tune_file, save.json(all)))
  local status, out, err = lunette("tune", "--seconds", "1", script)
  check.equal(status, 0, err)
  check.truthy(out:find(key, 1, true), out)
  check.truthy(out:find("1 convolution measured", 1, true), out)
  local now = save.parse_json(assert(save.read(tune_file)))
  local entry = now.machines[machine].kernels[key]
  check.truthy(kernels.valid(entry), "valid")
  check.equal(entry.shipped, "winograd")
  check.truthy(entry.ms.direct > 0 and entry.ms.products > 0)
  check.equal({ now.later, now.machines[machine].kernels.old, now.machines[machine].peaks.mine, now.machines.other ~= nil }, { "x", 1, 1, true })
  check.equal(run_script(script), entry.choice)
  check.truthy(select(2, lunette("-e", "print(require('lunette.tune').hash())")):find("^%x%x%x%x%x%x%x%x\n$"))
  check.equal(select(2, lunette("tune", "--list", "--all")):find(key, 1, true) ~= nil, true)
end)

check.test("a script's own end is the program's, and what it planned is timed all the same", function()
  for word, wanted in pairs { exit = 3, fail = 1 } do
    os.remove(tune_file)
    local status, out = lunette("tune", "--seconds", "1", script, word)
    check.equal(status, wanted)
    check.truthy(out:find("kept in ", 1, true), out)
    check.truthy(save.parse_json(assert(save.read(tune_file))).machines[machine].kernels[key])
  end
end)

check.test("nothing to time, nothing measured, no such file, no device with a choice", function()
  os.remove(tune_file)
  assert(save.write(path "empty.lua", "print(1)"))
  local status, _, err = lunette("tune", path "empty.lua")
  check.equal(status, 1)
  check.truthy(err:find("no convolution was planned", 1, true), err)
  status, _, err = lunette("tune", "--list")
  check.equal(status, 1)
  check.truthy(err:find("nothing was measured", 1, true), err)
  check.equal(lunette("tune", path "nosuch.lua"), 1)
  status, _, err = lunette("--deterministic", "tune", script)
  check.equal(status, 1)
  check.truthy(err:find("shipped kernels alone", 1, true), err)
  check.equal(sys.exists(tune_file), false)
  status = lunette("--device", "reference", "tune", script)
  check.equal(status, 1)
end)

check.test("Ctrl-C leaves the file as it was", function()
  write_entry { kernels = { [key] = choice "direct" } }
  local before = assert(save.read(tune_file))
  local result = assert(sys.run({ "timeout", "--preserve-status", "-s", "INT", "3", assert(sys.executable()), "--threads", "1", "tune" },
    { stdout = path "out", stderr = path "err", env = { LUNETTE_TUNE = tune_file } }))
  check.equal(result.status, 130)
  check.equal(save.read(tune_file), before)
end)

check.test("another kernel must be faster by more than measurements differ", function()
  local function of(direct)
    return kernels.entry_of { { kernel = "winograd", seconds = 1e-3 }, { kernel = "direct", seconds = direct }, { kernel = "products", seconds = 1 } }
  end
  check.equal(of(0.97e-3), { choice = "winograd", shipped = "winograd", ms = { winograd = 1, direct = 0.97, products = 1000 } })
  check.equal(of(0.94e-3).choice, "direct")
  check.equal(kernels.choices { a = of(0.94e-3), b = of(0.97e-3), c = 3 }, { { "a", "direct" } })
  check.truthy(kernels.text { a = of(0.94e-3), b = of(0.97e-3) }:find("2 convolutions measured; another kernel than the shipped rule's is taken for 1", 1, true))
  local entries, left = kernels.measure({ "a", "b" }, 0)
  check.equal({ next(entries), left }, { nil, 2 })
  local failed, message = select(3, kernels.measure({ "nonsense" }, 1))
  check.equal(failed, 1)
  check.truthy(message:find("no convolution", 1, true), message)
end)

check.test("who beats the shipped kernel must do so twice", function()
  local time, calls = tune_c.time, 0
  local function measured(...) -- seconds of the other kernel, call by call
    local list = { ... }
    calls = 0
    tune_c.time = function() -- luacheck: ignore 122
      calls = calls + 1
      return { { kernel = "winograd", seconds = 1 }, { kernel = "direct", seconds = list[calls] } }
    end
    return kernels.measure({ "key" }, 10).key
  end
  local results = { { measured(0.5, 0.6).choice, calls }, { measured(0.5, 1.1).choice, calls }, { measured(2).choice, calls } }
  tune_c.time = time -- luacheck: ignore 122
  check.equal(results, { { "direct", 2 }, { "winograd", 2 }, { "winograd", 1 } })
end)

check.test("choices made during a session: earlier plans are forgotten", function()
  local F = require "lunette.nn.functional"
  local x, w = lt.rand(2, 16, 24, 24), lt.rand(32, 16, 3, 3)
  core.flush()
  local function now()
    local y = F.conv2d(x, w, nil, { padding = 1 }) -- luacheck: ignore 211 (what is not held is not computed)
    core.flush()
    for _, s in ipairs((core.plan_steps())) do
      if s.kernel then return s.kernel, s.key end
    end
  end
  local shipped, its_key = now()
  assert(tune_c.choose { { its_key, "products" } })
  check.equal({ shipped, (now()) }, { "winograd", "products" })
  local list, kernel_of = tune_c.planned()
  check.equal(kernel_of[its_key], "products")
  for _, one in ipairs(list) do kernel_of[one] = nil end
  check.equal(next(kernel_of), nil)
  assert(tune_c.choose {})
  check.equal((now()), "winograd")
  check.raises(function() tune_c.choose { { 1 } } end, "pairs of texts")
end)

check.test("a rehearsal plans, computes nothing and writes nothing", function()
  local cell = core.cell(lt.ones(3), { requires_grad = true })
  core.flush()
  local steps = core.stats().steps
  local loss = (cell * 2):sum()
  loss:backward()
  cell:assign_(lt.zeros(3))
  tune_c.rehearse()
  check.equal(core.stats().steps, steps)
  check.equal(cell:tolist(), { 1, 1, 1 })
  check.raises(function() loss:item() end, "planned, not computed")
  check.equal((cell * 2):sum():item(), 6)
end)

check.test("the study's networks are planned at their paper's sizes, from their own sources", function()
  local status, out, err = lunette("-e", [[
    local networks, c, core = require "lunette.tune.networks", require "lunette.tune_c", require "lunette.core"
    print(networks.plan(networks.folder()), core.stats().steps)
    local n, directions = 0, {}
    for _, key in ipairs((c.planned())) do
      n = n + 1
      directions[key:match("^%a+")] = true
    end
    print(n > 100, directions.forward, directions.data, directions.weights)]])
  check.equal(status, 0, err)
  check.equal(out, "8\t0\ntrue\ttrue\ttrue\ttrue\n")
end)

scratch.remove()
check.done()
