-- lunette: tensors from nothing and from files, gradients off, the context.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local math_part = require "lunette.tensor.math"
require "lunette.tensor"

local ops = core.ops
local lt = {}

local function define(name, text, f)
  docs("lunette." .. name, text)
  lt[name] = f
end

-- -- creation

-- Sizes and a trailing table of options: (2, 3, {dtype=}) or ({2, 3}, {dtype=}).
local function split(who, ...)
  local n = select("#", ...)
  local last = n > 0 and select(n, ...) or nil
  local options
  if type(last) == "table" and (n > 1 or next(last) ~= nil) and last[1] == nil and next(last) ~= nil then
    options, n = last, n - 1
  elseif n == 2 and type(last) == "table" then
    options, n = last, 1
  end
  local sizes
  if n == 1 and type((...)) == "table" then
    sizes = (...)
  else
    sizes = { unpack({ ... }, 1, n) }
    for i = 1, n do args.check(sizes[i] ~= nil, "[%s] size %d is nil; expected a number", who, i) end
  end
  return sizes, args.options(who, options, { dtype = "f32", requires_grad = false })
end

-- A leaf that wants a gradient is a cell.
local function leaf(x, o)
  if o.requires_grad then return core.cell(x, { dtype = x.dtype, requires_grad = true }) end
  return x
end

local function creator(name, what, make)
  define(name, ("%s(sizes..., {dtype=\"f32\", requires_grad=false}): %s; sizes as numbers or a list; as"
    .. " torch.%s"):format(name,
    what, name), function(...)
    local sizes, o = split(name, ...)
    return leaf(make(sizes, o.dtype), o)
  end)
  define(name .. "_like", ("%s_like(tensor): %s, in the tensor's shape and dtype; as"
    .. " torch.%s_like"):format(name, what, name),
    function(x) return make(x.shape, x.dtype) end)
end

creator("zeros", "0 everywhere", function(size, dtype) return ops.full({ size = size, value = 0, dtype = dtype }) end)
creator("ones", "1 everywhere", function(size, dtype) return ops.full({ size = size, value = 1, dtype = dtype }) end)
creator("rand", "uniform in [0, 1), Philox",
  function(size, dtype) return ops.uniform({ size = size, lo = 0, hi = 1, dtype = dtype }) end)
creator("randn", "normal with mean 0 and deviation 1, Philox",
  function(size, dtype) return ops.normal({ size = size, mean = 0, std = 1, dtype = dtype }) end)

define("full", "full({sizes}, value, {dtype=\"f32\", requires_grad=false}): that number everywhere; as torch.full",
  function(size, value, options)
    local o = args.options("full", options, { dtype = "f32", requires_grad = false })
    if type(size) == "number" then size = { size } end
    return leaf(ops.full({ size = size, value = value, dtype = o.dtype }), o)
  end)

define("full_like", "full_like(tensor, value): that number everywhere, in the tensor's shape and dtype",
  function(x, value) return ops.full({ size = x.shape, value = value, dtype = x.dtype }) end)

define("arange", "arange(start, stop, step=1, {dtype=\"f32\"}) or arange(stop): start, start + step, ... below stop;"
  .. " one argument counts from 0; as torch.arange",
  function(...)
    local given, o = { ... }, nil
    if type(given[#given]) == "table" then o = table.remove(given) end
    o = args.options("arange", o, { dtype = "f32" })
    local start, stop, step = given[1], given[2], given[3] or 1
    if stop == nil then start, stop = 0, start end
    args.check(type(start) == "number" and type(stop) == "number" and step ~= 0, "[arange] takes numbers, step not 0")
    local count = math.max(0, math.ceil((stop - start) / step))
    return ops.arange({ size = { count }, value = start, increment = step, dtype = o.dtype })
  end)

define("linspace", "linspace(start, stop, count): count equidistant f32 numbers, both ends included; as"
  .. " torch.linspace",
  function(start, stop, count)
    args.check(type(count) == "number" and count >= 1, "[linspace] needs a count of at least 1")
    local step = count > 1 and (stop - start) / (count - 1) or 0
    return ops.arange({ size = { count }, value = start, increment = step, dtype = "f32" })
  end)

define("eye", "eye(n, m=n): f32 [n, m], 1 on the diagonal; as torch.eye",
  function(n, m)
    local rows = lt.arange(n):reshape(n, 1)
    return rows:eq(lt.arange(m or n):reshape(1, m or n)):float()
  end)

docs("lunette.tensor", "tensor(number | nested tables, {dtype=, requires_grad=false}): a tensor of those values, f32"
  .. " unless told; with requires_grad a cell that backward() fills the grad of; as torch.tensor")
lt.tensor = core.tensor

-- -- joining and choosing

local MOST = 64 -- tensors that one op takes

define("cat", "cat({tensors}, dim=1): joined along dim; as torch.cat",
  function(list, dim)
    args.check(type(list) == "table" and #list > 0, "[cat] takes a list of tensors, then the dim")
    while #list > MOST do
      local groups = {}
      for first = 1, #list, MOST do
        groups[#groups + 1] = lt.cat({ unpack(list, first, math.min(first + MOST - 1, #list)) }, dim)
      end
      list = groups
    end
    local given = { unpack(list) }
    given[#given + 1] = { dim = dim or 1 }
    return ops.cat(unpack(given))
  end)

define("stack", "stack({tensors}, dim=1): joined along a new dim; as torch.stack",
  function(list, dim)
    args.check(type(list) == "table" and #list > 0, "[stack] takes a list of tensors, then the dim")
    local pieces = {}
    for i, x in ipairs(list) do pieces[i] = x:unsqueeze(dim or 1) end
    return lt.cat(pieces, dim or 1)
  end)

define("where", "where(condition, a, b): a where condition, else b; tensors or numbers, all broadcast; as torch.where",
  math_part.where)

for _, name in ipairs {
  "maximum", "minimum", "matmul", "exp", "log", "sqrt", "abs", "sigmoid", "relu", "tanh", "softmax",
} do
  lt[name] = core.methods[name]
end

define("is_tensor", "is_tensor(x): whether x is a tensor", args.is_tensor)

-- -- gradients and the context

define("manual_seed", "manual_seed(n): everything random starts anew from seed n; as torch.manual_seed",
  function(n) core.seed(n) end)

define("no_grad", "no_grad(f, ...): calls f(...) without recording for backward(), also when it fails; returns its"
  .. " results; as torch.no_grad",
  function(f, ...)
    local enabled = core.grad_enabled(false)
    local function restored(ok, ...)
      core.grad_enabled(enabled)
      if not ok then error((...), 0) end
      return ...
    end
    return restored(pcall(f, ...))
  end)

define("grad", "grad(outputs, inputs, grad_outputs=ones, {retain_graph=false}): gradients of outputs (a tensor or a list)"
  .. " with respect to inputs (likewise), one result an input, nil where there is no path; as torch.autograd.grad",
  function(outputs, inputs, gradients, options)
    local o = args.options("grad", options, { retain_graph = false })
    if args.is_tensor(outputs) then outputs = { outputs } end
    if args.is_tensor(inputs) then inputs = { inputs } end
    if args.is_tensor(gradients) then gradients = { gradients } end
    if not gradients then
      gradients = {}
      for i, y in ipairs(outputs) do gradients[i] = lt.ones_like(y) end
    end
    return core.grad(outputs, gradients, inputs, o.retain_graph)
  end)

define("device", "device(): where tensors live: cpu, reference or cuda", function() return core.device() end)

docs("lunette.version", "version: this Lunette's version")
lt.version = require("lunette.sys").version

-- -- files; lunette.files is loaded when used, since most programs open few files

define("save", "save(path, x): a state_dict or any table of tensors, or a layer, as a safetensors file, whole or not"
  .. " at all; a layer with an input shape, save(path, net, {input = {1, 1, 256, 256}}), becomes a whole-model file"
  .. " that load() runs without its script; returns true, or nil, message, code",
  function(path, x, options) return require("lunette.files").save(path, x, options) end)

define("load", "load(path): a table name -> tensor, or from a whole-model file a net to call; or nil, message, code",
  function(path) return require("lunette.files").load(path) end)

return lt
