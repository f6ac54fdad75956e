-- GPT-o1's training, validation and test.

local nn = require "lunette.nn"
local run = require "lunette.run"

-- One ratio over all pixels of the batch.
local function dice_coefficient(outputs, targets)
  local smooth = 1e-6
  local preds = outputs:gt(0.5):float()
  local intersection = (preds * targets):sum()
  return (2 * intersection + smooth) / (preds:sum() + targets:sum() + smooth)
end

return run.steps { criterion = nn.BCELoss(), dice = dice_coefficient, mean = "samples" }
