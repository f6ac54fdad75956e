-- Bing Copilot's training, validation and test.

local nn = require "lunette.nn"
local run = require "lunette.run"

-- One ratio over all pixels of the batch.
-- QUIRK: the probabilities are used as they are. With 0.5 everywhere this is about twice the
-- share of the foreground: the paper's value describes the data set, not the net.
local function dice_coefficient(outputs, targets)
  local smooth = 1
  local intersection = (outputs * targets):sum()
  return (2 * intersection + smooth) / (outputs:sum() + targets:sum() + smooth)
end

return run.steps { criterion = nn.BCELoss(), dice = dice_coefficient, mean = "samples" }
