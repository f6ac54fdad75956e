-- tensor.shape: the same elements in another arrangement.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ops, methods = core.ops, core.methods

local function method(name, text, f)
  docs("tensor." .. name, text)
  methods[name] = f
end

-- d as 1..count; -1 is the last.
local function dimension(who, d, count)
  args.check(type(d) == "number" and d % 1 == 0, "[%s] a dimension must be a whole number, got %s", who, tostring(d))
  local position = d < 0 and count + d + 1 or d
  args.check(position >= 1 and position <= count, "[%s] dimension %d is out of range: 1 to %d, or -%d to -1",
    who, d, count, count)
  return position
end

for _, name in ipairs { "reshape", "view" } do
  method(name, name .. "(sizes...): the same elements in another shape; one -1 is inferred; sizes as numbers or a"
    .. " list",
    function(x, ...) return ops.reshape(x, { size = args.sizes(...) }) end)
end

method("permute", "permute(dims...): output dim i is input dim dims[i]; as torch",
  function(x, ...) return ops.permute(x, { dims = args.sizes(...) }) end)

method("transpose", "transpose(dim0, dim1): those two dims swapped; as torch",
  function(x, a, b)
    local rank, order = x:dim(), {}
    for i = 1, rank do order[i] = i end
    a, b = dimension("transpose", a, rank), dimension("transpose", b, rank)
    order[a], order[b] = b, a
    return ops.permute(x, { dims = order })
  end)

method("t", "t(): a matrix transposed; lower ranks as they are; as torch",
  function(x)
    args.check(x:dim() <= 2, "[t] takes rank 2 or less, got rank %d", x:dim())
    return x:dim() == 2 and ops.permute(x, { dims = { 2, 1 } }) or x
  end)

method("unsqueeze", "unsqueeze(dim): a dim of size 1 put in at dim, which may be rank + 1; -1 is behind the last; as"
  .. " torch",
  function(x, d)
    local size = x.shape
    table.insert(size, dimension("unsqueeze", d, #size + 1), 1)
    return ops.reshape(x, { size = size })
  end)

method("squeeze", "squeeze(dim=all): dims of size 1 dropped; a named dim of another size stays; as torch",
  function(x, d)
    local shape, size = x.shape, {}
    if d then d = dimension("squeeze", d, #shape) end
    for i, n in ipairs(shape) do
      if n ~= 1 or (d and i ~= d) then size[#size + 1] = n end
    end
    return ops.reshape(x, { size = size })
  end)

method("flatten", "flatten(start_dim=1, end_dim=-1): those dims joined into one; as torch",
  function(x, first, last)
    local shape, size = x.shape, {}
    if #shape == 0 then return ops.reshape(x, { size = { 1 } }) end
    first, last = dimension("flatten", first or 1, #shape), dimension("flatten", last or -1, #shape)
    args.check(first <= last, "[flatten] start_dim %d lies behind end_dim %d", first, last)
    for i, n in ipairs(shape) do
      if i > first and i <= last then size[#size] = size[#size] * n else size[#size + 1] = n end
    end
    return ops.reshape(x, { size = size })
  end)

method("expand", "expand(sizes...): dims of size 1 repeated; -1 keeps; as torch",
  function(x, ...) return ops.expand(x, { size = args.sizes(...) }) end)

method("expand_as", "expand_as(other): expand to other's shape",
  function(x, other) return ops.expand(x, { size = other.shape }) end)

method("contiguous", "contiguous(): x itself, since every tensor is dense", function(x) return x end)

method("flip", "flip(dims...): reversed along dims; as torch",
  function(x, ...) return ops.flip(x, { dims = args.sizes(...) }) end)

method("narrow", "narrow(dim, start, length): length elements along dim from position start; as torch",
  function(x, d, start, length)
    d = dimension("narrow", d, x:dim())
    if start < 0 then start = x:size(d) + start + 1 end
    return ops.slice(x, { dim = d, start = start, stop = start + length - 1 })
  end)

method("select", "select(dim, index): the slice at that position, without dim; as torch",
  function(x, d, index)
    d = dimension("select", d, x:dim())
    index = dimension("select: index", index, x:size(d))
    local size = x.shape
    table.remove(size, d)
    return ops.reshape(ops.slice(x, { dim = d, start = index, stop = index }), { size = size })
  end)

method("split", "split(size | list of sizes, dim=1): consecutive pieces along dim as a list, the last may be short;"
  .. " as torch",
  function(x, sizes, d)
    d = dimension("split", d or 1, x:dim())
    local total, pieces, start = x:size(d), {}, 1
    if type(sizes) == "number" then
      args.check(sizes >= 1, "[split] the size of a piece must be at least 1, got %s", sizes)
      local each = sizes
      sizes = {}
      for at = 1, total, each do sizes[#sizes + 1] = math.min(each, total - at + 1) end
    end
    for i, n in ipairs(sizes) do
      pieces[i] = ops.slice(x, { dim = d, start = start, stop = start + n - 1 })
      start = start + n
    end
    args.check(start == total + 1, "[split] sizes add up to %d, dim %d has %d", start - 1, d, total)
    return pieces
  end)

method("chunk", "chunk(n, dim=1): at most n pieces of equal size (the last may be short) as a list; as torch",
  function(x, n, d)
    args.check(type(n) == "number" and n >= 1, "[chunk] needs a number of pieces, at least 1")
    d = dimension("chunk", d or 1, x:dim())
    return methods.split(x, math.max(1, math.ceil(x:size(d) / n)), d)
  end)

method("index_select", "index_select(dim, index): slices along dim; index is a list of positions counted from 1, or"
  .. " a rank-1 integer tensor counted from 0",
  function(x, d, index)
    if type(index) == "table" then
      local zero_based = {}
      for i, position in ipairs(index) do
        zero_based[i] = dimension("index_select: index", position, x:size(d)) - 1
      end
      index = core.tensor(zero_based, { dtype = "i64" })
    end
    return ops.index_select(x, methods.long(index), { dim = d })
  end)

method("gather", "gather(dim, index): y[i][j] = x[index[i][j]][j] for dim 1; index is an integer tensor counted from"
  .. " 0; as torch",
  function(x, d, index) return ops.gather(x, methods.long(index), { dim = d }) end)

method("detach", "detach(): the same value outside the gradient's reach", function(x) return ops.detach(x) end)

-- expand to its own shape is the op that copies and passes the gradient on.
method("clone", "clone(): a copy; of a parameter or buffer, its value now",
  function(x) return ops.expand(x, { size = x.shape }) end)

return methods
