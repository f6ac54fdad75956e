-- nn.graph: whole-model files: a safetensors file whose metadata holds the recorded
-- operations, so that the model runs without the script that made it.
--
-- metadata["lunette.graph"] is JSON: { version, inputs = shapes, nodes, results, buffers },
-- nodes as nn.trace describes them. A file is untrusted: every name, number and reference
-- is checked when it is read, and the shapes by the operations themselves.

local core = require "lunette.core"
local args = require "lunette.args"
local base = require "lunette.nn.module"
local save = require "lunette.save"
local state_names = require "lunette.nn.state"

local graph = {}

local VERSION = 1
local MOST_NODES = 100000

-- -- writing

-- JSON has no infinities: they are written as texts.
local texts = { [math.huge] = "inf", [-math.huge] = "-inf" }
local numbers = { inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0 }

local function encode(value)
  if type(value) == "number" then return value ~= value and "nan" or texts[value] or value end
  if type(value) ~= "table" then return value end
  local result = {}
  for key, inner in pairs(value) do result[key] = encode(inner) end
  return result
end

--- Traces the net and writes graph and tensors; returns true, or nil, message, code.
function graph.save(path, net, input)
  local shapes = type(input[1]) == "table" and input or { input }
  local traced, constants = require("lunette.nn.trace")(net, shapes)
  local tensors, order, buffers = {}, {}, {}
  local state = net:state_dict()
  for _, name in ipairs(state_names(state)) do
    tensors[name], order[#order + 1] = state[name], name
  end
  for name in net:named_buffers() do buffers[#buffers + 1] = name end
  for name, tensor in pairs(constants) do
    tensors[name], order[#order + 1] = tensor, name
  end
  local text = save.json {
    version = VERSION, inputs = traced.inputs, nodes = save.array(encode(traced.nodes)), results = traced.results,
    buffers = save.array(buffers),
  }
  return save.safetensors(path, tensors, { order = order, metadata = { ["lunette.graph"] = text, format = "pt" } })
end

-- -- reading

local allowed = {}
for _, row in ipairs(core.op_table()) do
  if not (row.flags.commit or row.flags.guard or row.flags.random) then
    local attrs, inputs = {}, 0
    for name in row.attrs:gmatch("%S+") do attrs[name] = true end
    for _ in row.inputs:gmatch("%S+") do inputs = inputs + 1 end
    allowed[row.name] = { attrs = attrs, inputs = inputs, variadic = row.inputs:find("...", 1, true) ~= nil }
  end
end

local function bad(format, ...)
  error({ format:format(...) }, 0)
end

local function is_whole(x, least, most)
  return type(x) == "number" and x % 1 == 0 and x >= least and x <= most
end

local function check_input(ref, known, tensors, nested)
  if ref == false or is_whole(ref, 1, known) then return end
  if type(ref) ~= "table" then bad("an input is %s", tostring(ref)) end
  if type(ref.tensor) == "string" then
    if not tensors[ref.tensor] then bad("there is no tensor '%s'", ref.tensor) end
  elseif type(ref.list) == "table" and not nested then
    for _, inner in ipairs(ref.list) do check_input(inner, known, tensors, true) end
  elseif type(ref.number) ~= "number" and not numbers[ref.number]
    and not (type(ref.number) == "table" and type(ref.number.batch) == "number") then
    bad("an input is no tensor, number or list")
  end
end

local function check_attr(value, name, nested)
  local kind = type(value)
  if kind == "number" or kind == "boolean" or kind == "string" then return end
  if kind ~= "table" or (nested and not value.batch) then bad("attribute '%s' is a %s", name, kind) end
  if value.batch then
    if type(value.batch) ~= "number" then bad("attribute '%s' has no number", name) end
    return
  end
  for _, inner in ipairs(value) do check_attr(inner, name, true) end
end

-- Raises a table with the reason when the description makes no sense; returns how many values there are.
local function check(g, tensors)
  if type(g) ~= "table" then bad("it is no object") end
  if g.version ~= VERSION then bad("its version is %s, this program reads %d", tostring(g.version), VERSION) end
  for _, field in ipairs { "inputs", "nodes", "results", "buffers" } do
    if type(g[field]) ~= "table" then bad("it has no %s", field) end
  end
  if #g.nodes > MOST_NODES then bad("it has %d operations", #g.nodes) end
  for _, shape in ipairs(g.inputs) do
    if type(shape) ~= "table" or #shape == 0 or #shape > 5 then bad("an input has no shape") end
    for _, n in ipairs(shape) do
      if not is_whole(n, 0, 2 ^ 40) then bad("an input has size %s", tostring(n)) end
    end
  end
  local known = #g.inputs
  for i, node in ipairs(g.nodes) do
    local rule = type(node) == "table" and allowed[node.op]
    if not rule then bad("operation %d is '%s'", i, tostring(type(node) == "table" and node.op)) end
    if type(node.inputs) ~= "table" or #node.inputs > rule.inputs then bad("operation %d has wrong inputs", i) end
    for _, ref in ipairs(node.inputs) do check_input(ref, known, tensors) end
    for name, value in pairs(type(node.attrs) == "table" and node.attrs or {}) do
      if not rule.attrs[name] then bad("operation %d (%s) has an attribute '%s'", i, node.op, tostring(name)) end
      check_attr(value, name)
    end
    if not is_whole(node.outputs, 1, 3) then bad("operation %d has %s outputs", i, tostring(node.outputs)) end
    known = known + node.outputs
  end
  if #g.results == 0 then bad("it has no result") end
  for _, ref in ipairs(g.results) do check_input(ref, known, tensors) end
  return known
end

-- -- running

local GraphModel = base.class("GraphModel")

function GraphModel:__init(g, tensors, last_use)
  self.graph, self.last_use, self.tensors = g, last_use, {}
  for _, shape in ipairs(g.inputs) do shape[1] = "batch" end
  local is_buffer = {}
  for _, name in ipairs(g.buffers) do is_buffer[name] = true end
  for _, name in ipairs(state_names(tensors)) do
    local tensor = tensors[name]
    if is_buffer[name] then
      tensor = core.cell(tensor)
      self:register_buffer(name, tensor)
    elseif not name:match("^constant%.%d+$") then
      tensor = core.cell(tensor, { requires_grad = true })
      self:register_parameter(name, tensor)
    end
    self.tensors[name] = tensor
  end
end

local function attribute(value, batch)
  if type(value) ~= "table" then return numbers[value] or value end
  if value.batch then return value.batch * batch end
  local list = {}
  for i, inner in ipairs(value) do list[i] = attribute(inner, batch) end
  return list
end

local function resolve(self, ref, values, batch)
  if ref == false then return nil end
  if type(ref) == "number" then return values[ref] end
  if ref.tensor then return self.tensors[ref.tensor] end
  if ref.number then return attribute(ref.number, batch) end
  local list = {}
  for i, inner in ipairs(ref.list) do list[i] = resolve(self, inner, values, batch) end
  return list
end

local function check_inputs(self, inputs)
  for i, shape in ipairs(self.graph.inputs) do
    local x = inputs[i]
    args.check(args.is_tensor(x), "[GraphModel] input %d must be a tensor of shape %s", i, table.concat(shape, "x"))
    local fits = #x.shape == #shape and x.shape[1] == inputs[1].shape[1]
    for d = 2, #shape do fits = fits and x.shape[d] == shape[d] end
    args.check(fits, "[GraphModel] input %d is %s, the model was saved for %s", i, table.concat(x.shape, "x"),
      table.concat(shape, "x"))
  end
end

local function run(self, visit, ...)
  local inputs, values = { ... }, { ... }
  check_inputs(self, inputs)
  local batch, count = inputs[1]:size(1), #self.graph.inputs
  for i, node in ipairs(self.graph.nodes) do
    local given, n = {}, #node.inputs
    for k, ref in ipairs(node.inputs) do given[k] = resolve(self, ref, values, batch) end
    local attrs, any = {}, false
    for name, value in pairs(node.attrs) do attrs[name], any = attribute(value, batch), true end
    if any then
      n = n + 1
      given[n] = attrs
    end
    local outputs = { core.ops[node.op](unpack(given, 1, n)) }
    args.check(#outputs == node.outputs, "[GraphModel] operation %d (%s) gave %d results instead of %d", i, node.op,
      #outputs, node.outputs)
    for k, y in ipairs(outputs) do values[count + k] = y end
    if visit then visit(node, outputs, count) end
    count = count + node.outputs
    -- a value that is held is stored; one that nothing needs any more need not be
    for _, id in ipairs(self.last_use[i]) do values[id] = nil end
  end
  local results = {}
  for i, ref in ipairs(self.graph.results) do results[i] = resolve(self, ref, values, batch) end
  return unpack(results)
end

function GraphModel:forward(...) return run(self, nil, ...) end

--- forward(...) that calls visit(node, outputs, count) after every operation; its outputs are values count + 1, ...
function GraphModel:observe(visit, ...) return run(self, visit, ...) end

function GraphModel:extra_repr() return ("%d operations"):format(#self.graph.nodes) end

-- node -> the values that it is the last to use.
local function last_uses(g, count)
  local last, lists = {}, {}
  local function use(ref, i)
    if type(ref) == "number" then last[ref] = i end
    if type(ref) == "table" and ref.list then
      for _, inner in ipairs(ref.list) do use(inner, i) end
    end
  end
  local made = #g.inputs
  for i, node in ipairs(g.nodes) do
    lists[i] = {}
    for k = 1, node.outputs do last[made + k] = i end -- a result that nobody uses goes at once
    made = made + node.outputs
  end
  for i, node in ipairs(g.nodes) do
    for _, ref in ipairs(node.inputs) do use(ref, i) end
  end
  for _, ref in ipairs(g.results) do use(ref, 0) end
  for id = 1, count do
    if last[id] and last[id] > 0 then table.insert(lists[last[id]], id) end
  end
  return lists
end

--- The net of a whole-model file; nil, message, code when the description is damaged.
function graph.load(path, tensors, metadata, names)
  local g, message, code = save.parse_json(metadata["lunette.graph"])
  if g == nil then return nil, ("%s: its graph cannot be read: %s"):format(path, message), code end
  local ok, result = pcall(function()
    local count = check(g, tensors)
    return GraphModel(g, setmetatable(tensors, { names = names }), last_uses(g, count)):eval()
  end)
  if ok then return result end
  local why = type(result) == "table" and result[1] or tostring(result)
  return nil, ("%s: its graph cannot be run: %s"):format(path, why), "LN_EFORMAT"
end

return graph
