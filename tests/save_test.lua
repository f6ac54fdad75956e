-- Saving: safetensors beside Python's library and against hostile files, xlsx, PNG, JSON,
-- text files, and what happens when the disk says no.
local check = dofile("tests/check.lua")
local files = dofile("tests/data_files.lua")
local ffi   = require "ffi"
local core  = require "lunette.core"
local data  = require "lunette.data"
local save  = require "lunette.save"

-- -- helpers

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- What lies in a folder of the scratch folder, sorted, as one string.
local function listing(folder)
  local pipe = io.popen("ls -A '" .. files.path(folder) .. "'")
  local text = pipe:read("*a"):gsub("\n", " ")
  pipe:close()
  return text
end

local function from_hex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

local function u64(n)
  local bytes = {}
  for i = 1, 8 do
    bytes[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(bytes)
end

local function pack(header, content, length) return u64(length or #header) .. header .. (content or "") end

-- Numbers 0 .. below-1 from a fixed sequence.
local state = 12345
local function random(below)
  state = (state * 1103515245 + 12345) % 2147483648
  return math.floor(state / 65536) % below
end

-- -- safetensors

-- Written by Python's safetensors.torch.save.
local python_header = [[{"__metadata__":{"format":"pt","note":"é \"q\""},"i":{"dtype":"I64","shape":[2,1],"data_offsets":[0,16]},]]
  .. [["e":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},]]
  .. [["s":{"dtype":"I32","shape":[],"data_offsets":[40,44]},"bf":{"dtype":"BF16","shape":[2],"data_offsets":[44,48]},]]
  .. [["half":{"dtype":"F16","shape":[6],"data_offsets":[48,60]},"u":{"dtype":"U8","shape":[2],"data_offsets":[60,62]},]]
  .. [["b":{"dtype":"BOOL","shape":[3],"data_offsets":[62,65]}}     ]]
local python_data = from_hex [[0100000000000000010000000000e0ff000020c00000c0bf000000bf0000003f0000c03f0000
  204007000000803f40c0003e00c0ff030100ff7b007c00ff010001]]

check.test("safetensors from Python", function()
  local path = files.write("st/python.safetensors", pack(python_header, python_data))
  local t, metadata, order = save.load_safetensors(path)
  check.truthy(t, metadata)
  check.equal(order, { "i", "e", "w", "s", "bf", "half", "u", "b" })
  check.equal(metadata, { format = "pt", note = 'é "q"' })
  check.equal(t.w:tolist(), { { -2.5, -1.5, -0.5 }, { 0.5, 1.5, 2.5 } })
  check.equal(t.i.dtype, "i64")
  check.equal(t.i:tolist(), { { 1 }, { -9007199254740991 } })
  check.equal(t.e.shape, { 0, 4 })
  check.equal(t.s:item(), 7)
  check.equal(t.bf.dtype, "bf16")
  check.equal(t.bf:tolist(), { 1, -3 })
  check.equal(t.half.dtype, "f32")
  check.equal(t.half:tolist(), { 1.5, -2, 1023 * 2 ^ -24, 2 ^ -24, 65504, math.huge })
  check.equal(t.u:tolist(), { 0, 255 })
  check.equal(t.b.dtype, "bool")
  check.equal(t.b:tolist(), { true, false, true })
end)

check.test("safetensors there and back", function()
  local path = files.path("st/back.safetensors")
  local t = {
    ["inc.conv.0.weight"] = core.tensor { { { 1.25, -3e-38 }, { 0, 1e30 } } },
    count = core.tensor({ 3, -4 }, { dtype = "i64" }),
    mask = core.tensor({ true, false, true }, { dtype = "bool" }),
    level = core.tensor({ 0, 128, 255 }, { dtype = "u8" }),
    narrow = core.tensor({ 0.5, -2 }, { dtype = "bf16" }),
    small = core.tensor({ 1, 2, 3 }, { dtype = "i32" }),
    ["odd name \" \\ \n ü"] = core.tensor(2.5),
  }
  local order = { "level", "narrow", "inc.conv.0.weight", "odd name \" \\ \n ü", "mask", "small", "count" }
  check.equal(save.safetensors(path, t, { order = order, metadata = { b = "2", a = "eins" } }), true)
  local back, metadata, names = save.load_safetensors(path)
  check.equal(names, order)
  check.equal(metadata, { a = "eins", b = "2" })
  for name, value in pairs(t) do
    check.equal(back[name].dtype, value.dtype, name)
    check.equal(back[name].shape, value.shape, name)
    check.equal(back[name]:tolist(), value:tolist(), name)
  end
  -- every tensor is aligned, though narrow ones come first in the header
  local text = read(path)
  local header = save.parse_json(text:sub(9, 8 + text:byte(1) + 256 * text:byte(2)))
  check.equal((8 + text:byte(1) + 256 * text:byte(2)) % 8, 0, "start of the data")
  check.equal(header.count.data_offsets, { 0, 16 })
  check.equal(header["inc.conv.0.weight"].data_offsets, { 16, 32 })
end)

check.test("safetensors: the same tensors give the same bytes", function()
  local t = { c = core.tensor { 1, 2 }, a = core.tensor { 3 }, b = core.tensor { 4 } }
  save.safetensors(files.path("st/1"), t, { metadata = { y = "1", x = "2" } })
  save.safetensors(files.path("st/2"), t, { metadata = { x = "2", y = "1" } })
  check.equal(read(files.path("st/1")), read(files.path("st/2")))
end)

check.test("safetensors: misuse", function()
  local path, t = files.path("st/misuse"), core.tensor { 1 }
  check.raises(function() save.safetensors(path, { a = 1 }) end, "'a': expected a tensor, got number")
  check.raises(function() save.safetensors(path, { a = t }, { order = { "b" } }) end, "order names 'b'")
  check.raises(function() save.safetensors(path, { a = t }, { order = { "a", "a" } }) end, "'a' twice")
  check.raises(function() save.safetensors(path, { a = t, b = t }, { order = { "a" } }) end, "order lacks 'b'")
  check.raises(function() save.safetensors(path, { ["__metadata__"] = t }) end, "is reserved")
  check.raises(function() save.safetensors(path, { ["a\255"] = t }) end, "is not valid UTF-8")
  check.raises(function() save.safetensors(path, { ["a\0b"] = t }) end, "zero byte")
  check.raises(function() save.safetensors(path, { a = t }, { metadata = { n = 1 } }) end, "expected a string, got number")
  check.raises(function() save.safetensors(path, { a = t }, { meta = {} }) end, "unknown option 'meta'")
  check.raises(function() save.safetensors(path, { t }) end, "keys are strings, got a number")
  check.equal(save.exists(path), false)
end)

local function entry(dtype, shape, first, last)
  return ('{"dtype":%s,"shape":%s,"data_offsets":[%s,%s]}'):format(dtype, shape, first, last)
end

local one = entry('"F32"', "[1]", 0, 4)
local four = "\0\0\128\63"
local hostile = { -- name, file, what the message says
  { "an empty file", "", "shorter than 8 bytes" },
  { "a few bytes", "\1\2\3", "shorter than 8 bytes" },
  { "a header beyond the end", pack("{}", "", 3), "beyond the end" },
  { "a header of 2^64-1 bytes", ("\255"):rep(8) .. "{}", "more than 100 MB" },
  { "a header of 100 MB and one", u64(100000001) .. "{}", "more than 100 MB" },
  { "no header", u64(0), "not JSON" },
  { "not JSON", pack("{x}"), "not JSON" },
  { "a list", pack("[]"), "no JSON object" },
  { "a zero byte in it", pack('{"a\0":1}'), "not JSON" },
  { "invalid UTF-8", pack('{"\255":' .. one .. "}", four), "not JSON" },
  { "text behind the JSON", pack("{} x"), "not JSON" },
  { "a name twice", pack('{"a":' .. one .. ',"a":' .. one .. "}", four), "not JSON" },
  { "deep nesting", pack(("["):rep(100000)), "not JSON" },
  { "deep objects", pack(('{"a":'):rep(100000)), "not JSON" },
  { "an entry that is a number", pack('{"a":1}'), "'a': its entry is no JSON object" },
  { "no dtype", pack('{"a":{"shape":[1],"data_offsets":[0,4]}}', four), "'a': dtype is missing" },
  { "a dtype of its own", pack('{"a":' .. entry('"F8_E4M3"', "[4]", 0, 4) .. "}", four), "dtype 'F8_E4M3' is none of" },
  { "a dtype that is a number", pack('{"a":' .. entry("4", "[1]", 0, 4) .. "}", four), "'a': dtype is missing or no string" },
  { "no shape", pack('{"a":{"dtype":"F32","data_offsets":[0,4]}}', four), "'a': shape is missing" },
  { "a negative size", pack('{"a":' .. entry('"F32"', "[-1]", 0, 4) .. "}", four), "no whole number of 0 or more" },
  { "a fractional size", pack('{"a":' .. entry('"F32"', "[1.5]", 0, 4) .. "}", four), "no whole number of 0 or more" },
  { "six dimensions", pack('{"a":' .. entry('"F32"', "[1,1,1,1,1,1]", 0, 4) .. "}", four), "more than 5 dimensions" },
  { "a size that overflows", pack('{"a":' .. entry('"F32"', "[4294967296,4294967296,4]", 0, 4) .. "}", four), "do not give the size" },
  { "a size that wraps to 4 bytes", pack('{"a":' .. entry('"F32"', "[4611686018427387905]", 0, 4) .. "}", four), "do not give the size" },
  { "a number beyond 64 bits", pack('{"a":' .. entry('"F32"', "[99999999999999999999]", 0, 4) .. "}", four), "not JSON" },
  { "no offsets", pack('{"a":{"dtype":"F32","shape":[1]}}', four), "data_offsets is missing" },
  { "three offsets", pack('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}', four), "data_offsets is missing" },
  { "offsets turned round", pack('{"a":' .. entry('"F32"', "[1]", 4, 0) .. "}", four), "outside the file's data" },
  { "a negative offset", pack('{"a":' .. entry('"F32"', "[1]", -4, 0) .. "}", four), "outside the file's data" },
  { "offsets beyond the file", pack('{"a":' .. entry('"F32"', "[2]", 0, 8) .. "}", four), "outside the file's data" },
  { "too few bytes for the shape", pack('{"a":' .. entry('"F32"', "[2]", 0, 4) .. "}", four), "do not give the size" },
  { "overlap", pack('{"a":' .. one .. ',"b":' .. entry('"U8"', "[2]", 3, 5) .. "}", four .. "x"), "'b': its data overlaps another's" },
  { "the same data twice", pack('{"a":' .. one .. ',"b":' .. one .. "}", four), "overlaps another's" },
  { "a gap", pack('{"a":' .. entry('"U8"', "[1]", 0, 1) .. ',"b":' .. entry('"U8"', "[1]", 2, 3) .. "}", "xyz"), "'b': there is a gap" },
  { "a gap at the start", pack('{"a":' .. entry('"U8"', "[1]", 1, 2) .. "}", "xy"), "there is a gap before" },
  { "bytes at the end", pack('{"a":' .. one .. "}", four .. "x"), "bytes after the last tensor" },
  { "data without tensors", pack("{}", "x"), "bytes after the last tensor" },
  { "metadata that is a list", pack('{"__metadata__":[]}'), "__metadata__ is no JSON object" },
  { "metadata that is a number", pack('{"__metadata__":{"a":1}}'), "a value of __metadata__ is no string" },
  { "a name that steers the terminal", pack('{"\\u001b[2J":1}'), "tensor '?[2J'" },
}
for i, case in ipairs(hostile) do
  check.test("hostile safetensors: " .. case[1], function()
    local path = files.write("hostile/" .. i, case[2])
    local message = check.fails(case[3], "LN_EFORMAT", save.load_safetensors(path))
    check.truthy(message:find(path, 1, true), "the message names the file")
  end)
end

check.test("hostile safetensors: mutations", function()
  local whole = pack(python_header, python_data)
  local path, refused, read_in_full = files.path("hostile/mutated"), 0, 0
  for round = 1, 3000 do
    local text = whole
    if round % 5 == 0 then
      text = text:sub(1, random(#text))
    else
      for _ = 1, 1 + random(3) do
        local at = 1 + random(#python_header + 12)
        local what = random(3) == 0 and string.char(random(256)) or ('{}[]",:0123456789-e.'):sub(1 + random(20), -1):sub(1, 1)
        text = text:sub(1, at - 1) .. (random(4) == 0 and "" or what) .. text:sub(at + random(2))
      end
    end
    files.write("hostile/mutated", text)
    local t, message, code = save.load_safetensors(path)
    if t then
      read_in_full = read_in_full + 1
      for _, value in pairs(t) do value:tolist() end
    else
      refused = refused + 1
      check.equal(code, "LN_EFORMAT", message)
    end
  end
  check.truthy(refused > 2000, "most mutations are refused: " .. refused)
  check.truthy(read_in_full > 10, "some are harmless: " .. read_in_full)
end)

check.test("safetensors: what is not there", function()
  check.fails("No such file", "LN_EIO", save.load_safetensors(files.path("nowhere")))
  check.fails("no regular file", "LN_EIO", save.load_safetensors(files.path("")))
  check.fails("No such file", "LN_EIO", save.safetensors(files.path("st") .. "/no/such/x", { a = core.tensor { 1 } }))
end)

-- -- text files

check.test("write, append, read", function()
  local path = files.path("text/log")
  check.equal(save.write(path, "one\0two"), true)
  check.equal(save.read(path), "one\0two")
  check.equal(save.write(path, ""), true)
  check.equal(save.read(path), "")
  check.equal(save.append(path, "a"), true)
  check.equal(save.append(path, "b\n"), true)
  check.equal(save.append(files.path("text/new"), "c"), true)
  check.equal(save.read(path), "a\nb\n")
  check.equal(save.read(files.path("text/new")), "c\n")
  check.equal(listing("text/"), "log new ")
  check.raises(function() save.write(path, 3) end, "expected a string, got number")
  check.raises(function() save.write(nil, "x") end, "path: expected a string, got nil")
  check.raises(function() save.write("a\0b", "x") end, "zero byte")
end)

check.test("a folder, a link, a pipe in the way", function()
  check.fails("Is a directory", "LN_EIO", save.write(files.path("text"), "x"))
  check.fails("No such file", "LN_EIO", save.write("", "x"))
  check.fails("Not a directory", "LN_EIO", save.write(files.path("text/log") .. "/x", "x"))
  check.fails("Is a directory", "LN_EIO", save.read(files.path("text")))
  os.execute(("ln -s log '%s'"):format(files.path("text/link")))
  check.equal(save.write(files.path("text/link"), "through"), true)
  check.equal(save.read(files.path("text/log")), "through", "the file behind the link")
  check.equal(listing("text/"), "link log new ")
  check.equal(save.write("/dev/null", "x"), true, "a device is written, not replaced")
end)

check.test("permissions are kept", function()
  local path = files.path("text/private")
  save.write(path, "a")
  os.execute(("chmod 640 '%s'"):format(path))
  save.write(path, "b")
  local pipe = io.popen(("stat -c %%a '%s'"):format(path))
  check.equal(pipe:read("*l"), "640")
  pipe:close()
end)

check.test("folders", function()
  local path = files.path("deep")
  check.equal(save.exists(path .. "/a/b"), false)
  check.equal(save.mkdir(path .. "/a//b/c/"), true)
  check.equal(save.exists(path .. "/a/b/c"), true)
  check.equal(save.mkdir(path .. "/a"), true, "again")
  save.write(path .. "/file", "")
  check.fails("Not a directory", "LN_EIO", save.mkdir(path .. "/file/x"))
  check.fails("Not a directory", "LN_EIO", save.mkdir(path .. "/file"))
end)

-- -- a disk that is full

ffi.cdef [[
  typedef void (*lunette_test_handler)(int);
  lunette_test_handler signal(int number, lunette_test_handler handler);
  struct lunette_test_rlimit { unsigned long soft, hard; };
  int getrlimit(int what, struct lunette_test_rlimit *limit);
  int setrlimit(int what, const struct lunette_test_rlimit *limit);
]]
local FSIZE, XFSZ = 1, 25

-- No file of this process may grow beyond `bytes` while f runs: writes fail half-way.
local function with_small_files(bytes, f)
  local limit = ffi.new("struct lunette_test_rlimit[1]")
  ffi.C.signal(XFSZ, ffi.cast("lunette_test_handler", 1)) -- ignored: write says EFBIG
  assert(ffi.C.getrlimit(FSIZE, limit) == 0)
  local before = limit[0].soft
  limit[0].soft = bytes
  assert(ffi.C.setrlimit(FSIZE, limit) == 0)
  local ok, err = pcall(f)
  limit[0].soft = before
  assert(ffi.C.setrlimit(FSIZE, limit) == 0)
  if not ok then error(err, 0) end
end

check.test("disk full: /dev/full", function()
  check.fails("No space left", "LN_EIO", save.write("/dev/full", "x"))
  check.fails("No space left", "LN_EIO", save.append("/dev/full", "x"))
  check.fails("No space left", "LN_EIO", save.safetensors("/dev/full", { a = core.tensor { 1 } }))
  check.fails("No space left", "LN_EIO", save.png("/dev/full", core.tensor { { 1 } }))
end)

check.test("disk full half-way: the old file stays, nothing else", function()
  local folder = files.path("full/x"):match("^(.*)/")
  local big, bigger = ("x"):rep(20000), core.cell({ 100, 100 })
  for _, name in ipairs { "a.txt", "a.log", "a.safetensors", "a.png" } do save.write(folder .. "/" .. name, "old") end
  local noise = core.ops.uniform { size = { 128, 128 }, lo = 0, hi = 1, dtype = "f32" }
  noise:ptr()
  with_small_files(4096, function()
    check.fails("a.txt': File too large", "LN_EIO", save.write(folder .. "/a.txt", big))
    check.fails("a.log': File too large", "LN_EIO", save.append(folder .. "/a.log", big))
    check.fails("a.safetensors': File too large", "LN_EIO", save.safetensors(folder .. "/a.safetensors", { w = bigger }))
    check.fails("a.png': File too large", "LN_EIO", save.png(folder .. "/a.png", noise))
    check.fails("new': File too large", "LN_EIO", save.write(folder .. "/new", big))
  end)
  check.equal(listing("full/"), "a.log a.png a.safetensors a.txt ")
  for _, name in ipairs { "a.txt", "a.log", "a.safetensors", "a.png" } do
    check.equal(save.read(folder .. "/" .. name), "old", name)
  end
  check.equal(save.write(folder .. "/a.txt", big), true, "and then there is room again")
  check.equal(#save.read(folder .. "/a.txt"), 20000)
end)

-- -- PNG

-- The grey levels of a PNG file as the data reader sees them.
local function levels(path)
  local folder = path:match("^(.*)/")
  local stem = path:match("([^/]*)%.png$")
  local list = assert(data.folder { images = folder, masks = folder, suffix = "_m" })
  for i = 1, #list do
    if list:stem(i) == stem then return (list:load(i)):tolist() end
  end
  error("no " .. stem)
end

local function png_there_and_back(name, tensor, options)
  for _, end_of_name in ipairs { "", "_m" } do
    local done, message = save.png(files.path("png_" .. name .. "/p" .. end_of_name .. ".png"), tensor, options)
    check.truthy(done, message)
  end
  return levels(files.path("png_" .. name .. "/p.png"))
end

check.test("PNG: grey, bool, float, RGB", function()
  local u8 = core.tensor({ { 0, 1, 2 }, { 128, 254, 255 } }, { dtype = "u8" })
  check.equal(png_there_and_back("u8", u8), { { 0, 1, 2 }, { 128, 254, 255 } })
  check.equal(png_there_and_back("stretched", core.tensor({ { 10, 20, 30 } }, { dtype = "u8" }), { scale = "minmax" }),
    { { 0, 128, 255 } })
  check.equal(png_there_and_back("bool", core.tensor({ { true, false } }, { dtype = "bool" })), { { 255, 0 } })
  local nan = 0 / 0
  local f32 = core.tensor { { 0, 0.5, 1, -1, 2, nan, 0.001, 0.002 } }
  check.equal(png_there_and_back("f32", f32), { { 0, 128, 255, 0, 255, 0, 0, 1 } })
  check.equal(png_there_and_back("minmax", core.tensor { { -2, 0, 2 } }, { scale = "minmax" }), { { 0, 128, 255 } })
  check.equal(png_there_and_back("constant", core.tensor { { 1, 1 } }, { scale = "minmax" }), { { 0, 0 } })
  check.equal(png_there_and_back("channel", core.tensor { { { 0, 1 }, { 1, 0 } } }), { { 0, 255 }, { 255, 0 } })
  -- ITU-601 of red, green, blue as Pillow rounds it
  local rgb = core.tensor({ { { 255, 0, 0 } }, { { 0, 255, 0 } }, { { 0, 0, 255 } } }, { dtype = "u8" })
  check.equal(png_there_and_back("rgb", rgb), { { 76 }, { 150 }, { 29 } })
end)

check.test("PNG: misuse", function()
  local path = files.path("x.png")
  check.raises(function() save.png(path, core.tensor { 1, 2 }) end, "got f32 2")
  check.raises(function() save.png(path, core.tensor({ { 1 } }, { dtype = "i64" })) end, "got i64 1x1")
  check.raises(function() save.png(path, core.tensor { { 1 } }, { scale = "max" }) end, "got 'max'")
  check.raises(function() save.png(path, 3) end, "tensor")
end)

-- -- xlsx

local sheet = dofile("tests/xlsx.lua")

-- {["A1"] = 3, ["B1"] = "text"} of the one sheet.
local function cells(path)
  local found, name = sheet.cells(read(path))
  check.equal(name, "Sheet1")
  return found
end

check.test("xlsx: numbers, texts, blanks", function()
  local path, nan = files.path("xlsx/a.xlsx"), 0 / 0
  local rows = { { 1, 0.1, "Epoch 1" }, {}, { nan, math.huge, -1e-300 }, { "a < b & c", "", 123456789012345 } }
  check.equal(save.xlsx(path, rows), true)
  check.equal(cells(path), { A1 = 1, B1 = 0.1, C1 = "Epoch 1", C3 = -1e-300, A4 = "a &lt; b &amp; c", C4 = 123456789012345 })
  check.equal(listing("xlsx/"), "a.xlsx ")
end)

check.test("xlsx: a header stays what it is", function()
  local path = files.path("xlsx/b.xlsx")
  check.equal(save.xlsx(path, { { 0.5 }, { 0.25 } }, { header = { 0 } }), true)
  check.equal(cells(path), { A1 = 0, A2 = 0.5, A3 = 0.25 }, "pandas's numeric 0")
  check.equal(save.xlsx(path, { { 0.5 } }, { header = { "0" } }), true)
  check.equal(cells(path), { A1 = "0", A2 = 0.5 }, "a text 0")
  check.equal(save.xlsx(path, {}), true)
  check.equal(cells(path), {})
end)

check.test("xlsx: misuse and failures", function()
  local path = files.path("xlsx/c.xlsx")
  check.raises(function() save.xlsx(path, { 1, 2 }) end, "row 1: expected a list of numbers and strings, got number")
  check.raises(function() save.xlsx(path, { { 1 }, { 1, true } }) end, "row 2, column 2: expected a number or a string, got boolean")
  check.raises(function() save.xlsx(path, { { ("x"):rep(32768) } }) end, "a cell holds 32767")
  check.raises(function() save.xlsx(path, 3) end, "expected a list of rows")
  check.fails("No such file", "LN_EIO", save.xlsx(files.path("xlsx") .. "/no/c.xlsx", { { 1 } }))
  check.equal(listing("xlsx/"), "a.xlsx b.xlsx ")
end)

check.test("xlsx: many rows", function()
  local path, rows = files.path("xlsx/many.xlsx"), {}
  for r = 1, 2000 do rows[r] = { r, r / 7, "row " .. r } end
  check.equal(save.xlsx(path, rows), true)
  local found = cells(path)
  check.equal({ found.A2000, found.B2000, found.C2000 }, { 2000, 2000 / 7, "row 2000" })
end)

-- -- JSON

check.test("JSON there and back", function()
  local nan = 0 / 0
  check.equal(save.json({ kind = "epoch", epoch = 1, loss = 0.6931 }, { order = { "kind", "epoch" } }),
    '{"kind":"epoch","epoch":1,"loss":0.6931}')
  check.equal(save.json { 1, -2.5, 1e300, 0.1, 1 / 3, 2 ^ 53, -0.0 },
    "[1,-2.5,1e+300,0.1,0.3333333333333333,9007199254740992,-0]")
  check.equal(save.json { nan, math.huge, save.null, true, false }, "[null,null,null,true,false]")
  check.equal(save.json {}, "{}")
  check.equal(save.json(save.array {}), "[]")
  check.equal(save.json "a\"\\\n\t\1\127ü\255", '"a\\"\\\\\\n\\t\\u0001\\u007fü\\ufffd"')
  check.equal(save.json({ a = { 1, { b = 2 } } }, { indent = 2 }), '{\n  "a": [\n    1,\n    {\n      "b": 2\n    }\n  ]\n}')
  local value = { text = "ü\0\n", list = { 1, 2, { 3 } }, empty = {}, yes = true, no = false, number = 0.1 }
  check.equal(save.parse_json(save.json(value)), value)
  check.equal(save.json(save.parse_json('{"a":[],"b":{}}')), '{"a":[],"b":{}}')
  for _ = 1, 200 do
    local x = (random(32768) + random(32768) / 32768 - 16384) * 10 ^ (random(40) - 20)
    check.equal(save.parse_json(save.json { x })[1], x)
  end
end)

check.test("JSON: null", function()
  local value = save.parse_json '{"a":null,"b":[null,1],"c":[]}'
  check.equal(value.a, nil)
  check.equal(value.b[1], save.null)
  check.equal(value.b[2], 1)
  check.equal(save.parse_json("null"), save.null)
  check.equal(save.parse_json('{"a":null,"b":[null]}', { null = 0 }), { a = 0, b = { 0 } })
end)

check.test("JSON: what is no JSON", function()
  check.fails("line 1, column", "LN_EFORMAT", save.parse_json "{")
  for _, text in ipairs { "", "{x}", "[1,]", "NaN", "[1] 2", '{"a":1,"a":2}', '"\255"', "[1e999]" } do
    check.fails("JSON: line", "LN_EFORMAT", save.parse_json(text))
  end
  check.fails("nested deeper than 100", "LN_EFORMAT", save.parse_json(("["):rep(101) .. ("]"):rep(101)))
  check.truthy(save.parse_json(("["):rep(100) .. ("]"):rep(100)))
  check.fails("JSON: line", "LN_EFORMAT", save.parse_json(("["):rep(1000000)))
  local loop = {}
  loop[1] = loop
  check.raises(function() save.json(loop) end, "nested deeper than 100")
  check.raises(function() save.json { 1, 2, x = 3 } end, "a key of type number")
  check.raises(function() save.json { [2] = 1 } end, "a key of type number")
  check.raises(function() save.json { print } end, "a function is no JSON value")
  check.raises(function() save.json { a = core.tensor { 1 } } end, "a tensor is no JSON value")
  check.raises(function() save.parse_json(3) end, "expected a string, got number")
end)

-- -- memory

check.test("nothing is left behind", function()
  local function live()
    save.load_safetensors(files.write("st/again", pack(python_header, python_data)))
    save.load_safetensors(files.write("st/bad", pack(python_header)))
    save.read(files.path("st/again"))
    save.json { 1, 2, 3 }
    save.parse_json("[1,{}]")
    pcall(save.json, { 1, print })
    pcall(save.xlsx, files.path("x"), { { 1 }, 2 })
    collectgarbage()
    collectgarbage()
    return core.mem().live
  end
  local before = live()
  check.equal(live(), before)
end)

files.remove_all()
check.done()
