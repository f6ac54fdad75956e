-- Results of bench/precision.lua as the Markdown tables of docs/performance.md: the fair Dice of every training, and
-- what precision changes beside what PyTorch's memory layout changes.
--
-- A difference is that of two trainings of the same seed; its interval is Student's for the mean, 95 %. PyTorch's spread
-- is the mean absolute difference between its layouts; twice that much is allowed.

local stats = require "lunette.stats"

local modes = { "strict", "f32", "bf16", "eager", "channels_last" }
local level = 0.95

-- -- Student's t

-- The chance that |t| is at most `t` with so many degrees of freedom: the finite series for whole numbers (Abramowitz and
-- Stegun 26.7.3 and 26.7.4).
local function within(t, freedom)
  local angle = math.atan(t / math.sqrt(freedom))
  local cos, sin = math.cos(angle), math.sin(angle)
  local odd = freedom % 2 == 1
  local term, sum = odd and cos or 1, 0
  for k = odd and 1 or 0, freedom - 2, 2 do
    sum = sum + term
    term = term * cos ^ 2 * (k + 1) / (k + 2)
  end
  return odd and 2 / math.pi * (angle + sin * sum) or sin * sum
end

-- The t within which the share `level` lies.
local function quantile(freedom)
  local low, high = 0, 1000
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if within(middle, freedom) < level then low = middle else high = middle end
  end
  return high
end

-- { n, mean, half, std, absolute } of a list of differences: half the interval, and the mean of their sizes.
local function describe(list)
  if #list == 0 then return nil end
  local sizes = {}
  for i, x in ipairs(list) do sizes[i] = math.abs(x) end
  local result = { n = #list, mean = stats.mean(list), absolute = stats.mean(sizes) }
  if #list > 1 then
    result.std = stats.std(list)
    result.half = quantile(#list - 1) * result.std / math.sqrt(#list)
  end
  return result
end

-- -- cases

local named = { "data", "size", "net", "train", "epochs", "batch", "test", "warm", "lr" } -- what trainings of one case share

-- The cases in the order of their first lines: { about = a line, seeds = sorted, dice = { seed -> mode -> Dice } }.
local function cases_of(runs)
  local cases, by_key = {}, {}
  for _, run in ipairs(runs) do
    local words = {}
    for i, name in ipairs(named) do words[i] = tostring(run[name]) end
    local key = table.concat(words, " ")
    local case = by_key[key]
    if not case then
      case = { about = run, seeds = {}, dice = {} }
      cases[#cases + 1], by_key[key] = case, case
    end
    if not case.dice[run.seed] then
      case.seeds[#case.seeds + 1], case.dice[run.seed] = run.seed, {}
    end
    case.dice[run.seed][run.mode] = run.dice
  end
  for _, case in ipairs(cases) do table.sort(case.seeds) end
  return cases
end

local function column(case, mode)
  local list = {}
  for _, seed in ipairs(case.seeds) do list[#list + 1] = case.dice[seed][mode] end
  return list
end

-- Of those seeds that have both.
local function differences(case, mode, from)
  local list = {}
  for _, seed in ipairs(case.seeds) do
    local a, b = case.dice[seed][mode], case.dice[seed][from]
    if a and b then list[#list + 1] = a - b end
  end
  return describe(list)
end

-- -- text

local function signed(d)
  if not d then return "-" end
  if not d.half then return ("%+.5f"):format(d.mean) end
  return ("%+.5f (%+.5f to %+.5f)"):format(d.mean, d.mean - d.half, d.mean + d.half)
end

local function verdict(d, spread)
  if not (d and spread) then return "-" end
  return math.abs(d.mean) <= 2 * spread.absolute and "met" or "falls short"
end

local function print_row(cells) print("| " .. table.concat(cells, " | ") .. " |") end

local function print_head(cells)
  print_row(cells)
  print("|" .. ("---|"):rep(#cells))
end

local function title(about) return about.net, ("%s %dx%d"):format(about.data, about.size, about.size) end

local function dice_rows(case)
  local net, data = title(case.about)
  for _, seed in ipairs(case.seeds) do
    local cells = { net, data, tostring(seed) }
    for i, mode in ipairs(modes) do
      local dice = case.dice[seed][mode]
      cells[3 + i] = dice and ("%.4f"):format(dice) or "-"
    end
    print_row(cells)
  end
  local cells = { net, data, "mean" }
  for i, mode in ipairs(modes) do
    local list = column(case, mode)
    cells[3 + i] = #list > 0 and ("%.4f"):format(stats.mean(list)) or "-"
  end
  print_row(cells)
end

local function difference_row(case)
  local net, data = title(case.about)
  local f32, bf16 = differences(case, "f32", "strict"), differences(case, "bf16", "strict")
  local layouts = differences(case, "channels_last", "eager")
  print_row { net, data, tostring(math.max(f32 and f32.n or 0, bf16 and bf16.n or 0)), signed(f32), signed(bf16), signed(layouts),
    layouts and ("%.5f"):format(layouts.absolute) or "-", layouts and layouts.std and ("%.5f"):format(layouts.std) or "-",
    layouts and ("%.5f"):format(2 * layouts.absolute) or "-", verdict(f32, layouts), verdict(bf16, layouts) }
end

local function print_settings(cases)
  for _, case in ipairs(cases) do
    local a = case.about
    local net, data = title(a)
    print(("- %s, %s: %d training images, epochs: %d, batch %d, learning rate %g, %d test images%s"):format(net, data, a.train,
      a.epochs, a.batch, a.lr, a.test, (a.warm or 0) > 0 and (", warmed up on %d images"):format(a.warm) or ""))
  end
end

return function(runs)
  local cases = cases_of(runs)
  if #cases == 0 then
    print("no results yet")
    return
  end
  print_settings(cases)
  print("")
  print_head { "network", "data", "seeds", "f32 - strict", "bf16 - strict", "PyTorch: channels_last - contiguous",
    "PyTorch's spread (mean absolute)", "its standard deviation", "allowed: twice the spread", "f32", "bf16" }
  for _, case in ipairs(cases) do difference_row(case) end
  print("")
  print_head { "network", "data", "seed", "strict", "f32", "bf16", "PyTorch contiguous", "PyTorch channels_last" }
  for _, case in ipairs(cases) do dice_rows(case) end
end
