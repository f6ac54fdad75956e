-- Every allocation of a piece of work fails once, the core's and then Lua's: each failure is
-- an ordinary error, and the session goes on and still computes the same.

local check = dofile("tests/check.lua")
local core = require "lunette.core"
local ops = core.ops

jit.off() -- Debian 12's LuaJIT does not survive every failure inside its compiler

local p = core.tensor({ 1, 2, 3 }, { requires_grad = true })

local function function_in_lua()
  local enabled = core.grad_enabled(false)
  local y = p * 3
  core.grad_enabled(enabled)
  core.func({ p }, { y }, function(g) return g * 3 end)
  return y
end

local function work()
  p:assign_(core.tensor { 1, 2, 3 })
  p:zero_grad()
  local t = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  t[{ 1, { 2, 3 } }] = 9
  t[ops.gt(t, 5)] = 0
  local wide = ops.cat({ t, t + 1 }, 2)
  ops.sum(p * p + function_in_lua()):backward()
  local g = core.grad(ops.sum(p * p), nil, { p })
  p[1] = 2
  core.push_layer("layer")
  core.pop_layer()
  return table.concat({ tostring(t), ops.sum(wide):item(), tostring(p.grad), tostring(g), tostring(p) }, "\n")
end

local want = work()

local function fail_each(lua, expected)
  local failures, n, ok, result = 0, 0
  repeat
    n = n + 1
    core.grad_enabled(true)
    core.fail_at(n, lua)
    ok, result = pcall(work)
    core.fail_at(0, lua)
    if ok then
      check.equal(result, want)
    else
      failures = failures + 1
      check.equal(expected(result), true, tostring(result))
    end
    if n % 20 == 0 then
      core.grad_enabled(true)
      check.equal(work(), want)
    end
  until ok and n > 300 -- beyond the last one; a collection in between may hide some
  return failures
end

check.test("an allocation of the core", function()
  check.truthy(fail_each(false, function(err) return err.code == "LN_ENOMEM" end) > 50)
end)

check.test("an allocation of Lua", function()
  check.truthy(fail_each(true, function(err) return tostring(err):find("not enough memory", 1, true) ~= nil end) > 50)
end)

check.test("afterwards everything works", function()
  core.grad_enabled(true)
  check.equal(work(), want)
end)

check.done()
