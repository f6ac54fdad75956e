-- The paper's feature table, made anew: what the recorded graph and run.json say, and beside
-- it the paper's own words where they say something else.
--
-- A cell is { text=, paper=, mark= }. mark "other": the paper's table contradicts the graph;
-- "override": an option of this run replaced the pipeline's own choice; nil: no contradiction.

local grouped = require("lunette.summary").grouped

local table_of = {}

local function list(numbers) return #numbers > 0 and table.concat(numbers, ", ") or "none" end

local function size_text(shape)
  local sizes = { unpack(shape, 2) }
  return ("%s, %d channel%s"):format(#sizes > 0 and table.concat(sizes, "×") or "one value", shape[1], shape[1] == 1 and "" or "s")
end

local function numbers_in(text)
  local found = {}
  for n in text:gsub(",(%d%d%d)", "%1"):gmatch("%d[%d.eE]*%-?%d*") do found[#found + 1] = tonumber(n) end
  return found
end

-- -- does the paper's table say the same?

local function same_number(value, words) return tonumber(value) == numbers_in(words)[1] end

-- The table lists some encoders with their bottleneck and most decoders with it in front.
local function same_channels(channels, words, bottleneck, behind)
  local with = { unpack(channels) }
  if bottleneck then table.insert(with, behind and #with + 1 or 1, bottleneck) end
  return words == list(channels) or words == list(with)
end

local function block_facts(text)
  local twice = text:find("×2", 1, true) or text:find("Double", 1, true) or text:match("^2 ") and true
  return (twice and "2" or "1") .. (text:find("BatchNorm", 1, true) and " norm" or " plain")
end

local function learning_rate(words)
  local text = words:match("lr=([%d.e-]+)") or words:match("[Rr]ate:? %(?([%d.]+)")
  return tonumber(text)
end

local function loss_facts(text)
  text = text:lower()
  local bce = text:find("bce", 1, true) or text:find("cross", 1, true)
  return (bce and "bce" or "") .. (text:find("dice", 1, true) and "dice" or "") .. (text:find("logits", 1, true) and "logits" or "")
end

-- -- rows: key, label, where it comes from, text of a run, whether the paper says the same, what a difference means

local function of_graph(read) return function(run) return run.features and read(run.features) end end

local function time_text(run)
  if run.training_seconds <= 0 and not run.seconds then return nil end
  local text = ("%.1f s of training"):format(run.training_seconds)
  return run.seconds and ("%s, %.1f s in all"):format(text, run.seconds) or text
end

-- What the network takes: by its graph, else by the run's options.
local function input_sides(run)
  if run.features then return { unpack(run.features.input, 2) } end
  local n = tonumber(run.options.size)
  return n and { n, n }
end

local function skips_text(f)
  local s, parts = f.skips, {}
  if s.concat > 0 then parts[#parts + 1] = ("concat ×%d"):format(s.concat) end
  if s.add > 0 then parts[#parts + 1] = ("add ×%d"):format(s.add) end
  if #parts == 0 then return "none" end
  return table.concat(parts, ", ") .. (#s.notes > 0 and "; " .. table.concat(s.notes, ", ") or "")
end

local rows = {
  { "batch", "Batch size", "run", function(run) return run.options.batch and tostring(run.options.batch) end,
    function(run, words) return same_number(run.options.batch, words) end, "override" },
  { "epochs", "Epochs", "run", function(run)
    local wanted = tonumber(run.options.epochs)
    if not wanted then return nil end
    return #run.train_loss < wanted and ("%d of %d"):format(#run.train_loss, wanted) or tostring(wanted)
  end, function(run, words) return same_number(run.options.epochs, words) end, "override" },
  { "optimizer", "Optimizer and learning rate", "run", function(run)
    local lr = tonumber(run.options.lr)
    if not run.optimizer and not lr then return nil end
    return (run.optimizer or "not recorded") .. (lr and (", lr %g"):format(lr) or "")
  end, function(run, words)
    local lr = learning_rate(words)
    return not lr or lr == tonumber(run.options.lr)
  end, "override" },
  { "loss", "Loss function", "run", function(run) return run.loss end,
    function(run, words) return loss_facts(run.loss) == loss_facts(words) end, "other" },
  { "size", "Image size", "run", function(run)
    local sides = input_sides(run)
    return sides and table.concat(sides, "×")
  end, function(run, words) return same_number(input_sides(run)[1], words) end, "override" },
  { "output", "Output size", "graph", of_graph(function(f) return size_text(f.output) end) },
  { "encoder_stages", "Encoder stages", "graph", of_graph(function(f) return tostring(f.encoder_stages) end),
    function(run, words) return same_number(run.features.encoder_stages, words) end, "other" },
  { "decoder_stages", "Decoder stages", "graph", of_graph(function(f) return tostring(f.decoder_stages) end),
    function(run, words) return same_number(run.features.decoder_stages, words) end, "other" },
  { "block", "Convolutional block", "graph", of_graph(function(f) return f.block end),
    function(run, words) return block_facts(run.features.block) == block_facts(words) end, "other" },
  { "bottleneck", "Bottleneck", "graph", of_graph(function(f) return f.bottleneck and f.bottleneck .. " channels" or "none" end),
    function(run, words) return same_number(run.features.bottleneck, words) end, "other" },
  { "final_layer", "Final layer", "graph", of_graph(function(f)
    return #f.final_activations > 0 and f.final_layer .. ", " .. table.concat(f.final_activations, ", ") or f.final_layer
  end), function(run, words) return run.features.final_layer == words end, "other" },
  { "ends_in", "Ends in", "graph", of_graph(function(f) return f.ends_in end) },
  { "encoder_channels", "Encoder channels", "graph", of_graph(function(f) return list(f.encoder_channels) end),
    function(run, words) return same_channels(run.features.encoder_channels, words, run.features.bottleneck, true) end, "other" },
  { "decoder_channels", "Decoder channels", "graph", of_graph(function(f) return list(f.decoder_channels) end),
    function(run, words) return same_channels(run.features.decoder_channels, words, run.features.bottleneck, false) end, "other" },
  { "skips", "Skip connections", "graph", of_graph(skips_text),
    function(run, words) return words:find(run.features.skips.kind, 1, true) ~= nil end, "other" },
  { "residuals", "Residual additions", "graph", of_graph(function(f) return tostring(f.residuals) end) },
  { "resampling", "Down and up", "graph", of_graph(function(f) return f.down .. "; " .. f.up end) },
  { "parameters", "Trainable parameters", "graph", of_graph(function(f) return grouped(f.parameters) end),
    function(run, words) return same_number(run.features.parameters, words) end, "other" },
  -- never the same machine or data, so no contradiction
  { "seconds", "Time", "run", time_text },
}

local function cell(row, run)
  local key, text = row[1], row[4](run)
  local words = run.words[key]
  local result = { text = text or "not known", missing = not text or nil }
  if key == "seconds" then
    result.paper = words
  elseif words and text and row[5] and not row[5](run, words) then
    result.paper, result.mark = words, row[6]
  end
  return result
end

--- The rows for these runs: { key=, label=, source="run" or "graph", cells={one a run} }.
function table_of.make(list_of_runs)
  local result = {}
  for _, row in ipairs(rows) do
    local cells, telling = {}, row[1] ~= "residuals"
    for i, run in ipairs(list_of_runs) do
      cells[i] = cell(row, run)
      telling = telling or cells[i].text ~= "0" and not cells[i].missing
    end
    if telling then result[#result + 1] = { key = row[1], label = row[2], source = row[3], cells = cells } end
  end
  return result
end

--- A cell as plain text, the paper's words in brackets.
function table_of.plain(c)
  if not c.paper then return c.text end
  if c.mark == "other" then return ("%s [≠ paper: %s]"):format(c.text, c.paper) end
  return ("%s [paper: %s]"):format(c.text, c.paper)
end

--- The pipeline's own choices that options of this run replaced: { { label =, value =, paper = }, ... }.
function table_of.overrides(run)
  local found = {}
  for _, row in ipairs(rows) do
    local c = cell(row, run)
    if c.mark == "override" then
      local value = row[1] == "epochs" and tostring(run.options.epochs) or c.text
      found[#found + 1] = { label = row[2], value = value, paper = c.paper }
    end
  end
  return found
end

return table_of
