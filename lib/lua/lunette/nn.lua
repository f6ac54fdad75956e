-- nn: layers and losses under PyTorch's names.
--
--   local nn = require "lunette.nn"
--   local UNet = nn.class("UNet")          -- __init(self, ...) and forward(self, x), as in nn/module.lua
--   local net = nn.Sequential(nn.Conv2d(1, 8, 3, { padding = 1 }), nn.ReLU())

require "lunette.tensor"

local core = require "lunette.core"
local docs = require "lunette.docs"
local base = require "lunette.nn.module"
local state_names = require "lunette.nn.state"

local nn = {
  Module = base.Module,
  class = base.class,
  is_module = base.is_module,
  state_names = state_names,
  init = require "lunette.nn.initial",
  functional = require "lunette.nn.functional",
}

for _, part in ipairs { "containers", "conv", "norm", "activation", "pool", "loss", "extend" } do
  for name, value in pairs(require("lunette.nn." .. part)) do nn[name] = value end
end

docs("nn.Module", "Module: the base of all layers; make your own with nn.class(\"Name\")")
docs("nn.is_module", "is_module(x): whether x is a layer")

docs("nn.Parameter", "Parameter(tensor, {requires_grad=true}): a cell with the tensor's value; assigned to a layer's"
  .. " field it is registered as a parameter")
function nn.Parameter(tensor, options)
  local wants = not (options and options.requires_grad == false)
  return core.cell(tensor, { dtype = tensor.dtype, requires_grad = wants })
end

return nn
