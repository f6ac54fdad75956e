-- tensor.reduce: sums, means, extrema, spread.
--
-- dim is a number, a list of numbers, or absent for all; then keepdim as a boolean or
-- in a table, { keepdim = true }.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ops, methods = core.ops, core.methods

local function method(name, text, f)
  docs("tensor." .. name, text)
  methods[name] = f
end

-- The attributes of a reduction; dim may be left out and the options come first.
local function reduction(who, dim, keepdim)
  if type(dim) == "table" and dim[1] == nil and next(dim) ~= nil then dim, keepdim = nil, dim end
  if type(keepdim) == "table" then keepdim = args.options(who, keepdim, { keepdim = false }).keepdim end
  if type(dim) == "number" then dim = { dim } end
  return { dims = dim or {}, keepdim = keepdim or false }
end

for name, what in pairs {
  sum = "sum; integers and bool add up as i64",
  mean = "arithmetic mean of floats",
  amax = "largest element, NaN if there is one; the gradient is shared among ties",
  amin = "smallest element, NaN if there is one; the gradient is shared among ties",
} do
  method(name, ("%s(dim=all, {keepdim=false}): %s"):format(name, what), function(x, dim, keepdim)
    return ops[name](x, reduction(name, dim, keepdim))
  end)
end

for _, name in ipairs { "argmax", "argmin" } do
  method(name, name .. "(dim=all, {keepdim=false}): i64 index of the first such element along dim, counted from 0;"
    .. " without dim in the flattened tensor",
    function(x, dim, keepdim)
      local keep = reduction(name, nil, keepdim).keepdim
      if dim == nil then return ops[name](x:reshape(-1), { dim = 1 }) end
      return ops[name](x, { dim = dim, keepdim = keep })
    end)
end

-- max(), max(dim) -> values, indices, max(other): one name in torch, three meanings.
local function extremum(name, all, pick, pair)
  method(name, ("%s(): scalar; %s(dim, {keepdim=false}): values and their i64 indices counted from 0; %s(other):"
    .. " elementwise; as torch"):format(name, name, name),
    function(x, dim, keepdim)
      if dim == nil then return ops[all](x) end
      if args.is_tensor(dim) then return ops[pair](x, dim) end
      local keep = reduction(name, nil, keepdim).keepdim
      local indices = ops[pick](x, { dim = dim, keepdim = true })
      local values = ops.gather(x, indices, { dim = dim })
      if keep then return values, indices end
      return values:squeeze(dim), indices:squeeze(dim)
    end)
end
extremum("max", "amax", "argmax", "maximum")
extremum("min", "amin", "argmin", "minimum")

-- How many elements each output of the reduction stands for.
local function reduced_count(x, dims)
  if #dims == 0 then return x:numel() end
  local n = 1
  for _, d in ipairs(dims) do n = n * x:size(d) end
  return n
end

method("var", "var(dim=all, {keepdim=false, correction=1}): variance, divided by n - correction; as torch.var",
  function(x, dim, options)
    if type(dim) == "table" and dim[1] == nil and next(dim) ~= nil then dim, options = nil, dim end
    if type(options) == "boolean" then options = { keepdim = options } end
    local o = args.options("var", options, { keepdim = false, correction = 1 })
    local at = reduction("var", dim)
    local centred = ops.sub(x, ops.mean(x, { dims = at.dims, keepdim = true }))
    local total = ops.sum(ops.mul(centred, centred), { dims = at.dims, keepdim = o.keepdim })
    return ops.div(total, reduced_count(x, at.dims) - o.correction)
  end)

method("std", "std(dim=all, {keepdim=false, correction=1}): standard deviation, the root of var; as torch.std",
  function(x, dim, options) return ops.sqrt(methods.var(x, dim, options)) end)

method("norm", "norm(p=2, dim=all, {keepdim=false}): p-norm; p is a number, math.huge for the largest magnitude; as"
  .. " torch.norm",
  function(x, p, dim, keepdim)
    local at = reduction("norm", dim, keepdim)
    p = p or 2
    if p == math.huge then return ops.amax(ops.abs(x), at) end
    if p == 1 then return ops.sum(ops.abs(x), at) end
    if p == 2 then return ops.sqrt(ops.sum(ops.mul(x, x), at)) end
    args.check(type(p) == "number" and p > 0, "[norm] p must be a positive number, got %s", tostring(p))
    return ops.pow(ops.sum(ops.pow(ops.abs(x), p), at), 1 / p)
  end)

method("any", "any(): whether some element is not 0, a bool scalar",
  function(x) return ops.gt(ops.sum(ops.ne(x, 0)), 0) end)

method("all", "all(): whether no element is 0, a bool scalar",
  function(x) return ops.eq(ops.sum(ops.eq(x, 0)), 0) end)

return methods
