-- Compares runs of the study's pipelines: their losses, what their networks are, and how well
-- they segment images that none of them saw.
--
--   lunette scripts/compare/main.lua RUN... --out DIR        (--help lists the options)
--
-- RUN is a results folder, or a folder whose subfolders are such. Writes report.html (one
-- file, opens anywhere), the figures, and the numbers as xlsx, Markdown and JSON.

local options = require "lunette.options"
local sys = require "lunette.sys"
local save = require "lunette.save"
local runs = require "runs"
local groups = require "groups"
local score = require "score"
local statistics = require "statistics"
local features_table = require "features_table"
local figures = require "figures"
local grid = require "grid"
local tables = require "tables"
local paper = require "paper"
local report_page = require "report_page"

local o = options.command(arg, {
  words = "RUN...", defaults = { out = "runs/compare" },
  rows = {
    { "out", "DIR", "text", "where the comparison goes" },
    { "holdout", "FILE", "text", "stems of the images to score on, one a line (default: what all runs excluded)" },
    { "sample", "STEM", "text", "the holdout image that the grid shows (default: one of median foreground)" },
    options.row("device"), options.row("precision"), options.row("threads"), options.row("memory"), options.row("help"),
  },
})

local function stop(message)
  io.stderr:write("lunette: ", message, "\n")
  sys.exit(1)
end

local function warn(message) io.stderr:write("lunette: ", message, "\n") end

-- Pipelines of the study of which there is no run.
local function absent(list)
  local there, names = {}, {}
  for _, run in ipairs(list) do there[run.id] = true end
  for _, model in ipairs(paper.models) do
    if not there[model.id] then names[#names + 1] = model.name end
  end
  return #names < #paper.models and names or {}
end

-- "data-set_": figures of several data sets lie side by side.
local function prefix_of(group, count, i)
  if count == 1 then return "" end
  return ("%d_%s_"):format(i, (group.title:gsub("[^%w]+", "_"):gsub("_+$", "")))
end

local list, unusable = runs.load(o)
for _, text in ipairs(unusable) do warn(text) end
if #list == 0 then stop("there is no run to compare") end

local made, message = groups.make(list, o.holdout)
if not made then stop(message) end
local done, problem = sys.mkdir(o.out)
if not done then stop(problem) end

for i, group in ipairs(made) do
  score.group(group, { sample = o.sample })
  for _, run in ipairs(group.runs) do
    run.overrides = features_table.overrides(run)
    run.own = statistics.summary(run.test_dice)
    if run.scores then
      run.fair = {}
      for _, kind in ipairs { "dice", "iou", "hd95" } do
        run.fair[kind] = statistics.summary(statistics.values(run, kind))
      end
    end
  end
  group.tests = statistics.pairs(group.runs)
  group.features = features_table.make(group.runs)
  local prefix = prefix_of(group, #made, i)
  group.figures, problem = figures.draw(group, o.out, prefix)
  if problem then warn(problem) table.insert(group.notes, "Figures are missing: " .. problem) end
  group.grid, problem = grid.make(group, o.out .. "/" .. prefix .. "inference.png")
  if problem then warn(problem) table.insert(group.notes, "The inference figure is missing: " .. problem) end
end

local report = { groups = made, unusable = unusable, absent = absent(list), version = sys.version }
done, problem = tables.write(report, o.out)
if not done then stop(problem) end
done, problem = save.write(o.out .. "/report.html", report_page(report))
if not done then stop(problem) end

for _, group in ipairs(made) do
  print(("%s: %d runs%s"):format(group.title, #group.runs,
    group.pairs and (", %d holdout images"):format(#group.pairs) or ", no holdout"))
  for _, run in ipairs(group.runs) do
    print(("  %-20s fair Dice %s   its own %s"):format(run.name, run.fair and ("%.4f"):format(run.fair.dice.mean) or "  -   ",
      run.own.mean and ("%.4f"):format(run.own.mean) or "  -   "))
    for _, text in ipairs(run.problems) do print("    " .. text) end
  end
  for _, text in ipairs(group.notes) do print("  " .. text) end
end
print(o.out .. "/report.html")
