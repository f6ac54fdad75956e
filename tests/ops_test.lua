-- Every op of the table: the CPU against the reference device (plain loops in double), its
-- gradient rule against finite differences on the reference device, and the CPU's
-- gradients against those. An op without a case, or a spatial op without a 3D case, fails.
local check  = dofile("tests/check.lua")
local hashed = dofile("tests/hashed.lua")
local cases  = dofile("tests/ops_cases.lua")
local core   = require "lunette.core"
local sys    = require "lunette.sys"

local DEVICES = { "cpu", "reference" }
local function use(device) assert(sys.configure { device = device }) end

-- -- inputs

local function numel(shape) local n = 1; for _, d in ipairs(shape) do n = n * d end; return n end

local makers = {
  any      = function(u) return u end,
  positive = function(u) return 0.7 + 0.5 * u end,
  unit     = function(u) return 0.5 + 0.45 * u end,
  away     = function(u) return u < 0 and u - 0.1 or u + 0.1 end,
  distinct = function(_, i, n) return ((i * 7919 % n) + 0.37) / n * 4 - 2 end, -- a permutation while 7919 is prime to n
  target   = function(u) return u > 0 and 1 or 0 end,
  ties     = function(u) return math.floor(u * 2.5) end,
}

local function values(spec, name)
  local n, seed, list = numel(spec.shape), hashed.seed_of(name), {}
  for i = 0, n - 1 do
    local u = hashed.symmetric(seed, i)
    if spec.kind == "index" then list[i + 1] = (spec.from or 0) + hashed.word(seed, i) % (spec.below - (spec.from or 0))
    else list[i + 1] = makers[spec.kind or "any"](u, i, n) end
  end
  return list
end

local function float_type(device) return device == "cpu" and "f32" or "f64" end

-- A tensor of the spec on the current device from flat values.
local function tensor(spec, list, device, requires_grad)
  local dtype = spec.dtype or float_type(device)
  local flat = #list == 0 and core.ops.full({ size = { 0 }, dtype = dtype }) or core.tensor(list, { dtype = dtype == "bool" and "u8" or dtype })
  if dtype == "bool" then flat = core.ops.cast(core.ops.ne(flat, 0), { dtype = "bool" }) end
  local t = core.ops.reshape(flat, { size = spec.shape })
  if spec.cell or requires_grad then t = core.cell(t, { requires_grad = requires_grad or false }) end
  return t
end

local function flatten(v, out)
  if type(v) == "table" then for _, e in ipairs(v) do flatten(e, out) end else out[#out + 1] = type(v) == "boolean" and (v and 1 or 0) or v end
  return out
end

local function list_of(t) return flatten(t:tolist(), {}) end

local function is_float(spec) return spec and not spec.dtype end

-- -- running a case

local function inputs_of(name, k, case, device, grads, changed)
  local list = {}
  for i, spec in ipairs(case.inputs or {}) do
    if spec then
      local v = changed and changed.input == i and changed.values or values(spec, name .. k .. "." .. i)
      list[i] = tensor(spec, v, device, grads and is_float(spec) and not spec.fixed and not spec.cell)
    else
      list[i] = false
    end
  end
  return list
end

-- Attributes as given; dtype f32 stands for the device's float.
local function attrs_of(name, case, device)
  local attrs = {}
  for key, v in pairs(case.attrs or {}) do attrs[key] = v end
  if device == "reference" and (name == "full" or name == "arange" or name == "uniform" or name == "normal") and not attrs.dtype then attrs.dtype = "f64" end
  return attrs
end

local function call(name, inputs, attrs)
  local n, args = 0, {}
  for i, v in pairs(inputs) do n = math.max(n, i); args[i] = v or nil end
  if next(attrs) ~= nil then n = n + 1; args[n] = attrs end
  core.seed(7)
  return { core.ops[name](unpack(args, 1, n)) }
end

-- All results as flat lists: outputs, and cells after the commit.
local function results(name, k, case, device)
  use(device)
  local inputs = inputs_of(name, k, case, device)
  local outs = call(name, inputs, attrs_of(name, case, device))
  local lists = {}
  for _, o in ipairs(outs) do lists[#lists + 1] = list_of(o) end
  if #outs == 0 then core.flush() end
  for i, spec in ipairs(case.inputs or {}) do if spec and spec.cell then lists[#lists + 1] = list_of(inputs[i]) end end
  return lists
end

local function compare(what, got, want, tol)
  if #got ~= #want then error(what .. ": " .. #got .. " elements, " .. #want .. " expected") end
  local diff, norm = 0, 0
  for i, w in ipairs(want) do
    local g = got[i]
    if w == w and math.abs(w) ~= math.huge then diff = diff + (g - w) ^ 2; norm = norm + w ^ 2
    elseif not (g == w or (g ~= g and w ~= w)) then error(what .. ": element " .. i .. " is " .. g .. ", want " .. w) end
  end
  if not (math.sqrt(diff) <= tol * math.sqrt(norm) + 1e-7 * tol * #want) then
    error(("%s: relative difference %.2e, at most %.0e allowed"):format(what, math.sqrt(diff / math.max(norm, 1e-300)), tol))
  end
end

-- -- gradients of L = sum_o sum(c_o * y_o) with hashed c

local function weighted(name, k, out, device)
  local spec = { shape = out.shape }
  local c = tensor(spec, values(spec, name .. k .. ".c"), device)
  return core.ops.sum(core.ops.mul(out, c))
end

local function gradients(name, k, case, device)
  use(device)
  local inputs = inputs_of(name, k, case, device, true)
  local outs = call(name, inputs, attrs_of(name, case, device))
  local wanted, where = {}, {}
  for i, spec in ipairs(case.inputs) do
    if is_float(spec) and not spec.fixed then wanted[#wanted + 1] = inputs[i]; where[#where + 1] = i end
  end
  local loss = weighted(name, k, outs[1], device)
  local grads = { core.grad({ loss }, { core.tensor(1, { dtype = float_type(device) }) }, wanted) }
  local lists = {}
  for j, i in ipairs(where) do lists[i] = grads[j] and list_of(grads[j]) or false end
  return lists
end

local function loss_at(name, k, case, input, list)
  local inputs = inputs_of(name, k, case, "reference", false, { input = input, values = list })
  return weighted(name, k, call(name, inputs, attrs_of(name, case, "reference"))[1], "reference"):item()
end

local function finite_differences(name, k, case, i, grad)
  use "reference"
  local list, h = values(case.inputs[i], name .. k .. "." .. i), 1e-5
  local scale = 0
  for _, g in ipairs(grad) do scale = math.max(scale, math.abs(g)) end
  for _, pick in ipairs(hashed.choose(name .. i, math.min(case.fd or 10, #list), #list)) do
    local x = list[pick + 1]
    list[pick + 1] = x + h; local up = loss_at(name, k, case, i, list)
    list[pick + 1] = x - h; local down = loss_at(name, k, case, i, list)
    list[pick + 1] = x
    local fd = (up - down) / (2 * h)
    if not (math.abs(fd - grad[pick + 1]) <= 1e-6 * (1 + scale)) then
      error(("case %d, input %d, element %d: gradient %.9g, finite difference %.9g"):format(k, i, pick, grad[pick + 1], fd))
    end
  end
end

local function check_gradients(name, k, case)
  local cpu, reference = gradients(name, k, case, "cpu"), gradients(name, k, case, "reference")
  for i, want in pairs(reference) do
    if not want ~= not cpu[i] then error(("case %d, input %d: one device has no gradient"):format(k, i)) end
    if want then
      compare(("case %d, gradient of input %d"):format(k, i), cpu[i], want, math.max(case.tol or 0, 2e-5))
      if not case.also then finite_differences(name, k, case, i, want) end
    end
  end
end

-- -- the tests

for _, row in ipairs(core.op_table()) do
  local name = row.name
  check.test(name .. ": CPU against the reference", function()
    assert(cases[name], "no case in tests/ops_cases.lua")
    for k, case in ipairs(cases[name]) do
      local cpu, reference = results(name, k, case, "cpu"), results(name, k, case, "reference")
      check.equal(#cpu, #reference)
      for o, want in ipairs(reference) do compare(("case %d, result %d"):format(k, o), cpu[o], want, case.tol or 2e-6) end
    end
  end)
  if row.differentiable then
    check.test(name .. ": gradient", function()
      for k, case in ipairs(assert(cases[name], "no case")) do check_gradients(name, k, case) end
    end)
  end
end

local SPATIAL = { "conv", "conv_input_grad", "conv_weight_grad", "conv_transpose",
  "conv_relu", "conv_moments", "conv_norm", "conv_norm_relu", "conv_masked", "conv_input_grad_masked", "max_pool", "max_pool_grad", "avg_pool", "avg_pool_grad",
  "interpolate", "interpolate_grad", "batch_norm", "batch_norm_grad", "batch_norm_eval", "moments", "norm_relu", "norm_relu_grad",
  "norm_relu_pool", "norm_relu_pool_grad", "relu_grad_sum", "max_pool_grad_add", "reorder", "pad", "flip", "cat", "slice", "permute", "softmax", "sum" }
check.test("every spatial op has a 3D case", function()
  for _, name in ipairs(SPATIAL) do
    local found = false
    for _, case in ipairs(cases[name] or {}) do found = found or #case.inputs[1].shape == 5 end
    assert(found, name .. " has no case of rank 5")
  end
end)

check.test("every case belongs to an op", function()
  local known = {}
  for _, row in ipairs(core.op_table()) do known[row.name] = true end
  for name in pairs(cases) do assert(known[name], name .. " is no op") end
end)

use(DEVICES[1])
check.done()
