-- nn.loss: the losses as layers: criterion(input, target) is a scalar to call backward() on.

local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"
local class = require("lunette.nn.module").class

local nn = {}

-- The options become the functional form's; tensors among them (weights) are buffers in
-- torch, but they are not part of any net's state here.
local function define(name, functional, known, text)
  docs("nn." .. name, text .. "; as F." .. functional)
  local loss = class(name)
  nn[name] = loss
  function loss:__init(options) self.options = args.options(name, options, known) end
  function loss:forward(input, target)
    args.check(args.is_tensor(input) and args.is_tensor(target), "[%s] takes an input and a target tensor", name)
    return F[functional](input, target, self.options)
  end
end

define("BCELoss", "binary_cross_entropy", { weight = false, reduction = "mean" },
  "BCELoss{weight=nil, reduction=\"mean\"}: binary cross-entropy of probabilities")
define("BCEWithLogitsLoss", "binary_cross_entropy_with_logits",
  { weight = false, pos_weight = false, reduction = "mean" },
  "BCEWithLogitsLoss{weight=nil, pos_weight=nil, reduction=\"mean\"}: binary cross-entropy of logits")
define("CrossEntropyLoss", "cross_entropy",
  { weight = false, ignore_index = -100, label_smoothing = 0, reduction = "mean" },
  "CrossEntropyLoss{weight=nil, ignore_index=-100, label_smoothing=0, reduction=\"mean\"}: logits [N, C, ...]"
    .. " against classes [N, ...] counted from 0")
define("NLLLoss", "nll_loss", { weight = false, ignore_index = -100, reduction = "mean" },
  "NLLLoss{weight=nil, ignore_index=-100, reduction=\"mean\"}: log-probabilities [N, C, ...] against classes [N, ...]")
define("MSELoss", "mse_loss", { reduction = "mean" }, "MSELoss{reduction=\"mean\"}: squared differences")
define("L1Loss", "l1_loss", { reduction = "mean" }, "L1Loss{reduction=\"mean\"}: absolute differences")
define("SoftDiceLoss", "soft_dice_loss", { smooth = 1, per = "batch", logits = false },
  "SoftDiceLoss{smooth=1, per=\"batch\", logits=false}: 1 - Dice of probabilities")
define("TverskyLoss", "tversky_loss", { alpha = 0.5, beta = 0.5, smooth = 1, per = "batch", logits = false },
  "TverskyLoss{alpha=0.5, beta=0.5, smooth=1, per=\"batch\", logits=false}: alpha weighs false positives, beta false"
    .. " negatives")

return nn
