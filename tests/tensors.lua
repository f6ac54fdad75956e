-- What the tensor tests share.
local check = dofile("tests/check.lua")
local core = require "lunette.core"

local tensors = { check = check }

function tensors.tensor(x, options) return core.tensor(x, options) end
function tensors.list(t) return t:tolist() end

-- A value that is neither small nor constant: 1, 2, 3, ... in the given shape.
function tensors.count(...)
  local shape, n = { ... }, 1
  for _, d in ipairs(shape) do n = n * d end
  return core.ops.reshape(core.ops.arange({ n }, 1), shape)
end

function tensors.raises(pattern, f, ...)
  local arguments, n = { ... }, select("#", ...)
  check.raises(function() f(unpack(arguments, 1, n)) end, pattern)
end

return tensors
