-- Lists of pairs, splits and loaders.
local check = dofile("tests/check.lua")
local files = dofile("tests/data_files.lua")
local core  = require "lunette.core"
local data  = require "lunette.data"
local reference = files.reference

-- -- folders

local function stems(list)
  local names = {}
  for i = 1, #list do names[i] = list:stem(i) end
  return table.concat(names, " ")
end

local two = {}
for _, name in ipairs { "2", "10", "1", "03" } do
  files.image("two/images/" .. name .. ".png", "rgb8")
  files.image("two/masks/" .. name .. ".png", "grey1")
end
two.images, two.masks = files.path("two/images"), files.path("two/masks")

check.test("two folders, bytewise and by number", function()
  local list = data.folder{ images = two.images, masks = two.masks }
  check.equal(stems(list), "03 1 10 2")
  check.equal({ list:paths(3) }, { two.images .. "/10.png", two.masks .. "/10.png" })
  check.equal(stems(data.folder{ images = two.images, masks = two.masks, numeric = true }), "1 2 03 10")
  check.equal(stems(data.folder{ images = two.images, masks = two.masks, numeric = true, limit = 3 }), "1 2 03")
  check.equal(#data.folder{ images = two.images, masks = two.masks, limit = 100 }, 4)
end)

check.test("one name that is no number makes the order bytewise", function()
  local folder = files.pairs("mixed", 10, "rgb8")
  files.image("mixed/x.png", "rgb8")
  files.image("mixed/x_seg.png", "grey1")
  check.equal(stems(data.folder{ images = folder, suffix = "_seg", numeric = true }), "1 10 2 3 4 5 6 7 8 9 x")
end)

check.test("extensions: the image's own first, then png, jpg, jpeg, in any case", function()
  files.image("kinds/a.jpg", "jpeg_420")
  files.image("kinds/a_m.jpg", "jpeg_grey")
  files.image("kinds/a_m.png", "jpeg_grey")
  files.image("kinds/b.JPEG", "jpeg_420")
  files.image("kinds/b_m.PNG", "jpeg_grey")
  files.image("kinds/.hidden.png", "jpeg_grey")
  files.write("kinds/notes.txt", "no image")
  files.image("kinds/c.v2.png", "jpeg_420")
  files.image("kinds/c.v2_m.jpeg", "jpeg_grey")
  local folder = files.path("kinds")
  local list = assert(data.folder{ images = folder, suffix = "_m" })
  check.equal(stems(list), "a b c.v2")
  check.equal(select(2, list:paths(1)), folder .. "/a_m.jpg")
  check.equal(select(2, list:paths(2)), folder .. "/b_m.PNG")
  check.equal(select(2, list:paths(3)), folder .. "/c.v2_m.jpeg")
end)

check.test("pair, sort, limit, exclude, in this order", function()
  local folder = files.pairs("exclude", 6, "rgb8")
  local exclude = files.write("out.txt", "2\r\n5\n\nunknown\n")
  local list = data.folder{ images = folder, suffix = "_seg", limit = 4, exclude = exclude }
  check.equal(stems(list), "1 3 4")
  check.raises(function() data.folder{ images = folder, suffix = "_seg", limit = 1, exclude = files.write("all.txt", "1\n") } end,
    "leaves none of the 1 pairs")
  check.fails("gone.txt: No such file", "LN_EIO", data.folder{ images = folder, suffix = "_seg", exclude = "gone.txt" })
end)

check.test("only keeps the stems of a file, all of them", function()
  local folder = files.pairs("only", 12, "rgb8")
  local function open(options)
    options.images, options.suffix, options.numeric = folder, "_seg", true
    return data.folder(options)
  end
  local some = files.write("some.txt", "11\n\n3\r\n4\n3\n")
  check.equal(stems(open{ only = some }), "3 4 11")
  check.equal(stems(open{ only = some, exclude = files.write("three.txt", "3\n") }), "4 11")
  check.fails("some.txt names '11', which is not among the 10 pairs", "LN_EIO", open{ only = some, limit = 10 })
  check.fails("more.txt names '13', which", "LN_EIO", open{ only = files.write("more.txt", "1\n13\n14\n") })
  check.fails("gone.txt: No such file", "LN_EIO", open{ only = "gone.txt" })
  check.raises(function() open{ only = files.write("none.txt", "\n") } end, "none.txt leaves none of the 12 pairs")
  local together = open{ exclude = some }
  check.equal(#together + #open{ only = some }, 12, "the two halves")
  check.equal(select(2, open{ only = some }:paths(3)), folder .. "/11_seg.png")
end)

check.test("what cannot be paired is named", function()
  check.fails("folder /no/such/folder: No such file", "LN_EIO", data.folder{ images = "/no/such/folder", suffix = "_m" })
  check.fails("folder /no/such/masks", "LN_EIO", data.folder{ images = two.images, masks = "/no/such/masks" })
  files.write("empty/readme.txt", "nothing")
  check.fails("no images (png, jpg, jpeg) in", "LN_EIO", data.folder{ images = files.path("empty"), suffix = "_m" })
  check.raises(function() data.folder{ images = two.images } end, "a suffix must tell them apart")
  check.raises(function() data.folder{ images = two.images, masks = two.images .. "/../images/" } end, "a suffix must tell")
  check.raises(function() data.folder{} end, "a folder of images is needed")
  check.raises(function() data.folder{ image = two.images } end, "unknown option 'image'")
  files.image("lonely/a.png", "rgb8")
  local message = check.fails("lonely/a.png has no mask: no a_m.png, .jpg or .jpeg in", "LN_EIO",
    data.folder{ images = files.path("lonely"), suffix = "_m" })
  check.truthy(message)
  files.image("twins/a.png", "rgb8")
  files.image("twins/a.jpg", "jpeg_420")
  files.image("twins/a_m.png", "rgb8")
  check.fails("two images have the stem 'a'", "LN_EFORMAT", data.folder{ images = files.path("twins"), suffix = "_m" })
  files.image("sizes/a.png", "rgb8")
  files.image("sizes/a_m.png", "jpeg_grey")
  check.fails("sizes/a.png has 23x11 pixels and its mask", "LN_EFORMAT",
    data.folder{ images = files.path("sizes"), suffix = "_m" })
  check.raises(function() data.folder{ images = two.images, masks = two.masks }:stem(5) end, "index 5 is outside the list")
  check.raises(function() data.folder{ images = two.images, masks = two.masks }:load(0) end, "index 0 is outside the list")
end)

-- -- phantoms and targets

check.test("phantoms are lists too", function()
  local list = data.phantom{ family = "brain", count = 3, seed = 5, size = { 40, 48 } }
  check.equal(#list, 3)
  check.equal(list:stem(1), "brain_0000")
  check.equal({ list:paths(1) }, {})
  local image, mask = list:load(2)
  check.equal(image.shape, { 40, 48 })
  check.equal(mask.dtype, "u8")
  check.raises(function() data.phantom{ family = "cat" } end, "cat")
  check.raises(function() data.phantom{ size = 4 } end, "each side must be")
end)

check.test("a phantom keeps its name and its pixels whatever is left out", function()
  local function open(options)
    options.family, options.count, options.size = "bolus", 12, 16
    return data.phantom(options)
  end
  local function pixels(list, i)
    local image, mask = list:load(i)
    return { files.crc_tensor(image), files.crc_tensor(mask) }
  end
  local all = open{}
  local held = files.write("held.txt", "bolus_0010\nbolus_0002\n")
  local rest, only = open{ exclude = held }, open{ only = held }
  check.equal(stems(only), "bolus_0002 bolus_0010")
  check.equal({ #rest, rest:stem(2), rest:stem(3), rest:stem(10) }, { 10, "bolus_0001", "bolus_0003", "bolus_0011" })
  check.equal(pixels(rest, 3), pixels(all, 4))
  check.equal(pixels(only, 2), pixels(all, 11))
  check.truthy(pixels(all, 3)[1] ~= pixels(all, 4)[1], "two pictures differ")
  local set = data.ImageMask(only)
  check.equal({ set:count(), set:stem(2) }, { 2, "bolus_0010" })
  check.equal(#open{ exclude = files.write("other.txt", "bolus_0099\n") }, 12)
  check.fails("12.txt names 'bolus_0012', which is not among the 12 pairs", "LN_EIO",
    open{ only = files.write("12.txt", "bolus_0012\n") })
  check.fails("gone.txt: No such file", "LN_EIO", open{ exclude = "gone.txt" })
  check.raises(function() data.phantom{ count = 3, family = "bolus", exclude = files.write("first.txt",
    "bolus_0000\nbolus_0001\nbolus_0002\n") } end, "first.txt leaves none of the 3 pairs")
end)

check.test("targets", function()
  local folder = files.pairs("targets", 1, "resize", "resize")
  local list = data.folder{ images = folder, suffix = "_seg" }
  local _, mask = list:load(1)
  local level = mask:ptr()
  local rules = {
    fraction = function(v) return v / 255 end,
    half = function(v) return v >= 128 and 1 or 0 end,
    any = function(v) return v >= 1 and 1 or 0 end,
    class = function(v) return v end,
  }
  for target, rule in pairs(rules) do
    local _, got = data.ImageMask(list, { target = target }):get(1)
    check.equal(got.dtype, target == "class" and "i64" or "f32", target)
    check.equal(got.shape, target == "class" and { 47, 61 } or { 1, 47, 61 }, target)
    local p = got:ptr()
    for i = 0, 47 * 61 - 1 do check.near(tonumber(p[i]), rule(level[i]), 3e-8, target) end
  end
  check.raises(function() data.ImageMask(list, { target = "both" }) end, "target is 'both'")
  check.raises(function() data.ImageMask(list, { size = 8, target = "class" }) end, "cannot be averaged")
  check.raises(function() data.ImageMask(list, { resize = "bicubic" }) end, "'bicubic'")
  check.raises(function() data.ImageMask(list, { size = 0 }) end, "size")
  check.raises(function() data.ImageMask(list, { size = { 3, 4, 5 } }) end, "size")
end)

-- -- splits

local function same_part(got, want, what)
  local from_0 = {}
  for k, i in ipairs(got) do from_0[k] = i - 1 end
  check.equal({ from_0[1], from_0[#from_0], #from_0 }, { want[1], want[2], want[3] }, what)
  check.equal(files.crc_text(table.concat(from_0, " ")), want[4], what)
end

check.test("train_test_split as scikit-learn, both stages", function()
  for _, case in ipairs(reference.sklearn) do
    local train, held = data.train_test_split(case[1], { test_size = 0.2, random_state = 42 })
    local val, test = data.train_test_split(held, { test_size = 0.5, random_state = 42 })
    for k, part in ipairs { train, held, val, test } do same_part(part, case[k + 1], ("n %d part %d"):format(case[1], k)) end
  end
end)

check.test("train_test_split: sizes", function()
  local function sizes(...)
    local train, test = data.train_test_split(...)
    return { #train, #test }
  end
  check.equal(sizes(10), { 7, 3 })
  check.equal(sizes(10, { test_size = 4 }), { 6, 4 })
  check.equal(sizes(10, { train_size = 0.55 }), { 5, 5 })
  check.equal(sizes(10, { train_size = 0.5, test_size = 0.25 }), { 5, 3 })
  check.equal({ data.train_test_split(4, { test_size = 0.5, shuffle = false }) }, { { 1, 2 }, { 3, 4 } })
  check.raises(function() sizes(10, { test_size = 10 }) end, "test_size is 10")
  check.raises(function() sizes(10, { test_size = 0 }) end, "test_size is 0")
  check.raises(function() sizes(10, { test_size = 0.6, train_size = 0.6 }) end, "more than the 10")
  check.raises(function() sizes(1, { test_size = 0.5 }) end, "nothing is left for training")
  check.raises(function() sizes(0) end, "0 items")
  check.raises(function() sizes(10, { seed = 1 }) end, "unknown option 'seed'")
end)

check.test("random_split as torch, two splits from one generator", function()
  for _, case in ipairs(reference.torch) do
    local n = case[1]
    local generator = data.generator(42)
    local most, test = data.random_split(n, { lengths = { math.floor(0.9 * n), n - math.floor(0.9 * n) }, generator = generator })
    local a = math.floor(0.8 * #most)
    local train, val = data.random_split(most, { lengths = { a, #most - a }, generator = generator })
    for k, part in ipairs { most, test, train, val } do same_part(part, case[k + 1], ("n %d part %d"):format(n, k)) end
    same_part(data.random_split(n, { lengths = { #most, n - #most }, seed = 42 }), case[2], "by seed")
  end
end)

check.test("random_split: lengths", function()
  for _, case in ipairs(reference.fractions) do
    local lengths = {}
    for k, part in ipairs { data.random_split(case[1], { fractions = case[2], seed = 1 }) } do lengths[k] = #part end
    check.equal(lengths, case[3])
  end
  check.raises(function() data.random_split(10, { lengths = { 3, 4 } }) end, "add up to 7, but there are 10")
  check.raises(function() data.random_split(10, { fractions = { 0.5, 0.2 } }) end, "shares that add up to 1")
  check.raises(function() data.random_split(10, { lengths = { -1, 11 } }) end, "length 1 is -1")
  check.raises(function() data.random_split(10, {}) end, "needs lengths")
end)

-- -- loaders

local function phantoms(count, options)
  return data.ImageMask(data.phantom{ family = "glottis", count = count, size = 16 }, options)
end

-- One epoch as a checksum of all its numbers, with its batch sizes.
local function epoch(loader)
  local value, sizes = 0, {}
  for images, masks in loader do
    value = files.crc_tensor(masks, files.crc_tensor(images, value))
    sizes[#sizes + 1] = images.shape[1]
  end
  return value, table.concat(sizes, " ")
end

check.test("batches, samples, the last batch", function()
  local loader = data.DataLoader(phantoms(10), { batch_size = 4 })
  check.equal({ loader:batches(), loader:samples() }, { 3, 10 })
  check.equal(select(2, epoch(loader)), "4 4 2")
  check.equal(loader:stems(), { "glottis_0008", "glottis_0009" })
  loader = data.DataLoader(phantoms(10), { batch_size = 4, drop_last = true })
  check.equal({ loader:batches(), loader:samples() }, { 2, 8 })
  check.equal(select(2, epoch(loader)), "4 4")
  for images, masks in data.DataLoader(phantoms(3, { size = { 8, 12 } }), { batch_size = 2 }) do
    check.equal(images.shape, { 2, 1, 8, 12 })
    check.equal(masks.dtype, "f32")
    break
  end
  for _, masks in data.DataLoader(phantoms(3, { target = "class" }), { batch_size = 2 }) do
    check.equal(masks.shape, { 2, 16, 16 })
    check.equal(masks.dtype, "i64")
    break
  end
end)

check.test("the order does not depend on workers or cache", function()
  local want = {}
  for _, workers in ipairs { 0, 1, 2, 3, 4 } do
    for _, cache in ipairs { true, false } do
      local loader = data.DataLoader(phantoms(23), { batch_size = 5, shuffle = true, seed = 7, workers = workers, cache = cache })
      for e = 1, 3 do
        local got = epoch(loader)
        want[e] = want[e] or got
        check.equal(got, want[e], ("workers %d cache %s epoch %d"):format(workers, tostring(cache), e))
      end
    end
  end
  check.truthy(want[1] ~= want[2] and want[2] ~= want[3], "epochs differ")
  local other = data.DataLoader(phantoms(23), { batch_size = 5, shuffle = true, seed = 8 })
  check.truthy(epoch(other) ~= want[1], "seeds differ")
  local resumed = data.DataLoader(phantoms(23), { batch_size = 5, shuffle = true, seed = 7 })
  resumed:set_epoch(2)
  check.equal(epoch(resumed), want[3], "a loader that goes on as epoch 2")
end)

check.test("every item once an epoch", function()
  local loader = data.DataLoader(phantoms(50), { batch_size = 7, shuffle = true, workers = 2 })
  local seen, order = {}, {}
  for _ in loader do
    for _, stem in ipairs(loader:stems()) do
      check.equal(seen[stem], nil, stem)
      seen[stem] = true
      order[#order + 1] = stem
    end
  end
  check.equal(#order, 50)
  local sorted = { unpack(order) }
  table.sort(sorted)
  check.truthy(table.concat(order) ~= table.concat(sorted), "shuffled")
end)

check.test("stats count batches and waits over all epochs", function()
  local loader = data.DataLoader(phantoms(10), { batch_size = 4, workers = 0 })
  check.equal(loader:stats(), { batches = 0, waits = 0, seconds = 0 })
  epoch(loader)
  local first = loader:stats()
  check.equal(first.batches, 3)
  check.equal(first.waits, 3)
  check.truthy(first.seconds > 0)
  epoch(loader)
  check.equal(loader:stats(), { batches = 6, waits = 3, seconds = first.seconds })
end)

check.test("subsets of subsets", function()
  local set = phantoms(10)
  local subset = data.Subset(data.Subset(set, { 9, 3, 5, 1 }), { 4, 2 })
  check.equal({ subset:count(), subset:stem(1), subset:stem(2) }, { 2, "glottis_0000", "glottis_0002" })
  local loader = data.DataLoader(subset, { batch_size = 2 })
  for images in loader do
    local first, third = set:get(1), set:get(3)
    check.equal(files.crc_tensor(images), files.crc_tensor(third, files.crc_tensor(first)))
  end
  check.equal(loader:stems(), { "glottis_0000", "glottis_0002" })
  check.raises(function() data.Subset(set, { 11 }) end, "from 1 to 10")
  check.raises(function() subset:get(3) end, "index 3 is outside 1..2")
end)

check.test("the cache keeps to its size", function()
  local set = phantoms(20)
  epoch(data.DataLoader(set, { batch_size = 4, workers = 2, cache_bytes = 5 * (2 * 256 + 64) }))
  local kept = set.native:cached()
  check.truthy(kept > 4 * 512 and kept <= 5 * (2 * 256 + 64), kept)
  set = phantoms(20)
  epoch(data.DataLoader(set, { batch_size = 4, cache = false }))
  check.equal(set.native:cached(), 0)
end)

check.test("a loop left early, a loop in its own loop", function()
  local loader = data.DataLoader(phantoms(40), { batch_size = 3, workers = 2 })
  local full = epoch(loader)
  for _ = 1, 5 do
    for _ in loader do break end
  end
  check.equal(epoch(loader), full)
  check.raises(function()
    for _ in loader do
      for _ in loader do break end
    end
  end, "started again inside its own loop")
  check.raises(function() for _ in loader do error("mine") end end, "mine")
  check.equal(epoch(loader), full)
end)

check.test("a bad file is named where it comes up", function()
  local folder = files.pairs("spoilt", 9, "rgb8")
  local list = data.folder{ images = folder, suffix = "_seg" }
  files.write("spoilt/7.png", files.content("rgb8"):sub(1, 100))
  for _, workers in ipairs { 0, 1, 3 } do
    local loader = data.DataLoader(data.ImageMask(list), { batch_size = 2, workers = workers })
    local batches = 0
    check.raises(function() for _ in loader do batches = batches + 1 end end, "spoilt/7.png: truncated PNG")
    check.equal(batches, 3, "batches before it")
    check.raises(function() for _ in loader do batches = batches + 1 end end, "spoilt/7.png: truncated PNG")
  end
  check.raises(function() data.ImageMask(list):get(7) end, "spoilt/7.png: truncated PNG")
  check.fails("spoilt/7.png: truncated PNG", "LN_EFORMAT", list:load(7))
end)

check.test("different sizes in a batch are named", function()
  local folder = files.pairs("uneven", 2, { "rgb8", "rgb8" })
  files.image("uneven/3.png", "resize")
  files.image("uneven/3_seg.png", "resize")
  local list = data.folder{ images = folder, suffix = "_seg" }
  check.raises(function() for _ in data.DataLoader(data.ImageMask(list), { batch_size = 3 }) do end end,
    "a batch cannot hold 1 with 23x11 pixels and 3 with 61x47: give a size")
  check.equal(select(2, epoch(data.DataLoader(data.ImageMask(list, { size = 8 }), { batch_size = 3 }))), "3")
end)

check.test("wrong options", function()
  local set = phantoms(3)
  check.raises(function() data.DataLoader(set, { batch_size = 0 }) end, "batch_size")
  check.raises(function() data.DataLoader(set, { workers = 65 }) end, "workers: at most 64")
  check.raises(function() data.DataLoader(set, { worker = 1 }) end, "unknown option 'worker'")
  check.raises(function() data.DataLoader({}) end, "get(i) and count()")
  check.raises(function() data.DataLoader(data.Subset(set, {})) end, "no items")
end)

-- -- data sets of a script's own

local Squares = {}
Squares.__index = Squares
function Squares:count() return 7 end
function Squares:get(i) return core.tensor({ { i, i * i } }), core.tensor({ -i }) end

check.test("a Lua table is a data set", function()
  local set = setmetatable({}, Squares)
  local loader = data.DataLoader(data.Subset(set, { 2, 4, 6, 7 }), { batch_size = 3 })
  check.equal({ loader:batches(), loader:samples() }, { 2, 4 })
  local got = {}
  for x, y in loader do got[#got + 1] = { x:tolist(), y:tolist() } end
  check.equal(got, { { { { { 2, 4 } }, { { 4, 16 } }, { { 6, 36 } } }, { { -2 }, { -4 }, { -6 } } },
    { { { { 7, 49 } } }, { { -7 } } } })
  check.equal({ loader:stats().batches, loader:stats().waits, loader:stats().seconds > 0 }, { 2, 2, true })
  local order = {}
  loader = data.DataLoader(set, { shuffle = true, seed = 3 })
  for x in loader do order[#order + 1] = x:tolist()[1][1][1] end
  local native = {}
  for i, k in ipairs(require("lunette.data_c").shuffle(7, 3, 0)) do native[i] = k end
  check.equal(order, native)
  check.equal(loader:stems(), { tostring(order[7]) })
end)

check.test("memory fails at every allocation of ours", function()
  local folder = files.pairs("memory", 3, { "rgb8", "palette4", "grey8" })
  local keep = files.write("keep.txt", "1\n2\n3\n")
  local drop = files.write("drop.txt", "glottis_0001\n")
  local function run()
    if not data.phantom{ count = 3, exclude = drop } then return nil end
    local list = data.folder{ images = folder, suffix = "_seg", only = keep }
    if not list then return nil end
    local loader = data.DataLoader(data.ImageMask(list, { size = 10 }), { batch_size = 2, workers = 1, shuffle = true })
    local count = 0
    for images in loader do count = count + images.shape[1] end
    local image = data.ImageMask(list):get(2)
    return count == 3 and image and list:load(1)
  end
  check.truthy(run())
  local failures = 0
  for round = 1, 2 do -- the first also interns the places that errors come from
    for n = 1, 1000 do
      collectgarbage()
      collectgarbage()
      local before = core.mem().live
      core.fail_at(n)
      local ok, result = pcall(run)
      if core.fail_at(0) then break end -- beyond the last allocation
      if not (ok and result) then -- some are made good by giving memory back
        failures = failures + 1
        check.truthy(ok or result.code == "LN_ENOMEM", tostring(result))
      end
      result = nil -- luacheck: ignore (the collector shall take it)
      collectgarbage()
      collectgarbage()
      if round == 2 then check.equal(core.mem().live, before, "bytes live after failure " .. n) end
    end
  end
  check.truthy(failures > 120, "failures: " .. failures)
end)

files.remove_all()
check.done()
