-- nn.containers: lists of layers. The children stand at 1, 2, ... so that #list,
-- ipairs(list) and list[2] work; their names in a state_dict are "0", "1", ... as PyTorch's.

local docs = require "lunette.docs"
local args = require "lunette.args"
local base = require "lunette.nn.module"

local nn = {}

local List = base.class("List")

local function adopt(self, who, i, layer)
  args.check(base.is_module(layer), "[%s] element %d is no layer but %s", who, i, args.kind(layer))
  rawset(layer, "_name", tostring(i - 1))
  rawset(self, i, layer)
end

function List:__init(...)
  local lone = select("#", ...) == 1 and type((...)) == "table" and not base.is_module((...))
  local layers = lone and (...) or { ... }
  for i, layer in ipairs(layers) do adopt(self, self.class_name, i, layer) end
end

function List:named_children()
  local i = 0
  return function()
    i = i + 1
    local layer = rawget(self, i)
    if layer then
      rawset(layer, "_name", tostring(i - 1))
      return tostring(i - 1), layer
    end
  end
end

function List:append(layer)
  adopt(self, self.class_name, #self + 1, layer)
  return self
end

docs("nn.Sequential", "Sequential(layer, ...): the layers one after the other; seq[1] is the first,"
  .. " seq:append(layer) adds one; as torch.nn.Sequential")
nn.Sequential = base.class("Sequential", List)

function nn.Sequential:forward(x)
  for _, layer in ipairs(self) do x = layer(x) end
  return x
end

docs("nn.ModuleList", "ModuleList{layer, ...}: registered layers for a forward that loops over them; list[1] is the"
  .. " first; list:append(layer) adds one; as torch.nn.ModuleList")
nn.ModuleList = base.class("ModuleList", List)

docs("nn.Identity", "Identity(): passes its input on")
nn.Identity = base.class("Identity")
function nn.Identity:forward(x) return x end -- luacheck: ignore 212

return nn
