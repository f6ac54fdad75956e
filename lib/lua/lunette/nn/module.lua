-- nn.module: what every layer is.
--
-- A class is made by nn.class("Name"), its constructor is __init and its work is forward:
--
--   local DoubleConv = nn.class("DoubleConv")
--   function DoubleConv:__init(in_channels, out_channels)
--     self.conv = nn.Conv2d(in_channels, out_channels, 3, { padding = 1 })
--   end
--   function DoubleConv:forward(x) return self.conv(x):relu() end
--   local layer = DoubleConv(1, 64)
--
-- Assigning a layer or a cell to a field registers it, in the order of assignment, as
-- PyTorch does; the names are those of PyTorch's state_dict. An instance is an empty
-- table but for three ordered registries and its plain fields, so that every assignment
-- is seen.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local Module = { class_name = "Module" }

-- -- registries: ordered name -> thing

local function registry() return { names = {}, items = {} } end

local function put(list, name, item)
  if item ~= nil and list.items[name] == nil then
    list.names[#list.names + 1] = name
  elseif item == nil and list.items[name] ~= nil then
    for i, known in ipairs(list.names) do
      if known == name then table.remove(list.names, i) break end
    end
  end
  list.items[name] = item
end

local function each(list)
  local i = 0
  return function()
    i = i + 1
    local name = list.names[i]
    if name then return name, list.items[name] end
  end
end

local function is_module(x)
  return type(x) == "table" and rawget(x, "_modules") ~= nil
end

-- -- instances

local function lookup(class)
  return function(self, name)
    local value = rawget(self, "_fields")[name]
    if value ~= nil then return value end
    value = rawget(self, "_modules").items[name]
    if value ~= nil then return value end
    value = rawget(self, "_parameters").items[name]
    if value ~= nil then return value end
    value = rawget(self, "_buffers").items[name]
    if value ~= nil then return value end
    return class[name]
  end
end

local function assign(self, name, value)
  if is_module(value) then
    args.check(type(name) == "string", "[nn] a layer's name must be a string; use nn.ModuleList for a list")
    rawset(value, "_name", name)
    put(self._parameters, name, nil)
    put(self._modules, name, value)
    self._fields[name] = nil
  elseif args.is_tensor(value) and value.is_cell and not self._buffers.items[name] then
    put(self._modules, name, nil)
    put(self._parameters, name, value)
    self._fields[name] = nil
  elseif self._buffers.items[name] then
    put(self._buffers, name, value)
  else
    put(self._modules, name, nil)
    put(self._parameters, name, nil)
    self._fields[name] = value
  end
end

-- A layer's name is on the core's path while it runs, so that an error says which layer it
-- was; every call is protected, so that the path is right again wherever the error is caught.

local function leave(self, ok, ...)
  if rawget(self, "_name") then core.pop_layer() end
  if not ok then error((...), 0) end
  local hook = rawget(self, "_hook")
  if hook then hook(self, "leave", ...) end
  return ...
end

local function call(self, ...)
  local name, hook = rawget(self, "_name"), rawget(self, "_hook")
  if hook then hook(self, "enter", ...) end
  if name then core.push_layer(name) end
  return leave(self, pcall(self.forward, self, ...))
end

local function construct(class, ...)
  local self = setmetatable({
    _modules = registry(), _parameters = registry(), _buffers = registry(),
    _fields = { training = true },
  }, class._instance)
  self:__init(...)
  return self
end

docs("nn.class", "class(name, parent=nn.Module): a new kind of layer; define __init(self, ...) and forward(self, x)")
local function class_named(name, parent)
  parent = parent or Module
  local class = { class_name = name, _parent = parent }
  class._instance = {
    __index = lookup(class), __newindex = assign, __call = call, __tostring = function(self) return self:repr() end,
  }
  return setmetatable(class, {
    __index = parent, __call = construct, __tostring = function() return "class " .. name end,
  })
end

function Module:__init() end -- luacheck: ignore 212

function Module:forward()
  args.fail("[%s] has no forward", self.class_name)
end

-- -- what a module holds

docs("nn.Module.register_parameter", "register_parameter(name, cell): as assigning the cell to that field")
function Module:register_parameter(name, cell)
  put(self._parameters, name, cell)
end

docs("nn.Module.register_buffer", "register_buffer(name, cell): state that is saved but not trained; as torch")
function Module:register_buffer(name, cell)
  put(self._buffers, name, cell)
end

--- name, child of the direct children, in order. Containers override it.
function Module:named_children() return each(self._modules) end

docs("nn.Module.children", "children(): list of the direct children")
function Module:children()
  local list = {}
  for _, child in self:named_children() do list[#list + 1] = child end
  return list
end

-- Calls f(path, module) for the module and all below it, each once.
local function walk(module, path, f, seen)
  if seen[module] then return end
  seen[module] = true
  f(path, module)
  for name, child in module:named_children() do
    walk(child, path == "" and name or path .. "." .. name, f, seen)
  end
end

local function pairs_of(list)
  local i = 0
  return function()
    i = i + 1
    if list[i] then return list[i][1], list[i][2] end
  end
end

docs("nn.Module.named_modules", "named_modules(): for path, module in net:named_modules() do; the net itself comes"
  .. " first as \"\"")
function Module:named_modules()
  local list = {}
  walk(self, "", function(path, module) list[#list + 1] = { path, module } end, {})
  return pairs_of(list)
end

docs("nn.Module.modules", "modules(): list of the net and all layers below it, each once")
function Module:modules()
  local list = {}
  for _, module in self:named_modules() do list[#list + 1] = module end
  return list
end

-- Entries of one registry over the whole tree, each cell once.
local function collect(self, which)
  local list, seen = {}, {}
  for path, module in self:named_modules() do
    for name, cell in each(module[which]) do
      if not seen[cell] then
        seen[cell] = true
        list[#list + 1] = { path == "" and name or path .. "." .. name, cell }
      end
    end
  end
  return list
end

local function seconds(list)
  local result = {}
  for i, pair in ipairs(list) do result[i] = pair[2] end
  return result
end

docs("nn.Module.named_parameters", "named_parameters(): for name, parameter in net:named_parameters() do; in order"
  .. " of assignment")
function Module:named_parameters() return pairs_of(collect(self, "_parameters")) end

docs("nn.Module.parameters", "parameters(): list of the parameters (cells), in order of assignment; optimizers take"
  .. " it")
function Module:parameters() return seconds(collect(self, "_parameters")) end

docs("nn.Module.named_buffers", "named_buffers(): for name, buffer in net:named_buffers() do")
function Module:named_buffers() return pairs_of(collect(self, "_buffers")) end

docs("nn.Module.buffers", "buffers(): list of the buffers")
function Module:buffers() return seconds(collect(self, "_buffers")) end

-- -- modes

docs("nn.Module.train", "train(mode=true): training mode for the net and all layers below; returns it")
function Module:train(mode)
  for _, module in ipairs(self:modules()) do module.training = mode == nil or mode end
  return self
end

docs("nn.Module.eval", "eval(): evaluation mode: BatchNorm uses its running statistics, Dropout passes on; returns"
  .. " the net")
function Module:eval() return self:train(false) end

docs("nn.Module.requires_grad_", "requires_grad_(on=true): whether the parameters want gradients; returns the net")
function Module:requires_grad_(on)
  for _, cell in ipairs(self:parameters()) do cell:requires_grad_(on == nil or on) end
  return self
end

docs("nn.Module.zero_grad", "zero_grad(): drops every parameter's gradient")
function Module:zero_grad()
  for _, cell in ipairs(self:parameters()) do cell:zero_grad() end
end

docs("nn.Module.apply", "apply(f): calls f(module) for every layer, children first, then the net; returns it; as"
  .. " torch")
function Module:apply(f)
  for _, child in self:named_children() do child:apply(f) end
  f(self)
  return self
end

docs("nn.Module.to", "to(device): the net itself; tensors live on the context's device, another one raises")
function Module:to(device)
  if type(device) == "string" then
    args.check(device == core.device(), "[to] '%s' is not the device that tensors live on (%s); start with --device"
      .. " %s",
      device, core.device(), device)
  end
  return self
end

-- -- printing, as PyTorch does

docs("nn.Module.extra_repr", "extra_repr(): what stands between the parentheses when the layer is printed; override"
  .. " it")
function Module.extra_repr() return "" end

function Module:repr()
  local lines = {}
  for name, child in self:named_children() do
    lines[#lines + 1] = ("  (%s): %s"):format(name, (child:repr():gsub("\n", "\n  ")))
  end
  local extra = self:extra_repr()
  if #lines == 0 then return ("%s(%s)"):format(self.class_name, extra) end
  return ("%s(%s\n%s\n)"):format(self.class_name, extra, table.concat(lines, "\n"))
end

return { Module = Module, class = class_named, is_module = is_module, each = each }
