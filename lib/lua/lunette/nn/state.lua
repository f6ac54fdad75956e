-- nn.state: state_dict and load_state_dict, under PyTorch's key names.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local base = require "lunette.nn.module"

local Module, each = base.Module, base.each

local function entries(module, prefix, list)
  for _, which in ipairs { "_parameters", "_buffers" } do
    for name, cell in each(module[which]) do list[#list + 1] = { prefix .. name, cell } end
  end
  for name, child in module:named_children() do entries(child, prefix .. name .. ".", list) end
  return list
end

docs("nn.state_names", "state_names(state): the names of a state_dict or of a loaded file, in order; sorted where there"
  .. " is no order")
local function state_names(state)
  local known = getmetatable(state)
  if known and known.names then return known.names end
  local names = {}
  for name in pairs(state) do names[#names + 1] = name end
  table.sort(names)
  return names
end

docs("nn.Module.state_dict", "state_dict(): name -> cell for parameters and buffers; nn.state_names(state) has the"
  .. " order; the cells are live: clone() what must stay as it is")
function Module:state_dict()
  local state, names = {}, {}
  for _, entry in ipairs(entries(self, "", {})) do
    names[#names + 1] = entry[1]
    state[entry[1]] = entry[2]
  end
  return setmetatable(state, { names = names })
end

local function shape_text(t)
  return "[" .. table.concat(t.shape, ", ") .. "]"
end

local function quoted(names)
  return '"' .. table.concat(names, '", "') .. '"'
end

local function sorted_unexpected(state, own)
  local list = {}
  for name in pairs(state) do
    if own[name] == nil then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function complain(self, missing, unexpected, wrong)
  local lines = { ("[load_state_dict] the state does not fit %s:"):format(self.class_name) }
  if #missing > 0 then lines[#lines + 1] = "  missing: " .. quoted(missing) end
  if #unexpected > 0 then lines[#lines + 1] = "  unexpected: " .. quoted(unexpected) end
  for _, text in ipairs(wrong) do lines[#lines + 1] = "  " .. text end
  args.fail("%s", table.concat(lines, "\n"))
end

docs("nn.Module.load_state_dict", "load_state_dict(state, {strict=true}): writes the tensors into the parameters and"
  .. " buffers; missing and unexpected names raise when strict, wrong shapes always; nothing is written then;"
  .. " returns missing_keys, unexpected_keys")
function Module:load_state_dict(state, options)
  if state == nil and type(options) == "string" then args.fail("[load_state_dict] no state: %s", options) end -- of lt.load
  if type(state) ~= "table" then
    args.fail("[load_state_dict] expected a state, as lt.load(path) and state_dict() give it, got %s", args.kind(state))
  end
  local strict = args.options("load_state_dict", options, { strict = true }).strict
  local own = self:state_dict()
  local names = state_names(own)
  local missing, wrong = {}, {}
  for _, name in ipairs(names) do
    local value = state[name]
    if value == nil then
      missing[#missing + 1] = name
    elseif shape_text(value) ~= shape_text(own[name]) then
      wrong[#wrong + 1] = ("%s: the state has shape %s, the layer %s"):format(name, shape_text(value),
        shape_text(own[name]))
    end
  end
  local unexpected = sorted_unexpected(state, own)
  if #wrong > 0 or (strict and #missing + #unexpected > 0) then
    complain(self, strict and missing or {}, strict and unexpected or {}, wrong)
  end
  for _, name in ipairs(names) do
    if state[name] ~= nil and state[name] ~= own[name] then own[name]:copy_(state[name]) end
  end
  core.flush()
  return missing, unexpected
end

return state_names
