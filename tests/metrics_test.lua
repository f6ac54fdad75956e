-- Distances between surfaces: beside scipy, on every kind of mask, and what cannot be measured.
local check = dofile("tests/check.lua")
local core = require "lunette.core"
local lt = require "lunette"
local metrics = require "lunette.metrics"
local reference = dofile("tests/reference/metrics.lua")

local function mask(digits, shape, dtype)
  local list = {}
  for i = 1, #digits do list[i] = tonumber(digits:sub(i, i)) end
  return core.tensor(list, { dtype = dtype or "bool" }):reshape(shape)
end

-- As scipy takes it: spacing for every dim, so that no leading one is dropped.
local function spacing(case)
  local list = {}
  for d = 1, #case.shape do list[d] = case.spacing and case.spacing[d] or 1 end
  return list
end

check.test("beside scipy", function()
  for _, case in ipairs(reference) do
    local a, b, s = mask(case.a, case.shape), mask(case.b, case.shape), spacing(case)
    local function near(got, want, what) check.near(got, want, 1e-12 * (1 + want), case.name .. ": " .. what) end
    near(metrics.hd95(a, b, { spacing = s }), case.hd95, "hd95")
    near(metrics.hd95(b, a, { spacing = s }), case.hd95, "hd95, exchanged")
    near(metrics.hd95(a, b, { spacing = s, percentile = 0 }), case.hd0, "hd0")
    near(metrics.hd95(a, b, { spacing = s, percentile = 50 }), case.hd50, "hd50")
    near(metrics.hausdorff(a, b, { spacing = s }), case.hausdorff, "hausdorff")
    near(metrics.assd(a, b, { spacing = s }), case.assd, "assd")
  end
end)

local discs = reference[1]
local rows, columns = discs.shape[1], discs.shape[2]

check.test("every dtype; what is above 0.5 is inside", function()
  local b = mask(discs.b, discs.shape)
  for _, dtype in ipairs { "bool", "u8", "i32", "i64", "f32" } do
    check.near(metrics.hd95(mask(discs.a, discs.shape, dtype), b), discs.hd95, 1e-12, dtype)
  end
  local a = mask(discs.a, discs.shape, "f32")
  check.near(metrics.hd95(a * 0.4 + 0.2, b), discs.hd95, 1e-12, "0.2 and 0.6")
  check.near(metrics.hd95(mask(discs.a, discs.shape, "u8") * 255, b), discs.hd95, 1e-12, "0 and 255")
  check.equal(metrics.hd95(a * 0.5, b), metrics.hd95(a * 0, b), "0.5 is outside")
end)

check.test("leading dimensions of size 1 are a batch and a channel", function()
  local shape = { 1, 1, rows, columns }
  check.near(metrics.hd95(mask(discs.a, shape), mask(discs.b, shape)), discs.hd95, 1e-12)
  shape = { 1, rows, columns }
  check.near(metrics.assd(mask(discs.a, shape), mask(discs.b, shape)), discs.assd, 1e-12)
  check.near(metrics.assd(mask(discs.a, shape), mask(discs.b, shape), { spacing = 2 }), 2 * discs.assd, 1e-12)
  for _, case in ipairs(reference) do
    if #case.shape == 3 and case.shape[1] > 1 and not case.spacing then
      shape = { 1, 1, unpack(case.shape) }
      check.near(metrics.hd95(mask(case.a, shape), mask(case.b, shape)), case.hd95, 1e-12, case.name)
    end
  end
  local row = lt.ones(1, 9) -- a picture of one row, all of it border
  check.equal(metrics.hausdorff(row, mask("000010000", { 1, 9 })), 4)
  check.equal(metrics.assd(row, row), 0)
end)

check.test("empty masks: 0 and the diagonal", function()
  local empty, full = lt.zeros(3, 4), lt.ones(3, 4)
  for _, name in ipairs { "hd95", "hausdorff", "assd" } do
    check.equal(metrics[name](empty, empty), 0, name)
    check.equal(metrics[name](empty, full), 5, name)
    check.equal(metrics[name](full, empty, { spacing = { 4, 1.25 } }), 13, name)
  end
  check.equal(metrics.hd95(lt.zeros(0, 4), lt.zeros(0, 4)), 0, "no pixels")
  local hole = lt.ones(2, 3, 6)
  check.equal(metrics.assd(hole, hole * 0), 7, "a volume")
end)

check.test("what cannot be measured is named, with the script's line", function()
  local a = lt.ones(4, 5)
  local function raises(pattern, ...)
    local given = { ... }
    local text = check.raises(function() return (metrics.hd95(unpack(given))) end, pattern)
    check.truthy(text:find("^tests/metrics_test.lua:%d+: "), text)
  end
  raises("[hd95] prediction 4x5 and target 5x4 must have the same shape", a, lt.ones(5, 4))
  raises("[hd95] the target must be a tensor, got nil", a)
  raises("[hd95] the prediction must be a tensor, got number", 3, a)
  raises("got shape 2x1x4x5", lt.ones(2, 1, 4, 5), lt.ones(2, 1, 4, 5))
  raises("and 1 spacings for it, got shape 4x5", a, a, { spacing = { 1 } })
  raises("and 3 spacings for it, got shape 4x5", a, a, { spacing = { 1, 1, 1 } })
  raises("spacing must be a number above 0, or a list of them, got 0", a, a, { spacing = { 1, 0 } })
  raises("got nan", a, a, { spacing = 0 / 0 })
  raises("got inf", a, a, { spacing = math.huge })
  raises("got one", a, a, { spacing = "one" })
  raises("percentile must be a number from 0 to 100, got 101", a, a, { percentile = 101 })
  raises("unknown option 'percent'", a, a, { percent = 95 })
  raises("got shape ", core.tensor(1), core.tensor(1))
  check.raises(function() metrics.hausdorff(a, a, { percentile = 95 }) end, "unknown option 'percentile'")
  check.raises(function() metrics.hd95(a:to("bf16"), a) end, "a mask is bool, u8, i32, i64 or f32, got bf16")
end)

check.test("every allocation fails once", function()
  local a, b = mask(discs.a, discs.shape), mask(discs.b, discs.shape)
  metrics.hd95(a, b)
  collectgarbage()
  collectgarbage()
  local before, failures = core.mem().live, 0
  for n = 1, 100 do
    core.fail_at(n)
    local ok, result = pcall(metrics.hd95, a, b)
    if core.fail_at(0) then break end -- beyond the last
    check.equal(ok, false)
    check.equal(result.code, "LN_ENOMEM")
    check.equal(core.mem().live, before, "bytes live after failure " .. n)
    failures = failures + 1
  end
  check.equal(failures, 6)
  check.near(metrics.hd95(a, b), discs.hd95, 1e-12)
end)

check.done()
