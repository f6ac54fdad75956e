-- tensor.write: methods ending in `_`. On a cell (parameter, buffer, optimizer state)
-- they write a new version that every reference sees; on any other tensor they make
-- this handle stand for the new value.

local core = require "lunette.core"
local docs = require "lunette.docs"

local ops, methods = core.ops, core.methods

local function method(name, text, f)
  docs("tensor." .. name, text)
  methods[name] = f
end

-- assign_ casts and broadcasts.
local function write(x, value)
  x:assign_(value)
  return x
end

method("copy_", "copy_(other): takes other's values, cast and broadcast; returns x",
  function(x, other) return write(x, other) end)

method("fill_", "fill_(value): every element becomes the number; returns x",
  function(x, value) return write(x, ops.full({ size = x.shape, value = value, dtype = x.dtype })) end)

method("zero_", "zero_(): every element becomes 0; returns x", function(x) return methods.fill_(x, 0) end)

method("uniform_", "uniform_(from=0, to=1): uniform random numbers in [from, to), Philox; returns x",
  function(x, lo, hi)
    return write(x, ops.uniform({ size = x.shape, lo = lo or 0, hi = hi or 1, dtype = x.dtype }))
  end)

method("normal_", "normal_(mean=0, std=1): normal random numbers, Philox and Box-Muller; returns x",
  function(x, mean, std)
    return write(x, ops.normal({ size = x.shape, mean = mean or 0, std = std or 1, dtype = x.dtype }))
  end)

for _, name in ipairs { "add", "sub", "mul", "div" } do
  method(name .. "_", name .. "_(other): x becomes x:" .. name .. "(other); returns x",
    function(x, other) return write(x, ops[name](x, other)) end)
end

method("clamp_", "clamp_(min, max): x becomes x:clamp(min, max); returns x",
  function(x, lo, hi) return write(x, methods.clamp(x, lo, hi)) end)

method("masked_fill_", "masked_fill_(mask, value): x becomes x:masked_fill(mask, value); returns x",
  function(x, mask, value) return write(x, methods.masked_fill(x, mask, value)) end)


return methods
