-- Copilot's training, validation and test.

local nn = require "lunette.nn"
local run = require "lunette.run"

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are, and the background's stay at 0.15 to 0.5: they
-- outweigh the overlap, so that the paper's value is a few percent whatever the net has learnt.
local function dice_coefficient(outputs, targets)
  local smooth = 1
  local intersection = (outputs * targets):sum()
  return (2 * intersection + smooth) / (outputs:sum() + targets:sum() + smooth)
end

return run.steps { criterion = nn.BCELoss(), dice = dice_coefficient, mean = "samples" }
