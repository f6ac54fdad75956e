-- Phantoms: the same every time and at every size, with the share of foreground that the
-- families are calibrated to.
local check = dofile("tests/check.lua")
local data  = require "lunette.data"

local FAMILIES = { "glottis", "bolus", "brain" }

-- Checksums of picture 3 at 48x48: a change here changes what every calibration was made with.
local GOLDEN = {
  glottis = { 756741084, 939072229 },
  bolus = { 2906171564, 4010422224 },
  brain = { 1975095766, 4253089536 },
}

local function list(family, options)
  local o = { family = family, count = 200 }
  for name, value in pairs(options or {}) do o[name] = value end
  return (assert(data.phantom(o)))
end

-- A sum over a u8 tensor in which every position counts (Fletcher's).
local function checksum(t)
  local p, a, b = t:ptr(), 0, 0
  for i = 0, t:numel() - 1 do
    a = (a + p[i]) % 65521
    b = (b + a) % 65521
  end
  return b * 65536 + a
end

local function share(mask)
  local p, n = mask:ptr(), 0
  for i = 0, mask:numel() - 1 do
    if p[i] == 255 then n = n + 1
    elseif p[i] ~= 0 then error("a mask level of " .. p[i]) end
  end
  return n / mask:numel()
end

-- Mean brightness inside and outside the mask.
local function contrast(image, mask)
  local p, m, sum, count = image:ptr(), mask:ptr(), { 0, 0 }, { 0, 0 }
  for i = 0, image:numel() - 1 do
    local k = m[i] == 255 and 1 or 2
    sum[k], count[k] = sum[k] + p[i], count[k] + 1
  end
  return sum[1] / count[1], sum[2] / count[2]
end

for _, family in ipairs(FAMILIES) do
  check.test(family .. ": the same every time, different every index and seed", function()
    local seen = {}
    for seed = 0, 1 do
      local a, b = list(family, { seed = seed, size = 48 }), list(family, { seed = seed, size = 48 })
      for _, i in ipairs { 1, 2, 200 } do
        local image, mask = a:load(i)
        local image2, mask2 = b:load(i)
        check.equal(checksum(image2), checksum(image))
        check.equal(checksum(mask2), checksum(mask))
        check.equal(seen[checksum(image)], nil, "a picture comes twice")
        seen[checksum(image)] = true
      end
    end
  end)

  check.test(family .. ": the same on every machine", function()
    local image, mask = list(family, { size = 48 }):load(3)
    check.equal({ checksum(image), checksum(mask) }, GOLDEN[family])
  end)

  check.test(family .. ": native size", function()
    local image, mask = list(family):load(1)
    check.equal(image.shape, { 256, 256 })
    check.equal(mask.shape, { 256, 256 })
    check.equal({ image.dtype, mask.dtype }, { "u8", "u8" })
  end)

  check.test(family .. ": the same anatomy at another size", function()
    local large, small, wide = list(family, { size = 256 }), list(family, { size = 64 }), list(family, { size = { 40, 100 } })
    for i = 1, 5 do
      local image, mask = large:load(i)
      local image4, mask4 = small:load(i)
      local p, m, p4, m4 = image:ptr(), mask:ptr(), image4:ptr(), mask4:ptr()
      local differ, off = 0, 0
      for y = 0, 63 do
        for x = 0, 63 do
          local sum, area = 0, 0
          for k = 0, 15 do
            local at = (4 * y + math.floor(k / 4)) * 256 + 4 * x + k % 4
            sum, area = sum + p[at], area + m[at] / 255
          end
          differ = differ + math.abs(sum / 16 - p4[y * 64 + x])
          if area <= 4 and m4[y * 64 + x] == 255 or area >= 12 and m4[y * 64 + x] == 0 then off = off + 1 end
        end
      end
      check.truthy(differ / 4096 < 14, "grey levels differ by " .. differ / 4096)
      check.equal(off, 0, "mask pixels that moved")
      check.near(share(select(2, wide:load(i))), share(mask), 0.01, "share of a wide picture")
    end
  end)
end

-- Shares in per cent of the first 200 pictures at 64x64, and how many are empty.
local function shares(family)
  local all, sum, empty = list(family, { size = 64 }), 0, 0
  local least, most = 100, 0
  for i = 1, #all do
    local _, mask = all:load(i)
    local s = 100 * share(mask)
    if s == 0 then
      empty = empty + 1
    else
      sum, least, most = sum + s, math.min(least, s), math.max(most, s)
    end
  end
  return sum / (#all - empty), empty, least, most
end

check.test("glottis: 1 to 5 per cent, one in ten closed, darker than its surroundings", function()
  local mean, empty, least, most = shares("glottis")
  check.truthy(mean > 1.5 and mean < 4, "mean " .. mean)
  check.truthy(least > 0.1 and most < 8, "from " .. least .. " to " .. most)
  check.truthy(empty >= 10 and empty <= 32, "closed: " .. empty)
end)

check.test("bolus: 1 to 6 per cent", function()
  local mean, empty, least, most = shares("bolus")
  check.truthy(mean > 1.5 and mean < 4, "mean " .. mean)
  check.truthy(least > 0.4 and most < 8, "from " .. least .. " to " .. most)
  check.equal(empty, 0)
end)

check.test("brain: 9 to 12 per cent", function()
  local mean, empty, least, most = shares("brain")
  check.truthy(mean > 9 and mean < 12, "mean " .. mean)
  check.truthy(least > 2 and most < 25, "from " .. least .. " to " .. most)
  check.equal(empty, 0)
end)

check.test("glottis and bolus are dark, meningioma is bright", function()
  local right = { glottis = 0, bolus = 0, brain = 0 }
  for _, family in ipairs(FAMILIES) do
    local all = list(family, { size = 64, count = 60 })
    for i = 1, #all do
      local image, mask = all:load(i)
      if share(mask) > 0 then
        local inside, outside = contrast(image, mask)
        if (inside < outside) == (family ~= "brain") then right[family] = right[family] + 1 end
      else
        right[family] = right[family] + 1
      end
    end
  end
  for _, family in ipairs(FAMILIES) do check.truthy(right[family] >= 50, family .. ": " .. right[family] .. " of 60") end
end)

check.test("misuse", function()
  check.raises(function() data.phantom { family = "knee" } end, "no family 'knee' (there are glottis, bolus, brain)")
  check.raises(function()
    local l = data.phantom { family = "brain", size = 4 }
    l:load(1)
  end, "must be 8 to 8192")
end)

check.done()
