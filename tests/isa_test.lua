-- LUNETTE_ISA: at each level that this machine has, kernels and libraries keep to it, and small
-- convolutions and products agree with the reference device. Each level is a process of its own,
-- since oneDNN takes its cap once.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")

local function lunette(isa, ...) return scratch.lunette({ "--threads", "1", ... }, { env = { LUNETTE_ISA = isa } }) end

-- Prints numbers of the convolutions in all three directions, of a product and of a norm.
local code = [[
  local lt, nn, core = require "lunette", require "lunette.nn", require "lunette.core"
  lt.manual_seed(3)
  local net = nn.Sequential(nn.Conv2d(1, 16, 3, { padding = 1 }), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32),
    nn.ConvTranspose2d(32, 16, 2, { stride = 2 }), nn.Conv2d(16, 3, 1))
  local x = lt.arange(2 * 1 * 9 * 11):view(2, 1, 9, 11) / 100
  local y = net(x)
  local loss = (y * y):mean()
  loss:backward()
  local a = lt.arange(35):view(5, 7) / 7
  local list = { loss:item(), a:matmul(a:transpose(1, 2)):sum():item() }
  for _, p in ipairs(net:parameters()) do list[#list + 1] = (p.grad * p):sum():item() end
  for i = 1, #list do print(("%.9g"):format(list[i])) end
  io.stderr:write((select(2, core.device())))]]

local function numbers(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = assert(tonumber(word)) end
  return list
end

-- level -> what device names it; cores of OpenBLAS and levels of oneDNN that are not above it
local levels = {
  { "generic", "no vector extensions", { "Prescott", "Core2", "Nehalem" }, { "SSE4.1" } },
  { "avx2", "AVX2", { "Haswell", "Zen" }, { "AVX2", "SSE4.1" } },
  { "avx512", "AVX-512", { "SkylakeX", "Cooperlake", "Haswell", "Zen" }, { "AVX-512", "AVX2", "SSE4.1" } },
  { "amx", "AMX", { "SkylakeX", "Cooperlake", "SapphireRapids" }, { "AMX", "AVX-512" } },
}

local function names(list, text)
  for _, name in ipairs(list) do
    if text == name then return true end
  end
  return false
end

local reference
for _, level in ipairs(levels) do
  check.test("LUNETTE_ISA=" .. level[1], function()
    if jit.arch ~= "x64" and level[1] ~= "generic" then check.skip("no x86-64") end
    local status, text, device = lunette(level[1], "-e", code)
    if status ~= 0 and device:find("this processor does not have it", 1, true) then check.skip("this processor does not have it") end
    check.equal(status, 0, device)
    device = device:match("cpu: [^\n]*"):gsub("lunette: %d+ bytes live at exit$", "")
    check.truthy(device:find("cpu: " .. level[2] .. ", ", 1, true), device)
    local core_name, dnnl = device:match("OpenBLAS [^(]*%((%w+)%)"), device:match("oneDNN [%d.]+ %(([^)]*)%)")
    check.truthy(names(level[3], core_name), "OpenBLAS: " .. tostring(core_name))
    check.truthy(names(level[4], dnnl), "oneDNN: " .. tostring(dnnl))
    if not reference then reference = numbers(select(2, lunette("generic", "--device", "reference", "-e", code))) end
    local got = numbers(text)
    check.equal(#got, #reference)
    for i, want in ipairs(reference) do check.near(got[i], want, 1e-4 * math.max(1, math.abs(want)), "number " .. i) end
  end)
end

check.test("another word is an error that lists the levels", function()
  local status, _, text = lunette("sse9", "-e", "print(require('lunette').ones(1):item())")
  check.equal(status, 1)
  check.truthy(text:find("must be generic, avx2, avx512 or amx", 1, true), text)
end)

scratch.remove()
check.done()
