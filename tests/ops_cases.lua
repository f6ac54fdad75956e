-- The cases of every op: what goes in, with which attributes. ops_test.lua runs each on the
-- CPU and on the reference device and checks gradients by finite differences.
--
-- An input is a shape, with fields for what its values may be:
--   kind   "any" (default, in (-1, 1)), "positive" (0.2 .. 1.2), "unit" (0.05 .. 0.95), "away" (at least 0.1 from 0),
--          "distinct" (no ties, spread over (-2, 2)), "target" (0 or 1), "index" (0 .. below), "ties" (few different values)
--   dtype  of integer or bool inputs; floats are f32 on the CPU and f64 on the reference
--   cell   true: written by the op, and compared afterwards
--   fixed  true: no gradient is checked for it
-- A case may have attrs, also = "no finite differences" (why), tol (relative, default 2e-6).
local cases = {}

local function any(...) return { shape = { ... } } end
local function with(kind, ...) return { shape = { ... }, kind = kind } end
local function index(below, ...) return { shape = { ... }, kind = "index", below = below, dtype = "i64" } end
local function ints(dtype, ...) return { shape = { ... }, kind = "index", below = 5, dtype = dtype } end
local function cell(kind, ...) return { shape = { ... }, kind = kind, cell = true } end

-- creation
cases.full = { { attrs = { size = { 2, 3 }, value = 1.5 } }, { attrs = { size = {}, value = -2, dtype = "i64" } },
  { attrs = { size = { 3 }, value = 1, dtype = "bool" } } }
cases.arange = { { attrs = { size = { 7 }, value = 3, increment = -0.5 } }, { attrs = { size = { 5 }, value = 2, increment = 3, dtype = "i64" } } }
cases.uniform = { { attrs = { size = { 3, 5, 7 }, lo = -2, hi = 3 } }, { attrs = { size = { 40000 } } } }
cases.normal = { { attrs = { size = { 3, 5, 7 }, mean = 2, std = 0.5 } }, { attrs = { size = { 40001 } } } }

-- two inputs: same shape, scalar, channel, row, general broadcasting, rank 5
local function binary(kind_a, kind_b)
  return {
    { inputs = { with(kind_a, 2, 3, 4), with(kind_b, 2, 3, 4) } },
    { inputs = { with(kind_a, 2, 3, 4), with(kind_b) } },
    { inputs = { with(kind_a), with(kind_b, 5) } },
    { inputs = { with(kind_a, 2, 3, 4, 5), with(kind_b, 1, 3, 1, 1) } },
    { inputs = { with(kind_a, 4, 3), with(kind_b, 3) } },
    { inputs = { with(kind_a, 2, 1, 3, 1), with(kind_b, 5, 1, 4) } },
    { inputs = { with(kind_a, 2, 1, 3, 1, 2), with(kind_b, 1, 2, 1, 4, 2) } },
    { inputs = { with(kind_a, 0, 3), with(kind_b, 3) } },
  }
end
cases.add, cases.sub, cases.mul = binary("any", "any"), binary("any", "any"), binary("any", "any")
cases.div, cases.pow = binary("any", "away"), binary("positive", "any")
cases.maximum, cases.minimum = binary("distinct", "distinct"), binary("distinct", "distinct")
for _, name in ipairs { "add", "sub", "mul", "maximum", "minimum" } do
  table.insert(cases[name], { inputs = { ints("i64", 3, 4), ints("i64", 4) } })
  table.insert(cases[name], { inputs = { ints("i32", 3, 4), any(3, 1) } })
end
table.insert(cases.div, { inputs = { ints("i64", 3, 4), { shape = { 4 }, kind = "index", below = 5, from = 1, dtype = "i64" } } })
for _, name in ipairs { "eq", "ne", "lt", "le", "gt", "ge" } do
  cases[name] = { { inputs = { with("ties", 4, 5), with("ties", 4, 5) } }, { inputs = { with("ties", 3, 1, 4), with("ties", 5, 1) } },
    { inputs = { ints("i64", 3, 4), ints("u8", 4) } } }
end
cases.logical_and = { { inputs = { ints("bool", 4, 5), ints("bool", 5) } }, { inputs = { with("ties", 4), with("ties", 4) } } }
cases.logical_or = cases.logical_and
cases.where = { { inputs = { ints("bool", 2, 3, 4), any(2, 3, 4), any(2, 3, 4) } }, { inputs = { ints("bool", 3, 1), any(4), any() } },
  { inputs = { ints("bool", 6), ints("i64", 6), ints("i64", 1) } } }

-- one input
local function unary(kind) return { { inputs = { with(kind, 3, 5, 7) } }, { inputs = { with(kind) } }, { inputs = { with(kind, 1, 2, 3, 4, 5) } }, { inputs = { with(kind, 0) } } } end
for name, kind in pairs { neg = "any", abs = "away", sign = "any", exp = "any", log = "positive", log1p = "any", sqrt = "positive", sin = "any",
  cos = "any", tanh = "any", floor = "distinct", ceil = "distinct", round = "distinct", isfinite = "any", logical_not = "ties", sigmoid = "any", round_bf16 = "any",
  relu = "away", leaky_relu = "away" } do cases[name] = unary(kind) end
for _, name in ipairs { "neg", "abs", "sign", "relu" } do table.insert(cases[name], { inputs = { { shape = { 9 }, kind = "index", below = 9, from = -4, dtype = "i64" } } }) end
cases.leaky_relu[1].attrs = { slope = 0.2 }
cases.clamp = { { inputs = { with("distinct", 4, 5) }, attrs = { lo = -0.51, hi = 0.73 } }, { inputs = { ints("i64", 9) }, attrs = { lo = 1, hi = 3 } } }
cases.cast = { { inputs = { any(4, 5) }, attrs = { dtype = "bf16" }, also = "rounds", tol = 0 }, { inputs = { with("distinct", 4, 5) }, attrs = { dtype = "i32" } },
  { inputs = { with("ties", 4, 5) }, attrs = { dtype = "bool" } }, { inputs = { ints("u8", 7) }, attrs = { dtype = "f32" } },
  { inputs = { ints("i64", 7) }, attrs = { dtype = "u8" } }, { inputs = { ints("bool", 7) }, attrs = { dtype = "i64" } } }
local function pair_of(...) return { { inputs = { any(3, 4, 5), with(..., 3, 4, 5) } }, { inputs = { any(), with(...) } } } end
cases.sigmoid_grad, cases.relu_grad, cases.leaky_relu_grad = pair_of "unit", pair_of "away", pair_of "away"
cases.relu_grad_sum = { { inputs = { any(3, 4, 5, 6), with("away", 3, 4, 5, 6) } }, { inputs = { any(2, 3, 4, 3, 50), with("away", 2, 3, 4, 3, 50) } },
  { inputs = { any(6, 3), with("away", 6, 3) } } }

-- reductions
local function reduction(kind)
  local list = {}
  for _, dims in ipairs { {}, { 1 }, { 3 }, { 2, 3 }, { 1, 3, 4 }, { -1, 1 } } do
    list[#list + 1] = { inputs = { with(kind, 2, 3, 4, 5) }, attrs = { dims = dims } }
  end
  list[#list + 1] = { inputs = { with(kind, 3, 70, 90) }, attrs = { dims = { 2 }, keepdim = true } }
  list[#list + 1] = { inputs = { with(kind, 2, 3, 2, 3, 4) }, attrs = { dims = { 1, 3, 4, 5 } } }
  list[#list + 1] = { inputs = { with(kind, 20000) } }
  list[#list + 1] = { inputs = { with(kind) } }
  return list
end
cases.sum, cases.mean, cases.amax, cases.amin = reduction "any", reduction "any", reduction "distinct", reduction "distinct"
for _, name in ipairs { "sum", "amax", "amin" } do table.insert(cases[name], { inputs = { ints("u8", 4, 5) }, attrs = { dims = { 2 } } }) end
table.insert(cases.amax, { inputs = { with("ties", 4, 9) }, attrs = { dims = { 2 } }, also = "ties" })
cases.argmax = { { inputs = { with("distinct", 3, 4, 5) }, attrs = { dim = 2 } }, { inputs = { with("ties", 3, 4, 5) }, attrs = { dim = -1, keepdim = true } },
  { inputs = { with("distinct", 300) }, attrs = { dim = 1 } } }
cases.argmin = cases.argmax

-- movement
cases.detach = { { inputs = { any(2, 3) } } }
cases.reorder = { { inputs = { any(2, 3, 4) } }, { inputs = { any() } }, { inputs = { ints("i32", 2, 8, 3, 2, 2) } } }
cases.reshape = { { inputs = { any(2, 3, 4) }, attrs = { size = { 4, -1 } } }, { inputs = { any(6) }, attrs = { size = { 1, 2, 3, 1 } } }, { inputs = { any(1) }, attrs = { size = {} } } }
cases.permute = { { inputs = { any(2, 3, 4) }, attrs = { dims = { 3, 1, 2 } } }, { inputs = { any(5, 7) }, attrs = { dims = { 2, 1 } } },
  { inputs = { any(2, 3, 4, 5, 2) }, attrs = { dims = { 1, 3, 4, 5, 2 } } } }
cases.expand = { { inputs = { any(3, 1, 4) }, attrs = { size = { 2, 3, 5, -1 } } }, { inputs = { any() }, attrs = { size = { 4 } } } }
cases.slice = { { inputs = { any(4, 7, 3) }, attrs = { dim = 2, start = 2, stop = 7, step = 2 } }, { inputs = { any(6) }, attrs = { dim = 1, start = 3, stop = 6 } },
  { inputs = { any(2, 3, 4, 5, 6) }, attrs = { dim = 5, start = 2, stop = 5 } } }
cases.slice_scatter = { { inputs = { any(4, 7, 3), any(4, 3, 3) }, attrs = { dim = 2, start = 2, stop = 7, step = 2 } }, { inputs = { any(6), any(2) }, attrs = { dim = 1, start = 1, stop = 2 } } }
cases.cat = { { inputs = { any(2, 3, 4), any(2, 1, 4), any(2, 5, 4) }, attrs = { dim = 2 } }, { inputs = { any(3), any(4) }, attrs = { dim = 1 } },
  { inputs = { any(1, 2, 3, 2, 2), any(1, 4, 3, 2, 2) }, attrs = { dim = 2 } }, { inputs = { any(2, 3) }, attrs = { dim = -1 } } }
cases.pad = { { inputs = { any(2, 3, 4) }, attrs = { before = { 0, 1, 2 }, after = { 1, 0, 1 }, value = 0.5 } }, { inputs = { any(2, 6) }, attrs = { before = { 0, -1 }, after = { 0, -2 } } },
  { inputs = { any(2, 3, 5, 6) }, attrs = { before = { 0, 0, 2, 3 }, after = { 0, 0, 1, 2 }, mode = "reflect" } },
  { inputs = { any(1, 2, 3, 4, 2) }, attrs = { before = { 0, 0, 1, 2, 0 }, after = { 0, 0, 2, 0, 3 }, mode = "replicate" } } }
cases.pad_grad = { { inputs = { any(3, 4, 7) }, attrs = { before = { 0, 1, 2 }, after = { 1, 0, 1 } } }, { inputs = { any(2, 3, 8, 11) }, attrs = { before = { 0, 0, 2, 3 }, after = { 0, 0, 1, 2 }, mode = "reflect" } } }
cases.flip = { { inputs = { any(2, 3, 4) }, attrs = { dims = { 1, 3 } } }, { inputs = { any(2, 1, 3, 4, 2) }, attrs = { dims = { 4, 5 } } } }
cases.index_select = { { inputs = { any(4, 5, 3), index(5, 7) }, attrs = { dim = 2 } }, { inputs = { any(6), index(6, 3) }, attrs = { dim = 1 } } }
cases.index_add = { { inputs = { any(4, 5, 3), index(5, 7), any(4, 7, 3) }, attrs = { dim = 2 } } }
cases.gather = { { inputs = { any(4, 5, 3), index(5, 4, 2, 3) }, attrs = { dim = 2 } }, { inputs = { any(4, 5), index(4, 6, 5) }, attrs = { dim = 1 } } }
cases.scatter_add = { { inputs = { any(4, 5, 3), index(5, 4, 2, 3), any(4, 2, 3) }, attrs = { dim = 2 } } }

-- matrices and convolutions
cases.matmul = { { inputs = { any(4, 5), any(5, 3) } }, { inputs = { any(5, 4), any(3, 5) }, attrs = { transpose_a = true, transpose_b = true } },
  { inputs = { any(2, 4, 5), any(2, 5, 3) } }, { inputs = { any(2, 1, 4, 5), any(3, 5, 2) } }, { inputs = { any(2, 4, 5), any(3, 5) }, attrs = { transpose_b = true } },
  { inputs = { any(5, 4), any(2, 5, 3) }, attrs = { transpose_a = true } }, { inputs = { any(4, 0), any(0, 3) } } }
cases.conv = {
  { inputs = { any(2, 3, 7, 6), any(4, 3, 3, 3), any(4) }, attrs = { padding = 1 } },
  { inputs = { any(2, 4, 9, 8), any(6, 2, 3, 2), any(6) }, attrs = { stride = { 2, 1 }, padding = { 1, 0 }, dilation = { 1, 2 }, groups = 2 } },
  { inputs = { any(1, 16, 10, 12), any(32, 16, 3, 3), any(32) }, attrs = { padding = 1 } },
  { inputs = { any(2, 1, 12, 12), any(8, 1, 3, 3), any(8) }, attrs = { padding = 1 } },
  { inputs = { any(2, 8, 6, 6), any(1, 8, 1, 1), any(1) } },
  { inputs = { any(2, 6, 8, 8), any(6, 1, 3, 3) }, attrs = { padding = 1, groups = 6 } },
  { inputs = { any(2, 3, 9), any(5, 3, 4), any(5) }, attrs = { stride = 2 } },
  { inputs = { any(2, 3, 5, 6, 4), any(4, 3, 3, 3, 2), any(4) }, attrs = { stride = { 1, 2, 1 }, padding = { 1, 1, 0 } } },
  { inputs = { any(1, 16, 4, 6, 5), any(16, 16, 3, 3, 3), any(16) }, attrs = { padding = 1 } },
  { inputs = { any(0, 3, 7, 6), any(4, 3, 3, 3), any(4) }, attrs = { padding = 1 } } }
cases.conv_input_grad = { { inputs = { any(2, 4, 7, 6), any(4, 3, 3, 3) }, attrs = { padding = 1, size = { 7, 6 } } },
  { inputs = { any(2, 6, 5, 6), any(6, 2, 3, 2) }, attrs = { stride = { 2, 1 }, padding = { 1, 0 }, dilation = { 1, 2 }, groups = 2, size = { 9, 8 } } },
  { inputs = { any(1, 4, 3, 3), any(4, 3, 2, 2) }, attrs = { stride = 2, size = { 7, 6 } } },
  { inputs = { any(1, 4, 5, 3, 3), any(4, 3, 3, 3, 2) }, attrs = { stride = { 1, 2, 1 }, padding = { 1, 1, 0 }, size = { 5, 6, 4 } } } }
cases.conv_weight_grad = { { inputs = { any(2, 3, 7, 6), any(2, 4, 7, 6) }, attrs = { padding = 1, kernel = 3 } },
  { inputs = { any(2, 4, 9, 8), any(2, 6, 5, 6) }, attrs = { stride = { 2, 1 }, padding = { 1, 0 }, dilation = { 1, 2 }, groups = 2, kernel = { 3, 2 } } },
  { inputs = { any(1, 3, 5, 6, 4), any(1, 4, 5, 3, 3) }, attrs = { stride = { 1, 2, 1 }, padding = { 1, 1, 0 }, kernel = { 3, 3, 2 } } } }
cases.conv_transpose = {
  { inputs = { any(2, 6, 4, 5), any(6, 3, 2, 2), any(3) }, attrs = { stride = 2 } },
  { inputs = { any(2, 16, 4, 6), any(16, 8, 2, 2), any(8) }, attrs = { stride = 2 } },
  { inputs = { any(2, 4, 4, 5), any(4, 3, 3, 3), any(6) }, attrs = { stride = 2, padding = 1, output_padding = 1, groups = 2, dilation = { 1, 2 } } },
  { inputs = { any(2, 4, 7), any(4, 3, 3) }, attrs = { stride = 3 } },
  { inputs = { any(1, 4, 3, 2, 4), any(4, 2, 2, 2, 2), any(2) }, attrs = { stride = 2 } } }

-- fused rows: the cases of conv that have elements; a mask like the output in the place of the bias
cases.conv_relu, cases.conv_moments, cases.conv_masked, cases.conv_input_grad_masked = {}, {}, {}, {}
for _, case in ipairs(cases.conv) do
  table.insert(cases.conv_relu, case)
  if case.inputs[1].shape[1] > 0 then table.insert(cases.conv_moments, case) end
end
-- folded norms: with and without bias, weight and shift
cases.conv_norm = {}
for i, case in ipairs(cases.conv) do
  local w = case.inputs[2].shape[1]
  if w > 0 then
    local c = function(kind) return with(kind, w) end
    table.insert(cases.conv_norm, { inputs = { case.inputs[1], case.inputs[2], case.inputs[3] or false, c("any"), c("positive"),
      i % 2 == 0 and c("any"), i % 3 == 0 and c("any") }, attrs = case.attrs })
  end
end
cases.conv_norm_relu = cases.conv_norm
local function masked(op, which, ...)
  local of = cases[op:gsub("_masked", "")][which]
  table.insert(cases[op], { inputs = { of.inputs[1], of.inputs[2], any(...) }, attrs = of.attrs })
end
masked("conv_masked", 1, 2, 4, 7, 6); masked("conv_masked", 2, 2, 6, 5, 6); masked("conv_masked", 3, 1, 32, 10, 12)
masked("conv_masked", 7, 2, 5, 3); masked("conv_masked", 8, 2, 4, 5, 3, 3); masked("conv_masked", 10, 0, 4, 7, 6)
masked("conv_input_grad_masked", 1, 2, 3, 7, 6); masked("conv_input_grad_masked", 2, 2, 4, 9, 8)
masked("conv_input_grad_masked", 3, 1, 3, 7, 6); masked("conv_input_grad_masked", 4, 1, 3, 5, 6, 4)

-- pooling and resampling
cases.max_pool = { { inputs = { with("distinct", 2, 3, 6, 8) }, attrs = { kernel = 2, stride = 2 } }, { inputs = { with("distinct", 1, 2, 7, 9) }, attrs = { kernel = 3, stride = 2, padding = 1, dilation = { 1, 2 } } },
  { inputs = { with("distinct", 1, 2, 7, 9) }, attrs = { kernel = 2, stride = 2, ceil_mode = true } }, { inputs = { with("distinct", 2, 2, 4, 5, 6) }, attrs = { kernel = 2, stride = { 2, 1, 2 } } },
  { inputs = { with("distinct", 2, 2, 9) }, attrs = { kernel = 3, stride = 1 } } }
cases.max_pool_grad = { { inputs = { any(2, 3, 3, 4), { shape = { 2, 3, 3, 4 }, kind = "index", below = 48, dtype = "i32" } }, attrs = { size = { 6, 8 } } },
  { inputs = { any(1, 2, 2, 2, 2), { shape = { 1, 2, 2, 2, 2 }, kind = "index", below = 64, dtype = "i32" } }, attrs = { size = { 4, 4, 4 } } } }
cases.max_pool_grad_add = {}
for k, case in ipairs(cases.max_pool_grad) do
  local gy, indices = case.inputs[1], case.inputs[2]
  local shape = { gy.shape[1], gy.shape[2], unpack(case.attrs.size) }
  cases.max_pool_grad_add[k] = { inputs = { { shape = shape }, gy, indices }, attrs = case.attrs }
end
cases.avg_pool = { { inputs = { any(2, 3, 6, 8) }, attrs = { kernel = 2, stride = 2 } }, { inputs = { any(1, 2, 7, 9) }, attrs = { kernel = 3, stride = 2, padding = 1, count_include_pad = false } },
  { inputs = { any(1, 2, 7, 9) }, attrs = { kernel = 3, stride = 2, padding = 1, ceil_mode = true } }, { inputs = { any(2, 2, 4, 5, 6) }, attrs = { kernel = { 2, 3, 2 }, stride = { 2, 1, 2 } } } }
cases.avg_pool_grad = { { inputs = { any(1, 2, 4, 5) }, attrs = { kernel = 3, stride = 2, padding = 1, size = { 7, 9 } } }, { inputs = { any(2, 2, 2, 2, 3) }, attrs = { kernel = 2, stride = 2, size = { 4, 4, 6 } } } }
cases.interpolate, cases.interpolate_grad = {}, {}
for _, mode in ipairs { "nearest", "linear" } do
  for _, align in ipairs { false, true } do
    if not (mode == "nearest" and align) then
      for _, c in ipairs { { { 4, 5 }, { 8, 10 } }, { { 7, 9 }, { 3, 5 } }, { { 3, 4, 5 }, { 6, 5, 2 } }, { { 6 }, { 11 } }, { { 1, 3 }, { 4, 1 } } } do
        local small, big = { 2, 3 }, { 2, 3 }
        for i, v in ipairs(c[1]) do small[i + 2] = v; big[i + 2] = c[2][i] end
        table.insert(cases.interpolate, { inputs = { { shape = small } }, attrs = { size = c[2], mode = mode, align_corners = align } })
        table.insert(cases.interpolate_grad, { inputs = { { shape = big } }, attrs = { size = c[1], mode = mode, align_corners = align } })
      end
    end
  end
end
table.insert(cases.interpolate, { inputs = { any(1, 2, 5, 5) }, attrs = { scale = { 1.7, 1.7, 1.7 }, mode = "linear" } })
-- a scale that contradicts the sizes: torch ignores it where it can
for _, c in ipairs { { any(1, 2, 5), 1.1 }, { any(1, 2, 5, 5), 1.1 }, { any(1, 2, 5, 5), 2.1 }, { any(1, 1, 5, 4, 5), 1.1 } } do
  for _, mode in ipairs { "nearest", "linear" } do
    table.insert(cases.interpolate, { inputs = { c[1] }, attrs = { scale = { c[2], c[2], c[2] }, mode = mode } })
  end
end

-- normalisation
cases.batch_norm = { { inputs = { any(3, 4, 5, 6), with("positive", 4), any(4) } }, { inputs = { any(2, 3, 4, 3, 5), with("positive", 3), any(3) }, attrs = { eps = 1e-3 } },
  { inputs = { any(6, 3) } }, { inputs = { any(2, 3, 40, 41), with("positive", 3), any(3) }, fd = 6 } }
cases.batch_norm_grad = { { inputs = { any(3, 4, 5, 6), any(3, 4, 5, 6), with("positive", 4), any(4), with("positive", 4) } },
  { inputs = { any(2, 3, 4, 3, 5), any(2, 3, 4, 3, 5), false, any(3), with("positive", 3) } } }
cases.batch_norm_eval = { { inputs = { any(3, 4, 5, 6), any(4), with("positive", 4), with("positive", 4), any(4) } }, { inputs = { any(2, 3, 4, 3, 5), any(3), with("positive", 3) } } }
cases.moments = { { inputs = { any(3, 4, 5, 6) } }, { inputs = { any(2, 3, 4, 3, 5) } }, { inputs = { any(6, 3) } }, { inputs = { any(2, 3, 40, 41) } } }
cases.norm_relu = cases.batch_norm_eval
cases.norm_relu_grad = { { inputs = { any(3, 4, 5, 6), any(3, 4, 5, 6), any(4), with("positive", 4), with("positive", 4), any(4) }, attrs = { eps = 1e-3 } },
  { inputs = { any(2, 3, 4, 3, 50), any(2, 3, 4, 3, 50), any(3), with("positive", 3) } }, { inputs = { any(6, 3), any(6, 3), any(3), with("positive", 3), any(3) } } }
cases.norm_relu_pool = { { inputs = { any(3, 4, 6, 8), any(4), with("positive", 4), with("positive", 4), any(4) }, attrs = { kernel = 2, stride = 2, eps = 1e-3 } },
  { inputs = { any(2, 3, 7, 9), any(3), with("positive", 3) }, attrs = { kernel = 3, stride = 2, padding = 1 } }, { inputs = { any(2, 3, 4, 3, 50), any(3), with("positive", 3) }, attrs = { kernel = 2, stride = 2 } } }
cases.norm_relu_pool_grad = {}
for k, case in ipairs(cases.max_pool_grad_add) do
  local shape, i = case.inputs[1].shape, case.inputs
  cases.norm_relu_pool_grad[k] = { inputs = { i[1], i[2], i[3], { shape = shape }, any(shape[2]), with("positive", shape[2]), with("positive", shape[2]), any(shape[2]) },
    attrs = { size = case.attrs.size, eps = 1e-3 } }
end
cases.row_norm = { { inputs = { any(5, 12) } }, { inputs = { any(2, 5000) }, fd = 6 } }
cases.row_norm_grad = { { inputs = { any(5, 12), any(5, 12), with("positive", 5) } } }

-- probabilities and losses
for _, name in ipairs { "softmax", "log_softmax" } do
  cases[name] = { { inputs = { any(3, 7) }, attrs = { dim = 2 } }, { inputs = { any(2, 4, 3, 5) }, attrs = { dim = 2 } }, { inputs = { any(2, 4, 3, 2, 3) }, attrs = { dim = 2 } }, { inputs = { any(6) }, attrs = { dim = 1 } } }
  cases[name .. "_grad"] = { { inputs = { any(3, 7), with("unit", 3, 7) }, attrs = { dim = 2 } }, { inputs = { any(2, 4, 3, 5), with("unit", 2, 4, 3, 5) }, attrs = { dim = 2 } } }
end
cases.dropout = { { inputs = { any(4, 5, 6) }, attrs = { p = 0.4 } }, { inputs = { any(2, 3, 4, 5) }, attrs = { p = 0.5, channelwise = true } }, { inputs = { any(7) }, attrs = { p = 0 } } }
cases.bce = { { inputs = { with("unit", 3, 40), with("unit", 3, 40) } }, { inputs = { with("target", 50), with("target", 50) }, also = "clamped" } }
cases.bce_grad = { { inputs = { any(3, 40), with("unit", 3, 40), with("target", 3, 40) } }, { inputs = { any(30), with("target", 30), with("target", 30) } } }
for _, gy in ipairs { any(), any(1, 1) } do -- one gradient for all elements
  table.insert(cases.bce_grad, { inputs = { gy, with("unit", 3, 40), with("target", 3, 40) } })
end
cases.bce_with_logits = { { inputs = { with("distinct", 3, 40), with("unit", 3, 40) } } }
cases.bce_with_logits_grad = { { inputs = { any(3, 40), with("distinct", 3, 40), with("target", 3, 40) } },
  { inputs = { any(), with("distinct", 3, 40), with("target", 3, 40) } }, { inputs = { any(1, 1), with("distinct", 90, 91), with("unit", 90, 91) } } }
cases.sigmoid_bce = cases.bce_with_logits
cases.sigmoid_bce_grad = cases.bce_grad

-- the commit
cases.check_finite = { { inputs = { any(5) } }, { inputs = { any() } } }
cases.assign = { { inputs = { cell("any", 3, 4), any(3, 4) } }, { inputs = { { shape = {}, kind = "index", below = 5, dtype = "i64", cell = true }, ints "i64" } } }
cases.lerp_write = { { inputs = { cell("any", 3, 4), any(3, 4) }, attrs = { weight = 0.3 } } }
cases.batch_norm_update = { { inputs = { cell("any", 4), cell("positive", 4), any(4), with("positive", 4) }, attrs = { size = { 24 }, weight = 0.1 } } }
cases.sgd_step = { { inputs = { cell("any", 5, 7), any(5, 7) }, attrs = { lr = 0.1 } }, { inputs = { cell("any", 40), any(40), cell("any", 40) }, attrs = { lr = 0.1, momentum = 0.9, dampening = 0.2, weight_decay = 0.01 } },
  { inputs = { cell("any", 40), any(40), cell("any", 40) }, attrs = { lr = 0.1, momentum = 0.9, nesterov = true } } }
local function adam(attrs) return { inputs = { cell("any", 5, 9), any(5, 9), cell("any", 5, 9), cell("positive", 5, 9) }, attrs = attrs } end
cases.adam_step = { adam { lr = 0.01, bias1 = 0.1, bias2 = 0.001 }, adam { lr = 0.01, weight_decay = 0.1, bias1 = 0.19, bias2 = 0.002 }, adam { lr = 0.01, weight_decay = 0.1, decoupled = true, bias1 = 0.5, bias2 = 0.4 } }

return cases
