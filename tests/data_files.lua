-- data_files: what the data tests share: files on disk from stored text, a scratch folder
-- that is removed at the end, and checksums of tensors.
local bit, ffi = require "bit", require "ffi"
local sys = require "lunette.sys"

local files = { reference = dofile("tests/reference/data.lua") }

local by_name = {}
for _, image in ipairs(files.reference.images) do by_name[image.name] = image end

-- -- text

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode_base64(text)
  local out, bits, held = {}, 0, 0
  for letter in text:gmatch("[%w+/]") do
    held = held * 64 + ALPHABET:find(letter, 1, true) - 1
    bits = bits + 6
    if bits >= 8 then
      bits = bits - 8
      local power = 2 ^ bits
      out[#out + 1] = string.char(math.floor(held / power))
      held = held % power
    end
  end
  return table.concat(out)
end

--- The content of a stored image file: files.content("rgb8").
function files.content(name)
  return decode_base64(assert(by_name[name], name).file)
end

-- -- checksums

local crc_table = ffi.new("int32_t[256]")
for n = 0, 255 do
  local c = n
  for _ = 1, 8 do c = bit.band(c, 1) == 1 and bit.bxor(0xedb88320, bit.rshift(c, 1)) or bit.rshift(c, 1) end
  crc_table[n] = c
end

--- zlib's crc32 of `size` bytes, going on from an earlier value.
function files.crc(bytes, size, value)
  local c = bit.bnot(bit.tobit(value or 0))
  for i = 0, size - 1 do
    c = bit.bxor(crc_table[bit.band(bit.bxor(c, bytes[i]), 255)], bit.rshift(c, 8))
  end
  return bit.bnot(c) % 2 ^ 32
end

function files.crc_text(text, value)
  return files.crc(ffi.cast("const uint8_t *", text), #text, value)
end

--- Of a tensor's memory.
function files.crc_tensor(t, value)
  local size = ({ u8 = 1, f32 = 4, i64 = 8 })[t.dtype] * t:numel()
  return files.crc(ffi.cast("const uint8_t *", t:ptr()), size, value)
end

--- Of the 8-bit levels that an f32 tensor in 0..1 was made of.
function files.crc_levels(t, value)
  local n, p = t:numel(), t:ptr()
  local bytes = ffi.new("uint8_t[?]", n)
  for i = 0, n - 1 do bytes[i] = math.floor(p[i] * 255 + 0.5) end
  return files.crc(bytes, n, value)
end

-- -- the scratch folder

local root = os.tmpname()
os.remove(root)
assert(sys.mkdir(root))
local made = {}

--- A path in the scratch folder; the folders above it exist.
function files.path(name)
  local folder = name:match("^(.*)/")
  if folder then assert(sys.mkdir(root .. "/" .. folder)) end
  return root .. "/" .. name
end

function files.write(name, content)
  local path = files.path(name)
  local out = assert(io.open(path, "wb"))
  assert(out:write(content))
  out:close()
  made[#made + 1] = path
  return path
end

--- An image file: files.image("pairs/1.png", "rgb8").
function files.image(name, stored) return files.write(name, files.content(stored)) end

--- n pairs "1.png", "1_seg.png", ... in a folder of the scratch folder; returns the folder.
function files.pairs(folder, n, image, mask)
  for i = 1, n do
    files.image(("%s/%d.png"):format(folder, i), type(image) == "table" and image[i] or image or "rgb8")
    files.image(("%s/%d_seg.png"):format(folder, i), mask or "grey1")
  end
  return root .. "/" .. folder
end

function files.remove_all()
  assert(root:match("^/tmp/[%w_]+$") or root:match("/lua_[%w]+$"), root)
  os.execute("rm -rf '" .. root .. "'")
end

return files
