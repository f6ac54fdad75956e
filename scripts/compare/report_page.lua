-- report.html: the whole comparison on one page, for a reader who need not be an expert.

local html = require "lunette.report.html"
local page = require "lunette.report.page"
local report_table = require "lunette.report.table"
local svg = require "lunette.report.svg"
local words = require "report_words"

local tag, list = html.tag, html.list

local function number(x, digits)
  if not x or x ~= x then return { "–", value = 0 / 0, class = "number missing" } end
  return { ("%." .. (digits or 3) .. "f"):format(x), value = x, class = "number" }
end

local function dot(run) return tag("span", { class = "dot", style = "background:" .. run.colour, ["aria-hidden"] = "true" }) end

local function named(run) return list(dot(run), run.name) end

local function bullets(texts)
  local items = {}
  for i, text in ipairs(texts) do items[i] = tag("li", text) end
  return tag("ul", items)
end

local function warning(title, texts)
  if #texts == 0 then return nil end
  return tag("div", { class = "warn", role = "note" }, tag("h3", title), bullets(texts))
end

-- -- the top: what was compared

local function fact(name, value, small)
  return tag("div", tag("dt", name), tag("dd", tostring(value), small and tag("small", small)))
end

local function facts(group)
  local scored = 0
  for _, run in ipairs(group.runs) do scored = scored + (run.scores and 1 or 0) end
  return tag("dl", { class = "facts" },
    fact("Data", group.title, group.origin), fact("Images for the pipelines", group.count or "?", "each splits them itself"),
    fact("Holdout", group.pairs and #group.pairs or "none", group.pairs and words.empty_masks(group) or nil),
    fact("Runs", #group.runs, ("%d with a fair score"):format(scored)),
    fact("Device", words.devices(group)))
end

-- What is missing or partial, one line a run.
local function problems(group)
  local texts = {}
  for _, run in ipairs(group.runs) do
    for _, text in ipairs(run.problems) do texts[#texts + 1] = run.name .. ": " .. text end
  end
  for _, note in ipairs(group.notes) do texts[#texts + 1] = note end
  return warning("Missing or partial", texts)
end

local function overrides(group)
  local texts = words.overrides(group)
  if #texts == 0 then return nil end
  return list(tag("p", "Options replaced the pipelines' own choices, so these are not the paper's experiments, and the numbers"
    .. " need not resemble the paper's:"), bullets(texts))
end

-- -- fair scores

-- The interval as numbers and drawn on a line from 0 to 1.
local function interval(s)
  if not s.low then return { "–", value = 0 / 0, class = "number missing" } end
  local style = ("--low:%.1f%%;--high:%.1f%%;--mean:%.1f%%"):format(100 * s.low, 100 * s.high, 100 * s.mean)
  return { list(("%.3f – %.3f"):format(s.low, s.high), tag("span", { class = "range", style = style, ["aria-hidden"] = "true" })),
    value = s.low, class = "number" }
end

local none = {}

local function score_row(run)
  local fair = run.fair or { dice = none, iou = none, hd95 = none }
  return { named(run), number(fair.dice.mean), interval(fair.dice), number(fair.dice.median), number(fair.iou.mean),
    number(fair.hd95.median, 1), number(run.own.mean), { run.dice or "not recorded", class = "wide" } }
end

-- The best first, those without a score behind them.
local function score_table(group)
  local rows = {}
  for i, run in ipairs(words.ranking(group)) do rows[i] = score_row(run) end
  for _, run in ipairs(group.runs) do
    if not run.fair then rows[#rows + 1] = score_row(run) end
  end
  return report_table.rows {
    caption = "Fair scores on the holdout, and each pipeline's own Dice: " .. group.title,
    columns = {
      { "Model" }, { "Fair Dice, mean", class = "number" }, { "95 % interval of the mean", class = "number" },
      { "Fair Dice, median", class = "number" }, { "IoU, mean", class = "number" },
      { "HD95, median (px)", class = "number", hint = "95 % Hausdorff distance: smaller is better" },
      { "Its own test Dice", class = "number" }, { "How it defines its own Dice", class = "wide" },
    },
    rows = rows,
  }
end

-- -- pictures

local function picture(cell, name, class, size)
  return html.picture(cell, name, { class = class .. (size < 200 and " pixels" or ""), loading = "lazy" })
end

local function grid_section(group, id)
  local g = group.grid
  if not g then return nil end
  local panels = {
    tag("figure", picture(g.image, "the image " .. g.stem, "", g.width), tag("figcaption", tag("b", "Image"), g.stem)),
    tag("figure", picture(g.truth, "the true mask", "mask", g.width),
      picture(g.truth_overlay, "the true mask over the image", "overlay", g.width), tag("figcaption", tag("b", "Truth"), "drawn mask")),
  }
  for _, cell in ipairs(g.cells) do
    local text = ("Dice %.3f"):format(cell.score.dice)
    panels[#panels + 1] = tag("figure", picture(cell.mask, ("mask by %s, %s"):format(cell.run.name, text), "mask", g.width),
      picture(cell.overlay, ("mask by %s over the image, %s"):format(cell.run.name, text), "overlay", g.width),
      tag("figcaption", tag("b", text), named(cell.run)))
  end
  local function choice(kind, label, side, checked)
    local this = id .. "-" .. kind
    return list(tag("input", { type = "radio", name = id .. "-view", id = this, class = "show-" .. kind, checked = checked }),
      tag("label", { ["for"] = this, class = side }, label))
  end
  local function key(name, text) return tag("li", tag("span", { class = "key", style = "background:var(--" .. name .. ")" }), text) end
  return list(tag("h3", "One image, every model"), tag("p", words.sample),
    tag("div", { class = "switch" }, choice("overlay", "Laid over the image", "l", true), choice("mask", "Mask alone", "r"),
      tag("ul", { class = "legend" }, key("hit", "right"), key("extra", "too much"), key("missed", "missed")),
      tag("div", { class = "pictures" }, panels)))
end

local function figure(f, id, class)
  return tag("figure", { class = class }, tag("figcaption", f.title),
    svg.inline(f.svg, id .. "-" .. f.name:gsub("[^%w]", "-"), f.title))
end

local function figure_grid(figures, id, class)
  local parts = {}
  for i, f in ipairs(figures) do parts[i] = figure(f, id, class) end
  return tag("div", { class = "figures" }, parts)
end

local function legend(group)
  local items = {}
  for i, run in ipairs(group.runs) do items[i] = tag("li", named(run)) end
  return tag("ul", { class = "legend" }, items)
end

-- -- features

local function feature_cell(cell)
  local paper
  if cell.paper and cell.mark == "other" then
    paper = tag("span", { class = "paper" }, tag("span", { class = "other" }, "≠ paper: "), cell.paper)
  elseif cell.paper then
    paper = tag("span", { class = "paper" }, "paper: ", cell.paper)
  end
  local value = tonumber((cell.text:gsub(",", ""):match("^[%d.]+")))
  return { list(cell.text, paper), value = cell.missing and 0 / 0 or value, class = cell.missing and "missing" or nil }
end

local function feature_section(group)
  local heads, rows = {}, {}
  for i, run in ipairs(group.runs) do heads[i] = named(run) end
  for r, row in ipairs(group.features) do
    rows[r] = { row.label }
    for _, cell in ipairs(row.cells) do table.insert(rows[r], feature_cell(cell)) end
  end
  return list(tag("h3", "What the networks are"), tag("p", words.features),
    report_table.columns { caption = "Features of the networks: " .. group.title, heads = heads, rows = rows },
    tag("p", { class = "note" }, tag("span", { class = "other" }, "≠ paper"), words.features_marks))
end

-- -- tests

local function p_cell(p)
  if not p then return { "–", value = 0 / 0, class = "number missing" } end
  return { p < 0.0001 and "< 0.0001" or ("%.4f"):format(p), value = p, class = "number" }
end

local function test_section(group)
  if #group.tests == 0 then return nil end
  local rows = {}
  for i, pair in ipairs(group.tests) do
    local m, w = pair.mann_whitney, pair.wilcoxon
    rows[i] = { list(named(pair.first), tag("br"), named(pair.second)),
      { ("%+.3f"):format(pair.difference), value = pair.difference, class = "number" },
      p_cell(w.p), p_cell(w.corrected), p_cell(m.p), p_cell(m.corrected) }
  end
  return list(tag("h3", "Which differences are more than chance"), tag("p", words.tests(group)),
    report_table.rows {
      caption = "Tests between pairs of models: " .. group.title, tall = true,
      columns = { { "Pair" }, { "Difference of mean fair Dice", class = "number" }, { "Wilcoxon p", class = "number" },
        { "Wilcoxon p, corrected", class = "number" }, { "Mann-Whitney p", class = "number" },
        { "Mann-Whitney p, corrected", class = "number" } },
      rows = rows,
    })
end

-- -- the page

local function fair_section(group, id)
  if not group.pairs then
    return list(tag("h3", "Each pipeline's own Dice"), tag("p", words.no_holdout), tag("p", words.own_dice), score_table(group))
  end
  local box = group.figures.fair[1]
  return list(tag("h3", "The fair score"), tag("p", words.fair), score_table(group), tag("p", { class = "note" }, words.sample_size(group)),
    tag("p", words.own_dice), box and list(figure(box, id, "alone"), tag("p", { class = "note" }, words.fair_box)))
end

local function group_section(group, id)
  local f = group.figures
  return tag("section", { id = id }, tag("h2", group.title), facts(group),
    group.pairs and tag("p", { class = "finding" }, words.finding(group)), problems(group), overrides(group),
    fair_section(group, id), grid_section(group, id),
    #f.dice > 0 and list(tag("h3", "What each pipeline reports of itself"), tag("p", words.boxes), figure_grid(f.dice, id)),
    #f.losses > 0 and list(tag("h3", "Losses"), tag("p", words.losses), legend(group), figure_grid(f.losses, id, "lines")),
    feature_section(group), test_section(group))
end

local function contents(groups)
  if #groups < 2 then return nil end
  local links = {}
  for i, group in ipairs(groups) do links[i] = tag("a", { href = "#data-" .. i }, group.title) end
  return tag("nav", { ["aria-label"] = "data sets" }, links)
end

--- The page as text.
return function(report)
  local sections, general = {}, {}
  for i, group in ipairs(report.groups) do sections[i] = group_section(group, "data-" .. i) end
  for _, text in ipairs(report.unusable) do general[#general + 1] = text end
  if #report.absent > 0 then general[#general + 1] = "No run of: " .. table.concat(report.absent, ", ") .. "." end
  return page.make(words.title(report), {},
    tag("header", tag("h1", words.title(report)), tag("p", { class = "lead" }, words.lead(report)), contents(report.groups),
      warning("Not in this comparison", general)),
    tag("main", sections, tag("h2", "Files beside this page"), words.files()),
    tag("footer", ("Made by Lunette %s, %s. This page holds everything it shows and fetches nothing."):format(report.version,
      os.date("%Y-%m-%d"))))
end
