-- keras: what Keras 3 on TensorFlow does otherwise than PyTorch: layers and their initial
-- values, losses, a metric, Adam, and image resizing.
--
--   local keras = require "lunette.keras"
--   local conv = keras.Conv2D(1, 64, 3, { padding = "same", activation = "relu" })
--   local loss = keras.binary_crossentropy(masks, model(images))
--
-- Tensors stay NCHW and weights keep PyTorch's layout and names (kernel: weight [out, in, h, w],
-- gamma: weight, beta: bias, moving statistics: running_mean and running_var), so that files,
-- summaries and whole-model graphs are those of any other net here. A Keras kernel [h, w, in,
-- out], and one of Conv2DTranspose [h, w, out, in], is such a weight with dims 3, 4, 2, 1.
-- Input channels are arguments, since layers are made before they see data.

local docs = require "lunette.docs"
local Optimizer = require "lunette.optim.optimizer"
local core = require "lunette.core"

local keras = {}

for _, part in ipairs { "layers", "losses", "images" } do
  for name, value in pairs(require("lunette.keras." .. part)) do keras[name] = value end
end

-- Keras folds both bias corrections into the rate and adds eps to the uncorrected root:
-- p = p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps). That is torch's step with the
-- corrections taken as 1.
local function adam(group, cell, gradient, state)
  if not state.exp_avg then
    state.exp_avg, state.exp_avg_sq = Optimizer.zeros_like(cell), Optimizer.zeros_like(cell)
  end
  local beta1, beta2, t = group.betas[1], group.betas[2], state.step + 1
  core.ops.adam_step(cell, gradient, state.exp_avg, state.exp_avg_sq, {
    lr = group.lr * math.sqrt(1 - beta2 ^ t) / (1 - beta1 ^ t), beta1 = beta1, beta2 = beta2, adam_eps = group.eps,
    decoupled = false, weight_decay = 0, bias1 = 1, bias2 = 1,
  })
end

local function check_adam(group)
  Optimizer.check_not_negative("keras.Adam", group, { "lr", "eps" })
  Optimizer.check_betas("keras.Adam", group)
end

docs("keras.Adam", "Adam(parameters, {lr=1e-3, betas={0.9, 0.999}, eps=1e-7}): as keras.optimizers.Adam: the bias"
  .. " corrections are part of the rate, eps is added to the uncorrected root")
keras.Adam = Optimizer.class("keras.Adam", { lr = 1e-3, betas = { 0.9, 0.999 }, eps = 1e-7 }, check_adam, adam)

return keras
