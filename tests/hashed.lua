-- Numbers that Lua and Python both compute: a hash of (name, index). The twin of
-- tests/reference/hashed.py, where each function is described.
local bit = require "bit"
local band, bxor, rshift, tobit = bit.band, bit.bxor, bit.rshift, bit.tobit

local hashed = {}

-- a * b modulo 2^32 for non-negative a, b below 2^32, without losing bits in a double.
local function mul32(a, b)
  local lo, hi = a % 65536, math.floor(a / 65536)
  return (lo * b + (hi * b % 65536) * 65536) % 4294967296
end

local function unsigned(x) return tobit(x) % 4294967296 end

function hashed.seed_of(name)
  local h = 0x811C9DC5
  for i = 1, #name do h = mul32(unsigned(bxor(tobit(h), name:byte(i))), 0x01000193) end
  return h
end

-- Element i (0-based) of the words of a seed.
local function word(seed, i)
  local x = (mul32(i, 0x9E3779B9) + seed) % 4294967296
  x = mul32(unsigned(bxor(tobit(x), rshift(tobit(x), 16))), 0x85EBCA6B)
  x = mul32(unsigned(bxor(tobit(x), rshift(tobit(x), 13))), 0xC2B2AE35)
  return unsigned(bxor(tobit(x), rshift(tobit(x), 16)))
end
hashed.word = word

-- In [-1, 1): element i of the name's numbers.
function hashed.symmetric(seed, i) return math.floor(word(seed, i) / 256) * 2 ^ -23 - 1 end

-- count indices below n, 0-based.
function hashed.choose(name, count, n)
  local seed, list = hashed.seed_of(name), {}
  for i = 1, count do
    -- word * n / 2^32 exactly: n < 2^32 in two halves
    local w = word(seed, i - 1)
    local lo, hi = w % 65536, math.floor(w / 65536)
    list[i] = math.floor((hi * n + math.floor(lo * n / 65536)) / 65536)
  end
  return list
end

-- The dot product of the name's +-1 vector with data[0..n-1].
function hashed.project(name, data, n)
  local seed, sum = hashed.seed_of(name), 0
  for i = 0, n - 1 do
    local v = tonumber(data[i])
    if band(tobit(word(seed, i)), 1) == 1 then sum = sum + v else sum = sum - v end
  end
  return sum
end

local ffi = require "ffi"
local f32 = ffi.new("float[1]")
local function round32(x) f32[0] = x; return tonumber(f32[0]) end

-- Fills data[0..n-1] with the weight of that name and shape.
function hashed.fill_weight(name, shape, data)
  local n, fan_in = 1, 1
  for i, d in ipairs(shape) do n = n * d; if i > 1 then fan_in = fan_in * d end end
  local bound = round32(#shape > 1 and math.sqrt(6 / fan_in) or 0.1)
  local seed = hashed.seed_of(name)
  for i = 0, n - 1 do data[i] = hashed.symmetric(seed, i) * bound end
end

-- Fills images[0..] and masks[0..] of n pictures of h x w.
function hashed.fill_batch(name, n, h, w, images, masks)
  local level_seed, noise_seed = hashed.seed_of(name .. ".level"), hashed.seed_of(name .. ".noise")
  local i = 0
  for b = 0, n - 1 do
    for y = 0, h - 1 do
      for x = 0, w - 1 do
        local block = (b * (h / 8) + math.floor(y / 8)) * (w / 8) + math.floor(x / 8)
        local level = hashed.symmetric(level_seed, block) * 0.25 + 0.5
        images[i] = level + hashed.symmetric(noise_seed, i) * 0.25
        masks[i] = level > 0.625 and 1 or 0
        i = i + 1
      end
    end
  end
end

return hashed
