-- The paper's figures of one data set: losses (linear and log axis) and box plots of Dice, each
-- as .png beside the report and as .svg for the inside of it.

local save = require "lunette.save"
local statistics = require "statistics"

local figures = {}

local WIDTH, HEIGHT = 520, 370

-- Without its label a curve has no entry in a legend; the report has one legend for all figures.
local function with(spec, changes)
  local copy = {}
  for key, value in pairs(spec) do copy[key] = value end
  for key, value in pairs(changes) do copy[key] = value end
  return copy
end

-- Draws both forms; returns { name, title, svg }, or nil, message.
local function draw(out, name, spec)
  local done, message = save.figure(out .. "/" .. name .. ".png", with(spec, { size = { 1000, spec.boxes and 560 or 640 } }))
  if not done then return nil, message end
  local path = out .. "/" .. name .. ".svg"
  local height = spec.boxes and 90 + 32 * #spec.boxes or HEIGHT
  done, message = save.figure(path, with(spec, { size = { WIDTH, height }, legend = "none", title = "" }))
  if not done then return nil, message end
  local svg
  svg, message = save.read(path)
  if not svg then return nil, message end
  return { name = name, title = spec.title, svg = svg }
end

local function curves(runs, field)
  local series = {}
  for _, run in ipairs(runs) do
    if #run[field] > 0 then series[#series + 1] = { y = run[field], label = run.name, colour = run.colour } end
  end
  return series
end

-- The paper draws its first model at the bottom; here boxes go from the top down.
local function boxes(runs, values_of)
  local list = {}
  for i = #runs, 1, -1 do
    local values = values_of(runs[i])
    if #values > 0 then list[#list + 1] = { values = values, label = runs[i].name, colour = runs[i].colour } end
  end
  return list
end

local function positive(series)
  for _, s in ipairs(series) do
    for _, y in ipairs(s.y) do
      if y > 0 then return true end
    end
  end
  return false
end

local function losses(runs)
  local list = {}
  for _, part in ipairs { { "train_loss", "Training loss" }, { "val_loss", "Validation loss" } } do
    local series = curves(runs, part[1])
    for _, logarithmic in ipairs { false, true } do
      if #series > 0 and (not logarithmic or positive(series)) then
        list[#list + 1] = { part[1] .. (logarithmic and "_log" or ""), { series = series, xlabel = "epoch", ylabel = "loss",
          title = part[2] .. (logarithmic and ", log axis" or ""), logy = logarithmic, grid = true } }
      end
    end
  end
  return list
end

local function dice(runs)
  local list = {}
  for _, part in ipairs {
    { "validation_dice", "Validation Dice as each pipeline reports it, one value an epoch", function(run) return run.val_dice end },
    { "test_dice", "Test Dice as each pipeline reports it, one value a batch", function(run) return run.test_dice end },
    { "fair_dice", "Fair Dice, one value a holdout image", function(run) return statistics.values(run, "dice") end },
  } do
    local found = boxes(runs, part[3])
    if #found > 0 then
      list[#list + 1] = { part[1], { boxes = found, horizontal = true, xrange = { 0, 1 }, xlabel = "Dice", title = part[2],
        grid = true, legend = "none" } }
    end
  end
  return list
end

--- Draws a group's figures into the folder, names starting with `prefix`; returns { losses = {...}, dice = {...} } of
-- { name, title, svg }, and a message when gnuplot or the disk refuses.
function figures.draw(group, out, prefix)
  local result = { losses = {}, dice = {} }
  for kind, specs in pairs { losses = losses(group.runs), dice = dice(group.runs) } do
    for _, entry in ipairs(specs) do
      local figure, message = draw(out, prefix .. entry[1], entry[2])
      if not figure then return result, message end
      table.insert(result[kind], figure)
    end
  end
  return result
end

return figures
