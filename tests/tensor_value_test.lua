-- The values of tensors in a script's hands: printing, pointers, what the garbage
-- collector may do meanwhile, and the context's own calls.

local tensors = dofile("tests/tensors.lua")
local lt = require "lunette"
local check, tensor, list, count, raises = tensors.check, tensors.tensor, tensors.list, tensors.count, tensors.raises
local core = require "lunette.core"
local ffi = require "ffi"
local ops = core.ops
local device = core.device()
local eager = require("lunette.sys").settings().eager

local inf, nan = math.huge, 0 / 0

-- -- printing

local function printed(t, expected)
  local footer = ("[%s %s %s%s]"):format(t.dtype, #t.shape == 0 and "scalar" or table.concat(t.shape, "x"), device,
    t.requires_grad and ", requires grad" or "")
  check.equal(tostring(t), expected .. footer)
end

check.test("small tensors are printed whole and aligned", function()
  printed(tensor { { 0.5, -1.25 }, { 10, 3 } }, "   0.5000  -1.2500\n  10.0000   3.0000\n")
  printed(tensor { 1, 2, -3 }, "   1.   2.  -3.\n")
  printed(tensor({ 1, 20 }, { dtype = "i64" }), "   1  20\n")
  printed(tensor { true, false }, "   true  false\n")
  printed(tensor { nan, inf, -inf, 1.5 }, "     nan     inf    -inf  1.5000\n")
  printed(tensor { 0, 0 }, "  0.  0.\n")
  printed(core.cell({ 1 }, { requires_grad = true }), "  0.\n")
end)

check.test("scalars and empty tensors", function()
  printed(tensor(3.25), "3.25  ")
  printed(tensor(7, { dtype = "i64" }), "7  ")
  printed(tensor(true), "true  ")
  printed(tensor(1e-9), "1e-09  ")
  printed(tensor(nan), "nan  ")
  printed(tensor {}, "")
  printed(tensor { {}, {} }, "")
end)

check.test("very large and very small numbers are printed scientifically", function()
  printed(tensor { 1e7, 0.5 }, "  1.0000e+07  5.0000e-01\n")
  printed(tensor { 1, 2e-6 }, "  1.0000e+00  2.0000e-06\n")
  printed(tensor { 0, 0.001 }, "  0.0000  0.0010\n")
  printed(tensor { 1e30, inf }, "  1.0000e+30         inf\n")
end)

check.test("more dimensions come as matrices with their position", function()
  printed(count(2, 1, 1, 2), "(1,1,.,.) =\n  1.  2.\n(2,1,.,.) =\n  3.  4.\n")
  printed(count(2, 1, 1), "(1,.,.) =\n  1.\n(2,.,.) =\n  2.\n")
end)

check.test("large tensors are summarised, whatever their size", function()
  printed(count(1001), "     1.     2.     3.  ...   999.  1000.  1001.\n")
  local lines = select(2, tostring(count(100, 100)):gsub("\n", ""))
  check.equal(lines, 7) -- 3 rows, dots, 3 rows, footer
  check.equal(tostring(count(100, 100)):find("  ...\n", 1, true) ~= nil, true)
  check.equal(#tostring(ops.full({ 16, 8, 4, 64, 64 }, 1)) < 60000, true)
  local text = tostring(count(9, 20, 20))
  check.equal({ text:find("(3,.,.) =", 1, true) ~= nil, text:find("(4,.,.) =", 1, true),
    text:find("(7,.,.) =", 1, true) ~= nil },
    { true, nil, true })
end)

check.test("long rows are wrapped", function()
  for line in tostring(count(200)):gmatch("[^\n]+") do check.equal(#line <= 84, true) end
  local seen = {}
  for x in tostring(count(200)):gmatch("(%d+)%.") do seen[#seen + 1] = tonumber(x) end
  for i = 1, 200 do check.equal(seen[i], i) end
end)

-- -- pointers

check.test("ptr gives the values, with the right type", function()
  local p = tensor({ 1.5, 2.5 }):ptr()
  check.equal({ p[0], p[1] }, { 1.5, 2.5 })
  check.equal(tostring(ffi.typeof(p)), "ctype<const float *>")
  check.equal(tostring(ffi.typeof(tensor(1, { dtype = "u8" }):ptr())), "ctype<const unsigned char *>")
  check.equal(tonumber(tensor(-5, { dtype = "i64" }):ptr()[0]), -5)
  check.equal(tensor(true):ptr()[0], true)
  local computed = (count(3) * 2):ptr()
  check.equal(computed[2], 6)
  check.raises(function() p[0] = 1 end, "constant")
  raises('mode: expected "r" or "w", got "x"', function() tensor(1):ptr("x") end)
end)

check.test("a pointer keeps the data", function()
  local pointers = {}
  for i = 1, 50 do
    local t = ops.full({ 1000 }, i)
    pointers[i] = t:ptr()
    if i % 2 == 0 then t:free() else t[1] = 0 end
  end
  collectgarbage()
  local other = {}
  for i = 1, 50 do
    other[i] = ops.full({ 1000 }, -i)
    core.flush()
  end
  check.equal(#other, 50)
  for i = 1, 50 do check.equal({ pointers[i][0], pointers[i][999] }, { i, i }) end
end)

check.test("pointers let go of the data when they go", function()
  local function loop()
    for _ = 1, 20 do
      local p = ops.full({ 100000 }, 1):ptr()
      assert(p[0] == 1)
    end
    collectgarbage()
    collectgarbage() -- a weak table keeps its values for one collection more
    core.flush()
    return core.mem().live
  end
  local first = loop() -- free buffers may stay in the pool, and are used again
  check.equal(loop() - first < 2 * 400000, true)
end)

check.test("ptr(\"w\") writes a fresh tensor and nothing else", function()
  local t = core.empty({ 2, 2 })
  check.equal(list(t), { { 0, 0 }, { 0, 0 } })
  local p = t:ptr("w")
  for i = 0, 3 do p[i] = i end
  check.equal(list(t), { { 0, 1 }, { 2, 3 } })
  t:ptr("w")[0] = 9 -- the same pointer again
  check.equal(t[{ 1, 1 }]:item(), 9)
  ops.full({ 2 }, 3):ptr("w")[1] = 4
  raises("needs a fresh tensor .*: cells are written by", function() core.cell({ 1 }):ptr("w") end)
  local shared = tensor { 1, 2 }
  local sum = shared + 1
  if not eager then
    raises("it is shared with other tensors or recorded operations", function()
      local pending = shared * 2
      shared:ptr("w")
      return pending
    end)
  end
  check.equal(list(sum), { 2, 3 })
  local a = count(2)
  local b = ops.reshape(a, { 2, 1 })
  core.flush()
  raises("it is shared", function() a:ptr("w") end)
  check.equal(b:numel(), 2)
  local x = core.cell({ 2 }, { requires_grad = true })
  local y = x * 2
  raises("it belongs to a recorded computation", function() y:ptr("w") end)
end)

-- -- freeing and the collector

check.test("free gives the memory back and later use says so", function()
  local t = count(10)
  local sum = ops.sum(t)
  t:free()
  t:free()
  check.equal(sum:item(), 55)
  check.equal(tostring(t), "[freed tensor]")
  raises("expected a tensor, got a freed tensor", t.item, t)
  raises("%[add%] a: expected a tensor, got a freed tensor", function() return t + 1 end)
  raises("expected a tensor, got a freed tensor", function() return t.shape end)
  raises("got a freed tensor", function() t[1] = 0 end)
end)

check.test("ready tells whether the value is there", function()
  local t = tensor { 1 }
  local u = t + 1
  check.equal({ t:ready(), u:ready() }, { true, core.stats().pending == 0 })
  core.flush()
  check.equal(u:ready(), true)
end)

check.test("what nobody holds is not computed", function()
  core.flush()
  local kept = count(4) * 3
  do local _ = count(4) * 5 end
  for _ = 1, 100 do local _ = kept + 1 end
  local before = core.stats().steps
  core.flush()
  check.equal(core.stats().steps - before <= 4, true)
  check.equal(list(kept), { 3, 6, 9, 12 })
end)

check.test("a loop of temporaries does not grow", function()
  local t = ops.full({ 1000, 1000 }, 1)
  core.flush()
  collectgarbage()
  local before, most = core.mem().live, 0
  for _ = 1, 60 do
    t = t * 1
    core.flush()
    most = math.max(most, core.mem().live - before)
  end
  check.equal(most < (eager and 80e6 or 16e6), true)
end)

check.test("a loop of leaves does not grow, though nothing is flushed", function()
  collectgarbage()
  local before, most = core.mem().live, 0
  for _ = 1, 100 do
    local t = core.empty({ 1000, 1000 })
    t:ptr("w")[0] = 1
    most = math.max(most, core.mem().live - before)
  end
  check.equal(most < 200e6, true) -- of 400e6; what a pointer anchors goes with the second collection
end)

check.test("a finalizer that raises or computes does not harm a flush", function()
  local ran = 0
  for i = 1, 10 do
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function()
      ran = ran + 1
      if i % 2 == 0 then error("from a finalizer") end
      local co = coroutine.wrap(function() return (tensor { 1 } + 1):item() end)
      assert(co() == 2)
    end
  end
  local t = count(4)
  for _ = 1, 5 do
    t = t + 1
    pcall(core.flush)
  end
  for _ = 1, 20 do pcall(collectgarbage) end
  check.equal(list(t), { 6, 7, 8, 9 })
  check.equal(ran, 10)
end)

check.test("coroutines come and go", function()
  local total = tensor(0)
  for i = 1, 50 do
    coroutine.wrap(function()
      total = total + i
      if i % 7 == 0 then core.flush() end
    end)()
    if i % 10 == 0 then collectgarbage() end
  end
  core.flush()
  check.equal(total:item(), 50 * 51 / 2)
end)

-- -- the context's own calls

check.test("seed repeats", function()
  core.seed(5)
  local a = list(ops.uniform({ 4 }))
  local b = list(ops.uniform({ 4 }))
  core.seed(5)
  check.equal(list(ops.uniform({ 4 })), a)
  check.equal(a[1] ~= b[1], true)
  raises("%[seed%] expected a whole number", core.seed, -1)
  raises("%[seed%] expected a whole number", core.seed, 0.5)
end)

check.test("memory, limit, statistics, device", function()
  local m = core.mem()
  for _, key in ipairs { "live", "peak", "limit", "pending", "lua_live", "lua_peak", "lua_limit" } do
    check.equal(type(m[key]), "number")
  end
  check.equal(m.lua_live > 10000, true)
  local old = core.limit(m.live + 1000000)
  local ok, err = pcall(function() return ops.full({ 10000000 }, 1):ptr()[0] end)
  core.limit(old)
  check.equal({ ok, err.code }, { false, "LN_ENOMEM" })
  check.equal(err.message:find("wanted .*, live .*, limit ") ~= nil, true)
  check.equal(core.limit(), old)
  local name, text = core.device()
  check.equal({ type(name), type(text) }, { "string", "string" })
  check.equal(core.device("reference"), true)
  local none, message, code = core.device("cuda")
  check.equal({ none, type(message), code }, { nil, "string", "LN_ENODEV" })
  raises("%[device%] unknown \"gpu\"", core.device, "gpu")
  check.equal(core.interrupted(), false)
end)

check.test("an allocation that fails raises, and the next try works", function()
  local failures = 0
  for n = 1, 40 do
    core.fail_at(n)
    local ok, err = pcall(function()
      local t = count(3, 4)
      t[1] = 0
      return tostring(t) .. ops.sum(t * 2):item()
    end)
    core.fail_at(0)
    if not ok then
      failures = failures + 1
      check.equal(err.code, "LN_ENOMEM")
    end
  end
  check.equal(failures > 0, true)
  local t = count(3, 4)
  t[1] = 0
  check.equal(ops.sum(t):item(), 68)
end)

check.test("a shape counts from 1, -1 is the last, 0 is an error, behind the end is nil", function()
  local shape = lt.zeros(2, 3, 4).shape
  check.equal({ shape[1], shape[-1], shape[-3] }, { 2, 4, 2 })
  check.equal(shape[4], nil)
  check.raises(function() return shape[0] end, "there is no dimension 0")
  check.raises(function() return shape[-4] end, "there is no dimension -4 of 3")
  check.raises(function() return lt.zeros(2, nil, 3) end, "size 2 is nil")
end)

check.done()
