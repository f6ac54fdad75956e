-- Lunette beside PyTorch on a paper network: forward, every gradient and ten Adam steps from the
-- same hashed weights and batches, against the f64 values that tests/reference/make_parity.py
-- stored. The bounds: output 1e-5, gradients 1e-4, losses 1e-3, all relative to norms, or twice
-- PyTorch's own f32 error where that is further from f64 (eight times where Winograd is allowed, and without
-- vector extensions, so without fused multiplications: rounding errors are larger there, and each ReLU or pool
-- that they tip over is a step in the gradient, as one channel of GPT-4's deepest stage is at 64x64); a gradient
-- below 1e-6 of the whole gradient's norm is judged by 1e-6 of that norm.
local hashed = dofile("tests/hashed.lua")
local core   = require "lunette.core"
local optim  = require "lunette.optim"

local direct = require("lunette.sys").settings().precision == "strict" and os.getenv "LUNETTE_ISA" ~= "generic"
local own_errors = direct and 2 or 8

local parity = {}

local function filled(shape, fill)
  local t = core.empty(shape)
  fill(t:ptr("w"))
  return t
end

local function fill_weights(net)
  for name, p in net:named_parameters() do
    p:assign_(filled(p.shape, function(data) hashed.fill_weight(name, p.shape, data) end))
  end
  core.flush()
end

local function batch(name, n, size)
  local images, masks = core.empty { n, 1, size, size }, core.empty { n, 1, size, size }
  hashed.fill_batch(name, n, size, size, images:ptr("w"), masks:ptr("w"))
  return images, masks
end

-- The norm of the difference to the stored digest. A small tensor's samples cover most of it, so
-- they alone count; of a large one both the samples and the projections estimate
-- the square of the norm, and their mean is taken.
local function difference(name, t, want)
  local n, data = t:numel(), t:ptr()
  local sum, count, seen = 0, 0, {}
  for i, at in ipairs(hashed.choose(name .. ".pick", #want.pick, n)) do
    if not seen[at] then
      seen[at] = true
      sum, count = sum + (tonumber(data[at]) - want.pick[i] * want.unit) ^ 2, count + 1
    end
  end
  local sampled = sum / count * n
  if n <= 4 * #want.pick then return math.sqrt(sampled) end
  local projected = 0
  for k, p in ipairs(want.proj) do
    projected = projected + (hashed.project(name .. ".sign" .. (k - 1), data, n) - p) ^ 2
  end
  return math.sqrt((sampled + projected / #want.proj) / 2)
end

-- report(what, measured, bound) is called once for each quantity.
function parity.run(options, report)
  local kind, case, ref = options.kind, options.case, options.reference
  local net, steps = options.net, options.steps
  fill_weights(net)
  net:train()
  local images, masks = batch(kind .. "." .. case, ref.batch, ref.size)
  local opt = optim.Adam(net:parameters(), { lr = options.lr })
  local params = {}
  for name, p in net:named_parameters() do params[name] = p end
  for step, want in ipairs(ref.losses) do
    opt:zero_grad()
    local out
    local loss = steps.train(function(x) out = net(x) return out end, images, masks)
    loss:backward()
    if step == 1 then
      report("output", difference(case .. ".output", out, ref.output) / ref.output.norm, math.max(1e-5, 2 * ref.own_output))
      for _, g in ipairs(ref.gradients) do
        local bound = math.max(1e-4 * g.value.norm, own_errors * g.own)
        if g.value.norm < 1e-6 * ref.gradient_norm then bound = math.max(bound, 1e-6 * ref.gradient_norm) end
        report("gradient " .. g.name, difference(case .. "." .. g.name, params[g.name].grad, g.value) / g.value.norm, bound / g.value.norm)
      end
    end
    opt:step()
    report("loss of step " .. step, math.abs(loss:item() - want) / math.abs(want), math.max(1e-3, 2 * ref.own_losses[step]))
  end
end

-- What the pipeline makes of given predictions: its losses and its Dice, to 1e-6. The predictions
-- are the batch's images cut to the output's size, as logits where the pipeline has them.
function parity.scores(options, report)
  local ref = options.reference
  local want = ref.scores
  local images, masks = batch(options.kind .. "." .. options.case, ref.batch, ref.size)
  if want.fractions then masks = masks * images end
  local given = images[{ {}, {}, { 1, want.side }, { 1, want.side } }]
  if options.logits then given = given * 4 - 2 end
  local function model() return given end
  local function value(x) return type(x) == "number" and x or x:item() end
  local function compare(what, got) report(what, math.abs(value(got) - want[what]) / math.abs(want[what]), 1e-6) end
  local val_loss, val_dice = options.steps.validate(model, images, masks)
  compare("train_loss", options.steps.train(model, images, masks))
  compare("val_loss", val_loss)
  compare("val_dice", val_dice)
  compare("test_dice", options.steps.test(model, images, masks))
end

return parity
