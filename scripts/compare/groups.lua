-- Runs of one data set together: what they were trained on, and the holdout that all of them left out.

local open_list = require("lunette.run").open
local save = require "lunette.save"
local sys = require "lunette.sys"
local attempt = require "attempt"

local groups = {}

-- Folder names that say nothing about what is in them.
local plain = { images = true, image = true, imgs = true, img = true, data = true, train = true, test = true, val = true }

local function folder_title(path)
  path = path:gsub("/+$", "")
  local name, above = sys.basename(path), sys.basename(sys.dirname(path))
  return plain[name:lower()] and above:match("%w") and above .. "/" .. name or name
end

-- A title that tells the data sets of one report apart, and where the images are.
local function title_of(o)
  local limit = o.limit and (", the first %s"):format(tostring(o.limit)) or ""
  if type(o.images) == "string" then return folder_title(o.images) .. limit, o.images end
  local family, count = tostring(o.phantom):match("^(%a+):?(%d*)$")
  return ("%s phantoms%s"):format(family or tostring(o.phantom), limit), ("%s drawn pictures"):format(tonumber(count) or 200)
end

-- -- holdouts

-- The stems in a file, one a line; nil, message when it cannot be read.
local function read_stems(path)
  local text, message = save.read(path)
  if not text then return nil, message end
  local list, set = {}, {}
  for line in text:gmatch("[^\r\n]+") do
    local stem = line:match("^%s*(.-)%s*$")
    if stem ~= "" and not set[stem] then
      list[#list + 1], set[stem] = stem, true
    end
  end
  return { list = list, set = set, path = path }
end

-- A run's exclude file as run.json names it, or where a results folder that was moved keeps it.
local function excluded(run)
  local path = run.options.exclude
  if type(path) ~= "string" then return nil, "was trained without --exclude" end
  local name, above = sys.basename(path), sys.dirname(sys.realpath(run.folder) or run.folder)
  for _, candidate in ipairs { path, above .. "/" .. name, sys.dirname(above) .. "/" .. name } do
    if sys.exists(candidate) == "file" then return read_stems(candidate) end
  end
  return nil, ("its exclude file %s is not there"):format(path)
end

-- What every run of the group left out. A holdout that the caller names is taken as it is, and runs that may have
-- been trained on it are named.
local function find_holdout(group, named)
  local common
  for _, run in ipairs(group.runs) do
    local stems, why = excluded(run)
    run.excluded = stems
    if not stems then
      if named then
        run.may_have_seen = true
        table.insert(run.problems, ("%s: it may have been trained on the holdout"):format(why))
      else
        table.insert(group.notes, ("%s %s."):format(run.name, why))
      end
      common = false
    elseif common == nil then
      common = stems
    elseif common then
      local both = { list = {}, set = {}, path = common.path }
      for _, stem in ipairs(common.list) do
        if stems.set[stem] then table.insert(both.list, stem) both.set[stem] = true end
      end
      if #both.list < math.max(#common.list, #stems.list) then group.unequal = true end
      common = both
    end
  end
  if named then
    for _, run in ipairs(group.runs) do
      for _, stem in ipairs(run.excluded and named.list or {}) do
        if not run.excluded.set[stem] and not run.may_have_seen then
          run.may_have_seen = true
          table.insert(run.problems, "its exclude file lacks some of the holdout: it may have been trained on those images")
        end
      end
    end
    return named
  end
  if group.unequal then
    table.insert(group.notes, "The runs left out different images; the holdout is what all of them left out.")
  end
  return common or nil
end

-- The holdout's images and masks, in their own sizes; nil, message when the data are not there.
local function open_pairs(group)
  local o = group.runs[1].options
  local path = os.tmpname()
  local done, message = save.write(path, table.concat(group.holdout.list, "\n") .. "\n")
  if not done then return nil, message end
  local list
  list, message = open_list({ images = o.images, masks = o.masks, suffix = o.suffix, phantom = o.phantom }, { only = path })
  os.remove(path)
  return list, message
end

-- Opens the holdout; a group without one keeps .pairs nil and says why.
local function prepare(group, named)
  group.holdout = find_holdout(group, named)
  if not group.holdout or #group.holdout.list == 0 then
    group.holdout = nil
    table.insert(group.notes, "There are no images that every run left out, so there is no fair score. scripts/run_all.lua"
      .. " sets a holdout aside before any run; --holdout FILE names one.")
    return
  end
  local list, message = attempt(open_pairs, group)
  if not list then
    table.insert(group.notes, ("The holdout cannot be opened, so there is no fair score: %s"):format(tostring(message)))
    return
  end
  group.pairs = list
end

-- Whether the runs were given the same list of images; a fingerprint also changes with their order.
local function compare_counts(group)
  local count
  for _, run in ipairs(group.runs) do
    local n = tonumber(run.data.count)
    if n and count and n ~= count then
      table.insert(group.notes, ("The runs saw different numbers of images (%d and %d)."):format(count, n))
      break
    end
    count = count or n
  end
  group.count = count
end

--- Groups in the order of their first run: { title, origin, runs, notes, count, holdout, pairs }.
function groups.make(list, holdout_path)
  local named
  if holdout_path then
    local message
    named, message = read_stems(holdout_path)
    if not named then return nil, message end
  end
  local made, by_key = {}, {}
  for _, run in ipairs(list) do
    local group = by_key[run.key]
    if not group then
      group = { key = run.key, runs = {}, notes = {} }
      group.title, group.origin = title_of(run.options)
      by_key[run.key] = group
      made[#made + 1] = group
    end
    table.insert(group.runs, run)
  end
  for _, group in ipairs(made) do
    compare_counts(group)
    prepare(group, named)
  end
  return made
end

return groups
