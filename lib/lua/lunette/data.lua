-- data: pairs of images and masks, data sets of them, splits, and loaders that hand out batches.
--
--   local data = require "lunette.data"
--   local list = assert(data.folder{ images = "frames", suffix = "_seg" })
--   local set = data.ImageMask(list, { size = 256 })
--   local train, test = data.train_test_split(set:count(), { test_size = 0.2, random_state = 42 })
--   local loader = data.DataLoader(data.Subset(set, train), { batch_size = 16, shuffle = true })
--   for images, masks in loader do ... end      -- f32 [B,1,256,256], again and again
--
-- Files are read as Pillow reads them and resized as Pillow resizes them, to the bit; the
-- splits give scikit-learn's and torch's indices plus 1. The work is done in C
-- (lunette.data_c), by threads that decode ahead of the loop.

local core = require "lunette.core"
local c = require "lunette.data_c"
local args = require "lunette.args"
local docs = require "lunette.docs"
local sys = require "lunette.sys"

local data = {}

-- Refuses unknown names; the C functions check the values.
local function checked(who, options, names)
  local known = {}
  for name in names:gmatch("%S+") do known[name] = false end
  args.options(who, options, known)
  return options or {}
end

-- -- lists of pairs

docs("data.folder", "folder{images=, masks=images, suffix=\"\", limit=, only=, exclude=, numeric=false}: the pairs of a folder, or nil,"
  .. " message, code. An image is a png, jpg or jpeg whose stem does not end in suffix; its mask is stem .. suffix with any"
  .. " of these extensions, in masks. Sorted bytewise, with numeric=true by number when every stem is one; then the first"
  .. " limit; then only the stems that the text file only names, one a line (one that is not there is an error, so that"
  .. " a holdout is whole), without those that the file exclude names. #list, list:stem(i), list:paths(i), list:load(i) ->"
  .. " image, mask as u8 [H,W]")
function data.folder(options)
  return c.folder(checked("data.folder", options, "images masks suffix limit only exclude numeric"))
end

docs("data.phantom", "phantom{family=\"glottis\", count=200, seed=0, size=, only=, exclude=}: a list as data.folder gives it, drawn"
  .. " instead of read; family glottis, bolus or brain; size a number or {height, width}. only and exclude are files of"
  .. " stems as for data.folder; the pictures that stay keep their names and look as they did. nil, message, code when"
  .. " such a file is not there")
function data.phantom(options)
  return c.phantom(checked("data.phantom", options, "family count seed size only exclude"))
end

-- -- data sets: anything with count() and get(i)

local ImageMask = {}
ImageMask.__index = ImageMask

docs("data.ImageMask", "ImageMask(list, {size=, resize=\"bilinear\", mask_resize=\"bilinear\", target=\"fraction\"}): a data set of a list's"
  .. " pairs, decoded and resized to size (a number or {height, width}; as they are when absent). resize: \"bilinear\""
  .. " (Pillow's, antialiased) or \"nearest\". target: \"fraction\" keeps the mask's grey levels in 0..1, \"half\" is level >="
  .. " 128, \"any\" is level >= 1, \"class\" takes levels as class numbers. ds:get(i) -> image, mask as f32 [1,H,W] (class: mask"
  .. " i64 [H,W]); ds:count(); ds:stem(i)")
function data.ImageMask(list, options)
  local native = c.dataset(list, checked("data.ImageMask", options, "size resize mask_resize target"))
  return setmetatable({ list = list, native = native }, ImageMask)
end

function ImageMask:count() return self.native:count() end
function ImageMask:get(i) return self.native:get(i) end
function ImageMask:stem(i) return self.native:stem(i) end

local Subset = {}
Subset.__index = Subset

docs("data.Subset", "Subset(ds, indices): the items of a data set at these indices, which count from 1")
function data.Subset(ds, indices)
  args.check(type(indices) == "table", "[data.Subset] indices must be a list, got %s", args.kind(indices))
  local count = ds:count()
  for k, i in ipairs(indices) do
    args.check(type(i) == "number" and i >= 1 and i <= count and i % 1 == 0,
      "[data.Subset] indices[%d] is %s; it must be a whole number from 1 to %d", k, tostring(i), count)
  end
  return setmetatable({ dataset = ds, indices = indices }, Subset)
end

function Subset:count() return #self.indices end

local function position(subset, i)
  return subset.indices[i] or args.fail("[data.Subset] index %s is outside 1..%d", tostring(i), #subset.indices)
end

function Subset:get(i) return self.dataset:get(position(self, i)) end
function Subset:stem(i) return self.dataset:stem(position(self, i)) end

-- -- splits

docs("data.train_test_split", "train_test_split(n, {test_size=0.25, train_size=, random_state=0, shuffle=true}): the indices 1..n dealt out"
  .. " as scikit-learn does -> train, test. A size below 1 is a share, else a count. A list instead of n is dealt out"
  .. " itself, as for a second split")
function data.train_test_split(n, options)
  return c.train_test_split(n, checked("data.train_test_split", options, "test_size train_size random_state shuffle"))
end

docs("data.random_split", "random_split(n, {fractions= or lengths=, seed=0, generator=}) -> list, list, ...: the indices 1..n dealt out as"
  .. " torch's random_split does, one result for each part: local train, test = data.random_split(80, { lengths = { 64, 16 } })."
  .. " A list instead of n is dealt out itself; generator (data.generator) goes on where"
  .. " an earlier split with it stopped")
function data.random_split(n, options)
  return c.random_split(n, checked("data.random_split", options, "fractions lengths seed generator"))
end

docs("data.generator", "generator(seed=0): torch's CPU generator, for random_split")
data.generator = c.generator

-- -- loaders

-- Batches of an ImageMask, also through Subsets, come from C threads. One of any other
-- data set are stacked here, item by item.

local StackLoader = {}
StackLoader.__index = StackLoader

local function stack_loader(ds, options)
  local self = { ds = ds, size = options.batch_size or 1, options = options, at = 1, order = {}, handed = 0, seconds = 0 }
  return setmetatable(self, StackLoader)
end

function StackLoader:samples()
  local n = self.ds:count()
  return self.options.drop_last and n - n % self.size or n
end

function StackLoader:batches() return math.ceil(self:samples() / self.size) end

function StackLoader:start(epoch)
  self.at, self.order = 1, {}
  local n = self.ds:count()
  if self.options.shuffle and n > 0 then
    self.order = c.shuffle(n, self.options.seed or 0, epoch)
  else
    for i = 1, n do self.order[i] = i end
  end
end

function StackLoader:stop() self.at = self:samples() + 1 end

function StackLoader:warning() return nil end

-- Every batch is made while the caller waits.
function StackLoader:stats() return self.handed, self.handed, self.seconds end

function StackLoader:next()
  local columns, first, asked = {}, self.at, sys.clock()
  local last = math.min(first + self.size - 1, self:samples())
  if first > last then return nil end
  for k = first, last do
    local item = { self.ds:get(self.order[k]) }
    for j, tensor in ipairs(item) do
      columns[j] = columns[j] or {}
      columns[j][k - first + 1] = tensor
    end
  end
  for j = 1, #columns do columns[j] = require("lunette").stack(columns[j]) end
  self.first, self.last, self.at = first, last, last + 1
  self.handed, self.seconds = self.handed + 1, self.seconds + sys.clock() - asked
  return unpack(columns)
end

function StackLoader:stems()
  local stems = {}
  for k = self.first or 1, self.last or 0 do
    local i = self.order[k]
    stems[#stems + 1] = self.ds.stem and self.ds:stem(i) or tostring(i)
  end
  return stems
end

-- The C data set below ds and the indices into it; nil when ds is none of ours.
local function native(ds)
  local indices
  while getmetatable(ds) == Subset do
    if indices then
      local inner = {}
      for k, i in ipairs(indices) do inner[k] = ds.indices[i] end
      indices = inner
    else
      indices = ds.indices
    end
    ds = ds.dataset
  end
  if getmetatable(ds) == ImageMask then return ds.native, indices end
end

local DataLoader = {}
DataLoader.__index = DataLoader

docs("data.DataLoader", "DataLoader(ds, {batch_size=1, shuffle=false, workers=1, seed=0, cache=true, cache_bytes=, drop_last=false}):"
  .. " for images, masks in loader do ... end gives f32 [B,1,H,W], each loop one epoch; a loop may be left at any time."
  .. " shuffle depends on seed and the epoch alone, never on workers (threads that decode ahead; 0: none). cache keeps"
  .. " decoded pairs in memory, up to cache_bytes. Any data set with count() and get(i) will do. loader:batches(),"
  .. " loader:samples(), loader:stems() of the last batch, loader:set_epoch(n) before the loop to go on as epoch n (from 0),"
  .. " loader:stats() -> {batches=, waits=, seconds=}: how many were handed out in all epochs so far, how many of them"
  .. " were not ready when the loop asked, and the time that it lost by it")
function data.DataLoader(ds, options)
  options = checked("data.DataLoader", options, "batch_size shuffle workers seed cache cache_bytes drop_last")
  local set, indices = native(ds)
  local source
  if set then
    source = c.loader(set, indices, options)
  else
    args.check(type(ds) == "table" and ds.get and ds.count, "[data.DataLoader] a data set needs get(i) and count();"
      .. " of a list of pairs (data.folder, data.phantom) data.ImageMask(list, { size = 128 }) makes one")
    local size = options.batch_size or 1
    args.check(type(size) == "number" and size >= 1 and size % 1 == 0,
      "[data.DataLoader] batch_size must be a whole number of at least 1, got %s", tostring(size))
    source = stack_loader(ds, options)
  end
  return setmetatable({ dataset = ds, source = source, epoch = 0,
    current = setmetatable({}, { __mode = "v" }) }, DataLoader)
end

function DataLoader:batches() return self.source:batches() end
function DataLoader:samples() return self.source:samples() end
function DataLoader:stems() return self.source:stems() end

function DataLoader:stats()
  local batches, waits, seconds = self.source:stats()
  return { batches = batches, waits = waits, seconds = seconds }
end

--- The number of the next epoch, from 0: a resumed run shuffles as the whole run would.
function DataLoader:set_epoch(epoch) self.epoch = epoch end

-- The generic for calls loader(nil, control); control is the last images, nil at the start.
-- What the loop's body recorded runs before the next batch is made.
function DataLoader:__call(_, control)
  if control == nil then
    self.source:start(self.epoch)
    self.epoch = self.epoch + 1
  else
    args.check(rawequal(control, self.current[1]),
      "[data.DataLoader] a loader was started again inside its own loop; make a second one")
    core.flush()
  end
  return self:hand_out(self.source:next())
end

function DataLoader:hand_out(images, ...)
  self.current[1] = images
  local warning = self.source:warning()
  if warning then io.stderr:write("warning: ", warning, "\n") end
  return images, ...
end

return data
