-- What a network is, read from its recorded graph: hand-made nets whose answers are known, and the paper's own.
local check = dofile("tests/check.lua")
local lt = require "lunette"
local nn = require "lunette.nn"
local F = require "lunette.nn.functional"
local features = require "lunette.features"

-- Saves the net whole, loads it again and reads it.
local function read(net, input)
  local path = os.tmpname()
  assert(lt.save(path, net, { input = input }))
  local model = assert(lt.load(path))
  os.remove(path)
  return features.of(model)
end

-- A U-Net of two levels in 2 or 3 dims: widths 4, 8 and a bottleneck of 16; `join` makes a skip.
local function unet(dims, join, doubled)
  local Conv, Norm = nn["Conv" .. dims .. "d"], nn["BatchNorm" .. dims .. "d"]
  local Up, Pool = nn["ConvTranspose" .. dims .. "d"], nn["MaxPool" .. dims .. "d"]
  local function block(a, b)
    return nn.Sequential(Conv(a, b, 3, { padding = 1 }), Norm(b), nn.ReLU(), Conv(b, b, 3, { padding = 1 }), Norm(b), nn.ReLU())
  end
  local Net = nn.class("Net")
  function Net:__init()
    self.pool = Pool(2)
    self.down1, self.down2, self.bottom = block(1, 4), block(4, 8), block(8, 16)
    self.up1, self.up2 = Up(16, 8, 2, { stride = 2 }), Up(8, 4, 2, { stride = 2 })
    self.side1, self.side2 = block(8 * doubled, 8), block(4 * doubled, 4)
    self.final = Conv(4, 1, 1)
  end
  function Net:forward(x)
    local a = self.down1(x)
    local b = self.down2(self.pool(a))
    local y = self.bottom(self.pool(b))
    y = self.side1(join(self.up1(y), b))
    y = self.side2(join(self.up2(y), a))
    return self.final(y):sigmoid()
  end
  return Net()
end

local function concat(y, skip) return lt.cat({ y, skip }, 2) end
local function add(y, skip) return y + skip end
local function none(y) return y end

local function common(f, dims)
  local cube = dims == 2 and "×" or "×3×"
  check.equal({ f.encoder_stages, f.decoder_stages, f.bottleneck, f.ends_in, f.residuals }, { 2, 2, 16, "sigmoid", 0 })
  check.equal({ f.encoder_channels, f.decoder_channels }, { { 4, 8 }, { 8, 4 } })
  check.equal(f.block, ("(Conv%dd 3%s3 + BatchNorm%dd + ReLU) ×2"):format(dims, cube, dims))
  check.equal({ f.final_layer, f.final_activations }, { ("Conv%dd(4, 1, 1)"):format(dims), { "sigmoid" } })
  check.equal(f.down, dims == 2 and "max pool 2×2" or "max pool 2×2×2")
  check.equal(f.up, dims == 2 and "ConvTranspose2d 2×2" or "ConvTranspose3d 2×2×2")
end

for dims = 2, 3 do
  local input = dims == 2 and { 1, 1, 16, 16 } or { 1, 1, 8, 8, 8 }
  check.test(("concat, add and no skips in %d dims"):format(dims), function()
    local f = read(unet(dims, concat, 2), input)
    common(f, dims)
    check.equal(f.skips, { kind = "concat", concat = 2, add = 0, notes = {} })
    f = read(unet(dims, add, 1), input)
    common(f, dims)
    check.equal(f.skips, { kind = "add", concat = 0, add = 2, notes = {} })
    f = read(unet(dims, none, 1), input)
    common(f, dims)
    check.equal(f.skips, { kind = "none", concat = 0, add = 0, notes = {} })
    check.equal(f.input, { unpack(input, 2) })
  end)
end

check.test("parameters are counted without buffers", function()
  local net = unet(2, add, 1)
  local n = 0
  for _, p in ipairs(net:parameters()) do n = n + p:numel() end
  check.equal(read(net, { 1, 1, 16, 16 }).parameters, n)
end)

check.test("strided convolutions, interpolation, residual additions, logits of two classes", function()
  local Net = nn.class("Net")
  function Net:__init()
    self.a, self.b = nn.Conv2d(1, 4, 3, { padding = 1 }), nn.Conv2d(4, 4, 3, { padding = 1 })
    self.down, self.c = nn.Conv2d(4, 6, 3, { stride = 2, padding = 1 }), nn.Conv2d(6, 4, 3, { padding = 1 })
    self.final = nn.Conv2d(8, 2, 3, { padding = 1 })
  end
  function Net:forward(x)
    local a = self.a(x):relu()
    a = (a + self.b(a)):relu()
    local y = self.c(self.down(a):relu())
    return self.final(lt.cat({ F.interpolate(y, { scale_factor = 2, mode = "bilinear" }), a }, 2))
  end
  local f = read(Net(), { 1, 1, 16, 16 })
  check.equal({ f.down, f.up, f.residuals, f.ends_in }, { "strided Conv2d 3×3", "bilinear", 1, "logits" })
  check.equal({ f.skips.kind, f.skips.concat, f.skips.add, f.bottleneck }, { "concat", 1, 0, 4 })
  check.equal({ f.output, f.final_layer, f.decoder_channels }, { { 2, 16, 16 }, "Conv2d(8, 2, 3)", { 8 } })
end)

check.test("a net that neither shrinks nor grows has no stages and no skips", function()
  local f = read(nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 1, 1)), { 1, 1, 16, 16 })
  check.equal({ f.encoder_stages, f.decoder_stages, f.bottleneck, f.skips.kind }, { 0, 0, nil, "none" })
  check.equal({ f.final_layer, f.output }, { "Conv2d(4, 1, 1)", { 1, 14, 14 } })
  check.raises(function() read(nn.Sequential(nn.ReLU()), { 1, 1, 4, 4 }) end, "no convolution")
  check.raises(function() features.of({}) end, "whole-model file")
end)

-- The net of scripts/<id>/model.lua.
local function paper_net(id) return assert(loadfile("scripts/" .. id .. "/model.lua"))()() end

check.test("GPT-4's network", function()
  local f = read(paper_net "gpt4", { 1, 1, 32, 32 })
  check.equal({ f.parameters, f.encoder_stages, f.decoder_stages, f.bottleneck }, { 7696193, 3, 3, 512 })
  check.equal({ f.ends_in, f.block, f.final_layer }, { "logits", "(Conv2d 3×3 + ReLU) ×2", "Conv2d(64, 1, 1)" })
  check.equal({ f.encoder_channels, f.decoder_channels }, { { 64, 128, 256 }, { 256, 128, 64 } })
  check.equal(f.skips, { kind = "concat", concat = 3, add = 0, notes = {} })
end)

check.test("Copilot adds pooled features and ends in one channel", function()
  local f = read(paper_net "copilot", { 1, 1, 32, 32 })
  check.equal({ f.parameters, f.bottleneck, f.final_layer }, { 6153297, 512, "Conv2d(1, 1, 1)" })
  check.equal({ f.encoder_channels, f.decoder_channels }, { { 64, 128, 256, 512 }, { 256, 128, 64, 1 } })
  check.equal(f.skips, { kind = "add", concat = 0, add = 3, notes = { "taken after the pooling" } })
end)

check.test("Bing has no skips and a ReLU before its sigmoid", function()
  local f = read(paper_net "bing", { 1, 1, 32, 32 })
  check.equal({ f.parameters, f.skips.kind, f.final_layer, f.ends_in }, { 6147659, "none", "Conv2d(1, 1, 3)", "sigmoid" })
  check.equal({ f.final_activations, f.decoder_channels }, { { "ReLU", "sigmoid" }, { 256, 128, 64, 1 } })
end)

check.test("LLaMA's convolutions are not padded and its last layer upsamples", function()
  local f = read(paper_net "llama31", { 1, 1, 256, 256 })
  check.equal({ f.parameters, f.block, f.final_layer }, { 533953, "Conv2d 3×3 unpadded + ReLU", "ConvTranspose2d(64, 1, 2)" })
  check.equal({ f.output, f.decoder_channels, f.skips.kind }, { { 1, 240, 240 }, { 128, 64, 1 }, "none" })
end)

check.test("GPT-4o crops its skips", function()
  local f = read(paper_net "gpt4o", { 1, 1, 64, 64 })
  check.equal({ f.parameters, f.encoder_stages, f.decoder_stages, f.bottleneck }, { 31042369, 5, 4, 1024 })
  check.equal({ f.output, f.skips }, { { 1, 32, 32 }, { kind = "concat", concat = 4, add = 0, notes = { "cropped to fit" } } })
end)

check.test("Gemini shrinks its decoder to fit pooled features", function()
  local f = read(paper_net "gemini15", { 1, 1, 64, 64 })
  check.equal({ f.parameters, f.encoder_stages, f.decoder_stages, f.bottleneck }, { 31042369, 4, 4, 1024 })
  check.equal({ f.output, f.encoder_channels }, { { 1, 32, 32 }, { 64, 128, 256, 512 } })
  check.equal(f.skips, { kind = "concat", concat = 4, add = 0, notes = { "decoder shrunk to fit", "taken after the pooling" } })
end)

check.test("o1 and Claude wrote the standard U-Net", function()
  for _, id in ipairs { "gpt_o1", "claude35" } do
    local f = read(paper_net(id), { 1, 1, 32, 32 })
    check.equal({ f.parameters, f.encoder_stages, f.decoder_stages, f.bottleneck }, { 31042369, 4, 4, 1024 }, id)
    check.equal({ f.block, f.ends_in, f.output }, { "(Conv2d 3×3 + BatchNorm2d + ReLU) ×2", "sigmoid", { 1, 32, 32 } }, id)
    check.equal({ f.encoder_channels, f.decoder_channels }, { { 64, 128, 256, 512 }, { 512, 256, 128, 64 } }, id)
    check.equal(f.skips, { kind = "concat", concat = 4, add = 0, notes = {} }, id)
  end
end)

check.done()
