-- Tensors as a script sees them: construction, fields, indexing and writing, handles and
-- cells.

local tensors = dofile("tests/tensors.lua")
local check, tensor, list, count, raises = tensors.check, tensors.tensor, tensors.list, tensors.count, tensors.raises
local core = require "lunette.core"
local ffi = require "ffi"
local ops = core.ops
local device = core.device()

local inf, nan = math.huge, 0 / 0

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
  raises("only float tensors can require a gradient, got i64",
    function() tensor(1, { dtype = "i64" }):requires_grad_() end)
end)

check.test("a shape is a list that prints itself", function()
  local shape = core.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }).shape
  check.equal(tostring(shape), "2x3")
  check.equal(tostring(core.tensor(1).shape), "scalar")
  check.equal(tostring(core.empty({ 0, 7 }):size()), "0x7")
  check.equal({ #shape, table.concat(shape, ","), unpack(shape) }, { 2, "2,3", 2, 3 })
  local seen = {}
  for i, n in ipairs(shape) do seen[i] = n end
  for key, n in pairs(shape) do check.equal(seen[key], n) end
  check.equal(seen, { 2, 3 })
  check.equal(core.empty(shape).shape, { 2, 3 })
  table.insert(shape, 1, 4)
  check.equal({ tostring(shape), tostring(table.remove(shape)), tostring(shape) }, { "4x2x3", "3", "4x2" })
  check.equal(require("lunette.save").json(shape), "[4,2]")
  shape[1] = {}
  check.raises(function() tostring(shape) end, "item 1 is a table")
end)

check.done()
