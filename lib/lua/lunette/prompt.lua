-- prompt: what the prompt (vm/repl.c) leaves to Lua: how values look, the names that are
-- there from the start, commands, completion.

local core = require "lunette.core"
local sys = require "lunette.sys"

local prompt = {}

local BANNER = [[
Lunette %s - tensors and networks for image segmentation (LuaJIT, %s)
  ?          what there is (help does the same); ?nn.Conv2d or ?permute for one thing
  x = lt.randn(2, 3)     a tensor; a line's value is shown, ';' at the end hides it
  mem() who()            memory in use; your variables
  Ctrl-C  Ctrl-D         stop the work and stay; leave (as exit does)]]

-- Modules under the names that the manual uses. They are loaded at first use, and a
-- script's own global of the same name wins.
local PRESET = {
  progress = "lunette.progress",
  lt = "lunette", nn = "lunette.nn", F = "lunette.nn.functional", optim = "lunette.optim",
  profile = "lunette.profile",
  data = "lunette.data", metrics = "lunette.metrics", stats = "lunette.stats", save = "lunette.save", sys = "lunette.sys",
}

-- The globals that are not the user's, name -> value. The host loads this module before it runs the user's code.
local before = {}
for name, value in pairs(_G) do before[name] = value end

-- Bytes as a person reads them.
local function size_text(bytes)
  local units = { "B", "KB", "MB", "GB", "TB" }
  local unit = 1
  while bytes >= 1000 and unit < #units do
    bytes, unit = bytes / 1000, unit + 1
  end
  return string.format(unit == 1 and "%d %s" or "%.1f %s", bytes, units[unit])
end

-- A thing that prints itself, inside a table: a large tensor by its last line, which says dtype and shape.
local function own_text(value)
  local text = tostring(value)
  if type(value) ~= "userdata" or select(2, text:gsub("\n", "")) < 8 then return text end
  return text:match("[^\n]*$")
end

-- One line for a value, but for things that print themselves on several; strings quoted, small tables written out.
local function inline(value, depth)
  local kind = type(value)
  if kind == "string" then
    return (string.format("%q", value):gsub("\\\n", "\\n"))
  elseif kind ~= "table" or depth == 0 or (getmetatable(value) and getmetatable(value).__tostring) then
    return own_text(value)
  end
  local parts, count = {}, #value
  for i = 1, math.min(count, 20) do parts[i] = inline(value[i], depth - 1) end
  if count > 20 then parts[21] = "... (" .. count .. " items)" end
  local names = {}
  for name in pairs(value) do
    if not (type(name) == "number" and name >= 1 and name <= count and name % 1 == 0) then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, name in ipairs(names) do
    if i > 20 then
      parts[#parts + 1] = "... (" .. #names .. " fields)"
      break
    end
    local key = type(name) == "string" and name:match("^[%a_][%w_]*$") or "[" .. inline(name, 0) .. "]"
    parts[#parts + 1] = key .. " = " .. inline(value[name], depth - 1)
  end
  if #parts == 0 then return "{}" end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- The keys of a table in the order in which they are shown: numbers, then the others by name.
local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == "number" and type(b) == "number" then return a < b end
    if type(a) == "number" or type(b) == "number" then return type(a) == "number" end
    return tostring(a) < tostring(b)
  end)
  return keys
end

-- A value as the prompt shows it: one line where that fits, else a field a line; an item of several
-- lines, such as a tensor, stands below its name.
function prompt.show(value)
  if type(value) == "string" then return inline(value, 0) end
  if type(value) ~= "table" then return tostring(value) end
  local line = inline(value, 2)
  if not line:find("^{ ") or (#line <= sys.width() and not line:find("\n")) then return line end
  local rows = {}
  for _, name in ipairs(sorted_keys(value)) do
    if #rows == 100 then
      rows[101] = "  ..."
      break
    end
    local item = inline(value[name], 1)
    item = item:find("\n") and "\n    " .. item:gsub("\n", "\n    ") or " " .. item
    rows[#rows + 1] = "  " .. (type(name) == "string" and name or inline(name, 0)) .. " =" .. item
  end
  return "{\n" .. table.concat(rows, "\n") .. "\n}"
end

-- mem(): the memory of tensors, of Lua, and of the whole process.
local function mem()
  local rows = {}
  for name, value in pairs(core.mem()) do
    local shown = type(value) == "number" and size_text(value) or tostring(value)
    rows[#rows + 1] = string.format("%-12s %s", name, shown)
  end
  table.sort(rows)
  rows[#rows + 1] = string.format("%-12s %s", "Lua", size_text(collectgarbage("count") * 1024))
  local now = sys.rss()
  rows[#rows + 1] = string.format("%-12s %s (peak %s)", "process", size_text(now), size_text(math.max(now, sys.peak_rss())))
  print(table.concat(rows, "\n"))
end

-- who(): the globals that are the user's own, those set by -e or a script before the prompt too.
local function who()
  local names = {}
  for name, value in pairs(_G) do
    local preset = PRESET[name] and package.loaded[PRESET[name]]
    if type(name) == "string" and name ~= "_" and value ~= before[name] and not (preset and rawequal(value, preset)) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local text = inline(_G[name], 1)
    local line = text:match(type(_G[name]) == "userdata" and "[^\n]*$" or "^[^\n]*")
    if #line > 60 then line = line:sub(1, 57) .. "..." end
    print(string.format("%-12s %s", name, line))
  end
  if #names == 0 then print("no variables of your own yet") end
end

-- Called once. Globals come through an __index on _G, so nothing is overwritten.
function prompt.start(banner)
  local extra = { mem = mem, who = who }
  for name, module in pairs(PRESET) do extra[name] = module end
  if getmetatable(_G) == nil then
    setmetatable(_G, {
      __index = function(env, name)
        local value = extra[name]
        if type(value) == "string" then value = require(value) end
        if value ~= nil then rawset(env, name, value) end
        return value
      end,
    })
  end
  before.mem, before.who = mem, who
  if banner then print(BANNER:format(sys.version, core.device())) end
end

-- Takes a line before it is compiled. Returns the text to run, nil when the line was a
-- command and is done, false to leave.
function prompt.command(line)
  line = line:gsub("^> ", "") -- pasted with its prompt
  local question = line:match("^%s*%?(.*)$")
  if question then
    print(require("lunette.help").text(question:match("^%s*(.-)%s*$")))
    return nil
  end
  local command = line:match("^%s*%$%s+(.*)$")
  if command then
    os.execute(command)
    return nil
  end
  local word, rest = line:match("^%s*(%a+)(.-)%s*;?%s*$")
  if word and rawget(_G, word) == nil then
    if (word == "exit" or word == "quit") and rest:match("^%s*%(?%s*%)?$") then return false end
    local about = word == "help" and rest:match("^%s*%(?%s*[\"']?([%w_%.:]*)[\"']?%s*%)?$")
    if about and (rest == "" or rest:match("^[%s%(\"']")) then
      print(require("lunette.help").text(about))
      return nil
    end
  end
  if line:match("^%s*$") then return nil end
  return line
end

local warned = false

-- Called after a line ran: shows its values and computes what it recorded.
function prompt.done(text, seconds, ...)
  local count = select("#", ...)
  if count > 0 then
    rawset(_G, "_", (...))
    if not text:match(";%s*$") then
      local parts = {}
      for i = 1, count do parts[i] = prompt.show((select(i, ...))) end
      local line = table.concat(parts, "\t")
      print(line:find("\n") and table.concat(parts, "\n") or line)
    end
  end
  local started = sys.clock()
  core.flush()
  seconds = seconds + (sys.clock() - started)
  if seconds >= 1 and sys.isatty("stdout") then print(string.format("(%.1f s)", seconds)) end
  if not warned and text:match("^%s*local%s") and not text:find("\n") then
    warned = true
    io.stderr:write("note: a local ends with its line; without 'local' the name stays\n")
  end
end

-- -- completion

local TENSOR_FIELDS = {
  shape = true, dtype = true, device = true, requires_grad = true, grad = true, is_cell = true, T = true,
}

local function is_tensor(value)
  return type(value) == "userdata" and debug.getmetatable(value) == debug.getregistry()["lunette.tensor"]
end

-- The value that a chain of names stands for, without calling anything: raw fields and
-- __index tables only, so completion has no effects.
local function field(value, name)
  for _ = 1, 10 do
    if type(value) == "table" then
      local found = rawget(value, name)
      if found ~= nil then return found end
    end
    if value == _G and PRESET[name] then return require(PRESET[name]) end
    if is_tensor(value) then return core.methods[name] end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index")
    if type(value) ~= "table" then return nil end
  end
end

-- All names that field() could find.
local function fields(value)
  local names = {}
  local function add(source)
    for name in pairs(source) do
      if type(name) == "string" and name:match("^[%a_][%w_]*$") then names[name] = true end
    end
  end
  for _ = 1, 10 do
    if type(value) == "table" then add(value) end
    if value == _G then add(PRESET) end
    if is_tensor(value) then
      add(core.methods)
      add(TENSOR_FIELDS)
    end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index")
    if type(value) ~= "table" then break end
  end
  return names
end

local KEYWORDS = "and break do else elseif end false for function goto if in local nil not or repeat return then true until while"

-- complete("x = nn.Conv") -> { "Conv1d", "Conv2d", ... }: what may stand for the last name.
function prompt.complete(line)
  local chain, start = line:match("([%w_%.:]*[%.:])([%w_]*)$")
  local asked = line:match("^%s*%?")
  if not chain then start = line:match("([%w_]*)$") end
  local value = _G
  for name in (chain or ""):gmatch("[%w_]+") do
    value = field(value, name)
    if value == nil then return {} end
  end
  local names = fields(value)
  if not chain then
    for word in KEYWORDS:gmatch("%a+") do names[word] = true end
    if asked then
      for name in pairs(core.ops) do names[name] = true end
    end
  end
  local list = {}
  for name in pairs(names) do
    if name:sub(1, #start) == start and (start ~= "" or name:sub(1, 1) ~= "_") then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

return prompt
