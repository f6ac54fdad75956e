-- Operations as a script calls them: gradients, also those written in Lua, operators,
-- promotion, attributes, and what error messages say.

local tensors = dofile("tests/tensors.lua")
local check, tensor, list, count, raises = tensors.check, tensors.tensor, tensors.list, tensors.count, tensors.raises
local core = require "lunette.core"
local ops = core.ops

local inf = math.huge

-- -- gradients

check.test("backward fills grad, zero_grad and nil empty it", function()
  local p = core.tensor({ 1, 2, 3 }, { requires_grad = true })
  local loss = ops.sum(p * p)
  check.equal(loss.requires_grad, true)
  loss:backward()
  check.equal(list(p.grad), { 2, 4, 6 })
  ops.sum(p * 3):backward()
  check.equal(list(p.grad), { 5, 7, 9 }) -- it accumulates
  p:zero_grad()
  check.equal(p.grad, nil)
  p.grad = tensor { 1, 1, 1 }
  check.equal(list(p.grad), { 1, 1, 1 })
  p.grad = nil
  check.equal(p.grad, nil)
  raises("grad: the parameter is f32 3, the gradient f32 2", function() p.grad = tensor { 1, 2 } end)
  raises("grad: expected a tensor or nil, got number", function() p.grad = 1 end)
end)

check.test("gradients go through indexing and assignment", function()
  local p = core.tensor({ { 1, 2 }, { 3, 4 } }, { requires_grad = true })
  local t = p * 1
  t[{ 1, 2 }] = 10
  t[2] = p[1] * 5
  ops.sum(t):backward()
  check.equal(list(p.grad), { { 6, 5 }, { 0, 0 } })
end)

check.test("core.grad gives gradients without storing them", function()
  local p = core.tensor({ 1, 2 }, { requires_grad = true })
  local q = core.tensor({ 3, 4 }, { requires_grad = true })
  local r = core.tensor({ 5 }, { requires_grad = true })
  local y = p * q
  local gp, gq, gr = core.grad({ y }, { tensor { 1, 10 } }, { p, q, r })
  check.equal({ list(gp), list(gq), gr, p.grad }, { { 3, 40 }, { 1, 20 }, nil, nil })
  local g = core.grad(ops.sum(p * p), nil, p)
  check.equal(list(g), { 2, 4 })
  raises("output 1 has shape 2 and needs a gradient", core.grad, p * p, nil, p)
  raises("argument 3: expected a tensor at 2, got number", core.grad, ops.sum(p), nil, { p, 1 })
  raises("expected a tensor or a list of tensors, got nil", core.grad, ops.sum(p), nil, nil)
end)

check.test("grad_enabled returns what it was", function()
  local p = core.tensor({ 1 }, { requires_grad = true })
  check.equal(core.grad_enabled(false), true)
  check.equal((p * 2).requires_grad, false)
  check.equal(core.grad_enabled(), false)
  check.equal(core.grad_enabled(true), false)
  check.equal((p * 2).requires_grad, true)
end)

check.test("writing a cell leaves the mode as it was, also when it fails", function()
  local p = core.tensor({ 1, 2 }, { requires_grad = true })
  p[1] = 3
  check.equal(core.grad_enabled(), true)
  raises("cannot write 3 into 2", function() p[{}] = tensor { 1, 2, 3 } end)
  check.equal(core.grad_enabled(), true)
  check.equal(list(p), { 3, 2 })
end)

local function square(x)
  local enabled = core.grad_enabled(false)
  local y = x * x
  core.grad_enabled(enabled)
  core.func({ x }, { y }, function(gy) return gy * x * 2 end)
  return y
end

check.test("a gradient in Lua", function()
  local p = core.tensor({ 1, 2, 3 }, { requires_grad = true })
  local y = square(p)
  check.equal(y.requires_grad, true)
  ops.sum(y * tensor { 1, 10, 100 }):backward()
  check.equal(list(p.grad), { 2, 40, 600 })
  check.equal(square(tensor { 2 }).requires_grad, false)
end)

check.test("a gradient in Lua with two inputs and outputs, one of them unused", function()
  local p = core.tensor({ 1, 2 }, { requires_grad = true })
  local q = core.tensor({ 3, 4 }, { requires_grad = true })
  local enabled = core.grad_enabled(false)
  local y, z = p + q, p - q
  core.grad_enabled(enabled)
  local seen
  core.func({ p, q }, { y, z }, function(gy, gz)
    seen = list(gz)
    return gy + gz, nil
  end)
  ops.sum(y * 5):backward()
  check.equal(seen, { 0, 0 })
  check.equal({ list(p.grad), q.grad }, { { 5, 5 }, nil })
end)

check.test("an error in a gradient in Lua reaches the caller as it is", function()
  local p = core.tensor({ 1 }, { requires_grad = true })
  local function through(f)
    local enabled = core.grad_enabled(false)
    local y = p * 2
    core.grad_enabled(enabled)
    core.func({ p }, { y }, f)
    return ops.sum(y)
  end
  local object = setmetatable({}, { __tostring = function() return "mine" end })
  local ok, err = pcall(function() through(function() error(object) end):backward() end)
  check.equal({ ok, err == object }, { false, true })
  raises("backward: gradient 1 is 3, its input is 1",
    function() through(function() return tensor { 1, 2, 3 } end):backward() end)
  raises("backward: gradient 1 is string", function() through(function() return "x" end):backward() end)
  raises("attempt to index a nil value", function() through(function() return (nil).x end):backward() end)
  -- and the next one works
  p:zero_grad()
  through(function(gy) return gy * 2 end):backward()
  check.equal(list(p.grad), { 2 })
end)

-- -- operators and promotion

check.test("operators", function()
  local a, b = tensor { 6, -7 }, tensor { 4, 2 }
  check.equal(list(a + b), { 10, -5 })
  check.equal(list(a - b), { 2, -9 })
  check.equal(list(a * b), { 24, -14 })
  check.equal(list(a / b), { 1.5, -3.5 })
  check.equal(list(b ^ 2), { 16, 4 })
  check.equal(list(a % b), { 2, 1 })
  check.equal(list(a % 4), { 2, 1 })
  check.equal(list(-a), { -6, 7 })
  check.equal(list(10 - a), { 4, 17 })
  check.equal(list(12 / b), { 3, 6 })
  check.equal(list(2 ^ b), { 16, 4 })
  raises("%[%%%] needs floats, got i64", function() return tensor({ 1 }, { dtype = "i64" }) % 2 end)
end)

check.test("comparing and joining with Lua's operators explains itself", function()
  local a, b = tensor(1), tensor(2)
  raises("use a:lt%(b%)", function() return a < b end)
  raises("use a:le%(b%)", function() return a >= b end)
  raises("t:item%(%) for a number", function() return "loss " .. a end)
  raises("t:item%(%) for a number", function() return a .. "" end)
  raises("a tensor is no function", function() return a(1) end)
end)

check.test("a number takes the tensor's dtype", function()
  local function dtype(t, x) return ops.add(tensor(1, { dtype = t }), x).dtype end
  check.equal({ dtype("f32", 1), dtype("f32", 1.5) }, { "f32", "f32" })
  check.equal({ dtype("u8", 2), dtype("i32", 2), dtype("i64", -2) }, { "u8", "i32", "i64" })
  check.equal({ dtype("u8", 1.5), dtype("i64", 0.5), dtype("i64", inf) }, { "f32", "f32", "f32" })
  check.equal({ dtype("bool", 1), dtype("bool", 0.5) }, { "i64", "f32" })
  check.equal(list(tensor({ 1, 2 }, { dtype = "u8" }) * 1.5), { 1.5, 3 })
  raises("%[add%] 300 does not fit into u8", function() return tensor(1, { dtype = "u8" }) + 300 end)
  check.equal(ops.add(1, 2).dtype, "f32")
end)

check.test("two tensors take the later dtype", function()
  local order = { "bool", "u8", "i32", "i64", "f32" }
  for i, a in ipairs(order) do
    for j, b in ipairs(order) do
      local x, y = tensor(1, { dtype = a }), tensor(1, { dtype = b })
      if i + j > 2 then check.equal(ops.maximum(x, y).dtype, order[math.max(i, j)]) end
    end
  end
end)

check.test("where takes numbers beside a tensor, whatever the mask is", function()
  local mask = tensor { true, false }
  check.equal(list(ops.where(mask, tensor { 1.5, 2.5 }, 0)), { 1.5, 0 })
  check.equal(list(ops.where(mask, 1, 0)), { 1, 0 })
  check.equal(ops.where(mask, tensor({ 1, 2 }, { dtype = "i64" }), 7).dtype, "i64")
end)

-- -- ops and their attributes

check.test("attributes by position, by name, and mixed", function()
  local t = count(2, 3)
  check.equal(list(ops.sum(t, 1)), { 5, 7, 9 })
  check.equal(list(ops.sum(t, { 1 }, true)), { { 5, 7, 9 } })
  check.equal(list(ops.sum(t, { dims = 2, keepdim = true })), { { 6 }, { 15 } })
  check.equal(list(ops.sum(t, -1, { keepdim = true })), { { 6 }, { 15 } })
  check.equal(list(ops.sum(t, nil, { keepdim = true })), { { 21 } })
  check.equal(list(ops.sum(t, { 2, 1 })), 21)
  check.equal(list(ops.permute(t, { 2, 1 })), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  check.equal(list(ops.full({ 2 }, 0.5)), { 0.5, 0.5 })
  check.equal(ops.full({}, 1, "u8"):dim(), 0)
  check.equal(ops.full({ 3 }, 1, "int64").dtype, "i64")
end)

check.test("a slice counts as Lua does", function()
  local t = count(5)
  check.equal(list(ops.slice(t, 1, 2, 4)), { 2, 3, 4 })
  check.equal(list(ops.slice(t, 1, 2)), { 2, 3, 4, 5 })
  check.equal(list(ops.slice(t, 1, -2)), { 4, 5 })
  check.equal(list(ops.slice(t, 1, 1, -2, 2)), { 1, 3 })
  check.equal(list(ops.slice_scatter(t, tensor { 0, 0 }, 1, 2, 3)), { 1, 0, 0, 4, 5 })
  raises("%[slice%] start: there is no index 0", ops.slice, t, 1, 0)
  raises("%[slice%] 4..6 is no range of dimension 1, which has size 5", ops.slice, t, 1, 4, 6)
  raises("is no range", ops.slice, t, 1, -6)
end)

check.test("lists of tensors", function()
  local a, b = tensor { 1, 2 }, tensor { 3 }
  check.equal(list(ops.cat(a, b)), { 1, 2, 3 })
  check.equal(list(ops.cat { a, b, a }), { 1, 2, 3, 1, 2 })
  check.equal(list(ops.cat({ count(1, 2), count(1, 1) }, 2)), { { 1, 2, 1 } })
  check.equal(list(ops.cat(count(1, 2), count(1, 1), { dim = -1 })), { { 1, 2, 1 } })
  raises("%[cat%] xs: expected a tensor, got nothing", ops.cat)
  raises("%[cat%] xs: expected a tensor, got number", ops.cat, { a, 1 })
  local many = {}
  for i = 1, 65 do many[i] = b end
  raises("at most 64 tensors", ops.cat, many)
end)

check.test("optional inputs, spatial attributes, several outputs", function()
  local x, w, b = count(1, 1, 3, 3), ops.full({ 1, 1, 2, 2 }, 1), tensor { 10 }
  check.equal(list(ops.conv(x, w)), { { { { 12, 16 }, { 24, 28 } } } })
  check.equal(list(ops.conv(x, w, b)), { { { { 22, 26 }, { 34, 38 } } } })
  check.equal(list(ops.conv(x, w, nil, 2)), { { { { 12 } } } })
  check.equal(ops.conv(x, w, { stride = { 2, 1 } }).shape, { 1, 1, 1, 2 })
  check.equal(ops.conv(x, w, b, { padding = { 1, 0 } }).shape, { 1, 1, 4, 2 })
  local y, indices = ops.max_pool(x, { kernel = 2, stride = 1 })
  check.equal({ list(y), list(indices) }, { { { { { 5, 6 }, { 8, 9 } } } }, { { { { 4, 5 }, { 7, 8 } } } } })
  check.equal(select("#", ops.check_finite(x)), 0)
  core.flush()
end)

check.test("wrong arguments name the op, the attribute and what was given", function()
  local x, w = count(1, 1, 3, 3), ops.full({ 1, 1, 2, 2 }, 1)
  raises("%[conv%] stride: expected a number or list of numbers, got string", ops.conv, x, w, nil, "2")
  raises("%[conv%] stride: expected a number or a list of 2, got a list of 3", ops.conv, x, w, nil, { 1, 1, 1 })
  raises("%[conv%] stride: expected a list of numbers, got boolean at 2", ops.conv, x, w, nil, { 1, true })
  raises("%[conv%] groups: expected a whole number, got 1.5", ops.conv, x, w, { groups = 1.5 })
  raises("%[conv%] unknown attribute 'strides'; valid: stride padding dilation groups", ops.conv, x, w, { strides = 2 })
  raises("%[conv%] the table of options has an unnamed entry", ops.conv, x, w, { stride = 1, 2 })
  raises("%[conv%] w: expected a tensor, got nothing", ops.conv, x)
  raises("%[conv%] w: expected a tensor, got nil", ops.conv, x, nil, w)
  raises("%[conv%] b: expected a tensor or nil, got number", ops.conv, x, w, 2)
  raises("%[relu%] too many arguments: 2; it takes %(x%)", ops.relu, x, 1)
  raises("%[sum%] dims: there is no dimension 0", ops.sum, x, 0)
  raises("%[sum%] dims: 5, but the tensor has 4 dimensions %(1x1x3x3%)", ops.sum, x, 5)
  raises("%[sum%] dims: dimension 4 is named twice", ops.sum, x, { 4, -1 })
  raises("%[sum%] keepdim: expected true or false, got number", ops.sum, x, 1, 1)
  raises("%[softmax%] dim: expected a dimension, got table", ops.softmax, x, { 1 })
  raises("%[pad%] mode: unknown \"circular\"", ops.pad, x, { 0 }, { 0 }, "circular")
  raises("%[cast%] dtype: unknown \"int\"", ops.cast, x, "int")
  raises("%[clamp%] lo: expected a number, got string", ops.clamp, x, "0")
  raises("%[reshape%] size: expected at most 5 numbers, got 6", ops.reshape, x, { 1, 1, 1, 1, 1, 9 })
  raises("%[assign%] input 1 is written", ops.assign, x, x)
end)

check.test("shape errors name the script's line", function()
  local line
  local ok, err = pcall(function()
    line = debug.getinfo(1, "l").currentline + 1
    return tensor { 1, 2 } + tensor { 1, 2, 3 }
  end)
  check.equal(ok, false)
  check.equal(err.code, "LN_EINVAL")
  check.equal(err.op, "add")
  check.equal(err.where:match("([^/]+)$"), "tensor_op_test.lua:" .. line)
  check.equal(tostring(err), err.where .. ": [add] " .. err.message)
  check.equal("x " .. err, "x " .. tostring(err))
  check.equal(err .. " y", tostring(err) .. " y")
end)

check.test("the library's own frames are not the script's line", function()
  local inside = assert(loadstring("local f = ... return (f())", "=lunette/inside_for_test.lua"))
  local line
  local ok, err = pcall(function()
    line = debug.getinfo(1, "l").currentline + 1
    return inside(function() error("x", 0) end), 0
  end)
  check.equal({ ok, err }, { false, "x" })
  local adds = assert(loadstring("local a, b = ... local c = a + b return c", "=lunette/inside_for_test.lua"))
  ok, err = pcall(function()
    line = debug.getinfo(1, "l").currentline + 1
    local y = adds(tensor { 1, 2 }, tensor { 1, 2, 3 })
    return y
  end)
  check.equal({ ok, err.where:match("([^/]+)$") }, { false, "tensor_op_test.lua:" .. line })
end)

check.test("the layer path is in the error", function()
  core.push_layer("encoder")
  core.push_layer("conv1")
  local _, first = pcall(ops.relu, 1, 2)
  core.pop_layer()
  local _, second = pcall(ops.relu, 1, 2)
  core.pop_layer()
  local _, third = pcall(ops.relu, 1, 2)
  core.pop_layer() -- one too many is no error
  check.equal({ first.layer, second.layer, third.layer }, { "encoder.conv1", "encoder", nil })
  check.equal(tostring(first):find("[relu] encoder.conv1: too many", 1, true) ~= nil, true)
  for i = 1, 200 do core.push_layer("layer" .. i) end -- deeper and longer than is kept
  for _ = 1, 200 do core.pop_layer() end
  local _, last = pcall(ops.relu, 1, 2)
  check.equal(last.layer, nil)
end)

check.test("names that are too long are cut: of a file the front, of layers the end", function()
  local far = assert(loadstring("\n\nlocal f = ... f(1, 2)", "@" .. ("folder/"):rep(100) .. "far.lua"))
  core.push_layer(("x"):rep(250))
  core.push_layer("inner")
  core.push_layer("innermost")
  local _, err = pcall(far, ops.relu)
  for _ = 1, 3 do core.pop_layer() end
  check.equal({ err.where:sub(1, 3), err.where:match("[^/]+/[^/]+$") }, { "...", "folder/far.lua:3" })
  check.equal(err.layer, ("x"):rep(250) .. ".inne")
end)

check.test("the op table", function()
  local rows = core.op_table()
  local names = 0
  for _ in pairs(ops) do names = names + 1 end
  check.equal(#rows, names)
  for _, row in ipairs(rows) do
    check.equal(type(ops[row.name]), "function")
    check.equal(#row.doc > 0, true)
    local words = 0
    for _ in row.attrs:gmatch("%S+") do words = words + 1 end
    check.equal(#row.schema, words)
    if row.name == "conv" then
      check.equal({ row.inputs, row.outputs, row.differentiable, row.flags.commit }, { "x w b?", "y", true, false })
      check.equal({ row.schema[1].name, row.schema[1].kind }, { "stride", "spatial" })
    end
  end
end)

check.done()
