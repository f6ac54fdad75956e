-- stats: what a comparison of scores needs: two rank tests, Bonferroni's correction, quantiles,
-- and bootstrap intervals. All on lists of numbers.
--
--   local stats = require "lunette.stats"
--   local u, p = stats.mann_whitney(dice_of_a, dice_of_b)
--   local low, high = stats.bootstrap(dice_of_a, stats.median)
--
-- The tests follow SciPy 1.17 (scipy.stats.mannwhitneyu and wilcoxon with their defaults), also in when they are
-- exact; quantiles are numpy's.

local ffi = require "ffi"
local c = require "lunette.metrics_c"
local args = require "lunette.args"
local docs = require "lunette.docs"

ffi.cdef "double erfc(double);"

local stats = {}

-- -- what is checked

local function check_list(who, name, list, least)
  args.check(type(list) == "table", "[%s] %s must be a list of numbers, got %s", who, name, type(list))
  args.check(#list >= least, "[%s] %s %s", who, name, least == 1 and "is empty" or
    ("needs at least %d numbers"):format(least))
  for i, x in ipairs(list) do
    args.check(type(x) == "number", "[%s] %s[%d] must be a number, got %s", who, name, i, type(x))
    args.check(x == x, "[%s] %s[%d] is nan", who, name, i)
  end
  return list
end

local function check_alternative(who, options)
  local alternative = args.options(who, options, { alternative = "two-sided" }).alternative
  args.check(alternative == "two-sided" or alternative == "less" or alternative == "greater",
    "[%s] alternative must be two-sided, less or greater, got '%s'", who, tostring(alternative))
  return alternative
end

-- -- ranks and distributions

-- The chance of a standard normal number above z.
local function above(z) return 0.5 * ffi.C.erfc(z / math.sqrt(2)) end

-- Ranks from 1, equal values sharing their mean rank; and the sum of t^3 - t over groups of t equal ones, 0 without.
local function ranked(values)
  local order, ranks, ties = {}, {}, 0
  for i = 1, #values do order[i] = i end
  table.sort(order, function(i, j) return values[i] < values[j] end)
  local first = 1
  while first <= #order do
    local last = first
    while last < #order and values[order[last + 1]] == values[order[first]] do last = last + 1 end
    for k = first, last do ranks[order[k]] = (first + last) / 2 end
    local t = last - first + 1
    ties = ties + t ^ 3 - t
    first = last + 1
  end
  return ranks, ties
end

-- -- Mann and Whitney

-- The chance that U is at most k, without ties: its counts are the coefficients of Gauss' binomial [n1 + n2, n1],
-- made by multiplying with (1 - q^(n2 + i)) / (1 - q^i) for each i up to n1. Quick when n1 is the smaller.
local function chance_up_to(k, n1, n2)
  if n1 > n2 then n1, n2 = n2, n1 end
  local count, all = { [0] = 1 }, 1
  for u = 1, k do count[u] = 0 end
  for i = 1, n1 do
    all = all * (n2 + i) / i
    for u = k, n2 + i, -1 do count[u] = count[u] - count[u - n2 - i] end
    for u = i, k do count[u] = count[u] + count[u - i] end
  end
  local sum = 0
  for u = 0, k do sum = sum + count[u] end
  return sum / all
end

-- The chance that U is at least u; U is symmetric, so the shorter tail is summed.
local function chance_from(u, n1, n2)
  if n1 * n2 - u <= u then return chance_up_to(n1 * n2 - u, n1, n2) end
  return u == 0 and 1 or 1 - chance_up_to(u - 1, n1, n2)
end

docs("stats.mann_whitney", "mann_whitney(a, b, {alternative=\"two-sided\"}): the Mann-Whitney U test of two independent lists"
  .. " -> U of a, p. alternative: \"less\" or \"greater\" says that a tends to be so. Exact when a list has at most 8"
  .. " numbers and none is tied; otherwise the normal approximation with corrections for ties and continuity. All"
  .. " numbers equal: p is 1. As scipy.stats.mannwhitneyu")
function stats.mann_whitney(a, b, options)
  check_list("mann_whitney", "the first list", a, 1)
  check_list("mann_whitney", "the second list", b, 1)
  local alternative = check_alternative("mann_whitney", options)
  local n1, n2, both = #a, #b, {}
  for i = 1, n1 do both[i] = a[i] end
  for i = 1, n2 do both[n1 + i] = b[i] end
  local ranks, ties = ranked(both)
  local first = -n1 * (n1 + 1) / 2
  for i = 1, n1 do first = first + ranks[i] end
  local second = n1 * n2 - first
  local u = alternative == "greater" and first or alternative == "less" and second or math.max(first, second)
  local p
  if ties == 0 and (n1 <= 8 or n2 <= 8) then
    p = chance_from(u, n1, n2)
  else
    local n = n1 + n2
    local variance = n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1)))
    p = variance > 0 and above((u - n1 * n2 / 2 - 0.5) / math.sqrt(variance)) or 1
  end
  return first, math.min(1, alternative == "two-sided" and 2 * p or p)
end

-- -- Wilcoxon

-- The chances that the sum of the positive ranks is at most, and at least, `sum` when every sign is as likely as the
-- other. Twice a rank is whole, also for ties.
local function sign_chances(sum, ranks)
  local ways, total = { [0] = 1 }, 0
  for _, rank in ipairs(ranks) do
    local step = 2 * rank
    for s = total + 1, total + step do ways[s] = 0 end
    total = total + step
    for s = total, step, -1 do ways[s] = ways[s] + ways[s - step] end
  end
  local up_to, from, all = 0, 0, 2 ^ #ranks
  for s = 0, total do
    if s <= 2 * sum then up_to = up_to + ways[s] end
    if s >= 2 * sum then from = from + ways[s] end
  end
  return up_to / all, from / all
end

-- The same by the normal approximation.
local function normal_chances(sum, n, ties)
  local variance = (n * (n + 1) * (2 * n + 1) - ties / 2) / 24
  if variance == 0 then return 1, 1 end
  local z = (sum - n * (n + 1) / 4) / math.sqrt(variance)
  return above(-z), above(z)
end

local function differences(a, b)
  check_list("wilcoxon", "the first list", a, 1)
  if b == nil then return a end
  check_list("wilcoxon", "the second list", b, 1)
  args.check(#a == #b, "[wilcoxon] paired lists must have the same length, got %d and %d", #a, #b)
  local list = {}
  for i = 1, #a do list[i] = a[i] - b[i] end
  return check_list("wilcoxon", "the list of differences", list, 1)
end

local function is_options(t)
  for key in pairs(type(t) == "table" and t or {}) do
    if type(key) == "string" then return true end
  end
  return false
end

docs("stats.wilcoxon", "wilcoxon(a, b, {alternative=\"two-sided\"}) or wilcoxon(differences, {...}): Wilcoxon's signed-rank"
  .. " test of two paired lists -> statistic, p. Differences of 0 are left out. alternative: \"less\" or \"greater\" says"
  .. " that a tends to be so against b. The statistic is the sum of the positive ranks, two-sided the smaller of both"
  .. " sums. Exact for at most 50 pairs without ties and zeros, and for at most 13 with them; otherwise the normal"
  .. " approximation with the correction for ties, without one for continuity. As scipy.stats.wilcoxon of SciPy 1.17;"
  .. " but where no difference is left, p is 1 always")
function stats.wilcoxon(a, b, options)
  if options == nil and is_options(b) then b, options = nil, b end
  local list, alternative = differences(a, b), check_alternative("wilcoxon", options)
  local sizes, signs = {}, {}
  for _, d in ipairs(list) do
    if d ~= 0 then
      sizes[#sizes + 1] = math.abs(d)
      signs[#signs + 1] = d > 0
    end
  end
  local ranks, ties = ranked(sizes)
  local plus, minus = 0, 0
  for i, rank in ipairs(ranks) do
    if signs[i] then plus = plus + rank else minus = minus + rank end
  end
  local clean = ties == 0 and #sizes == #list
  local less, greater
  if #list <= (clean and 50 or 13) then
    less, greater = sign_chances(plus, ranks)
  else
    less, greater = normal_chances(plus, #sizes, ties)
  end
  if alternative == "less" then return plus, less end
  if alternative == "greater" then return plus, greater end
  return math.min(plus, minus), math.min(1, 2 * math.min(less, greater))
end

docs("stats.bonferroni", "bonferroni(p_values): each p times their number, at most 1: the chance of one such among so"
  .. " many tests; a new list")
function stats.bonferroni(p_values)
  check_list("bonferroni", "the list", p_values, 1)
  local corrected = {}
  for i, p in ipairs(p_values) do
    args.check(p >= 0 and p <= 1, "[bonferroni] the list[%d] is %g, which is no probability", i, p)
    corrected[i] = math.min(1, p * #p_values)
  end
  return corrected
end

-- -- descriptions

docs("stats.mean", "mean(list): the mean of a list of numbers")
function stats.mean(list)
  check_list("mean", "the list", list, 1)
  local sum = 0
  for _, x in ipairs(list) do sum = sum + x end
  return sum / #list
end

docs("stats.std", "std(list, {correction=1}): the standard deviation, the squares' sum divided by n - correction: 1 for a"
  .. " sample, 0 for all there is; nan when that divisor is 0, as of one number; as torch.std")
function stats.std(list, options)
  local correction = args.options("std", options, { correction = 1 }).correction
  args.check(type(correction) == "number" and correction >= 0,
    "[std] correction must be a number of at least 0, got %s", tostring(correction))
  local mean, sum = stats.mean(list), 0
  for _, x in ipairs(list) do sum = sum + (x - mean) ^ 2 end
  return #list > correction and math.sqrt(sum / (#list - correction)) or 0 / 0
end

-- The quantile of a sorted list.
local function quantile_of(sorted, q)
  local rank = q * (#sorted - 1)
  local low = math.floor(rank)
  local a, b = sorted[low + 1], sorted[low + 2]
  if rank == low or a == b then return a end
  return a + (b - a) * (rank - low)
end

local function sorted_copy(list)
  local copy = {}
  for i, x in ipairs(list) do copy[i] = x end
  table.sort(copy)
  return copy
end

docs("stats.quantile", "quantile(list, q): the value below which the share q (0..1) of a list lies, linear between"
  .. " the two nearest; as numpy.quantile")
function stats.quantile(list, q)
  check_list("quantile", "the list", list, 1)
  args.check(type(q) == "number" and q >= 0 and q <= 1, "[quantile] q must be a number from 0 to 1, got %s", tostring(q))
  return quantile_of(sorted_copy(list), q)
end

docs("stats.median", "median(list): the middle of a list, or the mean of its two middle numbers; as numpy.median")
function stats.median(list)
  check_list("median", "the list", list, 1)
  return quantile_of(sorted_copy(list), 0.5)
end

docs("stats.bootstrap", "bootstrap(list, statistic, {level=0.95, resamples=9999, seed=0}): the percentile interval of"
  .. " statistic(list) -> low, high: resamples lists of the same length are drawn with replacement, and the interval"
  .. " holds the middle level of their statistics. Item i of resample r, both from 0, is the list's item floor(n u /"
  .. " 2^64), where u are the first two words of Philox4x32-10 for seed, counter r, block i: the same seed gives the same"
  .. " interval everywhere, and core's generator stays as it is. statistic is called with a list that it must not keep;"
  .. " the items may be anything that it takes")
function stats.bootstrap(list, statistic, options)
  local o = args.options("bootstrap", options, { level = 0.95, resamples = 9999, seed = 0 })
  local function whole(name, least)
    local x = o[name]
    args.check(type(x) == "number" and x >= least and x <= 2 ^ 53 and x % 1 == 0,
      "[bootstrap] %s must be a whole number of at least %d, got %s", name, least, tostring(x))
  end
  args.check(type(list) == "table" and #list > 0, "[bootstrap] the list is %s", type(list) == "table" and "empty"
    or "a " .. type(list))
  args.check(type(statistic) == "function", "[bootstrap] the statistic must be a function, got %s", type(statistic))
  args.check(type(o.level) == "number" and o.level > 0 and o.level < 1,
    "[bootstrap] level must be between 0 and 1, got %s", tostring(o.level))
  whole("resamples", 1)
  whole("seed", 0)
  for i, x in ipairs(list) do args.check(x == x, "[bootstrap] the list[%d] is nan", i) end
  local sample, found = {}, {}
  for r = 1, o.resamples do
    c.resample(list, o.seed, r - 1, sample)
    local x = statistic(sample)
    args.check(type(x) == "number" and x == x, "[bootstrap] the statistic of resample %d is %s", r, tostring(x))
    found[r] = x
  end
  table.sort(found)
  return quantile_of(found, (1 - o.level) / 2), quantile_of(found, (1 + o.level) / 2)
end

return stats
