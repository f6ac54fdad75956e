-- run.holdout: images set aside before any pipeline splits the data, on which all are scored alike.

local data = require "lunette.data"
local docs = require "lunette.docs"
local groups = require "lunette.run.groups"

local SEED = 42 -- the same images for every study of the same data

docs("run.holdout", "holdout(list, {share=0.1, group_by=}): the stems of a share of a list's pairs, sorted, at least one;"
  .. " with group_by whole groups (stem.meta's key); or nil, message")
return function(list, options)
  local share, key = options.share or 0.1, options.group_by
  local split = { test_size = share, random_state = SEED }
  local ok, rest, chosen
  if key then
    local values, message = groups.read(list, key)
    if not values then return nil, message end
    ok, rest, chosen = pcall(groups.split, values, #list, split)
  else
    ok, rest, chosen = pcall(data.train_test_split, #list, split)
  end
  if not ok then return nil, ("too few pairs (%d) to set %g %% of them aside: %s"):format(#list, 100 * share, tostring(rest)) end
  local stems = {}
  for i, index in ipairs(chosen) do stems[i] = list:stem(index) end
  table.sort(stems)
  return stems
end
