-- run.journal: metrics.jsonl, one JSON object a line, and reading it again for --resume.

local save = require "lunette.save"

local Journal = {}
Journal.__index = Journal

local journal = {}

-- The shortest text that reads back as the same number; JSON knows no NaN or infinity.
local function number(x)
  if x ~= x or x == math.huge or x == -math.huge then return "null" end
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(x)
    if tonumber(text) == x then return text end
  end
end

-- Times to the tenth of a millisecond.
local function value_of(name, x)
  if type(x) ~= "number" then return '"' .. x .. '"' end
  return number(name == "seconds" and tonumber(("%.4f"):format(x)) or x)
end

-- { {"kind", "step"}, {"loss", 0.5} } -> {"kind":"step","loss":0.5}: the order is kept.
local function line(fields)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = ('"%s":%s'):format(field[1], value_of(field[1], field[2]))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Opens the journal; `fresh` empties it first.
function journal.open(path, fresh, stop)
  if fresh then
    local done, message = save.write(path, "")
    if not done then stop("%s", message) end
  end
  return setmetatable({ path = path, stop = stop }, Journal)
end

--- Writes one line per table of fields, all in one piece.
function Journal:write(...)
  local lines = {}
  for i = 1, select("#", ...) do lines[i] = line((select(i, ...))) end
  if #lines == 0 then return end
  local done, message = save.append(self.path, table.concat(lines, "\n") .. "\n")
  if not done then self.stop("%s", message) end
end

local function entries(path)
  local file = io.open(path)
  local list = {}
  if not file then return list end
  for text in file:lines() do
    local entry = save.parse_json(text, { null = false })
    if type(entry) == "table" then list[#list + 1] = { text = text, value = entry } end
  end
  file:close()
  return list
end

--- Whether the run that wrote this journal came to its end.
function journal.finished(path)
  local list = entries(path)
  return #list > 0 and list[#list].value.kind == "end"
end

--- Adds an epoch to the run's lists.
function journal.remember(run, train_loss, val_loss, val_dice)
  run.train_losses[#run.train_losses + 1] = train_loss
  run.val_losses[#run.val_losses + 1] = val_loss
  run.val_dice[#run.val_dice + 1] = val_dice
end

--- Fills the run's lists from the journal and drops the lines behind epoch `last`.
function journal.reload(path, last, run)
  local kept, dice = {}, {}
  for _, entry in ipairs(entries(path)) do
    local value = entry.value
    if value.epoch and value.epoch <= last then
      kept[#kept + 1] = entry.text
      if value.kind == "val_batch" then
        dice[value.batch] = value.dice or 0 / 0
      elseif value.kind == "epoch" then
        journal.remember(run, value.train_loss or 0 / 0, value.val_loss or 0 / 0, dice)
        dice = {}
      end
    end
  end
  save.write(path, table.concat(kept, "\n") .. (#kept > 0 and "\n" or ""))
end

return journal
