-- Numbers that Lua and Python both compute: a hash of (name, index). The twin of
-- tests/reference/hashed.py, where each function is described.
local bit = require "bit"
local band, bxor, lshift, rshift, tobit = bit.band, bit.bxor, bit.lshift, bit.rshift, bit.tobit

local hashed = {}

-- The low 32 bits of a * b, b given as its halves: both products are below 2^48, exact in a double.
local function mul(a, low, high) return tobit(tobit(a * low) + lshift(tobit(a * high), 16)) end

local GOLDEN = 0x9E3779B9

-- murmur3's finalizer, as a signed number of 32 bits.
local function mix(x)
  x = mul(bxor(x, rshift(x, 16)), 0xCA6B, 0x85EB)
  x = mul(bxor(x, rshift(x, 13)), 0xAE35, 0xC2B2)
  return bxor(x, rshift(x, 16))
end

function hashed.seed_of(name)
  local h = tobit(0x811C9DC5)
  for i = 1, #name do h = mul(bxor(h, name:byte(i)), 0x0193, 0x0100) end
  return h % 4294967296
end

-- Element i (0-based) of the words of a seed, below 2^32.
function hashed.word(seed, i)
  return mix(tobit(seed + mul(tobit(i), GOLDEN % 65536, math.floor(GOLDEN / 65536)))) % 4294967296
end

-- In [-1, 1): element i of the name's numbers.
function hashed.symmetric(seed, i) return math.floor(hashed.word(seed, i) / 256) * 2 ^ -23 - 1 end

-- count indices below n, 0-based.
function hashed.choose(name, count, n)
  local seed, list = hashed.seed_of(name), {}
  for i = 1, count do
    -- word * n / 2^32 exactly: n < 2^32 in two halves
    local w = hashed.word(seed, i - 1)
    local lo, hi = w % 65536, math.floor(w / 65536)
    list[i] = math.floor((hi * n + math.floor(lo * n / 65536)) / 65536)
  end
  return list
end

-- The dot product of the name's +-1 vector with data[0..n-1]: words with the last bit set count positively.
function hashed.project(name, data, n)
  local state, sum = tobit(hashed.seed_of(name)), 0
  for i = 0, n - 1 do
    sum = sum + (2 * band(mix(state), 1) - 1) * tonumber(data[i])
    state = tobit(state + GOLDEN) -- the next word's seed + i * GOLDEN
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
