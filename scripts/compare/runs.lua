-- Results folders: what a run left there, read with patience. A run may be unfinished, failed
-- or damaged: what can be read is used, and .problems says in words what cannot.

local save = require "lunette.save"
local sys = require "lunette.sys"
local paper = require "paper"

local runs = {}

local function is_folder(path) return sys.exists(path) == "directory" end

-- -- finding

-- Results folders below path: itself, or its subfolders, two levels down.
local function collect(path, depth, found, empty)
  if sys.exists(path .. "/run.json") == "file" then
    found[#found + 1] = path
    return
  end
  if depth == 0 then return end
  for _, name in ipairs(sys.list(path) or {}) do
    local inner = path .. "/" .. name
    if is_folder(inner) then
      local before = #found
      collect(inner, depth - 1, found, empty)
      -- a pipeline that broke off before it wrote anything
      if #found == before and paper.find(name, 1).order < 100 then empty[#empty + 1] = inner end
    end
  end
end

-- -- one folder

local function is_name(text)
  return type(text) == "string" and text ~= "" and text ~= ".." and not text:find("/", 1, true)
end

local function text_of(value)
  if type(value) == "string" and value ~= "" then return value end
  if type(value) ~= "table" then return nil end
  local parts = {}
  for key, inner in pairs(value) do
    if key ~= "name" and type(inner) ~= "table" then parts[#parts + 1] = ("%s=%s"):format(tostring(key), tostring(inner)) end
  end
  table.sort(parts)
  local name = type(value.name) == "string" and value.name or nil
  return name and (#parts > 0 and ("%s (%s)"):format(name, table.concat(parts, ", ")) or name) or table.concat(parts, ", ")
end

local function read_entry(run, entry)
  local nan = 0 / 0
  if entry.kind == "epoch" and type(entry.epoch) == "number" then
    run.train_loss[#run.train_loss + 1] = tonumber(entry.train_loss) or nan
    run.val_loss[#run.val_loss + 1] = tonumber(entry.val_loss) or nan
    run.val_dice[#run.val_dice + 1] = tonumber(entry.val_dice) or nan
    run.training_seconds = run.training_seconds + (tonumber(entry.seconds) or 0)
  elseif entry.kind == "test_batch" then
    run.test_dice[#run.test_dice + 1] = tonumber(entry.dice) or nan
  elseif entry.kind == "end" then
    run.ended = true
    run.own_dice, run.seconds, run.peak = tonumber(entry.test_dice), tonumber(entry.seconds), tonumber(entry.peak_rss_bytes)
    run.logged_params = tonumber(entry.params)
  end
end

local function read_journal(run)
  local file = io.open(run.folder .. "/metrics.jsonl")
  if not file then
    table.insert(run.problems, "no metrics.jsonl: no losses and no Dice of its own")
    return
  end
  local damaged = 0
  for line in file:lines() do
    local entry = save.parse_json(line)
    if type(entry) == "table" then
      read_entry(run, entry)
    elseif line:find("%S") then
      damaged = damaged + 1
    end
  end
  file:close()
  local bad = 0
  for _, dice in ipairs(run.test_dice) do bad = bad + (dice ~= dice and 1 or 0) end
  if bad > 0 then table.insert(run.problems, ("%d of its test Dice are no numbers; its mean is of the others"):format(bad)) end
  if damaged > 0 then table.insert(run.problems, ("damaged lines in metrics.jsonl that were passed over: %d"):format(damaged)) end
end

local function check_model(run, model)
  if model == nil then
    table.insert(run.problems, "names no whole-model file: no features, no fair score")
  elseif not is_name(model) then
    table.insert(run.problems, "the name of its whole-model file makes no sense: no features, no fair score")
  elseif sys.exists(run.folder .. "/" .. model) ~= "file" then
    table.insert(run.problems, ("its whole-model file %s is not there: no features, no fair score"):format(model))
  else
    run.model = model
  end
end

local function check_status(run, about)
  run.status = type(about.status) == "string" and about.status or "unknown"
  local wanted = tonumber(run.options.epochs)
  local done = ("%d%s epochs"):format(#run.train_loss, wanted and (" of %d"):format(wanted) or "")
  if run.status == "failed" then
    local reason = text_of(about.error) or (about.signal and "signal " .. tostring(about.signal)) or "no reason given"
    table.insert(run.problems, 1, ("failed after %s: %s"):format(done, reason))
  elseif run.status ~= "finished" then
    table.insert(run.problems, 1, ("not finished (%s): %s are there"):format(run.status, done))
  end
end

local function table_or_empty(x) return type(x) == "table" and x or {} end

-- Reads one results folder; never fails.
local function read(folder)
  local run = { folder = folder, label = sys.basename(folder), id = sys.basename(folder), problems = {}, options = {},
    data = {}, input = {}, train_loss = {}, val_loss = {}, val_dice = {}, test_dice = {}, training_seconds = 0 }
  local text, message = save.read(folder .. "/run.json")
  local about
  if text then about, message = save.parse_json(text) end
  if type(about) ~= "table" then
    run.damaged = "run.json cannot be read: " .. tostring(message or "it is no object")
    return run
  end
  if type(about.id) == "string" and about.id ~= "" then run.id = about.id end
  run.options, run.data, run.input = table_or_empty(about.options), table_or_empty(about.data), table_or_empty(about.input)
  run.loss, run.optimizer, run.dice = text_of(about.loss), text_of(about.optimizer), text_of(about.dice)
  run.device, run.threads = about.device, tonumber(about.threads)
  run.precision, run.seed, run.versions = about.precision, about.seed, about.versions
  read_journal(run)
  check_model(run, about.model)
  check_status(run, about)
  return run
end

-- -- all of them

-- Two runs of one pipeline are told apart by their folders.
local function name_them(list)
  local unknown, count_of = 0, {}
  for _, run in ipairs(list) do
    local known = paper.find(run.id, unknown + 1)
    if known.order > 100 then unknown = unknown + 1 end
    run.name, run.colour, run.order, run.words = known.name, known.colour, known.order, known.words
    local key = (run.key or "") .. "\n" .. run.name
    count_of[key] = (count_of[key] or 0) + 1
  end
  for _, run in ipairs(list) do
    if count_of[(run.key or "") .. "\n" .. run.name] > 1 then run.name = ("%s [%s]"):format(run.name, run.label) end
  end
end

-- The same folder whichever way it is written.
local function full(path) return sys.realpath(path) or path end

local function data_key(o)
  local limit = o.limit and ("|first %s"):format(tostring(o.limit)) or ""
  if type(o.images) == "string" then
    return table.concat({ "folder", full(o.images), full(type(o.masks) == "string" and o.masks or o.images),
      tostring(o.suffix or "") }, "|") .. limit
  elseif type(o.phantom) == "string" then
    return "phantom|" .. o.phantom .. limit
  end
end

--- Every run in these folders (or in their subfolders), in the paper's order; and what cannot be used, as texts.
function runs.load(paths)
  local found, empty, list, unusable, seen = {}, {}, {}, {}, {}
  for _, path in ipairs(paths) do
    path = #path > 1 and path:gsub("/+$", "") or path
    if not is_folder(path) then
      unusable[#unusable + 1] = ("%s: there is no such folder"):format(path)
    else
      local before, before_empty = #found, #empty
      collect(path, 2, found, empty)
      if #found == before and #empty == before_empty then
        unusable[#unusable + 1] = ("%s: neither it nor its subfolders hold a run.json"):format(path)
      end
    end
  end
  for _, folder in ipairs(empty) do unusable[#unusable + 1] = ("%s: it has no run.json, so nothing of that run can be used"):format(folder) end
  for _, folder in ipairs(found) do
    if not seen[full(folder)] then
      seen[full(folder)] = true
      local run = read(folder)
      run.key = data_key(run.options)
      if not run.damaged and not run.key then run.damaged = "run.json does not say what data it used" end
      if run.damaged then
        unusable[#unusable + 1] = ("%s: %s"):format(folder, run.damaged)
      else
        list[#list + 1] = run
      end
    end
  end
  name_them(list)
  table.sort(list, function(a, b)
    if a.order ~= b.order then return a.order < b.order end
    return a.folder < b.folder
  end)
  return list, unusable
end

return runs
