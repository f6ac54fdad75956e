-- The inference grid: one holdout image, its mask, and every model's mask on it, each alone and
-- laid over the image: right in blue, too much in orange, missed in purple.

local lt = require "lunette"
local save = require "lunette.save"

local grid = {}

-- Colours that people who see few colours can tell apart, as shares of red, green, blue.
grid.colours = { hit = { 0.00, 0.62, 0.85 }, extra = { 0.96, 0.55, 0.10 }, missed = { 0.80, 0.25, 0.75 } }
local OPACITY = 0.6

-- The grey image (f32 [H, W], 0..1) with the coloured regions {mask, colour} blended in: f32 [H, W, 3].
local function blend(image, regions)
  local channels = {}
  for c = 1, 3 do
    local channel = image
    for _, region in ipairs(regions) do
      channel = lt.where(region[1], channel * (1 - OPACITY) + OPACITY * region[2][c], channel)
    end
    channels[c] = channel
  end
  return lt.stack(channels, 3)
end

local function overlay(image, target, prediction)
  local hit = prediction:logical_and(target)
  local extra = prediction:logical_and(target:logical_not())
  local missed = target:logical_and(prediction:logical_not())
  return blend(image, { { hit, grid.colours.hit }, { extra, grid.colours.extra }, { missed, grid.colours.missed } })
end

-- PNG bytes of a picture, by way of a file that is removed again.
local function png(picture, path)
  local done, message = save.png(path, picture)
  if not done then return nil, message end
  local bytes
  bytes, message = save.read(path)
  os.remove(path)
  return bytes, message
end

-- The same grid as one figure file, as in the paper; foreground light grey, since all white would vanish on the paper.
local function draw(group, cells, image, target, path)
  local panels = { { image = image, title = group.pairs:stem(group.sample) }, { image = target:float() * 0.85, title = "truth" } }
  for _, cell in ipairs(cells) do
    panels[#panels + 1] = { image = cell.prediction:float() * 0.85, title = ("%s  %.3f"):format(cell.run.name, cell.score.dice) }
  end
  local columns = math.min(5, #panels)
  local rows = math.ceil(#panels / columns)
  return save.figure(path, { images = panels, columns = columns, rows = rows, scale = "none",
    size = { 200 * columns, 230 * rows } })
end

--- The group's grid: { stem, image, truth, truth_overlay, cells = {{run, score, mask, overlay}} }, pictures as PNG bytes;
-- nil when nothing was scored. Also writes the figure `path`; a message when something was refused.
function grid.make(group, path)
  local cells = {}
  for _, run in ipairs(group.runs) do
    if run.sample_mask then
      cells[#cells + 1] = { run = run, score = run.scores[group.sample], prediction = run.sample_mask }
    end
  end
  if #cells == 0 then return nil end
  local image, target = group.pairs:load(group.sample), group.masks(group.sample)
  image = image:float() / 255
  local scratch = path .. ".part.png"
  local picture, message = png(image, scratch)
  if not picture then return nil, message end
  local result = { stem = group.pairs:stem(group.sample), cells = cells, width = image:size(2), image = picture }
  result.truth = png(target:float(), scratch)
  result.truth_overlay = png(blend(image, { { target, grid.colours.hit } }), scratch)
  for _, cell in ipairs(cells) do
    cell.mask = png(cell.prediction:float(), scratch)
    cell.overlay = png(overlay(image, target, cell.prediction), scratch)
  end
  local _, problem = draw(group, cells, image, target, path)
  return result, problem
end

return grid
