-- Images beside Pillow: decoding to grey, resizing, damaged files, real data sets.
local check = dofile("tests/check.lua")
local files = dofile("tests/data_files.lua")
local data  = require "lunette.data"
local sys   = require "lunette.sys"
local reference = files.reference

local function load_one(name, content)
  files.write(name .. "/a.png", content)
  files.write(name .. "/a_m.png", content)
  local list, message, code = data.folder{ images = files.path(name), suffix = "_m" }
  if not list then return nil, message, code end
  return list:load(1)
end

for _, image in ipairs(reference.images) do
  check.test("decode " .. image.name, function()
    local grey, mask = load_one("decode_" .. image.name, files.content(image.name))
    check.truthy(grey, mask)
    check.equal(grey.shape, { image.height, image.width }, "shape")
    check.equal(files.crc_tensor(grey), image.crc, "crc")
    check.equal(files.crc_tensor(mask), image.crc, "crc of the mask")
  end)
end

check.test("resize as Pillow", function()
  for _, case in ipairs(reference.resizes) do
    local name, size = case[1], case[2]
    local what = ("%s to %dx%d"):format(name, size[1], size[2])
    assert(load_one(name, files.content(name)))
    local list = assert(data.folder{ images = files.path(name), suffix = "_m" })
    local set = data.ImageMask(list, { size = size, resize = "bilinear", mask_resize = "nearest" })
    local image, mask = set:get(1)
    check.equal(image.shape, { 1, size[1], size[2] })
    check.equal(files.crc_levels(image), case[3], what .. " bilinear")
    check.equal(files.crc_levels(mask), case[4], what .. " nearest")
  end
end)

check.test("levels as ToTensor", function()
  local grey = load_one("levels", files.content("resize"))
  local image = data.ImageMask(assert(data.folder{ images = files.path("levels"), suffix = "_m" })):get(1)
  local levels, values, seen = grey:ptr(), image:ptr(), {}
  local ffi = require "ffi"
  local all = ffi.new("float[256]")
  for i = 0, grey:numel() - 1 do
    seen[levels[i]] = true
    all[levels[i]] = values[i]
  end
  for level = 0, 255 do check.truthy(seen[level], "level " .. level) end
  check.equal(files.crc(ffi.cast("const uint8_t *", all), 1024), reference.to_tensor)
end)

check.test("16-bit grey clips and warns once", function()
  local folder = files.pairs("clip", 3, "grey16")
  local set = data.ImageMask(assert(data.folder{ images = folder, suffix = "_seg" }))
  local native = require("lunette.data_c").loader(set.native, nil, { batch_size = 2 })
  native:start(0)
  native:next()
  check.truthy(native:warning():find("16-bit grey", 1, true))
  check.equal(native:warning(), nil)
  native:next()
  check.equal(native:warning(), nil)
  local dark = files.pairs("clip_dark", 1, "grey16_dark")
  set = data.ImageMask(assert(data.folder{ images = dark, suffix = "_seg" }))
  native = require("lunette.data_c").loader(set.native, nil, {})
  native:start(0)
  native:next()
  check.equal(native:warning(), nil)
end)

-- -- files that are not what they should be

local function be32(n)
  return string.char(math.floor(n / 2 ^ 24) % 256, math.floor(n / 2 ^ 16) % 256, math.floor(n / 256) % 256, n % 256)
end

local function chunk(kind, body) return be32(#body) .. kind .. body .. be32(files.crc_text(kind .. body)) end

local function header(width, height)
  return "\137PNG\r\n\26\n" .. chunk("IHDR", be32(width) .. be32(height) .. "\8\0\0\0\0")
end

local function flipped(content, at)
  return content:sub(1, at - 1) .. string.char((content:byte(at) + 1) % 256) .. content:sub(at + 1)
end

local png, jpeg = files.content("grey8"), files.content("jpeg_420")
local data_at, plte_at = png:find("IDAT", 1, true), files.content("palette8"):find("PLTE", 1, true)

local bad = {
  { "empty", "", "is empty" },
  { "text", "GIF89a and so on", "neither a PNG nor a JPEG" },
  { "signature", png:sub(1, 8), "truncated PNG" },
  { "half_png", png:sub(1, math.floor(#png / 2)), "truncated PNG" },
  { "no_end", png:sub(1, -5), "truncated PNG" },
  { "half_jpeg", jpeg:sub(1, -30), "truncated JPEG" },
  { "jpeg_no_end", jpeg:sub(1, -2), "truncated JPEG" },
  { "jpeg_header", jpeg:sub(1, 3), "truncated JPEG" },
  { "bad_data", flipped(png, data_at + 8), "damaged PNG" },
  { "bad_crc", flipped(png, #png), "damaged PNG: IEND: CRC error" },
  { "bad_palette", flipped(files.content("palette8"), plte_at + 9), "damaged PNG: PLTE: CRC error" },
  { "no_palette", header(4, 4):gsub("\8\0\0\0\0....$", "") , "PNG" },
  { "no_pixels", header(0, 5), "PNG" },
  { "huge_side", header(2 ^ 31, 1), "PNG" },
  { "huge", header(2 ^ 31 - 1, 2 ^ 31 - 1) .. chunk("IDAT", ""), "decompression bomb" },
  { "bomb", header(20000, 20000) .. chunk("IDAT", ""), "20000x20000 pixels are more than the limit of 178956970" },
  { "big_but_empty", header(13000, 13000) .. chunk("IDAT", ""), "truncated PNG" },
}
for _, case in ipairs(bad) do
  check.test("refuse " .. case[1], function()
    local message = check.fails(case[3], "LN_EFORMAT", load_one("bad_" .. case[1], case[2]))
    check.truthy(message:find("bad_" .. case[1] .. "/a.png", 1, true), "the file's name in: " .. message)
  end)
end

check.test("refuse a directory and an unreadable file", function()
  files.image("odd/a_m.png", "grey8")
  files.path("odd/a.png/x")
  check.fails("a.png: is a directory", "LN_EIO", data.folder{ images = files.path("odd"), suffix = "_m" })
  files.image("odd2/a.png", "grey8")
  os.execute("ln -s missing.png '" .. files.path("odd2/a_m.png") .. "'")
  check.fails("a_m.png: No such file", "LN_EIO", data.folder{ images = files.path("odd2"), suffix = "_m" })
end)

check.test("no prefix of a file is taken for an image", function()
  for _, name in ipairs { "rgb8_interlaced", "palette2", "jpeg_progressive", "jpeg_grey" } do
    local content = files.content(name)
    for length = 0, #content - 1, 3 do
      local grey, message = load_one("prefix", content:sub(1, length))
      check.equal(grey, nil, name .. " " .. length)
      check.truthy(message, name)
    end
  end
end)

check.test("damaged bytes are errors or images, never crashes", function()
  for _, name in ipairs { "rgba16_interlaced", "palette4", "jpeg_ycck", "jpeg_progressive" } do
    local content = files.content(name)
    for at = 1, #content, 5 do
      local grey, message = load_one("flip", flipped(content, at))
      check.truthy(grey or message, name)
    end
  end
end)

-- -- real data sets beside Pillow

local root = os.getenv("LUNETTE_DATA") or "../shared/data"
local long = os.getenv("LUNETTE_TEST_LONG")

-- CHASE_DB1 keeps two observers' masks beside the images; a folder of links has the first's.
local function without_second_observer(set)
  if not set.suffix:find("1stHO", 1, true) then return root .. "/" .. set.images, root .. "/" .. set.masks end
  local folder, from = files.path("chase/x"):match("(.*)/x"), assert(sys.realpath(root .. "/" .. set.images))
  os.execute(("ln -s '%s'/*.jpg '%s'/*%s.png '%s'"):format(from, from, set.suffix, folder))
  return folder, folder
end

local function outputs(list, sets, i, values)
  local image, mask = list:load(i)
  assert(image, mask)
  values[1] = files.crc_tensor(mask, files.crc_tensor(image, values[1]))
  for k, set in ipairs(sets) do
    image, mask = set:get(i)
    values[k + 1] = files.crc_levels(mask, files.crc_levels(image, values[k + 1]))
  end
end

for _, set in ipairs(reference.sets or {}) do
  check.test(set.images .. " as Pillow", function()
    if not sys.exists(root .. "/" .. set.images) then check.skip("real images are not here (LUNETTE_DATA names their folder)") end
    local images, masks = without_second_observer(set)
    local list = assert(data.folder{ images = images, masks = masks, suffix = set.suffix })
    check.equal(#list, set.count)
    local sets = {}
    for _, size in ipairs(reference.sizes) do
      for _, how in ipairs { "bilinear", "nearest" } do
        sets[#sets + 1] = data.ImageMask(list, { size = size, resize = how, mask_resize = how })
      end
    end
    local values = {}
    for k = 1, #sets + 1 do values[k] = 0 end
    for i = 1, #list, long and 1 or 25 do
      outputs(list, sets, i, values)
      collectgarbage()
    end
    check.equal(values, long and set.all or set.some)
  end)
end

files.remove_all()
check.done()
