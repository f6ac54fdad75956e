-- The report's sentences: what the numbers mean, and how far they can be trusted.

local html = require "lunette.report.html"
local statistics = require "statistics"

local tag, list = html.tag, html.list

local words = {}

local function plural(n, one, many) return ("%d %s"):format(n, n == 1 and one or many or one .. "s") end

local function joined(names, word)
  if #names < 2 then return names[1] or "" end
  return ("%s %s %s"):format(table.concat(names, ", ", 1, #names - 1), word or "and", names[#names])
end

function words.title(report)
  local n = 0
  for _, group in ipairs(report.groups) do n = n + #group.runs end
  if #report.groups == 1 then return ("%s compared"):format(plural(n, "segmentation pipeline")) end
  return ("Segmentation pipelines compared: %d runs on %d data sets"):format(n, #report.groups)
end

function words.lead(report)
  local titles = {}
  for i, group in ipairs(report.groups) do titles[i] = group.title end
  return ("U-Nets written by large language models, trained on %s: what they are, how they learned, and how well they segment"
    .. " images that none of them saw."):format(joined(titles))
end

function words.empty_masks(group)
  if group.empty_masks == 0 then return "every mask has foreground" end
  return ("%s empty"):format(plural(group.empty_masks, "mask is", "masks are"))
end

function words.devices(group)
  local seen, names = {}, {}
  for _, run in ipairs(group.runs) do
    local name = tostring(run.device or "?") .. (run.threads and (", %s"):format(plural(run.threads, "thread")) or "")
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  return table.concat(names, "; ")
end

-- What options replaced, each said once: { label, value, papers = {"25", ...}, names = {"GPT-4", ...} }.
local function replaced(group)
  local order, entries = {}, {}
  for _, run in ipairs(group.runs) do
    for _, change in ipairs(run.overrides) do
      local key = change.label .. "\n" .. change.value
      if not entries[key] then
        entries[key] = { label = change.label, value = change.value, papers = {}, names = {}, seen = {} }
        order[#order + 1] = entries[key]
      end
      local entry = entries[key]
      table.insert(entry.names, run.name)
      if not entry.seen[change.paper] then table.insert(entry.papers, change.paper) end
      entry.seen[change.paper] = true
    end
  end
  return order
end

--- "Epochs: 2 instead of the paper's 10 or 25 (all runs)".
function words.overrides(group)
  local texts = {}
  for i, entry in ipairs(replaced(group)) do
    table.sort(entry.papers, function(a, b)
      local m, n = tonumber(a:match("^%d+")), tonumber(b:match("^%d+"))
      if m and n and m ~= n then return m < n end
      return a < b
    end)
    texts[i] = ("%s: %s instead of the paper's %s (%s)"):format(entry.label, entry.value, joined(entry.papers, "or"),
      #entry.names == #group.runs and "all runs" or joined(entry.names))
  end
  return texts
end

words.no_holdout = "There is no holdout, so the networks cannot be measured alike. The table shows what each pipeline says of"
  .. " itself on its own test images."

words.fair = list("Every network was run on the same holdout images, which no pipeline was given. Its output is turned into a"
  .. " probability, resized to the image's own size and cut at 0.5; the mask as it was drawn is the truth. ", tag("b", "Dice"),
  " is twice the common area divided by the sum of both areas: 1 is perfect, 0 has nothing in common. ", tag("b", "IoU"),
  " is the common area divided by the joint area. ", tag("b", "HD95"), " is a distance between the two outlines in pixels,"
  .. " larger than 95 % of all: small is good. When mask and prediction are both empty, Dice is 1 and HD95 is 0; when only"
  .. " one is, Dice is 0 and HD95 is the image's diagonal.")

words.own_dice = list(tag("b", "Why a pipeline's own Dice is another number."), " Each language model wrote its own Dice: with a"
  .. " threshold or with raw probabilities (soft), for each image or for a whole batch at once, with a constant from 0 to 1"
  .. " added above and below, on masks that were resized, thickened or left grey. The last column says which. Two such numbers"
  .. " cannot be compared, and a rank among them says little; the fair score is one definition for all.")

--- The runs with a fair score, the best first.
function words.ranking(group)
  local ranked = {}
  for _, run in ipairs(group.runs) do
    if run.fair then ranked[#ranked + 1] = run end
  end
  table.sort(ranked, function(a, b)
    if a.fair.dice.mean ~= b.fair.dice.mean then return a.fair.dice.mean > b.fair.dice.mean end
    return a.order < b.order
  end)
  return ranked
end

--- Who is ahead, and whether this can be said at all.
function words.finding(group)
  local ranked = words.ranking(group)
  if #ranked == 0 then return "No network could be scored." end
  local best = ranked[1]
  local text = ("%s has the highest mean fair Dice, %.3f"):format(best.name, best.fair.dice.mean)
  if best.fair.dice.mean == 0 then return "Every network's mean fair Dice is 0: none found anything." end
  if #ranked == 1 or not best.fair.dice.low then return text .. "." end
  local close, clear = {}, {}
  for _, pair in ipairs(group.tests) do
    local other = pair.first == best and pair.second or pair.second == best and pair.first
    if other then table.insert(pair.wilcoxon.corrected < 0.05 and clear or close, other.name) end
  end
  text = ("%s (95 %% interval %.3f to %.3f). "):format(text, best.fair.dice.low, best.fair.dice.high)
  if #clear == 0 then return text .. "But no difference to another model is more than these images can show by chance." end
  text = text .. ("The paired test tells it from %s"):format(joined(clear))
  return text .. (#close > 0 and (", but not from %s."):format(joined(close)) or ".")
end

--- How far so many images carry.
function words.sample_size(group)
  local n = #group.pairs
  local text = ("The interval says where the mean would lie for other images of the same kind (bootstrap over %s). It says nothing"
    .. " of another training: each pipeline was trained once, and a second seed may change the order."):format(plural(n, "image"))
  if n < 30 then
    text = text .. (" %s are few: intervals are rough, and one image moves a mean by up to %.2f."):format(plural(n, "image"), 1 / n)
  end
  return text
end

words.sample = "The image's foreground is nearest the median of the holdout's, unless another was asked for. One image shows"
  .. " how a network fails, not how often."

words.fair_box = "A box holds the middle half of a model's values, the line in it is the median, circles lie far outside."

words.boxes = "Validation and test Dice as each pipeline computes them: boxes of different models are not on one scale."

words.losses = "What the network was trained to make small, averaged over an epoch; on training images, and on validation images"
  .. " that it did not learn from. Models with another loss function (see the features) are on another scale."

words.features = "Read from the recorded graph of the network that was tested and from the run's own record, not from the script's"
  .. " words. Stages are counted as down- and upsamplings; encoder channels are those entering each downsampling, decoder"
  .. " channels those leaving each stage. A click on a row's name sorts the models by it."

words.features_marks = " marks where the paper's feature table says something else than the graph. In the rows that options can set,"
  .. " “paper” alone is the choice that an option replaced. The paper's times are from its own machine and data."

function words.tests(group)
  local n, count = #group.pairs, #group.tests
  local least = statistics.least_p(n, count)
  local text = ("Fair Dice of each pair of models, %s. Wilcoxon's signed-rank test compares them image by image and is the one"
    .. " to read; the Mann-Whitney test ignores which values belong to the same image. With %s, one in twenty would look like a"
    .. " difference by chance, so the corrected p is p times %d (Bonferroni). Below 0.05 a difference is taken for real."):format(
    plural(n, "image"), plural(count, "test"), count)
  if least >= 0.05 then
    text = text .. (" With %s no pair can get there: the smallest corrected p possible is %.2g."):format(plural(n, "image"), least)
  end
  return text
end

function words.files()
  local items = {
    { "fair_scores.xlsx", "Dice, IoU and HD95 of every model on every holdout image" },
    { "features.xlsx", "the feature table" }, { "features.md", "the same as Markdown" },
    { "statistics.xlsx", "the tests between models" }, { "comparison.json", "everything on this page as numbers" },
  }
  local parts = {}
  for i, item in ipairs(items) do parts[i] = tag("li", tag("code", item[1]), ": " .. item[2]) end
  parts[#parts + 1] = tag("li", "the figures as ", tag("code", ".png"), " and ", tag("code", ".svg"))
  return tag("ul", parts)
end

return words
