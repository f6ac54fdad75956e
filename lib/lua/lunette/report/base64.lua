-- report.base64: bytes as text (RFC 4648), for pictures inside an HTML page.

local bit = require "bit"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local letter = {}
for i = 1, 64 do letter[i - 1] = ALPHABET:sub(i, i) end

local base64 = {}

docs("report.base64.encode", "encode(bytes): a string of bytes as base64 text on one line, padded with '='")
function base64.encode(bytes)
  args.check(type(bytes) == "string", "[base64.encode] expected a string, got %s", type(bytes))
  local parts = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    parts[#parts + 1] = letter[bit.rshift(n, 18)] .. letter[bit.band(bit.rshift(n, 12), 63)]
      .. (b and letter[bit.band(bit.rshift(n, 6), 63)] or "=") .. (c and letter[bit.band(n, 63)] or "=")
  end
  return table.concat(parts)
end

return base64
