-- features: what a network is, read from its recorded graph: stages, block, channels, skips,
-- final layer. Nothing is taken from the script that built it, so a table of these says
-- what runs, not what somebody meant.
--
-- The graph is cut at the bottleneck: the value that the first upsampling of the smallest
-- resolution takes. Everything computed from it is the decoder, all else the encoder. A
-- skip is a cat or an add of a decoder value with an encoder value.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local features = {}

-- -- the graph as a list of nodes with shapes

-- Values that a node takes, as numbers, those inside lists (cat) too.
local function values_of(node)
  local list = {}
  for _, ref in ipairs(node.inputs) do
    if type(ref) == "number" then list[#list + 1] = ref end
    if type(ref) == "table" and ref.list then
      for _, inner in ipairs(ref.list) do
        if type(inner) == "number" then list[#list + 1] = inner end
      end
    end
  end
  return list
end

-- Runs the net on shapes alone: what is recorded here is never computed.
local function read(model)
  local net = { nodes = {}, shape = {}, maker = {}, model = model }
  local inputs = {}
  for i, shape in ipairs(model.graph.inputs) do
    local size = { 1, unpack(shape, 2) }
    inputs[i] = core.ops.full({ size = size, value = 0, dtype = "f32" })
    net.shape[i] = size
  end
  local enabled = core.grad_enabled(false)
  local ok, message = pcall(model.observe, model, function(node, outputs, count)
    local entry = { op = node.op, node = node, takes = values_of(node), gives = count + 1 }
    for k, y in ipairs(outputs) do
      net.shape[count + k] = y.shape
      net.maker[count + k] = entry
    end
    net.nodes[#net.nodes + 1] = entry
    entry.index = #net.nodes
  end, unpack(inputs))
  core.grad_enabled(enabled)
  if not ok then error(message, 0) end
  net.result = model.graph.results[1]
  return net
end

-- Pixels (or voxels) of a value; nil where it has no spatial dims.
local function area(net, value)
  local shape = net.shape[value]
  if not shape or #shape < 3 then return nil end
  local n = 1
  for d = 3, #shape do n = n * shape[d] end
  return n
end

-- Whether some spatial dim grows (or shrinks) to at least 3/2 (or at most 2/3) from value a to value b.
local function grows(net, a, b)
  local from, to = net.shape[a], net.shape[b]
  if not from or not to or #from ~= #to or #from < 3 then return false end
  for d = 3, #from do
    if 2 * to[d] >= 3 * from[d] then return true end
  end
  return false
end

local downs = { conv = true, max_pool = true, avg_pool = true, interpolate = true }
local ups = { conv_transpose = true, interpolate = true }

local function has_stride(entry)
  local stride = entry.node.attrs.stride
  if type(stride) ~= "table" then return type(stride) == "number" and stride > 1 end
  for _, n in ipairs(stride) do
    if type(n) == "number" and n > 1 then return true end
  end
  return false
end

local function is_up(net, entry)
  return ups[entry.op] and grows(net, entry.takes[1], entry.gives)
end

-- A convolution without padding shrinks a little too: only its stride makes it a downsampling.
local function is_down(net, entry)
  return downs[entry.op] and grows(net, entry.gives, entry.takes[1]) and (entry.op ~= "conv" or has_stride(entry))
end

local function descendants(net, value)
  local set = { [value] = true }
  for _, entry in ipairs(net.nodes) do
    for _, taken in ipairs(entry.takes) do
      if set[taken] then
        for k = 0, entry.node.outputs - 1 do set[entry.gives + k] = true end
      end
    end
  end
  return set
end

local function ancestors(net, value)
  local set = { [value] = true }
  for i = #net.nodes, 1, -1 do
    local entry, needed = net.nodes[i], false
    for k = 0, entry.node.outputs - 1 do needed = needed or set[entry.gives + k] end
    if needed then
      for _, taken in ipairs(entry.takes) do set[taken] = true end
    end
  end
  return set
end

-- What the first upsampling of the smallest resolution takes; nil in a net without one.
local function bottleneck(net)
  local best
  for _, entry in ipairs(net.nodes) do
    if is_up(net, entry) and (not best or area(net, entry.takes[1]) < area(net, best)) then best = entry.takes[1] end
  end
  return best
end

-- -- words

local function per_dim(list)
  for _, n in ipairs(list) do
    if n ~= list[1] then return table.concat(list, "×") end
  end
  return tostring(list[1])
end

-- The shape of a node's second input, its weight.
local function weight_shape(net, entry)
  local ref = entry.node.inputs[2]
  if type(ref) == "number" then return net.shape[ref] end
  return net.model.tensors[ref.tensor].shape
end

local function kernel(net, entry) return { unpack(weight_shape(net, entry), 3) } end

local function square(list) return table.concat(list, "×") end

local layers = { conv = "Conv", conv_transpose = "ConvTranspose" }

local function dims(net, entry) return #net.shape[entry.gives] - 2 end

local function layer_name(net, entry) return ("%s%dd"):format(layers[entry.op], dims(net, entry)) end

local simple = { relu = "ReLU", leaky_relu = "LeakyReLU", sigmoid = "sigmoid", tanh = "tanh", softmax = "softmax",
  log_softmax = "log-softmax", row_norm = "instance, group or layer norm" }

-- One layer of a block, as "Conv2d 3×3"; nil for what is no layer (reshapes, padding).
local function word(net, entry)
  if layers[entry.op] then
    local text = ("%s %s"):format(layer_name(net, entry), square(kernel(net, entry)))
    local before, behind = area(net, entry.takes[1]), area(net, entry.gives)
    local unpadded = entry.op == "conv" and not has_stride(entry) and behind < before
      and not (net.maker[entry.takes[1]] and net.maker[entry.takes[1]].op == "pad")
    return text .. (unpadded and " unpadded" or "")
  elseif entry.op == "batch_norm_eval" then
    return ("BatchNorm%dd"):format(dims(net, entry))
  end
  return simple[entry.op]
end

-- {"a", "b", "a", "b"} -> "(a + b) ×2"
local function compress(words)
  for period = 1, #words do
    local fits = #words % period == 0
    for i = period + 1, #words do fits = fits and words[i] == words[i - period] end
    if fits then
      local unit, times = table.concat(words, " + ", 1, period), #words / period
      return times == 1 and unit or ("(%s) ×%d"):format(unit, times)
    end
  end
  return "none"
end

local function resampling(net, entry)
  local attrs = entry.node.attrs
  if entry.op == "interpolate" then return attrs.mode == "nearest" and "nearest" or "bilinear" end
  if entry.op == "conv" then return "strided " .. word(net, entry) end
  if entry.op == "conv_transpose" then return word(net, entry) end
  local k = args.tuple("features", "kernel", attrs.kernel, dims(net, entry))
  return (entry.op == "max_pool" and "max pool " or "average pool ") .. square(k)
end

-- The different words of a list in their order: "max pool 2×2".
local function distinct(words)
  local list, seen = {}, {}
  for _, w in ipairs(words) do
    if not seen[w] then list[#list + 1] = w end
    seen[w] = true
  end
  return #list > 0 and table.concat(list, ", ") or "none"
end

-- -- parts

-- The layers between one downsampling and the next, most frequent form first.
local function block_of(net, edges)
  local count, best = {}, nil
  for i = 1, #edges do
    local words = {}
    for k = (edges[i - 1] or 0) + 1, edges[i] - 1 do words[#words + 1] = word(net, net.nodes[k]) end
    local text = compress(words)
    count[text] = (count[text] or 0) + 1
    if text ~= "none" and (not best or count[text] > count[best]) then best = text end
  end
  return best or "none"
end

local function encoder_of(net, cut, result)
  local before = cut and ancestors(net, cut) or ancestors(net, net.result)
  local channels, words, edges, seen = {}, {}, {}, {}
  for _, entry in ipairs(net.nodes) do
    local from = entry.takes[1]
    if before[entry.gives] and is_down(net, entry) then
      words[#words + 1] = resampling(net, entry)
      if not seen[from] then channels[#channels + 1] = net.shape[from][2] end
      seen[from], edges[#edges + 1] = true, entry.index
    end
  end
  result.encoder_stages, result.encoder_channels, result.down = #channels, channels, distinct(words)
  -- a net that never shrinks its input is one block
  if #edges == 0 then edges[1] = #net.nodes + 1 end
  result.block = block_of(net, edges)
end

-- Channels leaving each decoder stage: what the next upsampling takes; at the end what the final layer takes.
local function decoder_of(net, decoder, final, result)
  local channels, words, stages = {}, {}, {}
  for _, entry in ipairs(net.nodes) do
    if is_up(net, entry) and decoder[entry.takes[1]] then
      stages[#stages + 1] = entry
      words[#words + 1] = resampling(net, entry)
    end
  end
  for i, entry in ipairs(stages) do
    local following = stages[i + 1]
    local value = following and following.takes[1] or (final == entry and entry.gives or final.takes[1])
    -- an upsampling behind the final layer enlarges the output and is no stage with features of its own
    if final.index < entry.index then value = entry.gives end
    channels[i] = net.shape[value][2]
  end
  result.decoder_stages, result.decoder_channels, result.up = #stages, channels, distinct(words)
end

local passing = { slice = true, pad = true, interpolate = true, reshape = true }

-- Walks back over crops, padding and resizing (an index is slices and a reshape); returns the value behind them and
-- what was met.
local function origin(net, value)
  local met = {}
  local entry = net.maker[value]
  while entry and passing[entry.op] do
    if entry.op == "slice" then met.cropped = true end
    if entry.op == "interpolate" then met[grows(net, entry.takes[1], value) and "enlarged" or "shrunk"] = true end
    value = entry.takes[1]
    entry = net.maker[value]
  end
  return value, met
end

local function note_skip(net, value, notes)
  local source, met = origin(net, value)
  local maker = net.maker[source]
  if maker and is_down(net, maker) then notes["taken after the pooling"] = true end
  if met.cropped then notes["cropped to fit"] = true end
  if met.enlarged or met.shrunk then notes["resized to fit"] = true end
end

local function skips_of(net, decoder, result)
  local counts, notes, residuals = { cat = 0, add = 0 }, {}, 0
  for _, entry in ipairs(net.nodes) do
    if counts[entry.op] and #entry.takes >= 2 and area(net, entry.gives) and area(net, entry.gives) > 1 then
      local from_decoder, from_encoder = {}, {}
      for _, value in ipairs(entry.takes) do table.insert(decoder[value] and from_decoder or from_encoder, value) end
      if #from_decoder > 0 and #from_encoder > 0 then
        counts[entry.op] = counts[entry.op] + 1
        for _, value in ipairs(from_encoder) do note_skip(net, value, notes) end
        for _, value in ipairs(from_decoder) do
          local _, met = origin(net, value)
          if met.shrunk then notes["decoder shrunk to fit"] = true end
          if met.cropped then notes["decoder cropped to fit"] = true end
        end
      elseif entry.op == "add" then
        residuals = residuals + 1
      end
    end
  end
  local list = {}
  for note in pairs(notes) do list[#list + 1] = note end
  table.sort(list)
  local kind = counts.cat > 0 and (counts.add > 0 and "concat and add" or "concat") or counts.add > 0 and "add" or "none"
  result.skips = { kind = kind, concat = counts.cat, add = counts.add, notes = list }
  result.residuals = residuals
end

local function find_final(net)
  local needed = ancestors(net, net.result)
  for i = #net.nodes, 1, -1 do
    local entry = net.nodes[i]
    if layers[entry.op] and needed[entry.gives] then return entry end
  end
end

-- "Conv2d(64, 1, 1), sigmoid": channels in, channels out, kernel, and the activations behind it.
local function final_of(net, final, result)
  local k = kernel(net, final)
  local text = ("%s(%d, %d, %s)"):format(layer_name(net, final), net.shape[final.takes[1]][2], net.shape[final.gives][2],
    per_dim(k))
  result.final_layer = text
  result.final_activations = {}
  result.ends_in = "logits"
  local needed = ancestors(net, net.result)
  for i = final.index + 1, #net.nodes do
    local entry = net.nodes[i]
    if needed[entry.gives] and simple[entry.op] then table.insert(result.final_activations, simple[entry.op]) end
  end
  local maker = net.maker[(origin(net, net.result))]
  if maker and (maker.op == "sigmoid" or maker.op == "softmax") then result.ends_in = maker.op end
end

docs("features.of", "of(model): what a whole-model file's net (lunette.load) is, read from its graph: input and output"
  .. " {channels, height, width}, parameters, encoder_stages and decoder_stages (down- and upsamplings), encoder_channels (entering"
  .. " each downsampling), bottleneck (channels), decoder_channels (leaving each stage), block, down, up, skips {kind, concat,"
  .. " add, notes}, residuals, final_layer, final_activations, ends_in (sigmoid, softmax or logits). Raises for a net without"
  .. " a convolution")
function features.of(model)
  args.check(type(model) == "table" and model.graph, "[features.of] expected the net of a whole-model file")
  local net = read(model)
  args.check(type(net.result) == "number", "[features.of] the net's result does not depend on its input")
  local final = find_final(net)
  args.check(final, "[features.of] the net has no convolution")
  local result = { input = { unpack(net.shape[1], 2) }, output = { unpack(net.shape[net.result], 2) }, parameters = 0 }
  for _, cell in ipairs(model:parameters()) do result.parameters = result.parameters + cell:numel() end
  local cut = bottleneck(net)
  local decoder = cut and descendants(net, cut) or {}
  result.bottleneck = cut and net.shape[cut][2] or nil
  encoder_of(net, cut, result)
  decoder_of(net, decoder, final, result)
  skips_of(net, decoder, result)
  final_of(net, final, result)
  return result
end

return features
