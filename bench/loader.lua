-- How fast a DataLoader hands out batches of image files, in pairs a CPU second of the whole
-- process: the first epoch (from the files) and the median of later ones (from memory).
--   lunette bench/loader.lua DIR [SUFFIX [SIZE [WORKERS]]]      (_seg, 256, 1)
-- Beside bench/loader.py. As a function: dofile("bench/loader.lua"){ images=, suffix=, size=, workers=, batch=,
-- epochs=, clock= } -> pairs a second by epoch (of os.clock, CPU time, unless told), pairs, loader:stats()
local data = require "lunette.data"

local function epoch(loader, clock)
  local start, pairs_seen = clock(), 0
  for images in loader do pairs_seen = pairs_seen + images:size(1) end
  return pairs_seen / (clock() - start)
end

local function measure(o)
  local list = assert(data.folder{ images = o.images, suffix = o.suffix or "_seg" })
  local set = data.ImageMask(list, { size = o.size or 256 })
  local loader = data.DataLoader(set, { batch_size = o.batch or 8, shuffle = true, workers = o.workers or 1 })
  local rates = {}
  for i = 1, o.epochs or 6 do rates[i] = epoch(loader, o.clock or os.clock) end
  return rates, #list, loader:stats()
end

if arg and arg[0] and arg[0]:find("loader.lua", 1, true) then
  local images = assert(arg[1], "usage: bench/loader.lua DIR [SUFFIX [SIZE [WORKERS]]]")
  local rates, _, stats = measure{ images = images, suffix = arg[2], size = tonumber(arg[3]), workers = tonumber(arg[4]) }
  local first, later = table.remove(rates, 1), rates
  table.sort(later)
  print(("first %.0f pairs/s"):format(first))
  print(("later %.0f pairs/s"):format(later[math.ceil(#later / 2)]))
  print(("waits %d of %d batches, %.3f s"):format(stats.waits, stats.batches, stats.seconds))
end

return measure
