-- lunette.keras beside Keras 3 on TensorFlow (values of tests/reference/make_keras.py), and the
-- networks and losses of the study's TensorFlow answers.
local check = dofile("tests/check.lua")
local hashed = dofile("tests/hashed.lua")
local reference = dofile("tests/nn_reference.lua")
local values = dofile("tests/reference/keras.lua")
local core = require "lunette.core"
local lt = require "lunette"
local keras = require "lunette.keras"

-- Everything here is small. And strict: on maps of 2x2 pixels a ReLU or a pool that Winograd's rounding tips over is a
-- large part of a gradient.
require("lunette.sys").configure { threads = 1, precision = "strict" }

local tensor = reference.tensor

local function rounded(list) return lt.tensor(list):reshape(1, 1, #list, 1) end

local function compare_lists(got, want, tolerance, what)
  check.equal(#got, #want, what)
  for i, w in ipairs(want) do
    check.near(got[i], w, tolerance * math.max(1, math.abs(w)), ("%s[%d]"):format(what, i))
  end
end

local function parameters(layer)
  local list = {}
  for name, cell in layer:named_parameters() do list[name] = cell end
  return list
end

-- -- layers

local same, relu = { padding = "same" }, { padding = "same", activation = "relu" }

local layers = {
  conv3_same = { keras.Conv2D(3, 4, 3, same), { 2, 3, 6, 7 } },
  conv2_same_even = { keras.Conv2D(2, 3, 2, relu), { 2, 2, 6, 4 } },
  conv2_same_odd = { keras.Conv2D(2, 3, 2, same), { 2, 2, 7, 5 } },
  conv4_same = { keras.Conv2D(2, 3, { 4, 3 }, same), { 1, 2, 5, 6 } },
  conv3_same_stride_even = { keras.Conv2D(2, 3, 3, { strides = 2, padding = "same" }), { 2, 2, 6, 8 } },
  conv3_same_stride_odd = { keras.Conv2D(2, 3, 3, { strides = 2, padding = "same" }), { 2, 2, 7, 5 } },
  conv3_valid = { keras.Conv2D(2, 3, { 3, 2 }, { activation = "sigmoid" }), { 2, 2, 6, 5 } },
  convt2_same = { keras.Conv2DTranspose(4, 3, 2, { strides = 2, padding = "same" }), { 2, 4, 3, 5 } },
  convt3_same = { keras.Conv2DTranspose(4, 3, 3, { strides = 2, padding = "same" }), { 2, 4, 4, 3 } },
  convt3_same_stride1 = { keras.Conv2DTranspose(2, 3, 3, relu), { 1, 2, 4, 5 } },
  convt5_same = { keras.Conv2DTranspose(2, 3, { 5, 4 }, { strides = 2, padding = "same" }), { 1, 2, 4, 5 } },
  convt2_same_stride3 = { keras.Conv2DTranspose(3, 2, 2, { strides = 3, padding = "same" }), { 1, 3, 3, 4 } },
  convt3_valid = { keras.Conv2DTranspose(3, 2, 3, { strides = 2 }), { 1, 3, 3, 4 } },
  maxpool = { keras.MaxPooling2D(), { 2, 2, 7, 6 } },
  upsampling = { keras.UpSampling2D(), { 2, 2, 3, 4 } },
}

for name, want in pairs(values.layers) do
  check.test("layer " .. name, function()
    local layer, shape = unpack(layers[name])
    for field, cell in pairs(parameters(layer)) do cell:assign_(tensor(name .. "." .. field, cell.shape)) end
    local x = tensor(name .. ".x", shape):requires_grad_(true)
    local y = layer(x)
    reference.compare(name .. ".y", y, want.y, "output");
    (y * tensor(name .. ".gy", y.shape)):sum():backward()
    reference.compare(name .. ".gx", x.grad, want.gx, "gradient of x")
    for field, cell in pairs(parameters(layer)) do
      reference.compare(name .. ".g." .. field, cell.grad, want["g." .. field], "gradient of " .. field)
    end
  end)
end

check.test("every layer has a case", function()
  for name in pairs(layers) do check.truthy(values.layers[name], name) end
end)

check.test("kernels are Glorot uniform, biases 0", function()
  for _, layer in ipairs { keras.Conv2D(8, 24, 3), keras.Conv2DTranspose(8, 24, 3) } do
    local bound = math.sqrt(6 / (8 * 9 + 24 * 9))
    local largest = layer.weight:abs():amax():item()
    check.truthy(largest <= bound and largest > 0.99 * bound, largest)
    check.near(layer.weight:square():mean():item(), bound ^ 2 / 3, 0.05 * bound ^ 2)
    check.equal(layer.bias:abs():amax():item(), 0)
  end
end)

check.test("batch normalisation: output and moving statistics after three steps", function()
  local layer = keras.BatchNormalization(3)
  for field, cell in pairs(parameters(layer)) do cell:assign_(tensor("bn." .. field, { 3 })) end
  local x, y
  for step = 1, 3 do
    x = tensor("bn.x" .. step, { 4, 3, 5, 6 }) * (1 + step) + (step - 1)
    y = layer(x)
  end
  reference.compare("bn.train", y, values.bn.train, "training")
  compare_lists(layer.running_mean:tolist(), values.bn.mean, 1e-6, "mean")
  compare_lists(layer.running_var:tolist(), values.bn.var, 1e-6, "variance")
  layer:eval()
  reference.compare("bn.eval", layer(x), values.bn.eval, "evaluation")
end)

check.test("layers print their padding and activation", function()
  check.equal(tostring(keras.Conv2D(1, 8, 3, relu)),
    "Conv2D(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=same, activation=relu)")
  check.equal(tostring(keras.Conv2DTranspose(8, 4, 2, { strides = 2, padding = "same" })),
    "Conv2DTranspose(8, 4, kernel_size=(2, 2), stride=(2, 2), padding=same)")
  check.equal(tostring(keras.BatchNormalization(4)), "BatchNormalization(4, momentum=0.99, epsilon=0.001)")
end)

check.test("misuse of layers", function()
  check.raises(function() keras.Conv2D(1, 1, 3, { padding = 1 }) end, "padding must be \"same\" or \"valid\"")
  check.raises(function() keras.Conv2D(1, 1, 3, { activation = "elu" }) end, "unknown activation 'elu'")
  check.raises(function() keras.Conv2DTranspose(1, 1, 3, { stride = 2 }) end, "unknown option 'stride'")
  check.raises(function() keras.Activation("elu") end, "unknown activation 'elu'")
end)

-- -- losses

check.test("cross-entropy of probabilities is clipped, and so is its gradient", function()
  local want = values.clipped
  for _, case in ipairs(want) do
    local p = rounded(want.p):requires_grad_(true)
    local t = lt.full({ 1, 1, #want.p, 1 }, case.target)
    local loss = keras.binary_crossentropy(t, p, { reduction = "none" })
    check.equal(loss.shape, { 1, #want.p, 1 })
    compare_lists(loss:reshape(-1):tolist(), case.loss, 1e-6, "loss, target " .. case.target)
    loss:sum():backward()
    compare_lists(p.grad:reshape(-1):tolist(), case.gradient, 2e-6, "gradient, target " .. case.target)
  end
end)

check.test("cross-entropy of a layer's own sigmoid output comes from the logits", function()
  local want = values.logits
  check.equal(want.fit, want.mean, "fit() and the class agree in Keras")
  local layer = keras.Conv2D(1, 1, 1, { activation = "sigmoid", use_bias = false })
  layer.weight:fill_(1)
  local x, t = rounded(want.x):requires_grad_(true), rounded(want.target)
  local y = layer(x)
  check.truthy(keras.logits(y))
  check.equal(keras.logits(y * 1), nil)
  local loss = keras.binary_crossentropy(t, y, { reduction = "none" })
  compare_lists(loss:reshape(-1):tolist(), want.loss, 1e-6, "loss")
  check.near(keras.binary_crossentropy(t, y):item(), want.mean, 1e-5)
  loss:sum():backward()
  compare_lists(x.grad:reshape(-1):tolist(), want.gradient, 1e-6, "gradient")
  check.raises(function() keras.binary_crossentropy(t, lt.zeros(1, 1, 2, 1)) end, "must have the same shape")
  check.raises(function() keras.binary_crossentropy(t, y, { reduction = "sum" }) end, "must be mean or none")
end)

check.test("MeanIoU truncates, leaves absent classes out and adds up", function()
  local metric = keras.MeanIoU(3)
  for _, case in ipairs(values.mean_iou) do
    metric:update_state(lt.tensor(case.truth), lt.tensor(case.prediction))
    check.near(metric:result(), case.result, 1e-6)
  end
  metric:reset_state()
  check.equal(metric:result(), 0)
  check.raises(function() keras.MeanIoU(0) end, "positive whole number")
end)

check.test("Adam over five steps, down to gradients of eps' size", function()
  local p = core.cell(tensor("adam.p", { 6 }), { requires_grad = true })
  local scale = lt.tensor { 1, 1e-2, 1e-4, 1e-6, 1e-7, 1e-8 }
  local optimizer = keras.Adam({ p }, { lr = 0.01 })
  for step, want in ipairs(values.adam) do
    optimizer:zero_grad();
    (p * (tensor("adam.g" .. step, { 6 }) * scale)):sum():backward()
    optimizer:step()
    compare_lists(p:tolist(), want, 5e-7, "step " .. step)
  end
  check.raises(function() keras.Adam({ p }, { lr = -1 }) end, "lr must be a number")
  check.raises(function() keras.Adam({ p }, { betas = { 1, 0 } }) end, "betas must be two numbers")
end)

check.test("resize is tf.image.resize", function()
  local want = values.resize
  reference.compare("resize.up.y", keras.resize(tensor("resize.up", { 2, 1, 7, 5 }), { 12, 9 }), want.up, "enlarged")
  reference.compare("resize.down.y", keras.resize(tensor("resize.down", { 1, 2, 13, 11 }), { 5, 6 }), want.down, "shrunk")
end)

check.test("a data set of resized pairs", function()
  local data = require "lunette.data"
  local list = data.phantom { family = "glottis", count = 3, size = { 48, 40 } }
  local plain = keras.ResizedPairs(list, { size = 24 })
  local binary = keras.ResizedPairs(list, { size = 24, mask = function(levels) return levels:gt(127):float() end })
  check.equal({ plain:count(), plain:stem(2) }, { 3, list:stem(2) })
  local image, mask = plain:get(2)
  local levels = select(2, list:load(2))
  local want = keras.resize(levels:float():reshape(1, 1, 48, 40) / 255, 24)[1]
  check.equal({ image.shape, mask.shape }, { { 1, 24, 24 }, { 1, 24, 24 } })
  check.near((mask - want):abs():amax():item(), 0, 1e-6)
  local cut = select(2, binary:get(2))
  check.equal((cut - want:gt(127 / 255):float()):abs():amax():item(), 0)
  check.truthy(cut:sum():item() > 0)
  check.raises(function() keras.ResizedPairs(list) end, "needs a size")
end)

-- -- the eight answers

local ids = { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" }
local rates = { gpt4 = 1e-3, gpt4o = 1e-3, gpt_o1 = 1e-3 }

local function part(id, name) return dofile(("scripts/tensorflow/%s/%s.lua"):format(id, name)) end

-- Weights by their place in the order of parameters; gammas lie around 1.
local function fill(id, net)
  local i = 0
  for name, cell in net:named_parameters() do
    i = i + 1
    local t = core.empty(cell.shape)
    hashed.fill_weight(("keras.%s.%d"):format(id, i), cell.shape, t:ptr("w"))
    local gamma = #cell.shape == 1 and name:find("weight$")
    cell:assign_(gamma and t + 1 or t)
  end
end

for _, id in ipairs(ids) do
  local want = values.nets[id]
  check.test(id .. " has Keras' count of parameters", function()
    local net, count = part(id, "model")(), 0
    for _, cell in ipairs(net:parameters()) do count = count + cell:numel() end
    check.equal(count, want.count)
  end)
  collectgarbage()

  check.test(id .. " trains as in Keras", function()
    local net, steps = part(id, "model")(4), part(id, "train")
    fill(id, net)
    -- what dropout draws cannot be compared
    for _, layer in ipairs(net:modules()) do
      if layer.class_name == "Dropout" then layer.p = 0 end
    end
    local images, masks = core.empty { 2, 1, 32, 32 }, core.empty { 2, 1, 32, 32 }
    hashed.fill_batch("keras." .. id, 2, 32, 32, images:ptr("w"), masks:ptr("w"))
    reference.compare(id .. ".output", lt.no_grad(function() return net:train()(images) end), want.output, "output")
    -- that forward pass has moved the statistics of batch normalisation
    net:apply(function(layer)
      if layer.running_mean then
        layer.running_mean:fill_(0)
        layer.running_var:fill_(1)
      end
    end)
    local batch = { images, masks }
    if id == "copilot" then batch = { images:unsqueeze(1), masks:unsqueeze(1) } end
    local optimizer = keras.Adam(net:parameters(), { lr = rates[id] or 1e-4 })
    for step, value in ipairs(want.losses) do
      optimizer:zero_grad()
      local loss, reported = steps.train(net, unpack(batch))
      loss:backward()
      if step == 1 then
        -- A gradient went through the whole net, in f32 here and f64 there.
        local slack = { shape = want.gradient.shape, dot = want.gradient.dot, mass = 20 * want.gradient.mass }
        reference.compare(id .. ".gradient", net:parameters()[1].grad, slack, "gradient")
      end
      optimizer:step()
      check.near((reported or loss):item(), value, 2e-5 * value, "loss of step " .. step)
    end
    local trained = net:eval()(images)
    -- Biases before a batch normalisation have no gradient but noise, which Adam turns into whole steps in
    -- f32 and not in f64; the moving means follow them slowly.
    local slack = { shape = want.trained.shape, dot = want.trained.dot, mass = 100 * want.trained.mass }
    reference.compare(id .. ".trained", trained, slack, "output after training")
  end)
end

check.done()
