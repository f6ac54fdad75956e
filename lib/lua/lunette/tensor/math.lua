-- tensor.math: elementwise arithmetic, comparisons, activations, dtypes, matrix products.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ops, methods = core.ops, core.methods

local function method(name, text, f)
  docs("tensor." .. name, text)
  methods[name] = f
end

-- Rows of the op table that are methods as they stand; the op's own line is their help.
local op_doc = {}
for _, row in ipairs(core.op_table()) do op_doc[row.name] = row.doc end

for _, name in ipairs {
  "neg", "abs", "sign", "exp", "log", "log1p", "sqrt", "sin", "cos", "tanh", "floor", "ceil", "round",
  "isfinite", "logical_not", "sigmoid", "relu",
} do
  method(name, name .. "(): " .. op_doc[name] .. "; same shape", function(x) return ops[name](x) end)
end

for _, name in ipairs {
  "add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge",
  "logical_and", "logical_or",
} do
  method(name, name .. "(other): " .. op_doc[name] .. "; other is a tensor or a number, shapes broadcast",
    function(a, b) return ops[name](a, b) end)
end

method("square", "square(): x * x; same shape", function(x) return ops.mul(x, x) end)
method("reciprocal", "reciprocal(): 1 / x; same shape", function(x) return ops.div(1, x) end)
method("rsqrt", "rsqrt(): 1 / sqrt(x); same shape", function(x) return ops.div(1, ops.sqrt(x)) end)
method("isnan", "isnan(): where x is not a number, as bool", function(x) return ops.ne(x, x) end)

method("clamp", "clamp(min, max): x limited to [min, max]; nil or absent leaves that side open; as torch.clamp",
  function(x, lo, hi)
    if type(lo) == "table" then lo, hi = lo.min, lo.max end
    return ops.clamp(x, { lo = lo or -math.huge, hi = hi or math.huge })
  end)

method("leaky_relu", "leaky_relu(negative_slope=0.01): x where positive, else slope * x",
  function(x, slope) return ops.leaky_relu(x, { slope = slope or 0.01 }) end)

method("softmax", "softmax(dim): exp(x) / sum exp(x) along dim; same shape",
  function(x, dim) return ops.softmax(x, { dim = args.check(dim, "[softmax] needs a dimension") }) end)

method("log_softmax", "log_softmax(dim): logarithm of softmax along dim; same shape",
  function(x, dim) return ops.log_softmax(x, { dim = args.check(dim, "[log_softmax] needs a dimension") }) end)

-- A number beside a tensor becomes a scalar of that tensor's dtype.
local function like(value, other)
  if type(value) ~= "number" then return value end
  local dtype = args.is_tensor(other) and other.dtype or "f32"
  if value % 1 ~= 0 and not (dtype == "f32" or dtype == "bf16" or dtype == "f64") then dtype = "f32" end
  return ops.full({ size = {}, value = value, dtype = dtype })
end

local rank_of_dtype = { bool = 1, u8 = 2, i32 = 3, i64 = 4, bf16 = 5, f32 = 6, f64 = 7 }

--- where for tensors and numbers: both sides are brought to their common dtype.
local function where(condition, a, b)
  a, b = like(a, b), like(b, a)
  if condition.dtype ~= "bool" then condition = ops.cast(condition, { dtype = "bool" }) end
  if a.dtype ~= b.dtype then
    local dtype = rank_of_dtype[a.dtype] > rank_of_dtype[b.dtype] and a.dtype or b.dtype
    a, b = methods.to(a, dtype), methods.to(b, dtype)
  end
  return ops.where(condition, a, b)
end

method("where", "where(condition, other): x where condition, else other; all broadcast; as torch.Tensor.where",
  function(x, condition, other) return where(condition, x, other) end)

method("masked_fill", "masked_fill(mask, value): value where mask is not 0, else x; mask broadcasts; as torch",
  function(x, mask, value)
    if type(value) == "number" then value = ops.full({ size = {}, value = value, dtype = x.dtype }) end
    return where(mask, value, x)
  end)

-- -- dtypes and devices

local dtypes = {
  f32 = "f32", float32 = "f32", float = "f32", f64 = "f64", float64 = "f64", double = "f64",
  bf16 = "bf16", bfloat16 = "bf16", i64 = "i64", int64 = "i64", long = "i64", i32 = "i32", int32 = "i32",
  int = "i32", u8 = "u8", uint8 = "u8", byte = "u8", bool = "bool",
}

local function cast(x, dtype)
  if x.dtype == dtype then return x end
  return ops.cast(x, { dtype = dtype })
end

for name, dtype in pairs {
  float = "f32", double = "f64", bfloat16 = "bf16", long = "i64", int = "i32", byte = "u8", bool = "bool",
} do
  method(name, name .. "(): x as " .. dtype .. "; float to integer truncates, to bool tests for not 0",
    function(x) return cast(x, dtype) end)
end

method("to", "to(dtype | device | tensor): x as that dtype (f32 bf16 i64 i32 u8 bool, or torch's names), or as the"
  .. " tensor's; a device other than the context's raises",
  function(x, target)
    if args.is_tensor(target) then return cast(x, target.dtype) end
    local dtype = dtypes[target]
    if dtype then return cast(x, dtype) end
    args.check(target == x.device, "[to] '%s' is neither a dtype nor the device that tensors live on (%s)",
      tostring(target), x.device)
    return x
  end)

method("type_as", "type_as(other): x as other's dtype", function(x, other) return cast(x, other.dtype) end)

-- -- matrices

method("matmul", "matmul(other): matrix product of the last two dims, leading dims broadcast; a rank-1 operand is a"
  .. " row on the left and a column on the right; as torch.matmul",
  function(a, b)
    local row, column = a:dim() == 1, b:dim() == 1
    local y = ops.matmul(row and a:unsqueeze(1) or a, column and b:unsqueeze(2) or b)
    if column then y = y:squeeze(-1) end
    if row then y = y:squeeze(column and -1 or -2) end
    return y
  end)

local function product(name, rank, shapes)
  method(name, ("%s(other): matrix product of %s"):format(name, shapes), function(a, b)
    args.check(a:dim() == rank and b:dim() == rank, "[%s] takes two tensors of rank %d, got rank %d and %d",
      name, rank, a:dim(), b:dim())
    return ops.matmul(a, b)
  end)
end
product("mm", 2, "[n, k] and [k, m]")
product("bmm", 3, "[b, n, k] and [b, k, m]")

method("dot", "dot(other): sum of the products of two rank-1 tensors, a scalar",
  function(a, b) return ops.sum(ops.mul(a, b)) end)

return { where = where, cast = cast, dtypes = dtypes }
