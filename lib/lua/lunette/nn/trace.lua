-- nn.trace: a forward pass as a list of operations.
--
-- While a trace runs, core.ops, the operators and the methods that bypass core.ops are
-- replaced by versions that note what they do. The net is traced with two batch sizes; a
-- number that differs between them is a multiple of the batch size and written
-- { batch = k }. Everything is put back when the trace ends, also after an error.
--
-- A node is { op, inputs, attrs, outputs = count }. An input is the number of a value (the
-- net's inputs come first, then every node's outputs), { tensor = name }, { number = x },
-- { list = inputs } or false for an absent one.

local core = require "lunette.core"
local args = require "lunette.args"
local state_names = require "lunette.nn.state"

local ops, methods = core.ops, core.methods

local rows = {}
for _, row in ipairs(core.op_table()) do rows[row.name] = row end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- -- one trace

local Trace = {}
Trace.__index = Trace

local function new_trace(net)
  local self = setmetatable({ nodes = {}, ids = {}, count = 0, names = {}, constants = {} }, Trace)
  local state = net:state_dict()
  for _, name in ipairs(state_names(state)) do self.names[state[name]] = name end
  return self
end

function Trace:add_value(tensor)
  self.count = self.count + 1
  self.ids[tensor] = self.count
end

-- A tensor that no traced operation made: a parameter, a buffer, or a constant of the script.
function Trace:reference(tensor)
  if self.ids[tensor] then return self.ids[tensor] end
  if not self.names[tensor] then
    self.constants[#self.constants + 1] = tensor
    self.names[tensor] = "constant." .. #self.constants
  end
  return { tensor = self.names[tensor] }
end

function Trace:input(x)
  if args.is_tensor(x) then return self:reference(x) end
  if type(x) == "number" then return { number = x } end
  if type(x) == "table" then
    local list = {}
    for i, tensor in ipairs(x) do list[i] = self:input(tensor) end
    return { list = list }
  end
  return false
end

local function is_options(x)
  if type(x) ~= "table" then return false end
  for key in pairs(x) do
    if type(key) == "string" then return true end
  end
  return false
end

-- The arguments of ops.NAME(inputs..., attributes..., {named}) sorted into inputs and named attributes.
local function sort_arguments(row, ...)
  local given, n = { ... }, select("#", ...)
  local attrs, inputs, at = {}, {}, 1
  if is_options(given[n]) then
    for name, value in pairs(given[n]) do attrs[name] = value end
    n = n - 1
  end
  local names = words(row.inputs)
  if row.inputs:find("...", 1, true) then
    local list = {}
    if type(given[1]) == "table" then list, at = given[1], 2 end
    while at <= n and args.is_tensor(given[at]) do
      list[#list + 1] = given[at]
      at = at + 1
    end
    inputs[1] = list
    names = { "xs" }
  else
    for i = 1, #names do inputs[i] = at <= n and given[at] or false; at = at + 1 end
  end
  for _, name in ipairs(words(row.attrs)) do
    if at <= n and given[at] ~= nil then attrs[name] = given[at] end
    at = at + 1
  end
  return inputs, #names, attrs
end

local function note(self, name, original)
  local row = rows[name]
  return function(...)
    args.check(not (row.flags.commit or row.flags.guard), "[trace] '%s' writes a parameter or buffer; a saved model"
      .. " cannot do that", name)
    args.check(not row.flags.random, "[trace] '%s' is random; a saved model cannot be", name)
    local inputs, count, attrs = sort_arguments(row, ...)
    local node = { op = name, inputs = {}, attrs = attrs }
    for i = 1, count do node.inputs[i] = self:input(inputs[i]) end
    local outputs = { original(...) }
    for _, y in ipairs(outputs) do self:add_value(y) end
    node.outputs = #outputs
    self.nodes[#self.nodes + 1] = node
    return unpack(outputs)
  end
end

-- -- what bypasses core.ops

-- t[i] and t[{1, {2, 5}, {}}] as slices and one reshape.
local function index(x, key)
  if type(key) == "number" then key = { key } end
  args.check(type(key) == "table", "[trace] a model that is saved can be indexed with numbers and ranges only")
  local size = {}
  for d, n in ipairs(x.shape) do
    local entry = key[d]
    if type(entry) == "number" then
      x = ops.slice(x, { dim = d, start = entry, stop = entry })
    else
      if entry and #entry > 0 then
        x = ops.slice(x, { dim = d, start = entry[1], stop = entry[2], step = entry[3] or 1 })
        n = x:size(d)
      end
      size[#size + 1] = n
    end
  end
  return ops.reshape(x, { size = size })
end

local function forbidden(what)
  return function()
    args.fail("[trace] %s; the recorded operations would not contain it, so this model cannot be saved whole", what)
  end
end

-- Replaces fields of a table and remembers the old ones.
local function replace(undo, t, name, value)
  undo[#undo + 1] = { t, name, t[name] }
  t[name] = value
end

local function install(self, metatable, undo)
  for name, original in pairs(ops) do replace(undo, ops, name, note(self, name, original)) end
  for operator, name in pairs { __add = "add", __sub = "sub", __mul = "mul", __div = "div", __pow = "pow" } do
    replace(undo, metatable, operator, function(a, b) return ops[name](a, b) end)
  end
  replace(undo, metatable, "__unm", function(x) return ops.neg(x) end)
  replace(undo, metatable, "__mod", function(a, b) return ops.sub(a, ops.mul(ops.floor(ops.div(a, b)), b)) end)
  local fields = metatable.__index
  replace(undo, metatable, "__index", function(x, key)
    if type(key) ~= "string" then return index(x, key) end
    if key == "T" then return ops.permute(x, { dims = { 2, 1 } }) end
    return fields(x, key)
  end)
  replace(undo, metatable, "__newindex", forbidden("forward writes elements of a tensor"))
  replace(undo, methods, "assign_", forbidden("forward writes into a tensor"))
  for _, name in ipairs { "item", "tolist", "ptr" } do
    replace(undo, methods, name, forbidden("forward reads values (" .. name .. ")"))
  end
  replace(undo, core, "func", forbidden("forward uses an nn.Function"))
end

-- The trace of net on inputs of these shapes.
local function trace_once(net, shapes)
  local self, undo, inputs = new_trace(net), {}, {}
  for i, shape in ipairs(shapes) do
    inputs[i] = ops.full({ size = shape, value = 0, dtype = "f32" })
    self:add_value(inputs[i])
  end
  self.inputs = #inputs
  install(self, getmetatable(inputs[1]), undo)
  local results = { pcall(net, unpack(inputs)) }
  for i = #undo, 1, -1 do undo[i][1][undo[i][2]] = undo[i][3] end
  if not results[1] then error(results[2], 0) end
  self.results = {}
  for i = 2, #results do
    args.check(args.is_tensor(results[i]), "[trace] result %d of forward is no tensor but a %s", i - 1,
      type(results[i]))
    self.results[i - 1] = self:reference(results[i])
  end
  return self
end

-- -- two traces as one

local BATCHES = { 2, 3 }

local function merge(a, b, what)
  if type(a) ~= type(b) then args.fail("[trace] %s depends on the batch size", what) end
  if type(a) == "number" then
    if a == b or (a ~= a and b ~= b) then return a end
    local k = a / BATCHES[1]
    args.check(k * BATCHES[2] == b, "[trace] %s is %g for batches of %d and %g for %d: no multiple of the batch size",
      what, a, BATCHES[1], b, BATCHES[2])
    return { batch = k }
  elseif type(a) == "table" then
    local result = {}
    for key, value in pairs(a) do result[key] = merge(value, b[key], what) end
    for key in pairs(b) do
      if a[key] == nil then args.fail("[trace] %s depends on the batch size", what) end
    end
    return result
  end
  args.check(a == b, "[trace] %s depends on the batch size", what)
  return a
end

--- The graph of `net` for inputs of these shapes (dim 1 is the batch, whatever its size), and its constants.
return function(net, shapes)
  local enabled, training = core.grad_enabled(false), {}
  for _, module in ipairs(net:modules()) do training[module] = module.training end
  net:eval()
  local traces = {}
  local ok, message = pcall(function()
    for i, batch in ipairs(BATCHES) do
      local sized = {}
      for k, shape in ipairs(shapes) do
        sized[k] = { unpack(shape) }
        sized[k][1] = batch
      end
      traces[i] = trace_once(net, sized)
    end
  end)
  core.grad_enabled(enabled)
  for module, mode in pairs(training) do module.training = mode end
  if not ok then error(message, 0) end
  local a, b = traces[1], traces[2]
  args.check(#a.nodes == #b.nodes, "[trace] forward does other operations for another batch size")
  local nodes = {}
  for i, node in ipairs(a.nodes) do
    nodes[i] = merge(node, b.nodes[i], ("operation %d (%s)"):format(i, node.op))
  end
  local constants = {}
  for i, tensor in ipairs(a.constants) do
    args.check(table.concat(tensor.shape, "x") == table.concat(b.constants[i].shape, "x"),
      "[trace] constant %d depends on the batch size", i)
    constants["constant." .. i] = tensor
  end
  return { nodes = nodes, inputs = shapes, results = merge(a.results, b.results, "the result") }, constants
end
