-- run.checkpoint: weights, optimizer state and the epoch in one safetensors file, written
-- after every epoch. Optimizer tensors are named "optimizer.<i>.<name>", i counting from 1.

local save = require "lunette.save"
local state_names = require "lunette.nn.state"

local checkpoint = {}

local FORMAT = "lunette-checkpoint-1"

function checkpoint.save(path, model, optimizer, epoch, seconds, stop)
  local tensors, order = {}, {}
  local function add(name, tensor)
    tensors[name], order[#order + 1] = tensor, name
  end
  local state = model:state_dict()
  for _, name in ipairs(state_names(state)) do add("model." .. name, state[name]) end
  local dict = optimizer:state_dict()
  local steps = {}
  for i = 1, #optimizer:positions() do
    local entry = dict.state[i] or { step = 0 }
    steps[i] = entry.step
    local fields = {}
    for name, value in pairs(entry) do
      if type(value) == "userdata" then fields[#fields + 1] = name end
    end
    table.sort(fields)
    for _, name in ipairs(fields) do add(("optimizer.%d.%s"):format(i, name), entry[name]) end
  end
  local done, message = save.safetensors(path, tensors, { order = order, metadata = {
    format = FORMAT, epoch = tostring(epoch), seconds = tostring(seconds),
    optimizer = save.json { steps = steps, param_groups = dict.param_groups },
  } })
  if not done then stop("%s", message) end
end

-- Splits the file's tensors into the model's and the optimizer's.
local function sort_out(tensors, steps)
  local model, state = {}, {}
  for i, step in ipairs(steps) do
    if step > 0 then state[i] = { step = step } end
  end
  for name, tensor in pairs(tensors) do
    local i, field = name:match("^optimizer%.(%d+)%.(.+)$")
    if i and state[tonumber(i)] then
      state[tonumber(i)][field] = tensor
    elseif name:sub(1, 6) == "model." then
      model[name:sub(7)] = tensor
    end
  end
  return model, state
end

--- Restores model and optimizer; returns { epoch, seconds }, or nil when there is no file.
function checkpoint.load(path, model, optimizer, stop)
  local file = io.open(path, "rb")
  if not file then return nil end
  file:close()
  local tensors, metadata = save.load_safetensors(path)
  if not tensors then stop("%s", metadata) end
  if metadata.format ~= FORMAT then stop("%s is no checkpoint that this version can go on from", path) end
  local kept = save.parse_json(metadata.optimizer)
  local weights, state = sort_out(tensors, kept.steps)
  model:load_state_dict(weights)
  optimizer:load_state_dict({ state = state, param_groups = kept.param_groups })
  return { epoch = tonumber(metadata.epoch), seconds = tonumber(metadata.seconds) }
end

return checkpoint
