-- summary: a net's layers with their output shapes, parameters and multiply-adds, in the
-- form that torchinfo prints. The forward pass is recorded and thrown away: nothing is computed.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local base = require "lunette.nn.module"

local function product(list, skip)
  local n = 1
  for i, v in ipairs(list) do
    if i ~= skip then n = n * v end
  end
  return n
end

-- 7696193 -> 7,696,193
local function grouped(n)
  local text = ("%d"):format(n)
  local count
  repeat text, count = text:gsub("^(-?%d+)(%d%d%d)", "%1,%2") until count == 0
  return text
end

local bytes_of = { bool = 1, u8 = 1, i32 = 4, i64 = 8, bf16 = 2, f32 = 4, f64 = 8 }

-- What one layer is, before it has run: parameters, and whether it has layers below.
local function describe(module, depth)
  local info = { module = module, name = module.class_name, depth = depth, params = 0, trainable = 0, bytes = 0,
    macs = 0, output_bytes = 0, leaf = #module:children() == 0 }
  for _, cell in ipairs(module:parameters()) do
    local n = cell:numel()
    info.params, info.bytes = info.params + n, info.bytes + n * bytes_of[cell.dtype]
    if cell.requires_grad then info.trainable = info.trainable + n end
  end
  return info
end

-- torchinfo's rule: a convolution's weights work at every output position, others once a sample.
local function count_macs(info)
  for name, cell in info.module:named_parameters() do
    if name == "weight" or name == "bias" then
      local conv = info.name:find("Conv", 1, true)
      info.macs = info.macs + cell:numel() * (conv and product(info.shape, 2) or info.shape[1])
    end
  end
end

-- Containers that have no forward of their own stand before the first of their layers that
-- runs, and again when other layers came in between: as in torchinfo it is then one row in two
-- places, "(recursive)" in both.
local function add_container(rows, state, module, depth)
  local info = state.containers[module] or describe(module, depth)
  info.repeated = state.seen[module]
  state.containers[module], state.seen[module] = info, true
  rows[#rows + 1] = info
end

-- Sets the hooks that collect a row for every layer that runs; returns the rows and a function that removes them.
local function observe(net)
  local rows, state, parents, depths = {}, { seen = {}, shown = {}, containers = {} }, {}, {}
  local open = {}
  local function note(module, depth)
    depths[module] = depth
    for _, child in module:named_children() do
      if not depths[child] then
        parents[child] = module
        note(child, depth + 1)
      end
    end
  end
  note(net, 0)
  local function show_parents(module)
    local chain, parent = {}, parents[module]
    while parent and parent ~= net and not open[parent] do
      table.insert(chain, 1, parent)
      parent = parents[parent]
    end
    for _, container in ipairs(chain) do
      if state.shown[depths[container]] ~= container then
        add_container(rows, state, container, depths[container])
        state.shown[depths[container]] = container
      end
    end
  end
  local function hook(module, event, y)
    if event == "enter" then
      show_parents(module)
      local info = describe(module, depths[module])
      info.repeated = state.seen[module]
      state.seen[module] = true
      state.shown[info.depth] = module
      for d in pairs(state.shown) do
        if d > info.depth then state.shown[d] = nil end
      end
      rows[#rows + 1], open[module] = info, info
    else
      local info = open[module]
      open[module] = nil
      if args.is_tensor(y) then
        info.shape = y.shape
        info.output_bytes = y:numel() * bytes_of[y.dtype]
        count_macs(info)
      end
    end
  end
  for module in pairs(depths) do rawset(module, "_hook", hook) end
  return rows, function()
    for module in pairs(depths) do rawset(module, "_hook", nil) end
  end
end

local function forward(net, inputs)
  local training, enabled = {}, core.grad_enabled(false)
  for _, module in ipairs(net:modules()) do training[module] = module.training end
  net:eval()
  local rows, forget = observe(net)
  local ok, message = pcall(function() net(unpack(inputs)) end)
  forget()
  core.grad_enabled(enabled)
  for module, mode in pairs(training) do module.training = mode end
  if not ok then error(message, 0) end
  return rows
end

-- Rows below rows[i] in the tree: those that follow with a greater depth.
local function below(rows, i)
  local list = {}
  for k = i + 1, #rows do
    if rows[k].depth <= rows[i].depth then break end
    list[#list + 1] = k
  end
  return list
end

-- Parameters that a layer has besides those of the rows below it.
local function leftover(rows, i, which)
  local rest = rows[i][which]
  for _, k in ipairs(below(rows, i)) do
    if not rows[k].repeated then
      rest = rest - (rows[k].leaf and rows[k][which] or leftover(rows, k, which))
    end
  end
  return rest
end

local function totals(rows)
  local t = { params = 0, trainable = 0, bytes = 0, macs = 0, output_bytes = 0 }
  for i, row in ipairs(rows) do
    if row.leaf then
      t.macs = t.macs + row.macs
      if row.params > 0 then t.output_bytes = t.output_bytes + 2 * row.output_bytes end -- and as much for gradients
    end
    if not row.repeated then
      t.params = t.params + math.max(0, row.leaf and row.params or leftover(rows, i, "params"))
      t.trainable = t.trainable + math.max(0, row.leaf and row.trainable or leftover(rows, i, "trainable"))
      if row.leaf then t.bytes = t.bytes + row.bytes end
    end
  end
  return t
end

-- -- text

local function pad(text, width, length)
  return text .. (" "):rep(width - (length or #text))
end

local function indent(depth)
  if depth == 0 then return "" end
  if depth == 1 then return "├─" end
  return ("│    "):rep(depth - 1) .. "└─"
end

local function params_text(rows, i, deepest)
  local row = rows[i]
  if row.params == 0 then return "--" end
  if row.repeated then return "(recursive)" end
  if row.leaf or row.depth == deepest then
    return row.trainable > 0 and grouped(row.params) or "(" .. grouped(row.params) .. ")"
  end
  local rest = leftover(rows, i, "params")
  return rest > 0 and grouped(rest) or "--"
end

local function scaled(n)
  local unit, divisor = "M", 1e6
  if n >= 1e12 then unit, divisor = "T", 1e12 elseif n >= 1e9 then unit, divisor = "G", 1e9 end
  local x = n / divisor
  if x % 1 == 0 then return (" (%s): %s"):format(unit, grouped(x)) end
  local before, behind = ("%.2f"):format(x):match("^(%d+)(.*)$")
  return (" (%s): %s%s"):format(unit, grouped(tonumber(before)), behind)
end

local function table_text(rows, deepest)
  local width, numbers, titles = 40, {}, {}
  for _, row in ipairs(rows) do
    numbers[row.depth] = (numbers[row.depth] or 0) + 1
    row.number = numbers[row.depth]
  end
  for i, row in ipairs(rows) do
    titles[i] = row.depth == 0 and row.name or ("%s: %d-%d"):format(row.name, row.depth, row.number)
    width = math.max(width, math.ceil((#titles[i] + row.depth * 5 + 1) / 5) * 5)
  end
  local lines = {}
  local function add(title, length, shape, params)
    lines[#lines + 1] = (pad(title, width, length) .. " " .. pad(shape, 25) .. " " .. params):gsub("%s+$", "")
  end
  local rule = ("="):rep(width + 50)
  lines[1] = rule
  add("Layer (type:depth-idx)", nil, "Output Shape", "Param #")
  lines[#lines + 1] = rule
  for i, row in ipairs(rows) do
    if row.depth <= deepest then
      local start = indent(row.depth)
      local length = (row.depth == 0 and 0 or row.depth == 1 and 2 or 5 * (row.depth - 1) + 2) + #titles[i]
      add(start .. titles[i], length, row.shape and "[" .. table.concat(row.shape, ", ") .. "]" or "--",
        params_text(rows, i, deepest))
    end
  end
  lines[#lines + 1] = rule
  return lines, rule
end

local function megabytes(label, bytes) return ("%s (MB): %.2f"):format(label, bytes / 1e6) end

docs("summary", "summary(net, {1, 1, 256, 256}, {depth=3}): text as torchinfo's summary: layers, output shapes,"
  .. " parameters, multiply-adds, memory; then the totals as a table with params, trainable, macs. The shape is one"
  .. " input's; several inputs as a list of shapes. Nothing is computed")
local function summary(net, shape, options)
  args.check(base.is_module(net), "[summary] takes a layer and the shape of its input")
  local deepest = args.options("summary", options, { depth = 3 }).depth
  local shapes = type(shape[1]) == "table" and shape or { shape }
  local inputs, input_bytes = {}, 0
  for i, size in ipairs(shapes) do
    inputs[i] = core.ops.full({ size = size, value = 0, dtype = "f32" })
    input_bytes = input_bytes + 4 * product(size)
  end
  local rows = forward(net, inputs)
  local t = totals(rows)
  local lines, rule = table_text(rows, deepest)
  for _, line in ipairs {
    "Total params: " .. grouped(t.params), "Trainable params: " .. grouped(t.trainable),
    "Non-trainable params: " .. grouped(t.params - t.trainable), "Total mult-adds" .. scaled(t.macs), rule,
    megabytes("Input size", input_bytes), megabytes("Forward/backward pass size", t.output_bytes),
    megabytes("Params size", t.bytes), megabytes("Estimated Total Size", input_bytes + t.output_bytes + t.bytes), rule,
  } do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n"), t
end

return setmetatable({ grouped = grouped }, { __call = function(_, ...) return summary(...) end })
