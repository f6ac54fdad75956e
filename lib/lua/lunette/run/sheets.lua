-- run.sheets: the layouts in which the paper's pipelines write their numbers, as pandas
-- lays them out. Each function returns the rows and the options of run:xlsx:
--
--   paper:xlsx("train_losses.xlsx", sheets.column(paper.train_losses))

local docs = require "lunette.docs"

local sheets = {}

-- 0, 1, 2, ... as pandas names columns that nobody named.
local function integers(count)
  local list = {}
  for i = 1, count do list[i] = i - 1 end
  return list
end

docs("sheets.column", "column(list): one value a row under the header 0")
function sheets.column(list)
  local rows = {}
  for i, value in ipairs(list) do rows[i] = { value } end
  return rows, { header = { 0 } }
end

docs("sheets.row", "row(list): all values in one row, no header")
function sheets.row(list) return { list } end

docs("sheets.epoch_row", "epoch_row(list): one row under the headers \"Epoch 1\", \"Epoch 2\", ...")
function sheets.epoch_row(list)
  local header = {}
  for i = 1, #list do header[i] = "Epoch " .. i end
  return { list }, { header = header }
end

docs("sheets.epoch_table", "epoch_table(list, name): the columns \"Epoch\" and `name`, one row an epoch")
function sheets.epoch_table(list, name)
  local rows = {}
  for i, value in ipairs(list) do rows[i] = { i, value } end
  return rows, { header = { "Epoch", name } }
end

docs("sheets.two_rows", "two_rows(list): a row of epoch numbers above a row of values, no header")
function sheets.two_rows(list)
  local epochs = {}
  for i = 1, #list do epochs[i] = i end
  return { epochs, list }
end

docs("sheets.numbered", "numbered(rows): the lists as they are under the header 0, 1, 2, ... as wide as the longest")
function sheets.numbered(rows)
  local width = 0
  for _, row in ipairs(rows) do width = math.max(width, #row) end
  return rows, { header = integers(width) }
end

return sheets
