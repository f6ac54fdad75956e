-- Numbers about numbers: each model's fair scores in short, and tests between pairs of models.

local stats = require "lunette.stats"

local statistics = {}

local RESAMPLES = 2000

--- The values of one kind ("dice", "iou", "hd95") over the holdout.
function statistics.values(run, kind)
  local list = {}
  for i, entry in ipairs(run.scores or {}) do list[i] = entry[kind] end
  return list
end

local function finite(list)
  local kept = {}
  for _, x in ipairs(list) do
    if x == x and math.abs(x) < math.huge then kept[#kept + 1] = x end
  end
  return kept
end

--- { count, mean, median, low, high } of a list; the interval is the bootstrap's for the mean, from 2 values on.
function statistics.summary(list)
  list = finite(list)
  if #list == 0 then return { count = 0 } end
  local result = { count = #list, mean = stats.mean(list), median = stats.median(list) }
  if #list > 1 then
    result.low, result.high = stats.bootstrap(list, stats.mean, { level = 0.95, resamples = RESAMPLES, seed = 0 })
  end
  return result
end

local function result_of(statistic, p) return { statistic = statistic, p = p } end

-- Corrects the p values of one test over all pairs.
local function correct(list, name)
  local p = {}
  for i, pair in ipairs(list) do p[i] = pair[name].p end
  for i, corrected in ipairs(#p > 0 and stats.bonferroni(p) or p) do list[i][name].corrected = corrected end
end

--- Every pair of runs with fair scores: { first, second, difference of means, mann_whitney, wilcoxon }, each test
-- { statistic, p, corrected }.
function statistics.pairs(list_of_runs)
  local scored, result = {}, {}
  for _, run in ipairs(list_of_runs) do
    if run.scores then scored[#scored + 1] = run end
  end
  for i = 1, #scored do
    for j = i + 1, #scored do
      local a, b = statistics.values(scored[i], "dice"), statistics.values(scored[j], "dice")
      result[#result + 1] = { first = scored[i], second = scored[j], difference = stats.mean(a) - stats.mean(b),
        mann_whitney = result_of(stats.mann_whitney(a, b)), wilcoxon = result_of(stats.wilcoxon(a, b)) }
    end
  end
  correct(result, "mann_whitney")
  correct(result, "wilcoxon")
  return result
end

--- The smallest p that Wilcoxon's test can give for n images, corrected for this many pairs.
function statistics.least_p(n, count) return math.min(1, count * 2 ^ (1 - n)) end

return statistics
