-- run.groups: splitting whole groups (--group-by), and a fingerprint of the data.

local bit = require "bit"
local data = require "lunette.data"
local hash = require "lunette.hash"
local save = require "lunette.save"

local groups = {}

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local text = file:read("*a")
  file:close()
  return text
end

--- The value of `key` in every pair's stem.meta; nil, message when one has none.
function groups.read(list, key)
  local values = {}
  for i = 1, #list do
    local image = list:paths(i)
    if not image then return nil, "--group-by wants images from files: drawn ones have no .meta" end
    local path = image:gsub("%.%w+$", "") .. ".meta"
    local text, message = read_file(path)
    if not text then return nil, "--group-by: " .. message end
    local meta = save.parse_json(text)
    if type(meta) ~= "table" or meta[key] == nil then return nil, ("--group-by: %s has no '%s'"):format(path, key) end
    values[i] = tostring(meta[key])
  end
  return values
end

-- The groups of `items` (a count, or a list of positions): their names in order, and who is in each.
local function gather(value_of, items)
  if type(items) == "number" then
    local count = items
    items = {}
    for i = 1, count do items[i] = i end
  end
  local members, names = {}, {}
  for _, i in ipairs(items) do
    local name = value_of[i]
    if not members[name] then
      members[name] = {}
      names[#names + 1] = name
    end
    table.insert(members[name], i)
  end
  return names, members
end

-- Lists of group numbers as lists of positions.
local function positions(sides, names, members)
  for side, chosen in ipairs(sides) do
    local flat = {}
    for _, g in ipairs(chosen) do
      for _, i in ipairs(members[names[g]]) do flat[#flat + 1] = i end
    end
    sides[side] = flat
  end
  return unpack(sides)
end

--- train_test_split over the groups of `items`.
function groups.split(value_of, items, split)
  local names, members = gather(value_of, items)
  return positions({ data.train_test_split(#names, split) }, names, members)
end

--- random_split over the groups of `items`: split.lengths count items and are turned into shares of the groups.
function groups.random_split(value_of, items, split)
  local names, members = gather(value_of, items)
  local total, left, lengths = 0, #names, {}
  for _, length in ipairs(split.lengths) do total = total + length end
  for i, length in ipairs(split.lengths) do
    lengths[i] = i < #split.lengths and math.floor(length / total * #names) or left
    left = left - lengths[i]
  end
  return positions({ data.random_split(#names, { lengths = lengths, seed = split.seed, generator = split.generator }) },
    names, members)
end

local function size_of(path)
  local file = path and io.open(path, "rb")
  if not file then return 0 end
  local size = file:seek("end")
  file:close()
  return size
end

--- Eight hexadecimal digits that change with the names or sizes of the files, or with what is drawn.
function groups.fingerprint(list, o)
  local h = hash(o.images and "files" or o.phantom)
  for i = 1, #list do
    local image, mask = list:paths(i)
    h = hash(("%s\n%d\n%d\n"):format(list:stem(i), size_of(image), size_of(mask)), h)
  end
  return bit.tohex(h)
end

return groups
