-- Results of bench/main.lua as the Markdown tables of docs/performance.md, on standard output.
--
--   build/lunette bench/report.lua FILE.json...
--
-- A figure is the median of a side's samples. A ratio is the median of the rounds' ratios, with the smallest and
-- the largest; its verdict says whether the least that is asked of it, or the aim, was reached.

local save = require "lunette.save"
local stats = require "lunette.stats"

-- What is asked of a ratio: at least (memory: at most), and the aim.
local targets = {
  train = {
    f32 = { installed = { 1.8, 2.8 }, tuned = { 1.4, 2.2 } },
    bf16 = { installed = { 1.4, 1.8 }, tuned = { 1.15, 1.5 } },
    bf16_amx = { installed = { 2, 3 }, tuned = { 1.5, 2 } },
  },
  infer = { f32 = { 1.5, 2.2 }, bf16 = { 1.05, 1.25 } },
  memory = { 0.6, 0.45 },
  loader = { first = { 1.8, 2.5 }, later = { 10, 30 } },
  strict = { 0.7, 0.85 }, -- share of the peak with direct convolutions, networks of 31 million parameters
}
local large = { gpt4o = true, gpt_o1 = true, claude35 = true, gemini15 = true }

-- -- figures of a side

local getters = {}
function getters.seconds(sample) return sample.values and #sample.values > 0 and stats.median(sample.values) end
function getters.peak(sample) return sample.peak end
function getters.first(sample) return sample.first end
function getters.epoch1(sample) return sample.epochs and sample.epochs[1] end
function getters.later(sample)
  return sample.epochs and #sample.epochs > 1 and stats.median { unpack(sample.epochs, 2) }
end

-- Round -> figure, the median of them (nil without any), and how many they are.
local function figures(side, getter)
  local by_round, list = {}, {}
  for _, sample in ipairs(side and side.samples or {}) do
    local value = getters[getter](sample)
    if value then by_round[sample.round], list[#list + 1] = value, value end
  end
  return by_round, #list > 0 and stats.median(list) or nil, #list
end

-- The side of these classes whose median is best; less is better unless `most`. By seconds, a side with more
-- rounds goes before one that was dropped.
local function best_side(cell, classes, getter, most)
  local best, best_median, best_rounds
  local function better(median, rounds)
    if getter == "seconds" and rounds ~= best_rounds then return rounds > best_rounds end
    if most then return median > best_median end
    return median < best_median
  end
  for _, side in ipairs(cell.sides) do
    local _, median, rounds = figures(side, getter)
    if median and classes[side.class] and (not best or better(median, rounds)) then
      best, best_median, best_rounds = side, median, rounds
    end
  end
  return best, best_median
end

local function only(...)
  local set = {}
  for _, class in ipairs { ... } do set[class] = true end
  return set
end

-- over[round] / under[round] where both sides had that round.
local function ratios(over, under, getter)
  local a, b, list = figures(over, getter), figures(under, getter), {}
  for round, value in pairs(a) do
    if b[round] then list[#list + 1] = value / b[round] end
  end
  return list
end

-- -- text

local function digits(x, count) -- at least so many digits that count
  return ("%%.%df"):format(math.max(0, count - 1 - math.floor(math.log10(math.max(math.abs(x), 1e-9))))):format(x)
end

local function seconds(x) return x and digits(x, 3) .. " s" or "-" end
local function mebibytes(x) return x and ("%.0f MiB"):format(x / 2 ^ 20) or "-" end

local function verdict(x, target, at_most)
  if not target then return "" end
  local function reached(wanted)
    if at_most then return x <= wanted end
    return x >= wanted
  end
  return reached(target[2]) and " aim" or reached(target[1]) and " met" or " short"
end

local function ratio_text(list, target, at_most)
  if #list == 0 then return "-" end
  local middle = stats.median(list)
  return ("%s (%s-%s)%s"):format(digits(middle, 3), digits(math.min(unpack(list)), 3), digits(math.max(unpack(list)), 3),
    verdict(middle, target, at_most))
end

local function asked(title, target, at_most)
  if not target then return title end
  return ("%s; asked %s %g, aim %g"):format(title, at_most and "at most" or "at least", target[1], target[2])
end

-- "3.5 s (compile)": a figure with what of its class it is; the words behind the class in the side's name.
local function with_variant(side, text)
  local variant = side and side.side:match("^%S+ (.+)$")
  return variant and ("%s (%s)"):format(text, (variant:gsub("_", " "))) or text
end

local function print_table(title, head, rows)
  if #rows == 0 then return end
  print(("\n### %s\n"):format(title))
  local function line(cells) print("| " .. table.concat(cells, " | ") .. " |") end
  line(head)
  print("|" .. ("---|"):rep(#head))
  for _, row in ipairs(rows) do line(row) end
end

-- -- tables

local function lunette(cell) return best_side(cell, only("lunette"), "seconds") end

local function floor_text(bench, cell, taken)
  local peak = bench.peak[1] and math.max(unpack(bench.peak))
  if not (peak and cell.gflop) then return "-", "-" end
  local floor = cell.gflop / peak
  local share = taken and floor / taken
  local target = bench.settings.precision == "strict" and cell.what == "train" and large[cell.net] and targets.strict or nil
  return seconds(floor), share and ("%.0f %%%s"):format(100 * share, verdict(share, target)) or "-"
end

local function training(bench, cells)
  local wanted = targets.train[bench.settings.precision == "bf16" and bench.machine.isa == "amx" and "bf16_amx" or bench.settings.precision] or {}
  local rows = {}
  for _, cell in ipairs(cells) do
    local own, taken = lunette(cell)
    local floor, share = floor_text(bench, cell, taken)
    local row = { cell.net, digits(cell.gflop or 0, 3), floor, seconds(taken), share }
    local quotients = {}
    for i, class in ipairs { "installed", "tuned" } do
      local side, median = best_side(cell, only(class), "seconds")
      row[5 + i] = with_variant(side, seconds(median))
      quotients[i] = ratio_text(ratios(side, own, "seconds"), wanted[class])
    end
    row[8], row[9] = quotients[1], quotients[2]
    rows[#rows + 1] = row
  end
  return { "network", "GFLOP", "floor", "Lunette", "of peak", "PyTorch installed", "PyTorch tuned",
    asked("installed / Lunette", wanted.installed), asked("tuned / Lunette", wanted.tuned) }, rows
end

local function memory(_, cells)
  local rows = {}
  for _, cell in ipairs(cells) do
    local own, smaller, smaller_peak = lunette(cell), nil, nil
    local _, own_peak = figures(own, "peak")
    local row = { cell.net, mebibytes(own_peak) }
    for i, class in ipairs { "installed", "tuned" } do
      local side = best_side(cell, only(class), "seconds")
      local _, peak = figures(side, "peak")
      row[2 + i] = with_variant(side, mebibytes(peak))
      if peak and (not smaller or peak < smaller_peak) then smaller, smaller_peak = side, peak end
    end
    row[5] = ratio_text(ratios(own, smaller, "peak"), targets.memory, true)
    rows[#rows + 1] = row
  end
  return { "network", "Lunette", "PyTorch installed", "PyTorch tuned", asked("Lunette / the smaller", targets.memory, true) }, rows
end

local function first_step(_, cells)
  local rows = {}
  for _, cell in ipairs(cells) do
    local own = best_side(cell, only("lunette"), "first")
    local _, taken = figures(own, "first")
    local side, median = best_side(cell, only("installed", "tuned"), "first")
    rows[#rows + 1] = { cell.net, seconds(taken), with_variant(side, seconds(median)), ratio_text(ratios(side, own, "first")) }
  end
  return { "network", "Lunette", "PyTorch, its quickest", "PyTorch / Lunette" }, rows
end

local function inference(bench, cells)
  local wanted, rows = targets.infer[bench.settings.precision], {}
  for _, cell in ipairs(cells) do
    local own, taken = lunette(cell)
    local floor, share = floor_text(bench, cell, taken)
    local row = { cell.net, digits(cell.gflop or 0, 3), floor, seconds(taken), share }
    for _, class in ipairs { "installed", "tuned", "onnxruntime", "openvino" } do
      local side, median = best_side(cell, only(class), "seconds")
      row[#row + 1] = with_variant(side, seconds(median))
    end
    local best = best_side(cell, only("tuned", "onnxruntime", "openvino"), "seconds")
    row[#row + 1] = ratio_text(ratios(best, own, "seconds"), wanted)
    rows[#rows + 1] = row
  end
  return { "network", "GFLOP", "floor", "Lunette", "of peak", "PyTorch installed", "PyTorch tuned", "ONNX Runtime", "OpenVINO",
    asked("best of the last three / Lunette", wanted) }, rows
end

local function start_up(_, cells)
  local rows = {}
  for _, cell in ipairs(cells) do
    local own, taken = lunette(cell)
    local side, median = best_side(cell, only("installed"), "seconds")
    rows[#rows + 1] = { "`lunette -e 'print(1)'`, `python -c 'import torch'`", seconds(taken), seconds(median),
      ratio_text(ratios(side, own, "seconds")) }
  end
  return { "", "Lunette", "PyTorch", "PyTorch / Lunette" }, rows
end

local function loading(_, cells)
  local rows = {}
  for _, cell in ipairs(cells) do
    for _, epoch in ipairs { { "first epoch", "epoch1", "first" }, { "later epochs", "later", "later" } } do
      local own, rate = best_side(cell, only("lunette"), epoch[2], true)
      local side, median = best_side(cell, only("installed"), epoch[2], true)
      local means = side and side.samples[1].means or "torchvision"
      rows[#rows + 1] = {
        ("%s at %dx%d, pairs a second"):format(epoch[1], cell.size, cell.size), rate and ("%.0f"):format(rate) or "-",
        side and ("%.0f (%s, %s workers)"):format(median, means, side.side:match("%d+")) or "-",
        ratio_text(ratios(own, side, epoch[2]), targets.loader[epoch[3]]),
      }
    end
  end
  return { "", "Lunette, one worker", "Pillow, PyTorch's loader", ("Lunette / PyTorch; asked %g and %g, aim %g and %g"):format(
    targets.loader.first[1], targets.loader.later[1], targets.loader.first[2], targets.loader.later[2]) }, rows
end

-- -- the whole

local function pairs_text(t)
  local names, list = {}, {}
  for name in pairs(t or {}) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = ("%s %s"):format(name, t[name]) end
  return table.concat(list, ", ")
end

local function print_head(bench)
  local m, s = bench.machine, bench.settings
  print(("## Beside the peers, %s, %s\n"):format(s.precision, bench.date:sub(1, 10)))
  print(("Machine: %s (family %s, model %s), cores: %d, %s%s, %.0f GiB, %s. Load at the start %g, at the end %g."):format(
    m.cpu, m.family or "?", m.model or "?", m.cores, m.isa, m.avx512_bf16 and " with bf16" or "", m.memory / 2 ^ 30,
    m.system or "?", bench.load[1] or 0, bench.load[#bench.load] or 0))
  local command = bench.command:gsub("%s+$", ""):gsub("([ =])/%S*/", "%1.../") -- where files lie is nobody's concern
  print(("Command: `%s`, commit %s%s, %.0f minutes. Threads: %d; rounds: up to %d; steps a turn: %d to warm up, %d measured."):format(
    command, bench.commit or "unknown", bench.changed and " with changes" or "", (bench.seconds or 0) / 60,
    s.threads, s.rounds, s.warm, s.steps))
  print("Versions: " .. pairs_text(bench.versions.lunette) .. (bench.versions.peers and "; " .. pairs_text(bench.versions.peers) or "") .. ".")
  if next(bench.environment) then print("Environment: " .. pairs_text(bench.environment) .. ".") end
  if bench.peak[1] then
    print(("Floor: the convolutions' arithmetic, done directly, at this machine's f32 multiply-add peak"
      .. " (lunette tune: %.0f GFLOP/s, threads: %d)."):format(math.max(unpack(bench.peak)), s.threads))
  end
end

local function print_failures(bench)
  local lines = {}
  for _, cell in ipairs(bench.cells) do
    for _, side in ipairs(cell.sides) do
      for _, sample in ipairs(side.samples) do
        if sample.error then
          lines[#lines + 1] = ("- %s%s, %s: %s"):format(cell.what, cell.net and (" %s batch %d"):format(cell.net, cell.batch) or "",
            side.side, sample.error)
        end
      end
    end
  end
  if #lines > 0 then print("\n### Failed\n\n" .. table.concat(lines, "\n")) end
end

-- Cells of a kind, by batch size; one list for kinds without one.
local function by_batch(bench, what)
  local batches, cells = {}, {}
  for _, cell in ipairs(bench.cells) do
    if cell.what == what then
      local batch = cell.net and cell.batch or 0
      if not cells[batch] then batches[#batches + 1], cells[batch] = batch, {} end
      table.insert(cells[batch], cell)
    end
  end
  table.sort(batches)
  return batches, cells
end

local tables = {
  { "train", "train", "Training step, batch %d", training }, { "memory", "train", "Peak memory of training, batch %d", memory },
  { "first", "train", "From the start of the process to the first loss, batch %d", first_step },
  { "infer", "infer", "Inference, batch %d", inference },
  { "startup", "startup", "Start-up", start_up }, { "loader", "loader", "Loader", loading },
}

local function print_report(bench)
  local what = {}
  for _, kind in ipairs(bench.settings.what) do what[kind] = true end
  print_head(bench)
  for _, entry in ipairs(tables) do
    local batches, cells = by_batch(bench, entry[2])
    for _, batch in ipairs(what[entry[1]] and batches or {}) do
      print_table(entry[3]:format(batch), entry[4](bench, cells[batch]))
    end
  end
  print_failures(bench)
end

if #arg == 0 then error("usage: lunette bench/report.lua FILE.json...", 0) end
for i, path in ipairs(arg) do
  if i > 1 then print() end
  print_report(assert(save.parse_json(assert(save.read(path)))))
end
