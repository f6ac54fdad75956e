-- help: what `?name` at the prompt says. Its sources are data and code that exist anyway:
-- the table lunette.docs, the op table, and the comment above a function's definition.

local core = require "lunette.core"
local docs = require "lunette.docs"
local sys = require "lunette.sys"

local help = {}

-- The short names that the prompt and the manual use for modules.
local SHORT = { F = "nn.functional", lt = "lunette" }

-- Modules that have no help of their own to give.
local SILENT = { help = true, prompt = true, docs = true }

local loaded = false

-- Documentation is entered where a function is defined, so the modules must be loaded.
local function load_modules()
  if loaded then return end
  loaded = true
  for _, name in ipairs(sys.modules()) do
    local short = name:match("^lunette%.([^.]+)$")
    if name == "lunette" or (short and not SILENT[short]) then pcall(require, name) end
  end
end

-- Text broken at blanks to the terminal's width, every line after the indent.
local function wrap(text, indent)
  local width = math.max(40, math.min(sys.width(), 100)) - #indent
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and #line + 1 + #word > width then
      lines[#lines + 1] = indent .. line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = indent .. line
  return table.concat(lines, "\n")
end

-- "Linear(a, b): what it does" as a heading and a paragraph.
local function doc_text(name, text)
  local depth, cut = 0, nil
  for i = 1, #text do
    local c = text:sub(i, i)
    if c:match("[%(%{]") then depth = depth + 1 end
    if c:match("[%)%}]") then depth = depth - 1 end
    if c == ":" and depth == 0 and text:sub(i + 1, i + 1) == " " then
      cut = i
      break
    end
  end
  local owner = name:match("^(.*%.)") or ""
  if not cut then return name .. "\n" .. wrap(text, "  ") end
  return owner .. text:sub(1, cut - 1) .. "\n" .. wrap(text:sub(cut + 2), "  ")
end

-- -- the op table

local function op_row(name)
  for _, row in ipairs(core.op_table()) do
    if row.name == name then return row end
  end
end

local function op_text(row)
  local words = {}
  for input in row.inputs:gmatch("%S+") do words[#words + 1] = (input:gsub("^(.*)%?$", "[%1]")) end
  if row.attrs ~= "" then words[#words + 1] = "{" .. row.attrs:gsub(" ", ", ") .. "}" end
  local lines = {
    "core.ops." .. row.name .. "(" .. table.concat(words, ", ") .. ")"
      .. (row.outputs ~= "" and " -> " .. row.outputs:gsub(" ", ", ") or ""),
    wrap(row.doc .. (row.differentiable and "" or "; not differentiable"), "  "),
  }
  for _, attr in ipairs(row.schema or {}) do
    lines[#lines + 1] = string.format("    %-18s %s", attr.name, attr.doc)
  end
  return table.concat(lines, "\n")
end

-- -- what is no entry but a value: its own source

-- The lines of a chunk, "lunette/nn.lua" or a script's file.
local function source_lines(source)
  local text = sys.source(source:sub(2))
  if not text and source:sub(1, 1) == "@" then
    local file = io.open(source:sub(2))
    text = file and file:read("*a")
    if file then file:close() end
  end
  local lines = {}
  for line in ((text or "") .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

local function function_text(name, value)
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return name .. ": a function written in C" end
  local lines = source_lines(info.source)
  local first = info.linedefined
  while first > 1 and lines[first - 1] and lines[first - 1]:match("^%s*%-%-") do first = first - 1 end
  local shown = { name .. "  (" .. info.short_src .. ":" .. info.linedefined .. ")" }
  for i = first, info.linedefined do shown[#shown + 1] = lines[i] and "  " .. lines[i]:match("^%s*(.*)$") end
  return table.concat(shown, "\n")
end

-- The value that a dotted name stands for at the prompt.
local function value_of(name)
  local value = _G
  for part in name:gmatch("[^.:]+") do
    local ok, found = pcall(function() return value[part] end)
    if not ok or found == nil then return nil end
    value = found
  end
  return value
end

local function value_text(name, value)
  if type(value) == "function" then return function_text(name, value) end
  local text = require("lunette.prompt").show(value)
  if #text > 400 then text = text:sub(1, 400) .. " ..." end
  return name .. ", a " .. type(value) .. ":\n" .. text
end

-- -- finding

-- Number of single-letter edits between two names.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and corner or 1 + math.min(corner, row[j], row[j - 1])
      corner, row[j] = row[j], cost
    end
  end
  return row[#b]
end

local function last_part(name) return name:match("[^.:]*$") end

-- All documented names, sorted.
local function all_names()
  local names = {}
  for name in pairs(docs) do names[#names + 1] = name end
  for _, row in ipairs(core.op_table()) do
    if not docs[row.name] then names[#names + 1] = row.name end
  end
  table.sort(names)
  return names
end

local function suggestions(name)
  local wanted, list = last_part(name):lower(), {}
  for _, candidate in ipairs(all_names()) do
    local short = last_part(candidate):lower()
    local far = distance(wanted, short)
    if #wanted >= 3 and short:find(wanted, 1, true) then far = math.min(far, 1) end
    if far <= math.max(1, math.floor(#wanted / 4)) then list[#list + 1] = { far, candidate } end
  end
  table.sort(list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  local names = {}
  for i = 1, math.min(#list, 8) do names[i] = list[i][2] end
  return names
end

-- Entries for a name: its own, else all whose last part it is ("Conv2d", "relu").
local function entries(name)
  if docs[name] then return { name } end
  local found = {}
  for candidate in pairs(docs) do
    if last_part(candidate) == name then found[#found + 1] = candidate end
  end
  table.sort(found)
  return found
end

-- Names under a heading: "nn" lists nn.*, and what lies deeper as one name: functional.*
local function topic_text(topic)
  local names, seen = {}, {}
  for name in pairs(docs) do
    local rest = name:sub(1, #topic + 1) == topic .. "." and name:sub(#topic + 2)
    local shown = rest and (rest:match("^[^.]+%.") and rest:match("^[^.]+%.") .. "*" or rest)
    if shown and not seen[shown] then
      seen[shown] = true
      names[#names + 1] = shown
    end
  end
  if topic == "ops" then
    for _, row in ipairs(core.op_table()) do names[#names + 1] = row.name end
  end
  if #names == 0 then return nil end
  table.sort(names)
  return topic .. ":\n" .. wrap(table.concat(names, " "), "  ")
end

local function overview()
  local counts = { ops = #core.op_table() }
  for name in pairs(docs) do
    local topic = name:match("^(.*)%.[^.]*$") or name
    counts[topic] = (counts[topic] or 0) + 1
  end
  local topics = {}
  for topic in pairs(counts) do topics[#topics + 1] = topic end
  table.sort(topics)
  local lines = { "?topic lists its names, ?name explains one. Topics:" }
  for _, topic in ipairs(topics) do lines[#lines + 1] = string.format("  %-20s %3d", topic, counts[topic]) end
  return table.concat(lines, "\n")
end

-- The name that documentation goes by: F.relu, lunette.nn.Conv2d and "lunette.nn" as people write them.
local function known_name(name)
  name = name:gsub("%s*%(.*$", ""):gsub(":", ".")
  for short, long in pairs(SHORT) do name = name:gsub("^" .. short .. "%.", long .. ".") end
  local inner = name:match("^lunette%.(.+)$")
  return inner and not docs[name] and inner or name
end

-- help.text(name): the help for a name as the prompt prints it; for "" the topics. A module comes before
-- the functions that share its name: ?lt is the module, then the method lt.
function help.text(name)
  load_modules()
  name = known_name(name)
  if name == "" then return overview() end
  local parts = { not docs[name] and topic_text(SHORT[name] or name) or nil }
  for _, entry in ipairs(entries(name)) do parts[#parts + 1] = doc_text(entry, docs[entry]) end
  local row = op_row(name:gsub("^core%.ops%.", ""):gsub("^ops%.", ""))
  if row then parts[#parts + 1] = op_text(row) end
  if docs[name] then parts[#parts + 1] = topic_text(name:match("^lunette%.(.+)$") or name) end
  if #parts > 0 then return table.concat(parts, "\n\n") end
  local value = value_of(name)
  if value ~= nil then return value_text(name, value) end
  local near = suggestions(name)
  if #near == 0 then return "nothing is known under '" .. name .. "'; ? lists the topics" end
  return "nothing is known under '" .. name .. "'. Perhaps: " .. table.concat(near, ", ")
end

-- help.near(name): "perhaps nn.Conv2d, nn.Conv3d" where a name is nearly one that is known, for messages; else nil.
function help.near(name)
  load_modules()
  local near = #name > 3 and suggestions(name) or {}
  return near[1] and "perhaps " .. table.concat(near, ", ", 1, math.min(#near, 3)) or nil
end

return help
