-- --budget: how many epochs fit. The costliest net is timed on a few images; the others are
-- taken to need time in proportion to their multiplications.

local save = require "lunette.save"
local sys = require "lunette.sys"
local study = require "study"

local budget = {}

-- Shares of a run beside its training: validation, test and scores (forward only, about a third
-- of a training step's work each), start and files.
local BESIDE = 1.25

-- Multiplications of one image's forward pass, from the pipeline's own --summary; 0 when it gives
-- none: it will fail in its own run too, where that is recorded.
local function mult_adds(script, words, scratch, must)
  local argv = { sys.executable(), script, "--summary", "--batch", "1" }
  for _, word in ipairs(words) do argv[#argv + 1] = word end
  local path = scratch .. "/summary.txt"
  must(sys.run(argv, { stdout = path, stderr = scratch .. "/errors.txt" }))
  local unit, number = (save.read(path) or ""):match("Total mult%-adds %(([MGT])%): ([%d.]+)")
  local scale = { M = 1e6, G = 1e9, T = 1e12 }
  return number and tonumber(number) * scale[unit] or 0
end

-- Seconds for one image in training, and for all that is not training, from a short run.
local function time_one(o, common, script, scratch, must)
  local batch = o.batch or 16
  local words = { sys.executable(), script }
  for _, word in ipairs(study.words(o, common, scratch)) do words[#words + 1] = word end
  for _, word in ipairs { "--epochs", "1", "--limit", tostring(5 * batch), "--log-steps" } do words[#words + 1] = word end
  local result = must(sys.run(words, { stdout = scratch .. "/output.txt", stderr = scratch .. "/errors.txt" }))
  local steps, total = {}, 0
  for line in io.lines(scratch .. "/metrics.jsonl") do
    local entry = save.parse_json(line)
    if type(entry) == "table" and entry.kind == "step" then
      steps[#steps + 1] = entry.seconds
      total = total + entry.seconds
    end
  end
  if result.status ~= 0 or #steps == 0 then return nil end
  if #steps > 1 then table.remove(steps, 1) end -- the first one plans
  table.sort(steps)
  return steps[math.floor((#steps + 1) / 2)] / batch, result.seconds - total
end

local function remove(folder)
  for _, name in ipairs(sys.list(folder) or {}) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
end

--- The epochs, from 1 to o.epochs, for which all pipelines together take about o.budget seconds.
function budget.epochs(o, common, ids, script_of, images, must)
  local scratch = o.out .. "/timing"
  must(sys.mkdir(scratch))
  local size = o.size and { "--size", tostring(o.size) } or {}
  local sum, most, costliest = 0, 0, nil
  for _, id in ipairs(ids) do
    local cost = mult_adds(script_of[id], size, scratch, must)
    sum = sum + cost
    if cost > most and id ~= "gpt_o1" then most, costliest = cost, id end -- o1 fills folders, claude35 has its net
  end
  local per_image, beside
  if costliest then per_image, beside = time_one(o, common, script_of[costliest], scratch, must) end
  remove(scratch)
  if not per_image then return o.epochs end
  local trained, relative = 0.8 * (images - common.held_out), sum / most
  local fit = math.floor((o.budget - beside * relative) / (per_image * trained * relative * BESIDE))
  return math.max(1, math.min(o.epochs, fit))
end

return budget
