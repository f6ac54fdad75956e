-- Tensors as a script sees them: construction, fields, indexing and writing, handles and
-- cells, conversions, promotion, error texts, printing, pointers, gradients written in
-- Lua, and what the garbage collector may do meanwhile.

local check = dofile("tests/check.lua")
local core = require "lunette.core"
local ffi = require "ffi"
local ops = core.ops
local device = core.device()
local eager = require("lunette.sys").settings().eager

local function tensor(x, options) return core.tensor(x, options) end
local function list(t) return t:tolist() end
local inf, nan = math.huge, 0 / 0

-- A value that is neither small nor constant: 1, 2, 3, ... in the given shape.
local function count(...)
  local shape, n = { ... }, 1
  for _, d in ipairs(shape) do n = n * d end
  return ops.reshape(ops.arange({ n }, 1), shape)
end

local function raises(pattern, f, ...)
  local arguments, n = { ... }, select("#", ...)
  check.raises(function() f(unpack(arguments, 1, n)) end, pattern)
end

-- -- construction

check.test("a tensor from a number, a list, nested lists", function()
  check.equal(list(tensor(2.5)), 2.5)
  check.equal(tensor(2.5):dim(), 0)
  check.equal(list(tensor { 1, 2, 3 }), { 1, 2, 3 })
  check.equal(tensor({ { 1, 2, 3 }, { 4, 5, 6 } }).shape, { 2, 3 })
  check.equal(list(tensor { { { { { 1, 2 } } } } }), { { { { { 1, 2 } } } } })
  check.equal(tensor({ 1 }).dtype, "f32")
end)

check.test("empty tables make empty tensors", function()
  check.equal(tensor({}).shape, { 0 })
  check.equal(tensor({ {}, {} }).shape, { 2, 0 })
  check.equal(list(tensor { {}, {} }), { {}, {} })
  check.equal(tensor({}):numel(), 0)
end)

check.test("booleans", function()
  check.equal(tensor({ true, false }).dtype, "bool")
  check.equal(list(tensor { true, false }), { true, false })
  check.equal(list(tensor({ true, 3 }, { dtype = "i64" })), { 1, 3 })
  check.equal(tensor(true):item(), true)
  raises("%[tensor%] at %[2%]: numbers and booleans are mixed", tensor, { 1, true })
end)

check.test("every dtype keeps its values", function()
  check.equal(list(tensor({ 0, 255 }, { dtype = "u8" })), { 0, 255 })
  check.equal(list(tensor({ -2147483648, 2147483647 }, { dtype = "i32" })), { -2147483648, 2147483647 })
  check.equal(list(tensor({ -2 ^ 53, 2 ^ 62 }, { dtype = "int64" })), { -2 ^ 53, 2 ^ 62 })
  -- bf16: 8 bits of mantissa, to nearest with ties to even
  check.equal(list(tensor({ 1, 1 + 2 ^ -8, 1 + 3 * 2 ^ -8, -inf }, { dtype = "bf16" })), { 1, 1, 1 + 2 ^ -6, -inf })
  check.equal(tostring(list(tensor({ nan }, { dtype = "bf16" }))[1]):find("nan") ~= nil, true)
  check.equal(tensor(1 / 3):item(), tonumber(ffi.new("float", 1 / 3)))
end)

check.test("numbers that do not fit are refused", function()
  raises("%[tensor%] at %[2%]: 256 does not fit into u8", tensor, { 0, 256 }, { dtype = "u8" })
  raises("at %[1,2%]: %-1 does not fit into u8", tensor, { { 0, -1 } }, { dtype = "u8" })
  raises("1.5 does not fit into i64", tensor, 1.5, { dtype = "i64" })
  raises("9.22%d+e%+18 does not fit into i64", tensor, 2 ^ 63, { dtype = "i64" })
  raises("does not fit into i32", tensor, { 2 ^ 31 }, { dtype = "i32" })
  raises("nan does not fit into i64", tensor, nan, { dtype = "i64" })
end)

check.test("ragged and wrong tables name the place", function()
  raises("ragged table: at %[2%] there are 1 elements, the first one beside it has 2", tensor, { { 1, 2 }, { 3 } })
  raises("at %[2%]: expected a table of 2, got number", tensor, { { 1, 2 }, 3 })
  raises("at %[2%]: expected a number, got table", tensor, { 1, { 2 } })
  raises("at %[1,2%]: expected a number, got string", tensor, { { 1, "2" } })
  raises("nested deeper than 5", tensor, { { { { { { 1 } } } } } })
  raises("expected a number, a nested table or a tensor, got string", tensor, "1")
  raises("expected a number, a nested table or a tensor, got nil", tensor)
end)

check.test("options of core.tensor are checked", function()
  raises('dtype: unknown "float"', tensor, 1, { dtype = "float" })
  raises("dtype: expected a string, got number", tensor, 1, { dtype = 32 })
  raises("requires_grad: expected true or false, got number", tensor, 1, { requires_grad = 1 })
  raises("argument 2: expected a table of options, got string", tensor, 1, "f32")
  raises("device: this session runs on " .. device, tensor, 1, { device = "nowhere" })
  check.equal(tensor(1, { device = device }):item(), 1)
end)

check.test("a tensor from a tensor, and casts", function()
  local a = tensor { 1.75, -1.75, 0 }
  check.equal(list(tensor(a, { dtype = "i32" })), { 1, -1, 0 })
  check.equal(list(tensor(a, { dtype = "bool" })), { true, true, false })
  check.equal(tensor(a).dtype, "f32")
end)

-- -- fields and simple methods

check.test("fields", function()
  local t = count(2, 3)
  check.equal(t.shape, { 2, 3 })
  check.equal(t.dtype, "f32")
  check.equal(t.device, device)
  check.equal(t.requires_grad, false)
  check.equal(t.is_cell, false)
  check.equal(t.grad, nil)
  check.equal(t.nonsense, nil)
  check.equal(list(t.T), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  raises("%[T%] needs 2 dimensions, got 2", function() return count(2).T end)
  raises("field 'shape' cannot be set", function() t.shape = { 3, 2 } end)
  raises("only cells", function() t.grad = t end)
end)

check.test("size, dim, numel, length", function()
  local t = count(2, 3, 4)
  check.equal(t:size(), { 2, 3, 4 })
  check.equal({ t:size(1), t:size(3), t:size(-1), t:size(-3) }, { 2, 4, 4, 2 })
  check.equal({ t:dim(), t:numel(), #t }, { 3, 24, 2 })
  raises("%[size%] there is no dimension 0", t.size, t, 0)
  raises("%[size%] dimension 4 of a tensor with 3 %(2x3x4%)", t.size, t, 4)
  raises("dimension %-4", t.size, t, -4)
  raises("expected a whole number, got 1.5", t.size, t, 1.5)
  raises("a scalar has no length", function() return #tensor(1) end)
end)

check.test("item needs one element", function()
  check.equal(tensor({ { 7 } }):item(), 7)
  raises("%[item%] needs one element, got 2x3", function() count(2, 3):item() end)
  raises("needs one element, got 0", function() tensor({}):item() end)
end)

check.test("methods come from core.methods", function()
  core.methods.twice_for_test = function(t) return t * 2 end
  check.equal(tensor(4):twice_for_test():item(), 8)
  core.methods.twice_for_test = nil
  check.equal(tensor(4).twice_for_test, nil)
end)

check.test("methods refuse what is no tensor", function()
  raises("argument 1: expected a tensor, got table %(methods are called with a colon", core.methods.size, {})
  raises("expected a tensor, got nothing", core.methods.item)
  raises("expected a tensor, got nil", core.methods.item, nil)
  raises("expected a tensor, got userdata", core.methods.item, io.stdout)
end)

check.test("equality is identity", function()
  local a, b = tensor(1), tensor(1)
  check.equal(a == b, false)
  check.equal(a == a, true)
  local cell = core.cell({ 1 }, { requires_grad = true })
  cell.grad = tensor { 1 }
  check.equal(cell.grad == cell.grad, true)
end)

-- -- reading by index

check.test("an index takes a slice and drops the dimension", function()
  local t = count(3, 4)
  check.equal(list(t[1]), { 1, 2, 3, 4 })
  check.equal(list(t[-1]), { 9, 10, 11, 12 })
  check.equal(t[2][3]:item(), 7)
  check.equal(t[{ 2, 3 }]:item(), 7)
  check.equal(t[{ 2, 3 }]:dim(), 0)
  check.equal(t[{ -1, -1 }]:item(), 12)
  check.equal(count(1, 1)[1].shape, { 1 })
end)

check.test("ranges, all, steps", function()
  local t = count(3, 4)
  check.equal(list(t[{ {}, 2 }]), { 2, 6, 10 })
  check.equal(list(t[{ { 2, 3 }, { 1, 2 } }]), { { 5, 6 }, { 9, 10 } })
  check.equal(list(t[{ { 1, -1, 2 }, { -2, -1 } }]), { { 3, 4 }, { 11, 12 } })
  check.equal(list(t[{ {}, { 2, 4, 2 } }]), { { 2, 4 }, { 6, 8 }, { 10, 12 } })
  check.equal(list(t[{ 1 }]), { 1, 2, 3, 4 })
  check.equal(list(t[{}]), list(t))
  check.equal(list(t[{ {}, {} }]), list(t))
  check.equal(t[{ { 2, 2 } }].shape, { 1, 4 })
end)

check.test("five dimensions", function()
  local t = count(2, 2, 2, 2, 3)
  check.equal(t[{ 2, 1, 2, 1, 3 }]:item(), 16 + 4 * 1 + 2 * 1 + 1 * 1 + 10)
  check.equal(t[{ {}, 1, {}, 1 }].shape, { 2, 2, 3 })
end)

check.test("wrong indices say which and where", function()
  local t = count(3, 4)
  raises("%[index%] index 4 is out of range for dimension 1 of size 3 %(tensor 3x4%)", function() return t[4] end)
  raises("index %-5 is out of range for dimension 2 of size 4", function() return t[{ 1, -5 }] end)
  raises("dimension 1: there is no index 0", function() return t[0] end)
  raises("dimension 2: there is no index 0", function() return t[{ 1, 0 }] end)
  raises("dimension 1: 1.5 is no whole number", function() return t[1.5] end)
  raises("3 indices for a tensor with 2 dimensions %(3x4%)", function() return t[{ 1, 1, 1 }] end)
  raises("1 indices for a tensor with 0 dimensions", function() return tensor(1)[1] end)
  raises("the range 3..2 is empty", function() return t[{ { 3, 2 } }] end)
  raises("step %-1; steps are positive, flip reverses", function() return t[{ { 1, 2, -1 } }] end)
  raises("a range is {first, last} or {first, last, step}", function() return t[{ { 1 } }] end)
  raises("dimension 2: expected a number or a range {first, last}, got string", function() return t[{ 1, "x" }] end)
  raises("expected a number, a table or a name, got boolean", function() return t[true] end)
  raises("t%[mask%] would have a size that depends on data", function() return t[ops.gt(t, 3)] end)
end)

-- -- writing by index

check.test("assignment to elements, ranges and everything", function()
  local t = count(2, 3)
  t[1] = 0
  check.equal(list(t), { { 0, 0, 0 }, { 4, 5, 6 } })
  t[{ 2, { 2, 3 } }] = tensor { 8, 9 }
  check.equal(list(t), { { 0, 0, 0 }, { 4, 8, 9 } })
  t[{ {}, 1 }] = tensor { -1, -2 }
  check.equal(list(t), { { -1, 0, 0 }, { -2, 8, 9 } })
  t[{ {}, { 1, 3, 2 } }] = 7
  check.equal(list(t), { { 7, 0, 7 }, { 7, 8, 7 } })
  t[{ -1, -1 }] = tensor(5)
  check.equal(list(t), { { 7, 0, 7 }, { 7, 8, 5 } })
  t[{}] = 3
  check.equal(list(t), { { 3, 3, 3 }, { 3, 3, 3 } })
end)

check.test("what is written is broadcast and cast", function()
  local t = count(2, 2, 3)
  t[{ {}, 1 }] = tensor { 1, 2, 3 }
  check.equal(list(t[{ {}, 1 }]), { { 1, 2, 3 }, { 1, 2, 3 } })
  local u = tensor({ 1, 2, 3 }, { dtype = "u8" })
  u[2] = tensor(9.9)
  check.equal(list(u), { 1, 9, 3 })
  check.equal(u.dtype, "u8")
  raises("256 does not fit into u8", function() u[1] = 256 end)
  raises("0.5 does not fit into u8", function() u[1] = 0.5 end)
  raises("cannot write 2 into 3", function() t[{ 1, 1 }] = tensor { 1, 2 } end)
  raises("cannot write 1x3 into 3", function() t[{ 1, 1 }] = tensor { { 1, 2, 3 } } end)
  raises("expected a tensor or a number to write, got string", function() t[1] = "0" end)
  raises("expected a tensor or a number to write, got nil", function() t[1] = nil end)
end)

check.test("masks", function()
  local t = count(2, 3)
  t[ops.gt(t, 4)] = 0
  check.equal(list(t), { { 1, 2, 3 }, { 4, 0, 0 } })
  t[ops.eq(t, 0)] = tensor { 7, 8, 9 }
  check.equal(list(t), { { 1, 2, 3 }, { 4, 8, 9 } })
  t[tensor { true, false }] = -1 -- the leading dims
  check.equal(list(t), { { -1, -1, -1 }, { 4, 8, 9 } })
  raises("a mask is a bool tensor", function() t[tensor { 1, 0 }] = 1 end)
  raises("the mask is 3, the tensor 2x3", function() t[tensor { true, false, true }] = 1 end)
end)

check.test("tensors are values: other handles keep the old one", function()
  local a = count(3)
  local b, same = a[{}], a
  a[1] = 100
  check.equal(list(b), { 1, 2, 3 })
  check.equal(list(same), { 100, 2, 3 })
  a:assign_(0)
  check.equal(list(a), { 0, 0, 0 })
  raises("%[assign_%] cannot write 2 into 3", a.assign_, a, tensor { 1, 2 })
  raises("%[assign_%] expected a tensor or a number to write, got nothing", a.assign_, a)
  check.equal(list(b), { 1, 2, 3 })
end)

-- -- cells

check.test("a cell is the same for every reference, and keeps old values out", function()
  local p = core.cell({ 2, 2 })
  local q, before = p[{}], p + 0
  check.equal(list(p), { { 0, 0 }, { 0, 0 } })
  p[{ 1, {} }] = tensor { 1, 2 }
  check.equal(list(q), { { 1, 2 }, { 0, 0 } })
  check.equal(list(before), { { 0, 0 }, { 0, 0 } })
  p:assign_(5)
  check.equal(list(q), { { 5, 5 }, { 5, 5 } })
  p[ops.eq(p, 5)] = 6
  check.equal(list(q), { { 6, 6 }, { 6, 6 } })
end)

check.test("a copy of a cell does not follow it", function()
  local p = core.cell(tensor { 1, 2 })
  local copy, view = tensor(p), ops.reshape(p, { 2, 1 })
  p:assign_(tensor { 3, 4 })
  check.equal(list(copy), { 1, 2 })
  check.equal(list(view), { { 1 }, { 2 } })
  check.equal(list(p), { 3, 4 })
end)

check.test("core.cell takes a shape, numbers or a tensor", function()
  check.equal(core.cell({ 2, 3 }).shape, { 2, 3 })
  check.equal(core.cell({}, { dtype = "i64" }).dtype, "i64")
  check.equal(core.cell(3).shape, { 3 })
  check.equal(list(core.cell(tensor { 1.5, 2.5 }, { dtype = "i32" })), { 1, 2 })
  check.equal(core.cell({ 1 }, { requires_grad = true }).requires_grad, true)
  check.equal(tensor({ 1 }, { requires_grad = true }).is_cell, true)
  raises("only float tensors can require a gradient", core.cell, { 1 }, { dtype = "i64", requires_grad = true })
  raises("shape: size %-1 is negative", core.cell, { -1 })
  raises("at most 5 sizes", core.cell, { 1, 1, 1, 1, 1, 1 })
  raises("shape: expected whole numbers, got string", core.cell, { "2" })
end)

check.test("requires_grad_ makes a handle a cell", function()
  local t = count(2)
  local other = t[{}]
  check.equal(t:requires_grad_() == t, true)
  check.equal({ t.is_cell, t.requires_grad, other.is_cell }, { true, true, false })
  t:requires_grad_(false)
  check.equal({ t.is_cell, t.requires_grad }, { true, false })
  local p = core.cell({ 1 }, { requires_grad = true })
  local y = p * 2
  check.equal(y.requires_grad, true)
  y.requires_grad = false
  check.equal({ y.requires_grad, y.is_cell }, { false, false })
  raises("only float tensors can require a gradient, got i64", function() tensor(1, { dtype = "i64" }):requires_grad_() end)
end)

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
  raises("backward: gradient 1 is 3, its input is 1", function() through(function() return tensor { 1, 2, 3 } end):backward() end)
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
  check.equal(err.where:match("([^/]+)$"), "tensor_test.lua:" .. line)
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
  check.equal({ ok, err.where:match("([^/]+)$") }, { false, "tensor_test.lua:" .. line })
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
  check.equal({ text:find("(3,.,.) =", 1, true) ~= nil, text:find("(4,.,.) =", 1, true), text:find("(7,.,.) =", 1, true) ~= nil },
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
  do
    local dropped = count(4) * 5
    dropped = nil
  end
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

check.done()
