-- nn_reference: hashed tensors, and comparing tensors with the digests of tests/reference/nn.lua.
local hashed = dofile("tests/hashed.lua")
local check = dofile("tests/check.lua")
local lt = require "lunette"

local reference = { values = dofile("tests/reference/nn.lua"), check = check }

local function count(shape)
  local n = 1
  for _, d in ipairs(shape) do n = n * d end
  return n
end

-- As make_nn.py's tensor(): numbers in [-1, 1) times scale.
function reference.tensor(name, shape, scale)
  local seed, list = hashed.seed_of(name), {}
  for i = 1, count(shape) do list[i] = hashed.symmetric(seed, i - 1) * (scale or 1) end
  return lt.tensor(list):reshape(shape)
end

-- As make_nn.py's classes(): whole numbers below n.
function reference.classes(name, shape, n)
  local seed, list = hashed.seed_of(name), {}
  for i = 1, count(shape) do list[i] = math.floor(hashed.word(seed, i - 1) / 256) % n end
  return lt.tensor(list, { dtype = "i64" }):reshape(shape)
end

-- The tensor's shape and its dot product with the name's +-1 vector are those of PyTorch in f64.
function reference.compare(name, got, want, what)
  check.truthy(got, what .. " is there")
  check.equal(table.concat(got.shape, "x"), want.shape, what .. ": shape")
  local n, flat = got:numel(), got:contiguous()
  local dot = hashed.project(name, flat:ptr(), n)
  check.near(dot, want.dot, 3e-6 * want.mass + 1e-7, what)
end

return reference
