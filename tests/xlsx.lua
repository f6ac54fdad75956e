-- xlsx: reads the sheets that save.xlsx writes, for the tests.
local ffi = require "ffi"

local xlsx = {}

ffi.cdef [[
  typedef struct { const uint8_t *next_in; unsigned avail_in; unsigned long total_in; uint8_t *next_out; unsigned avail_out;
    unsigned long total_out; const char *msg; void *state, *alloc, *free, *opaque; int data_type; unsigned long adler, reserved;
  } lunette_test_z;
  int inflateInit2_(lunette_test_z *z, int bits, const char *version, int size);
  int inflate(lunette_test_z *z, int flush);
  int inflateEnd(lunette_test_z *z);
]]
local zlib = ffi.load("libz.so.1")

local function inflate(packed, size)
  local out, z = ffi.new("uint8_t[?]", size + 1), ffi.new("lunette_test_z")
  z.next_in, z.avail_in, z.next_out, z.avail_out = ffi.cast("const uint8_t *", packed), #packed, out, size + 1
  assert(zlib.inflateInit2_(z, -15, "1.2.0", ffi.sizeof("lunette_test_z")) == 0)
  assert(zlib.inflate(z, 4) == 1 and z.total_out == size, "a damaged part")
  zlib.inflateEnd(z)
  return ffi.string(out, size)
end

-- The parts of a zip file by name, through its central directory.
local function unzip(text)
  local function number(at, bytes)
    local n = 0
    for i = bytes - 1, 0, -1 do n = n * 256 + text:byte(at + i) end
    return n
  end
  local last = #text - 21
  while text:sub(last, last + 3) ~= "PK\5\6" do last = last - 1 end
  local parts, at = {}, number(last + 16, 4) + 1
  for _ = 1, number(last + 10, 2) do
    assert(text:sub(at, at + 3) == "PK\1\2")
    local packed, size, name = number(at + 20, 4), number(at + 24, 4), text:sub(at + 46, at + 45 + number(at + 28, 2))
    local here = number(at + 42, 4) + 1
    local from = here + 30 + number(here + 26, 2) + number(here + 28, 2)
    parts[name] = inflate(text:sub(from, from + packed - 1), size)
    at = at + 46 + #name + number(at + 30, 2) + number(at + 32, 2)
  end
  return parts
end

--- {["A1"] = 3, ["B1"] = "text"} of the first sheet in the bytes of an xlsx file, and its name.
function xlsx.cells(bytes)
  local parts = unzip(bytes)
  local strings, found = {}, {}
  for text in (parts["xl/sharedStrings.xml"] or ""):gmatch("<si><t[^>]*>(.-)</t></si>") do strings[#strings + 1] = text end
  local sheet = parts["xl/worksheets/sheet1.xml"]
  for attributes, value in sheet:gmatch("<c (.-)><v>(.-)</v></c>") do
    local where = attributes:match('r="(%u+%d+)"')
    found[where] = attributes:find('t="s"') and strings[value + 1] or tonumber(value)
  end
  return found, parts["xl/workbook.xml"]:match('<sheet name="(.-)"')
end

--- The rows of the first sheet, lists of numbers and texts; a blank is NaN.
function xlsx.rows(bytes)
  local rows = {}
  for where, value in pairs((xlsx.cells(bytes))) do
    local letters, number = where:match("^(%u+)(%d+)$")
    local column = 0
    for letter in letters:gmatch(".") do column = column * 26 + letter:byte() - 64 end
    for i = 1, tonumber(number) do rows[i] = rows[i] or {} end
    local row = rows[tonumber(number)]
    for i = #row + 1, column do row[i] = 0 / 0 end
    row[column] = value
  end
  return rows
end

return xlsx
