-- Statistics beside SciPy and numpy (tests/reference/make_stats.py), and what is no list of numbers.
local check = dofile("tests/check.lua")
local lt = require "lunette"
local stats = require "lunette.stats"
local reference = dofile("tests/reference/stats.lua")

-- As numbers() of make_stats.py.
local function numbers(seed, n, levels, shift)
  local x, list = seed * 48271 + 1, {}
  for i = 1, n do
    x = x * 16807 % 2147483647
    list[i] = x % levels / 8 + shift
  end
  return list
end

-- Tails are compared by their own size: a p of 1e-15 must be right too.
local function near(got, want, what) check.near(got, want, 1e-11 * math.abs(want), what) end

local sides = { "two-sided", "less", "greater" }

check.test("mann_whitney as scipy, exact and approximate, with and without ties", function()
  check.truthy(#reference.mann_whitney >= 140)
  for k, row in ipairs(reference.mann_whitney) do
    local seed, n1, n2, levels, shift, u = unpack(row)
    local a, b = numbers(seed, n1, levels, shift), numbers(seed + 1, n2, levels, 0)
    for i, side in ipairs(sides) do
      local what = ("row %d: %d and %d, %d levels, %s"):format(k, n1, n2, levels, side)
      local got, p = stats.mann_whitney(a, b, { alternative = side })
      check.equal(got, u, what)
      near(p, row[6 + i], what)
    end
  end
  check.equal(select(2, stats.mann_whitney({ 1, 2 }, { 3, 4 })), select(2, stats.mann_whitney({ 1, 2 }, { 3, 4 }, {})))
end)

check.test("wilcoxon as scipy, exact and approximate, with and without ties and zeros", function()
  check.truthy(#reference.wilcoxon >= 160)
  for k, row in ipairs(reference.wilcoxon) do
    local seed, n, levels, shift, smaller, plus = unpack(row)
    local a, b, d = numbers(seed, n, levels, shift), numbers(seed + 1, n, levels, 0), {}
    for i = 1, n do d[i] = a[i] - b[i] end
    for i, side in ipairs(sides) do
      local what = ("row %d: %d, %d levels, %s"):format(k, n, levels, side)
      local got, p = stats.wilcoxon(a, b, { alternative = side })
      check.equal(got, i == 1 and smaller or plus, what)
      near(p, row[6 + i], what)
      check.equal({ stats.wilcoxon(d, { alternative = side }) }, { got, p }, what)
    end
    check.equal({ stats.wilcoxon(d) }, { stats.wilcoxon(a, b) })
  end
end)

check.test("a long exact tail is quick and adds up", function()
  local few, many = { 0.5, 1.5, 2.5 }, {}
  for i = 1, 20000 do many[i] = i end
  local _, less = stats.mann_whitney(few, many, { alternative = "less" })
  local _, greater = stats.mann_whitney(few, many, { alternative = "greater" })
  check.near(less, 7 / (20001 * 20002 * 20003 / 6), 1e-22, "U is at most 3: 1 + 1 + 2 + 3 ways")
  check.near(greater, 1, 1e-9)
end)

check.test("descriptions as numpy", function()
  for _, row in ipairs(reference.describe) do
    local list = numbers(unpack(row, 1, 4))
    local function close(got, want, what)
      if want ~= want then check.equal(got, want, what) else check.near(got, want, 1e-12 * (1 + math.abs(want)), what) end
    end
    close(stats.mean(list), row[5], "mean")
    close(stats.median(list), row[6], "median")
    close(stats.std(list), row[7], "std")
    close(stats.std(list, { correction = 0 }), row[8], "std of all")
    for i, q in ipairs { 0, 0.025, 0.3, 0.975, 1 } do close(stats.quantile(list, q), row[8 + i], "quantile " .. q) end
  end
  local list = { 3, 1, 2 }
  stats.median(list)
  check.equal(list, { 3, 1, 2 }, "the list stays as it is")
  local long = {}
  for i = 1, 20001 do long[i] = 20002 - i end
  check.equal(stats.median(long), 10001)
  check.equal(stats.median { 1, math.huge, math.huge }, math.huge)
end)

check.test("bonferroni", function()
  check.equal(stats.bonferroni { 0.25, 0.5, 0.001, 0 }, { 1, 1, 0.004, 0 })
  check.raises(function() stats.bonferroni { 0.5, 1.5 } end, "[bonferroni] the list[2] is 1.5, which is no probability")
  check.raises(function() stats.bonferroni { -0.1 } end, "no probability")
end)

check.test("bootstrap draws as it says", function()
  for _, row in ipairs(reference.bootstrap) do
    local seed, n, levels, name, level, resamples, draw, low, high = unpack(row)
    local list = numbers(seed, n, levels, 0)
    local got_low, got_high = stats.bootstrap(list, stats[name], { level = level, resamples = resamples, seed = draw })
    check.near(got_low, low, 1e-12 * (1 + low), "low")
    check.near(got_high, high, 1e-12 * (1 + high), "high")
  end
end)

check.test("bootstrap: one seed, one interval; the session's generator stays", function()
  local list = numbers(5, 30, 1000, 0)
  lt.manual_seed(11)
  local want = lt.rand(4):tolist()
  lt.manual_seed(11)
  local interval = { stats.bootstrap(list, stats.mean) }
  check.equal(lt.rand(4):tolist(), want)
  check.equal({ stats.bootstrap(list, stats.mean, { seed = 0, level = 0.95, resamples = 9999 }) }, interval)
  check.truthy(stats.bootstrap(list, stats.mean, { seed = 1 }) ~= interval[1], "seeds differ")
  local mean = stats.mean(list)
  local error_of_mean = stats.std(list) / math.sqrt(30)
  check.near(interval[1], mean - 1.96 * error_of_mean, 0.2 * error_of_mean)
  check.near(interval[2], mean + 1.96 * error_of_mean, 0.2 * error_of_mean)
  local pairs_of = { { 1, 2 }, { 3, 5 } }
  check.equal({ stats.bootstrap(pairs_of, function(l) return l[1][2] - l[1][1] end, { resamples = 99 }) }, { 1, 2 })
end)

check.test("what is no list of numbers", function()
  local function raises(pattern, f, ...)
    local given = { ... }
    local text = check.raises(function() f(unpack(given)) end, pattern)
    check.truthy(text:find("^tests/stats_test.lua:%d+: "), text)
  end
  local nan = 0 / 0
  for _, name in ipairs { "mean", "std", "median", "quantile", "bonferroni" } do
    raises("[" .. (name == "std" and "mean" or name) .. "] the list is empty", stats[name], {}, name == "quantile" and 0.5 or nil)
  end
  raises("[mann_whitney] the first list is empty", stats.mann_whitney, {}, { 1 })
  raises("[mann_whitney] the second list is empty", stats.mann_whitney, { 1 }, {})
  raises("[mann_whitney] the second list must be a list of numbers, got nil", stats.mann_whitney, { 1 })
  raises("[mann_whitney] the first list[2] is nan", stats.mann_whitney, { 1, nan }, { 1 })
  raises("[mann_whitney] alternative must be two-sided, less or greater, got 'more'", stats.mann_whitney, { 1 }, { 1 },
    { alternative = "more" })
  raises("unknown option 'method'", stats.mann_whitney, { 1 }, { 1 }, { method = "exact" })
  raises("[wilcoxon] the first list is empty", stats.wilcoxon, {})
  raises("[wilcoxon] the second list is empty", stats.wilcoxon, { 1 }, {})
  raises("[wilcoxon] paired lists must have the same length, got 2 and 1", stats.wilcoxon, { 1, 2 }, { 1 })
  raises("[wilcoxon] the list of differences[1] is nan", stats.wilcoxon, { math.huge }, { math.huge })
  raises("[wilcoxon] the second list[1] must be a number, got string", stats.wilcoxon, { 1 }, { "1" })
  raises("[mean] the list[1] is nan", stats.mean, { nan })
  raises("[std] correction must be", stats.std, { 1 }, { correction = -1 })
  raises("[quantile] q must be a number from 0 to 1, got 95", stats.quantile, { 1 }, 95)
  raises("[quantile] q must be a number from 0 to 1, got nan", stats.quantile, { 1 }, nan)
  raises("[bootstrap] the list is empty", stats.bootstrap, {}, stats.mean)
  raises("[bootstrap] the list[1] is nan", stats.bootstrap, { nan }, stats.mean)
  raises("[bootstrap] the statistic must be a function, got nil", stats.bootstrap, { 1 })
  raises("[bootstrap] the statistic of resample 1 is nil", stats.bootstrap, { 1 }, function() end)
  raises("[bootstrap] level must be between 0 and 1, got 95", stats.bootstrap, { 1 }, stats.mean, { level = 95 })
  raises("[bootstrap] resamples must be a whole number of at least 1, got 0", stats.bootstrap, { 1 }, stats.mean,
    { resamples = 0 })
  raises("[bootstrap] seed must be a whole number of at least 0, got 0.5", stats.bootstrap, { 1 }, stats.mean,
    { seed = 0.5 })
end)

check.done()
