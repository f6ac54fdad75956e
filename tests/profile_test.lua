-- profile: where time and memory go. No times are tested, only that they are booked in full.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")
local core = require "lunette.core"
local lt = require "lunette"
local nn = require "lunette.nn"
local optim = require "lunette.optim"
local profile = require "lunette.profile"
local save = require "lunette.save"

local path, read = scratch.path, scratch.read

local Net = nn.class("Net")
function Net:__init()
  self.first = nn.Sequential(nn.Conv2d(1, 8, 3, { padding = 1 }), nn.BatchNorm2d(8), nn.ReLU())
  self.up = nn.ConvTranspose2d(8, 4, 2, { stride = 2 })
  self.last = nn.Conv2d(4, 1, 1)
end
function Net:forward(x) return self.last(self.up(self.first(x))) end

local net = Net()
local opt = optim.Adam(net:parameters(), { lr = 1e-3 })
local crit = nn.BCEWithLogitsLoss()
local x, t = lt.rand(2, 1, 16, 16), lt.rand(2, 1, 32, 32)

local function step()
  opt:zero_grad()
  local loss = crit(net(x), t)
  loss:backward()
  opt:step()
  return loss:item()
end

local function profiled(n)
  profile.start()
  for _ = 1, n do step() end
  return profile.stop()
end

step()
local p = profiled(3)

local function rows(pattern, phase)
  local list = {}
  for _, row in ipairs(p.rows) do
    if row.op:find(pattern) and row.phase == phase then list[#list + 1] = row end
  end
  return list
end

-- The rows whose ops start with a word, by layer; fused ops start as what they do most of.
local function layers(pattern, phase)
  local found = {}
  for _, row in ipairs(rows(pattern, phase)) do found[row.layer] = row end
  return found
end

check.test("all of the time is booked", function()
  local sum, steps = 0, 0
  for _, seconds in pairs(p.activities) do sum = sum + seconds end
  check.near(sum, p.seconds, 1e-6)
  for _, row in ipairs(p.rows) do steps = steps + row.seconds end
  check.near(steps, p.activities.step, 1e-6)
end)

check.test("forward and backward are booked by layer, the update apart", function()
  local forward = layers("^conv", "forward")
  check.truthy(forward["first.0"], "first.0 forward")
  check.truthy(forward.up, "up forward")
  check.truthy(forward.last, "last forward")
  check.equal(forward["first.0"].calls, 3)
  local backward = layers("^conv_weight_grad", "backward")
  check.truthy(backward["first.0"], "first.0 backward")
  check.truthy(backward.up, "up backward")
  check.truthy(#rows("^adam", "update") > 0, "adam")
  check.equal(#rows("^adam", "forward"), 0)
end)

check.test("FLOP are those of the direct convolution", function()
  check.equal(layers("^conv", "forward")["first.0"].flop, 3 * 2 * (2 * 8 * 16 * 16) * 9)
  check.equal(layers("^conv", "forward").up.flop, 3 * 2 * (2 * 8 * 16 * 16) * (4 * 4))
  check.equal(layers("^conv_weight_grad", "backward")["first.0"].flop, 3 * 2 * (2 * 8 * 16 * 16) * 9)
end)

check.test("work and bytes of single ops", function()
  profile.start()
  local a, b = lt.ones(4, 6), lt.ones(6, 5)
  local y = a:matmul(b) + 1 -- luacheck: ignore
  y:tolist()
  local small = profile.stop()
  local seen = {}
  for _, row in ipairs(small.rows) do seen[row.op] = row end
  check.equal({ seen.matmul.flop, seen.matmul.bytes }, { 2 * 4 * 6 * 5, 4 * (24 + 30 + 20) })
  check.equal({ seen.add.flop, seen.add.bytes }, { 20, 4 * (20 + 1 + 20) })
  check.equal(seen.matmul.layer, "")
  check.truthy(seen.matmul.where:find("profile_test.lua", 1, true))
end)

check.test("the table: 100 columns at most, rows by time, shares of about 100 %", function()
  local text = tostring(p)
  local share, before, section = 0, math.huge, 0
  for line in text:gmatch("[^\n]+") do
    if #line > 100 then error(#line .. " columns: " .. line) end
    if line:find("^%s+time%s+share") then section = section + 1 end
    local percent = line:match("^%s*[%d.]+%s+([%d.]+)%%")
    if section == 1 and percent and not line:find("total") then
      share = share + tonumber(percent)
      check.truthy(tonumber(percent) <= before + 0.05, "sorted")
      before = tonumber(percent)
    end
  end
  check.near(share, 100, 2)
  for _, part in ipairs { "total: the time on the clock", "total of all steps", "first.0", "conv_weight_grad", "GFLOP/s",
    "recording", "collecting Lua's garbage", "Memory: at most", "parameters", "The largest values" } do
    check.truthy(text:find(part, 1, true), part)
  end
end)

check.test("memory: the peak is the highest of the steps and what is alive there adds up", function()
  local m, most = p.memory, 0
  for _, s in ipairs(m.steps) do most = math.max(most, s.bytes) end
  check.equal(m.bytes, most)
  check.equal(m.steps[m.at].bytes, m.bytes)
  check.equal(m.outside + m.temporaries + m.workspace, m.bytes)
  check.truthy(m.temporaries + m.workspace <= m.arena, "the arena holds them")
  local cells = 0
  for _, cell in ipairs(net:parameters()) do cells = cells + 4 * cell:numel() end
  check.truthy(m.cells >= 3 * cells, "parameters and two moments each")
  check.truthy(m.cells + m.kept + m.free <= m.outside, "the parts are no more than the whole")
  check.truthy(#m.largest > 0 and m.largest[1].bytes >= m.largest[#m.largest].bytes)
  check.truthy(m.largest[1].row.op)
end)

check.test("JSON and trace parse", function()
  local j = save.parse_json(p:json())
  check.equal(j.version, 1)
  check.equal(#j.rows, #p.rows)
  check.near(j.seconds, p.seconds, 0)
  check.truthy(j.rows[1].share and j.rows[1].op and j.memory.steps[1].bytes)
  local trace, spans, curve, last = save.parse_json(p:trace()), 0, 0, -1
  for _, e in ipairs(trace.traceEvents) do
    if e.ph == "X" then
      spans = spans + 1
      check.truthy(e.dur >= 0 and e.ts + e.dur <= p.seconds * 1e6 + 1, "inside the profile")
      if e.tid == 1 then
        check.truthy(e.ts >= last - 0.01, "steps do not overlap")
        last = e.ts + e.dur
      end
    elseif e.ph == "C" then
      curve = curve + 1
      check.truthy(e.args.MB <= p.memory.bytes * 1e-6 + 0.001)
    end
  end
  local calls = 0
  for _, row in ipairs(p.rows) do calls = calls + row.calls end
  check.equal(curve, calls)
  check.truthy(spans > calls, "pauses too")
end)

check.test("files", function()
  check.equal(p:write(path "part"), true)
  check.equal(read("part.json"), p:json())
  check.truthy(save.parse_json(read("part.trace.json")))
  check.fails("nosuch", "LN_EIO", p:write(path "nosuch/part"))
end)

check.test("without one nothing is kept, and results are the same", function()
  core.flush()
  collectgarbage()
  local before = core.mem().live
  local again = profiled(1)
  check.equal(#again.rows, #p.rows)
  again = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  check.equal(core.mem().live, before)
  lt.manual_seed(1)
  local y = lt.rand(3):tolist()
  profile.start()
  lt.manual_seed(1)
  check.equal(lt.rand(3):tolist(), y)
  profile.stop()
end)

check.test("start and stop in the wrong order", function()
  check.raises(profile.stop, "no profile is running")
  profile.start()
  check.raises(profile.start, "a profile is running")
  check.equal(#profile.stop().rows, 0)
end)

check.test("a failed step and an error in Lua leave the books in order", function()
  profile.start()
  local w = core.tensor({ 1 }, { requires_grad = true })
  local ok = pcall(function()
    core.backward(core.ops.sum(core.ops.log(w * 0) * 0))
    core.flush()
  end)
  check.equal(ok, false)
  local q, sum = profile.stop(), 0
  for _, seconds in pairs(q.activities) do sum = sum + seconds end
  check.near(sum, q.seconds, 1e-6)
end)

check.test("every allocation failing in turn fails nothing that would not fail without a profile", function()
  for n = 1, 40 do
    core.fail_at(0)
    local ok, problem = pcall(function()
      profile.start()
      core.fail_at(n)
      step()
    end)
    core.fail_at(0)
    if not ok then check.truthy(tostring(problem):find("out of memory", 1, true), tostring(problem)) end
    local q = profile.stop()
    check.truthy(q.seconds >= 0)
    tostring(q)
  end
end)

check.test("the reference device has no peaks, and says nothing of them", function()
  local code = [[local lt, profile = require "lunette", require "lunette.profile"
    profile.start() local y = (lt.ones(8) + 1):tolist() local p = profile.stop()
    print(p.peaks, p.machine, tostring(p):find("Peaks") == nil, tostring(p):find("reference device") ~= nil)]]
  check.equal(select(2, scratch.lunette { "--device", "reference", "-e", code }), "nil\tnil\ttrue\ttrue\n")
end)

-- -- --profile and lunette tune

local tune = "cache/tune.json"
local tune_file = path(tune)

local function lunette(...) return scratch.lunette({ ... }, { env = { LUNETTE_TUNE = tune_file } }) end

local script = scratch.write("script.lua", [[
    local lt, nn = require "lunette", require "lunette.nn"
    local net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    print("sum", net(lt.zeros(1, 1, 8, 8)):size(2))
    net(lt.ones(1, 1, 8, 8)):sum():backward()
    require("lunette.core").flush()
    if arg[1] == "fail" then error("gone") end
    if arg[1] == "exit" then os.exit(3) end]])

check.test("--profile: the table on stderr, output as it was; also after an error and os.exit", function()
  local status, out, err = lunette("--threads", "1", "--profile", script)
  check.equal({ status, out }, { 0, "sum\t4\n" })
  for _, part in ipairs { "Profile of", "conv_weight_grad", "briefly", "Memory: at most" } do
    check.truthy(err:find(part, 1, true), part)
  end
  local failed, _, why = lunette("--threads", "1", "--profile", script, "fail")
  check.equal(failed, 1)
  check.truthy(why:find("gone", 1, true) and why:find("Profile of", 1, true))
  local left, _, last = lunette("--threads", "1", "--profile", script, "exit")
  check.equal(left, 3)
  check.truthy(last:find("Profile of", 1, true))
end)

check.test("--profile=FILE: JSON and trace; a place that is not there gives 1", function()
  local status, out, err = lunette("--threads", "1", "--profile=" .. path "whole", script)
  check.equal(out, "sum\t4\n")
  check.equal(status, 0)
  check.truthy(err:find("whole.trace.json", 1, true))
  check.truthy(save.parse_json(read("whole.json")).rows[1].op)
  check.truthy(#save.parse_json(read("whole.trace.json")).traceEvents > 5)
  local failed, _, why = lunette("--threads", "1", "--profile=" .. path "nosuch/x", script)
  check.equal(failed, 1)
  check.truthy(why:find("nosuch", 1, true))
end)

check.test("a pipeline's own --profile", function()
  local status, out, err = lunette("scripts/gpt4/main.lua", "--phantom", "brain:10", "--size", "16", "--epochs", "1", "--batch", "4",
    "--threads", "1", "--out", path "run", "--profile=" .. path "gpt4")
  check.equal(status, 0, err)
  check.truthy(out:find("test dice", 1, true))
  check.truthy(err:find(".double_conv.", 1, true))
  check.truthy(err:find("waiting for the loader", 1, true))
  check.truthy(save.parse_json(read("gpt4.json")).activities.load > 0)
  check.equal(save.parse_json(read("run/run.json")).tune, nil)
  check.truthy(read("run/run.json"):find('"tune": null', 1, true))
end)

check.test("lunette tune: measures, keeps, is used and keeps what it does not know", function()
  local status, out, err = lunette("--threads", "1", "tune", "--peaks", "--seconds", "0.2")
  check.equal(status, 0, err)
  check.truthy(out:find("GFLOP/s", 1, true) and out:find(tune_file, 1, true))
  local all = save.parse_json(read(tune))
  local name, entry = next(all.machines)
  check.equal(all.version, 1)
  check.truthy(name:find("1 thread$"))
  for _, what in ipairs { "f32", "read", "copy", "touch", "touch_huge" } do
    check.truthy(entry.peaks[what].one > 1e6 and entry.peaks[what].all > 1e6, what)
  end
  entry.kernels, all.later = { conv = "direct" }, { save.array {}, 1 }
  all.machines.other = { peaks = {} }
  assert(save.write(tune_file, save.json(all)))
  local used, _, shown = lunette("--threads", "1", "--profile", script)
  check.equal(used, 0)
  check.truthy(shown:find("measured by 'lunette tune'", 1, true))
  check.equal(lunette("--threads", "1", "tune", "--peaks", "--seconds", "0.2"), 0)
  local again = save.parse_json(read(tune))
  check.equal(again.machines[name].kernels, { conv = "direct" })
  check.equal(again.later[2], 1)
  check.truthy(again.machines.other)
end)

check.test("the entry's hash is in run.json", function()
  local status, _, err = lunette("scripts/gpt4/main.lua", "--phantom", "brain:10", "--size", "16", "--epochs", "1", "--batch", "4",
    "--threads", "1", "--out", path "run")
  check.equal(status, 0, err)
  local hash = save.parse_json(read("run/run.json")).tune
  check.truthy(type(hash) == "string" and hash:find("^%x%x%x%x%x%x%x%x$"), tostring(hash))
  local all = save.parse_json(read(tune))
  all.machines.other = nil -- another machine's entry does not count, this one's does
  assert(save.write(tune_file, save.json(all)))
  local code = "print(require('lunette.tune').hash())"
  check.equal(select(2, lunette("--threads", "1", "-e", code)), hash .. "\n")
  for _, entry in pairs(all.machines) do entry.peaks.f32.one = 1 end
  assert(save.write(tune_file, save.json(all)))
  check.equal(select(2, lunette("--threads", "1", "-e", code)) ~= hash .. "\n", true)
end)

check.test("a damaged file is said and written anew, a newer one stays", function()
  for _, text in ipairs { "", "{", "[1]", '{"version": 1}', '{"version": "x", "machines": {}}' } do
    assert(save.write(tune_file, text))
    local status, _, err = lunette("--threads", "1", "--profile", script)
    check.equal(status, 0)
    check.truthy(err:find("is damaged", 1, true), text)
  end
  check.equal(lunette("--threads", "1", "tune", "--peaks", "--seconds", "0.2"), 0)
  check.equal(save.parse_json(read(tune)).version, 1)
  local newer = '{"version": 2, "machines": {}}'
  assert(save.write(tune_file, newer))
  local status, _, err = lunette("--threads", "1", "tune", "--peaks", "--seconds", "0.2")
  check.equal(status, 1)
  check.truthy(err:find("newer", 1, true))
  check.equal(read(tune), newer)
end)

check.test("where the file is", function()
  local function where(env)
    return (select(2, scratch.lunette({ "-e", "print(require('lunette.tune').path())" }, { env = env })))
  end
  check.equal(where { LUNETTE_TUNE = "a", XDG_CACHE_HOME = "b", HOME = "c" }, "a\n")
  check.equal(where { LUNETTE_TUNE = "", XDG_CACHE_HOME = "b", HOME = "c" }, "b/lunette/tune.json\n")
  check.equal(where { LUNETTE_TUNE = "", XDG_CACHE_HOME = "", HOME = "c" }, "c/.cache/lunette/tune.json\n")
  check.equal(where { LUNETTE_TUNE = "", XDG_CACHE_HOME = "", HOME = "" }, "nil\n")
end)

check.test("tune: words that make no sense, help, and a device without peaks", function()
  check.equal(lunette("tune", "--now"), 2)
  local status, out = lunette("tune", "--help")
  check.equal(status, 0)
  check.truthy(out:find("--seconds", 1, true))
  local failed, _, err = lunette("--device", "reference", "tune")
  check.equal(failed, 1)
  check.truthy(err:find("no peaks", 1, true))
end)

scratch.remove()
check.done()
