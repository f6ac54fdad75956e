-- Recording, the tape, flushes and commits: the promises of docs/architecture.md.
local check = dofile("tests/check.lua")
local core  = require "lunette.core"
local sys   = require "lunette.sys"
local ops   = core.ops

local function list(t)
  local out = {}
  local function walk(v) if type(v) == "table" then for _, e in ipairs(v) do walk(e) end else out[#out + 1] = v end end
  walk(t:tolist())
  return table.concat(out, " ")
end

local function cell(values) return core.tensor(values, { requires_grad = true }) end
local function steps(fn)
  core.flush()
  local before = core.stats().steps
  fn()
  core.flush()
  return core.stats().steps - before
end

-- -- what runs

check.test("nothing runs before it is needed", function()
  core.flush()
  local before = core.stats().steps
  local x = core.tensor { 1, 2, 3 }
  local y = ops.exp(x) + 1
  check.equal(core.stats().steps, before)
  check.equal(y:ready(), false)
  y:tolist()
  check.equal(core.stats().steps > before, true)
end)

check.test("what nobody can ask for is not computed", function()
  local x = core.tensor { 1, 2, 3 }
  check.equal(steps(function() local unused = ops.exp(x); unused = nil; collectgarbage() end), 0) -- luacheck: ignore
end)

check.test("equal steps share one plan", function()
  local w = cell { 1, 2, 3 }
  local function step(lr)
    w:zero_grad()
    core.backward(ops.sum(ops.mul(w, w)))
    ops.sgd_step(w, w.grad, { lr = lr })
    core.flush()
  end
  for i = 1, 5 do step(i / 100) end
  local before = core.stats().plans
  for i = 1, 20 do step(i / 50) end -- another learning rate each time: a run-time scalar
  check.equal(core.stats().plans - before <= 2, true)
end)

-- -- the tape

check.test("a flush between forward and backward changes no gradient", function()
  local function gradient(look)
    local w = cell { { 0.3, -0.7 }, { 1.1, 0.2 } }
    local x = core.tensor { { 1, 2 }, { -3, 0.5 } }
    local pooled = ops.max_pool(ops.reshape(ops.matmul(x, w), { size = { 1, 1, 2, 2 } }), { kernel = 2 })
    local loss = ops.sum(ops.mul(ops.sigmoid(pooled), pooled))
    if look then loss:item() end
    core.backward(loss)
    return list(w.grad)
  end
  check.equal(gradient(true), gradient(false))
end)

check.test("gradients add up until zero_grad", function()
  local w = cell { 1, 2 }
  core.backward(ops.sum(ops.mul(w, 3)))
  core.backward(ops.sum(ops.mul(w, 4)))
  check.equal(list(w.grad), "7 7")
  w:zero_grad()
  check.equal(w.grad, nil)
end)

check.test("backward twice needs retain", function()
  local w = cell { 2 }
  local loss = ops.sum(ops.exp(w))
  core.backward(loss, true)
  core.backward(loss)
  check.raises(function() core.backward(loss) end, "already used by backward")
end)

check.test("a parameter written between forward and backward is noticed", function()
  local w, x = cell { 2, 3 }, core.tensor { 1, 1 }
  local loss = ops.sum(ops.mul(ops.mul(w, x), w))
  loss:item()
  ops.assign(w, core.tensor { 5, 5 })
  core.flush()
  check.raises(function() core.backward(loss) end, "was written after it was used")
end)

check.test("backward asks for one element that depends on a parameter", function()
  check.raises(function() core.backward(ops.mul(cell { 1, 2 }, 2)) end, "one element")
  check.raises(function() core.backward(core.tensor(1)) end, "does not depend on any parameter")
end)

check.test("a very long tape is freed without deep recursion", function()
  local w = cell(1)
  local y = w
  for i = 1, 60000 do
    y = ops.add(y, 1)
    if i % 1000 == 0 then core.flush() end
  end
  check.equal(y:item(), 60001)
  y = nil -- luacheck: ignore
  collectgarbage()
end)

-- -- cells

check.test("a read sees the writes recorded before it", function()
  local w = core.cell(core.tensor { 1, 2 })
  local before = ops.add(w, 0)
  ops.assign(w, core.tensor { 10, 20 })
  local after = ops.add(w, 0)
  check.equal(list(before), "1 2")
  check.equal(list(after), "10 20")
end)

check.test("a view of a cell keeps the value it was taken from", function()
  local w = core.cell(core.tensor { 1, 2, 3, 4 })
  local view = ops.reshape(w, { size = { 2, 2 } })
  ops.assign(w, core.tensor { 9, 9, 9, 9 })
  core.flush()
  check.equal(list(view), "1 2 3 4")
end)

-- -- a failed step leaves every cell as it was

local function failing_step(w, m, break_it)
  w:zero_grad()
  local loss = ops.sum(ops.log(ops.mul(w, core.tensor { 1, break_it and -1 or 1 })))
  core.backward(loss)
  ops.lerp_write(m, w.grad, { weight = 0.5 })
  ops.sgd_step(w, w.grad, { lr = 0.1 })
  core.flush()
  return loss
end

check.test("a NaN loss stops before any write and names the op", function()
  local w, m = cell { 1, 2 }, core.cell(core.tensor { 0.5, 0.5 })
  failing_step(w, m, false)
  local w0, m0 = list(w), list(m)
  local ok, err = pcall(failing_step, w, m, true)
  check.equal(ok, false)
  check.equal(err.code, "LN_ENONFINITE")
  check.equal(tostring(err):match "%[log%]" ~= nil, true)
  check.equal(tostring(err):match "core_test.lua:%d+" ~= nil, true)
  check.equal(list(w), w0)
  check.equal(list(m), m0)
  failing_step(w, m, false) -- and the session goes on
end)

check.test("out of memory in a step leaves cells as they were", function()
  local w, m = cell { 1, 2 }, core.cell(core.tensor { 0.5, 0.5 })
  local w0 = list(w)
  local limit = core.limit()
  core.limit(core.mem().live + 2 ^ 20)
  local ok, err = pcall(function()
    local big = ops.full { size = { 4096, 4096 }, value = 1 }
    core.backward(ops.mul(ops.sum(ops.exp(big)), ops.sum(w)))
    ops.sgd_step(w, w.grad, { lr = 0.1 })
    ops.lerp_write(m, w)
    core.flush()
  end)
  core.limit(limit)
  check.equal(ok, false)
  check.equal(err.code, "LN_ENOMEM")
  check.equal(tostring(err):match "wanted" ~= nil, true)
  w:zero_grad()
  check.equal(list(w), w0)
end)

check.test("Ctrl-C in a step leaves cells as they were and the session usable", function()
  local w = cell { 1, 2 }
  local w0 = list(w)
  os.execute("(sleep 0.3; kill -INT " .. sys.pid() .. ") >/dev/null 2>&1 &")
  local ok, err = pcall(function()
    local clock = sys.clock()
    while sys.clock() - clock < 20 do
      local x = ops.uniform { size = { 600, 600 } }
      for _ = 1, 40 do x = ops.sigmoid(ops.matmul(x, x)) end
      w:zero_grad()
      core.backward(ops.mul(ops.sum(x), ops.sum(w)))
      ops.sgd_step(w, w.grad, { lr = 0 })
      core.flush()
    end
  end)
  check.equal(ok, false)
  check.equal(tostring(err):match "interrupted" ~= nil, true)
  w:zero_grad()
  check.equal(list(w), w0)
  check.equal(list(ops.add(w, 1)), "2 3")
end)

check.test("what a failed flush should have computed repeats its error", function()
  local w = cell { 1 }
  local y = ops.log(ops.mul(w, -1))
  local z = ops.sum(y)
  core.backward(z)
  pcall(core.flush)
  check.raises(function() z:item() end, "not finite")
  check.raises(function() return ops.add(y, 1) end, "not finite")
end)

-- -- the same bits

local function scenario(width)
  core.seed(3)
  local w = core.cell(ops.uniform { size = { 8, 2, 3, 3 }, lo = -0.5, hi = 0.5 }, { requires_grad = true })
  local x = ops.normal { size = { 2, 2, 12, width or 12 } }
  local out = {}
  for i = 1, 4 do
    w:zero_grad()
    local y = ops.relu(ops.conv(x, w, { padding = 1 }))
    local p = ops.max_pool(y, { kernel = 2, stride = 2 })
    local loss = ops.mean(ops.mul(ops.sub(p, 0.3), ops.dropout(p, { p = 0.25 })))
    core.backward(loss)
    ops.sgd_step(w, w.grad, { lr = 0.05 })
    core.flush()
    out[i] = ("%.17g"):format(loss:item())
  end
  out[#out + 1] = list(w)
  return table.concat(out, " ")
end

check.test("two runs of one seed give the same bits", function() check.equal(scenario(), scenario()) end)

check.test("op by op gives what the plan gives", function()
  local planned = scenario()
  assert(sys.configure { eager = true })
  local ok, eager = pcall(scenario)
  assert(sys.configure { eager = false })
  check.equal(ok, true)
  check.equal(eager, planned)
end)

check.test("collecting garbage at every call changes nothing", function()
  local calm = scenario()
  jit.off()
  debug.sethook(function() collectgarbage() end, "c")
  local ok, busy = pcall(scenario)
  debug.sethook()
  jit.on()
  check.equal(ok, true)
  check.equal(busy, calm)
end)

check.test("every allocation failing in turn leaves an error and a usable session", function()
  local calm = scenario()
  jit.off()
  local n, failures, width = 1, 0, 14
  while true do
    collectgarbage()
    core.fail_at(n)
    local ok, err = pcall(scenario, width) -- a width of its own, so that its plan is made anew
    if core.fail_at(0) then break end
    if not ok then -- some are made good by giving memory back and trying again
      failures = failures + 1
      check.equal(type(err) == "table" and err.code, "LN_ENOMEM")
    end
    n, width = n + 1, width == 212 and 14 or width + 2
  end
  jit.on()
  check.equal(failures > 100, true)
  check.equal(scenario(), calm)
end)

check.done()
