-- args: how the library's Lua functions take options and say what is wrong with them.

local args = {}

-- The nearest caller outside the library, as "file.lua:31: ", so that an error names the user's line.
local function where()
  for level = 3, 60 do
    local info = debug.getinfo(level, "Sl")
    if not info then return "" end
    local library = info.source:sub(1, 9) == "=lunette/" or info.source:find("lib/lua/lunette/", 1, true)
    if info.currentline > 0 and not library then
      return ("%s:%d: "):format(info.short_src, info.currentline)
    end
  end
  return ""
end

--- Raises a formatted error that starts with the user's file and line.
function args.fail(format, ...)
  error(where() .. format:format(...), 0)
end

function args.check(condition, format, ...)
  if not condition then error(where() .. format:format(...), 0) end
  return condition
end

local function names(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

--- A value as a message names it: nil, the number 3, the string "3", a table.
function args.kind(value)
  local kind = type(value)
  if kind == "number" or kind == "boolean" then return ("the %s %s"):format(kind, tostring(value)) end
  if kind == "string" then return ('the string "%s"'):format(value) end
  if kind == "userdata" then return "a tensor" end
  return kind == "nil" and "nothing" or "a " .. kind
end

--- A whole number of at least 1; who and name are for the message.
function args.count(who, name, value)
  if type(value) ~= "number" or value < 1 or value % 1 ~= 0 or value == math.huge then
    args.fail("[%s] %s must be a positive whole number, got %s", who, name, args.kind(value))
  end
  return value
end

--- `given` completed by the defaults of `known`; a name that `known` lacks raises.
-- A default of false says that the option may be absent.
function args.options(who, given, known)
  local result = {}
  for name, default in pairs(known) do result[name] = default end
  if given == nil then return result end
  if type(given) ~= "table" then
    args.fail("[%s] options go by name in a table, as in { %s = ... }, got %s (known: %s)", who, next(known) or "",
      args.kind(given), names(known))
  end
  for name, value in pairs(given) do
    if known[name] == nil then
      args.fail("[%s] unknown option '%s' (known: %s)", who, tostring(name), names(known))
    end
    result[name] = value
  end
  return result
end

--- Torch's positional options or one table of named ones: positional(who, {"stride", ...}, known, first, ...).
function args.positional(who, order, known, first, ...)
  if type(first) == "table" and first[1] == nil then
    return args.options(who, first, known)
  end
  local given, values = {}, { first, ... }
  for i, name in ipairs(order) do given[name] = values[i] end
  return args.options(who, given, known)
end

--- A list of `n` numbers from a number or a list of n.
function args.tuple(who, name, value, n)
  if type(value) == "number" then
    local list = {}
    for i = 1, n do list[i] = value end
    return list
  end
  if type(value) ~= "table" or #value ~= n then
    args.fail("[%s] %s must be a number or a list of %d numbers, got %s", who, name, n, args.kind(value))
  end
  return value
end

--- Sizes from trailing numbers or from one list.
function args.sizes(first, ...)
  if type(first) == "table" then return first end
  return { first, ... }
end

function args.is_tensor(x)
  return type(x) == "userdata"
end

return args
