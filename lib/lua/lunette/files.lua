-- files: what lunette.save and lunette.load do, by kind of thing and file.

local args = require "lunette.args"
local base = require "lunette.nn.module"
local save = require "lunette.save"
local state_names = require "lunette.nn.state"

local files = {}

--- A table of tensors, a layer's state, or with options.input a whole model.
function files.save(path, x, options)
  local o = args.options("save", options, { input = false, metadata = false })
  if base.is_module(x) then
    if o.input then return require("lunette.nn.graph").save(path, x, o.input) end
    x = x:state_dict()
  end
  args.check(type(x) == "table", "[save] takes a table of tensors or a layer, got %s", type(x))
  args.check(not o.input, "[save] input goes with a layer: it says what shape the whole model takes")
  return save.safetensors(path, x, { order = state_names(x), metadata = o.metadata or nil })
end

--- The tensors by name, or the net of a whole-model file.
function files.load(path)
  local tensors, metadata, names = save.load_safetensors(path)
  if not tensors then return nil, metadata, names end
  if metadata["lunette.graph"] then return require("lunette.nn.graph").load(path, tensors, metadata, names) end
  return setmetatable(tensors, { names = names })
end

return files
