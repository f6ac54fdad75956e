-- The comparison's numbers as files: sheets, Markdown, and everything as JSON.

local save = require "lunette.save"
local features_table = require "features_table"

local tables = {}

local function several(groups) return #groups > 1 end

-- -- fair scores

local function fair_scores(groups, path)
  local rows = {}
  for _, group in ipairs(groups) do
    for _, run in ipairs(group.runs) do
      for _, s in ipairs(run.scores or {}) do
        rows[#rows + 1] = { group.title, run.name, run.id, s.stem, s.dice, s.iou, s.hd95 }
      end
    end
  end
  return save.xlsx(path, rows, { header = { "data", "model", "id", "image", "dice", "iou", "hd95_pixels" } })
end

-- -- features

local function feature_sheet(groups, path)
  local rows = {}
  for _, group in ipairs(groups) do
    local head = { "Feature", "Source" }
    for _, run in ipairs(group.runs) do head[#head + 1] = run.name end
    if several(groups) then rows[#rows + 1] = { group.title } end
    rows[#rows + 1] = head
    for _, row in ipairs(group.features) do
      local line = { row.label, row.source }
      for _, cell in ipairs(row.cells) do line[#line + 1] = features_table.plain(cell) end
      rows[#rows + 1] = line
    end
  end
  return save.xlsx(path, rows)
end

local function escaped(text) return (tostring(text):gsub("|", "\\|"):gsub("\n", " ")) end

local function markdown_table(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", "|" .. (" --- |"):rep(#head) }
  for _, row in ipairs(rows) do
    local cells = {}
    for i, x in ipairs(row) do cells[i] = escaped(x) end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

local function feature_markdown(groups, path)
  local parts = { "# Features of the compared networks\n\n" .. tables.feature_note .. "\n" }
  for _, group in ipairs(groups) do
    local head, rows = { "Feature" }, {}
    for _, run in ipairs(group.runs) do head[#head + 1] = escaped(run.name) end
    for i, row in ipairs(group.features) do
      rows[i] = { row.label }
      for _, cell in ipairs(row.cells) do table.insert(rows[i], features_table.plain(cell)) end
    end
    parts[#parts + 1] = ("## %s\n\n%s\n"):format(escaped(group.title), markdown_table(head, rows))
  end
  return save.write(path, table.concat(parts, "\n"))
end

tables.feature_note = "Read from each model's recorded graph (stages, block, channels, layers, parameters) and from the run's"
  .. " own record (batch, epochs, optimizer, loss, size, time). Stages are counted as down- and upsamplings; encoder"
  .. " channels are those entering each downsampling, decoder channels those leaving each stage. [paper: ...]: an option of"
  .. " this run replaced the paper's choice. [≠ paper: ...]: the paper's own table says something else than the graph."

-- -- statistics

local function statistics_sheet(groups, path)
  local rows = {}
  for _, group in ipairs(groups) do
    for _, pair in ipairs(group.tests) do
      local m, w = pair.mann_whitney, pair.wilcoxon
      rows[#rows + 1] = { group.title, pair.first.name, pair.second.name, pair.difference, w.statistic, w.p, w.corrected,
        m.statistic, m.p, m.corrected }
    end
  end
  return save.xlsx(path, rows, { header = { "data", "first", "second", "difference of mean fair Dice", "Wilcoxon statistic",
    "Wilcoxon p", "Wilcoxon p, Bonferroni", "Mann-Whitney U", "Mann-Whitney p", "Mann-Whitney p, Bonferroni" } })
end

-- -- everything

local function features_json(group)
  local rows = {}
  for i, row in ipairs(group.features) do
    local cells = {}
    for k, cell in ipairs(row.cells) do
      cells[k] = { model = group.runs[k].name, text = cell.text, paper = cell.paper, mark = cell.mark }
    end
    rows[i] = { key = row.key, label = row.label, source = row.source, cells = cells }
  end
  return rows
end

local function run_json(run)
  return {
    id = run.id, name = run.name, folder = run.folder, status = run.status, problems = save.array(run.problems),
    overrides = save.array(run.overrides), dice_definition = run.dice, own_test_dice = run.own, fair = run.fair,
    scores = run.scores, features = run.features, train_loss = save.array(run.train_loss), val_loss = save.array(run.val_loss),
    val_dice = save.array(run.val_dice), test_dice = save.array(run.test_dice), options = run.options, seconds = run.seconds,
    device = run.device, threads = run.threads,
  }
end

local function pair_json(pair)
  return { first = pair.first.name, second = pair.second.name, difference = pair.difference, wilcoxon = pair.wilcoxon,
    mann_whitney = pair.mann_whitney }
end

local function everything(report, path)
  local groups = {}
  for i, group in ipairs(report.groups) do
    local runs, pairs_of_runs = {}, {}
    for k, run in ipairs(group.runs) do runs[k] = run_json(run) end
    for k, pair in ipairs(group.tests) do pairs_of_runs[k] = pair_json(pair) end
    groups[i] = { title = group.title, images = group.count, holdout = group.pairs and group.holdout.list or nil,
      empty_masks = group.empty_masks, sample = group.grid and group.grid.stem or nil, notes = save.array(group.notes),
      runs = save.array(runs), tests = save.array(pairs_of_runs), features = features_json(group) }
  end
  return save.write(path, save.json({ lunette = report.version, unusable = save.array(report.unusable),
    absent = save.array(report.absent), groups = groups }, { indent = 1 }) .. "\n")
end

--- Writes all of them into `out`; true, or nil and the first message.
function tables.write(report, out)
  local groups = report.groups
  for _, entry in ipairs {
    { fair_scores, groups, "fair_scores.xlsx" }, { feature_sheet, groups, "features.xlsx" },
    { feature_markdown, groups, "features.md" }, { statistics_sheet, groups, "statistics.xlsx" },
    { everything, report, "comparison.json" },
  } do
    local done, message = entry[1](entry[2], out .. "/" .. entry[3])
    if not done then return nil, message end
  end
  return true
end

return tables
