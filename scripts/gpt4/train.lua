-- GPT-4's training, validation and test.

local lt = require "lunette"
local progress = require "lunette.progress"

-- One ratio over all pixels of the batch.
-- QUIRK: the model returns logits, and 0.5 is applied to the logit: a pixel counts from a
-- probability of 0.6225 on, so that fewer pixels are foreground than at 0.5.
local function dice_coefficient(logits, targets)
  local smooth = 1e-6
  local preds = logits:gt(0.5):float()
  local intersection = (preds * targets):sum()
  return (2 * intersection + smooth) / (preds:sum() + targets:sum() + smooth)
end

local function train_epoch(model, loader, criterion, optimizer, paper)
  model:train()
  local total = 0
  for images, masks in progress(loader, "Training") do
    optimizer:zero_grad()
    local loss = criterion(model(images), masks)
    loss:backward()
    optimizer:step()
    total = total + loss:item() * images:size(1)
    paper:log_step(loss:item())
  end
  return total / loader:samples()
end

local function evaluate(model, loader, criterion)
  model:eval()
  local total, scores = 0, {}
  lt.no_grad(function()
    for images, masks in progress(loader, "Validation") do
      local outputs = model(images)
      local loss, dice = criterion(outputs, masks), dice_coefficient(outputs, masks)
      total = total + loss:item() * images:size(1)
      scores[#scores + 1] = dice:item()
    end
  end)
  return total / loader:samples(), scores
end

local function test(model, loader)
  model:eval()
  local scores = {}
  lt.no_grad(function()
    for images, masks in progress(loader, "Testing") do
      scores[#scores + 1] = dice_coefficient(model(images), masks):item()
    end
  end)
  return scores
end

return { train_epoch = train_epoch, evaluate = evaluate, test = test }
