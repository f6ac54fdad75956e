-- run.loops: the three loops over a loader that every pipeline has. What differs between the
-- pipelines is in the table `steps` that a script's train.lua returns:
--
--   steps.mean                                  "samples" or "batches": how an epoch's loss is averaged
--   steps.train(model, images, masks)           -> loss, and the loss to report where it is another
--   steps.validate(model, images, masks)        -> loss, Dice of the batch (nil: the pipeline has none)
--   steps.test(model, images, masks)            -> Dice of the batch
--
-- Losses are scalar tensors, Dice values scalar tensors or numbers. run.steps makes such a table
-- where all three do the plain thing.

local lt = require "lunette"
local args = require "lunette.args"
local docs = require "lunette.docs"
local progress = require "lunette.progress"

local loops = {}

local function number(x) return type(x) == "number" and x or x:item() end

-- Adds up losses; by samples a short last batch counts less, by batches it counts fully.
local function averager(mean)
  args.check(mean == "samples" or mean == "batches", "[run] steps.mean must be samples or batches, got %s",
    tostring(mean))
  local total, count = 0, 0
  return function(loss, samples)
    local weight = mean == "samples" and samples or 1
    total, count = total + loss * weight, count + weight
  end, function() return total / count end
end

docs("run.steps", "steps{criterion=, dice=, mean=\"samples\"}: what train_epoch, validate and test take, for a pipeline whose"
  .. " steps are plain: criterion(model(images), masks) is the loss, dice(model(images), masks) the Dice of a batch; mean:"
  .. " how an epoch's loss is averaged, over \"samples\" or \"batches\". Any of its functions train(model, images, masks) ->"
  .. " loss, validate(...) -> loss, Dice and test(...) -> Dice may be replaced")
function loops.steps(choices)
  local o = args.options("run.steps", choices, { criterion = false, dice = false, mean = "samples" })
  args.check(o.criterion and o.dice, "[run.steps] needs a criterion and a dice, both called with outputs and masks")
  local steps = { mean = o.mean }
  function steps.train(model, images, masks) return o.criterion(model(images), masks) end
  function steps.validate(model, images, masks)
    local outputs = model(images)
    return o.criterion(outputs, masks), o.dice(outputs, masks)
  end
  function steps.test(model, images, masks) return o.dice(model(images), masks) end
  return steps
end

docs("run.train_epoch", "train_epoch(steps, model, loader, optimizer): one epoch of steps.train(model, images, masks) ->"
  .. " loss, reported=loss, in training mode; returns the mean of what is reported (steps.mean: over \"samples\" or"
  .. " \"batches\")")
function loops.train_epoch(run, steps, model, loader, optimizer)
  local add, mean = averager(steps.mean)
  model:train()
  for images, masks in progress(loader, "Training") do
    optimizer:zero_grad()
    local loss, reported = steps.train(model, images, masks)
    loss:backward()
    optimizer:step()
    local value = (reported or loss):item()
    add(value, images:size(1))
    run:log_step(value)
  end
  return mean()
end

docs("run.validate", "validate(steps, model, loader): steps.validate(model, images, masks) -> loss, Dice for each batch, in"
  .. " evaluation mode and without a tape; returns the mean loss and the list of Dice values, one a batch")
function loops.validate(_, steps, model, loader)
  local add, mean = averager(steps.mean)
  local scores = {}
  model:eval()
  lt.no_grad(function()
    for images, masks in progress(loader, "Validation") do
      local loss, dice = steps.validate(model, images, masks)
      add(number(loss), images:size(1))
      if dice then scores[#scores + 1] = number(dice) end
    end
  end)
  return mean(), scores
end

docs("run.test", "test(steps, model, loader): steps.test(model, images, masks) -> Dice for each batch, as validate; returns"
  .. " the list, one a batch")
function loops.test(_, steps, model, loader)
  local scores = {}
  model:eval()
  lt.no_grad(function()
    for images, masks in progress(loader, "Testing") do
      scores[#scores + 1] = number(steps.test(model, images, masks))
    end
  end)
  return scores
end

return loops
