-- The fair re-score: every run's whole-model file on every image of the holdout, in the
-- image's own size, against the mask as it was drawn. One definition for all:
--
--   probability (after a sigmoid where the graph does not end in one), resized bilinearly
--   to the image's size, > 0.5, against mask >= 128; one Dice, IoU and HD95 an image.

local lt = require "lunette"
local F = require "lunette.nn.functional"
local data = require "lunette.data"
local features = require "lunette.features"
local keras = require "lunette.keras"
local metrics = require "lunette.metrics"
local progress = require "lunette.progress"
local stats = require "lunette.stats"
local attempt = require "attempt"

local score = {}

local known_input = { size = true, resize = true }
local known_resize = { bilinear = true, nearest = true, ["bilinear-no-antialias"] = true }

-- How the run makes a network's input of an image; nil, why when run.json asks for what is not known here.
local function input_of(run, model)
  for name in pairs(run.input) do
    if not known_input[name] then return nil, ("its input has '%s', which the comparison does not know"):format(tostring(name)) end
  end
  local shape = model.graph.inputs[1]
  if #model.graph.inputs ~= 1 or #shape ~= 4 or shape[2] ~= 1 then
    return nil, "its network does not take one grey image"
  end
  local resize = run.input.resize or "bilinear"
  if not known_resize[resize] then return nil, ("its input is resized by '%s'"):format(tostring(resize)) end
  return { size = { shape[3], shape[4] }, resize = resize }
end

-- The group's images as the network takes them; the last kind of resize is TensorFlow's.
local function images_of(group, input)
  if input.resize == "bilinear-no-antialias" then return keras.ResizedPairs(group.pairs, { size = input.size }) end
  return data.ImageMask(group.pairs, input)
end

-- The foreground's probability as [1, 1, h, w]. Several channels are classes, of which the first is background.
local function foreground(output, ends_in)
  if output:size(2) == 1 then return ends_in == "logits" and output:sigmoid() or output end
  local p = ends_in == "softmax" and output or output:softmax(2)
  return 1 - p[{ {}, { 1, 1 } }]
end

--- The predicted mask (bool [H, W]) of an image (f32 [1, h, w], the network's size) at `height` x `width`.
function score.predict(model, ends_in, image, height, width)
  return lt.no_grad(function()
    local p = foreground(model(image:unsqueeze(1)), ends_in)
    p = F.interpolate(p, { size = { height, width }, mode = "bilinear", align_corners = false })
    return p[1][1]:gt(0.5)
  end)
end

--- Dice, IoU and HD95 (pixels) of two bool masks [H, W]. Both empty: 1, 1, 0; one empty: 0, 0, the diagonal.
function score.compare(prediction, target)
  local p, t = prediction:float(), target:float()
  local overlap, a, b = (p * t):sum():item(), p:sum():item(), t:sum():item()
  local hd95 = metrics.hd95(prediction, target)
  if a + b == 0 then return 1, 1, hd95 end
  return 2 * overlap / (a + b), overlap / (a + b - overlap), hd95
end

-- Loads a run's model and reads its features; nil, and the reason in the run's problems, when it cannot.
local function open_model(run)
  local model, message = lt.load(run.folder .. "/" .. run.model)
  if not model then
    table.insert(run.problems, message)
    return nil
  end
  if type(model) ~= "table" or not model.graph then
    table.insert(run.problems, run.model .. " holds no recorded graph: no features, no fair score")
    return nil
  end
  run.features, message = attempt(features.of, model)
  if run.features then return model end
  table.insert(run.problems, "its graph cannot be read: " .. message)
end

-- True, also when the run asks for something that is not known here; raises when its model cannot be run.
local function score_run(run, model, group)
  local input, why = input_of(run, model)
  if not input then
    table.insert(run.problems, why .. ": no fair score")
    return true
  end
  local set = images_of(group, input)
  local scores = {}
  for i in progress(#group.pairs, "Scoring " .. run.name) do
    local image, target = set:get(i), group.masks(i)
    local prediction = score.predict(model, run.features.ends_in, image, target:size(1), target:size(2))
    local dice, iou, hd95 = score.compare(prediction, target)
    scores[i] = { stem = group.pairs:stem(i), dice = dice, iou = iou, hd95 = hd95 }
    if i == group.sample then run.sample_mask = prediction end
  end
  run.scores = scores
  return true
end

-- The image that the grid shows: the wanted one, or the one whose foreground is nearest the median of those that have any.
local function choose_sample(group, wanted)
  local sizes, filled, chosen = {}, {}, nil
  for i = 1, #group.pairs do
    sizes[i] = group.masks(i):float():mean():item()
    if sizes[i] > 0 then filled[#filled + 1] = sizes[i] end
    if group.pairs:stem(i) == wanted then chosen = i end
  end
  group.empty_masks = #sizes - #filled
  if chosen then return chosen end
  if wanted then table.insert(group.notes, ("--sample %s is not in this holdout; another image is shown."):format(wanted)) end
  if #filled == 0 then return 1 end
  local middle, best = stats.median(filled), nil
  for i, size in ipairs(sizes) do
    if size > 0 and (not best or math.abs(size - middle) < math.abs(sizes[best] - middle)) then best = i end
  end
  return best
end

--- Features of every run of the group and, where there is a holdout, its scores; what fails is noted in the run.
function score.group(group, options)
  if group.pairs then
    function group.masks(i)
      local _, mask = group.pairs:load(i)
      return mask:ge(128)
    end
    local sample, problem = attempt(choose_sample, group, options.sample)
    group.sample = sample
    if not sample then
      table.insert(group.notes, "The holdout cannot be read, so there is no fair score: " .. problem)
      group.pairs = nil
    end
  end
  for _, run in ipairs(group.runs) do
    local model = run.model and open_model(run)
    if model and group.pairs then
      local done, problem = attempt(score_run, run, model, group)
      if not done then table.insert(run.problems, "its model could not be run on the holdout: " .. problem) end
    end
    collectgarbage()
  end
end

return score
