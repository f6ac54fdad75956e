-- The paper's figures of one data set: losses (linear and log axis) and box plots of Dice, each
-- as .png beside the report and as .svg for the inside of it.

local save = require "lunette.save"
local statistics = require "statistics"

local figures = {}

-- Narrow, so that the letters keep a readable size on a phone.
local WIDTH, HEIGHT = 440, 330

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
  local height = spec.boxes and 84 + 28 * #spec.boxes or HEIGHT
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

local function box_plot(runs, name, title, values_of)
  local found = boxes(runs, values_of)
  if #found == 0 then return {} end
  return { { name, { boxes = found, horizontal = true, xrange = { -0.02, 1.02 }, xlabel = "Dice", title = title, grid = true,
    legend = "none" } } }
end

local function own_dice(runs)
  local list = box_plot(runs, "validation_dice", "Validation Dice, one value an epoch", function(run) return run.val_dice end)
  list[#list + 1] = box_plot(runs, "test_dice", "Test Dice, one value a batch", function(run) return run.test_dice end)[1]
  return list
end

local function fair_dice(runs)
  return box_plot(runs, "fair_dice", "Fair Dice, one value an image", function(run) return statistics.values(run, "dice") end)
end

--- Draws a group's figures into the folder, names starting with `prefix`; returns { losses = {...}, dice = {...}, fair =
-- {...} } of { name, title, svg }, and a message when gnuplot or the disk refuses.
function figures.draw(group, out, prefix)
  local result, runs = { losses = {}, dice = {}, fair = {} }, group.runs
  for kind, specs in pairs { losses = losses(runs), dice = own_dice(runs), fair = fair_dice(runs) } do
    for _, entry in ipairs(specs) do
      local figure, message = draw(out, prefix .. entry[1], entry[2])
      if not figure then return result, message end
      table.insert(result[kind], figure)
    end
  end
  return result
end

return figures
