-- keras.layers: the layers of a Keras U-Net, over those of lunette.nn.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local nn = require "lunette.nn"
local F = nn.functional

local layers = {}

-- -- activations

-- Which tensor a sigmoid was taken of. Keras tags a sigmoid's output in the same way, and
-- binary_crossentropy looks for the tag (losses.lua).
local logits = setmetatable({}, { __mode = "k" })

local activations = {}

function activations.relu(x) return x:relu() end

function activations.sigmoid(x)
  local y = x:sigmoid()
  logits[y] = x
  return y
end

docs("keras.logits", "logits(y): the tensor that y is the sigmoid activation of, or nil when y is no direct output of"
  .. " a keras layer with activation=\"sigmoid\"")
function layers.logits(y) return logits[y] end

-- -- convolutions

local function check_choices(who, o)
  args.check(o.padding == "same" or o.padding == "valid", "[%s] padding must be \"same\" or \"valid\", got '%s'", who,
    tostring(o.padding))
  args.check(not o.activation or activations[o.activation], "[%s] unknown activation '%s' (relu, sigmoid)", who,
    tostring(o.activation))
end

local function activate(self, y)
  return self.activation and activations[self.activation](y) or y
end

-- torch's text, and what Keras adds to it.
local function describe(parent)
  return function(self)
    local text = parent.extra_repr(self)
    if self.same then text = text .. ", padding=same" end
    return self.activation and text .. ", activation=" .. self.activation or text
  end
end

-- Keras' defaults: Glorot uniform kernels, biases 0.
local function initialise(self)
  nn.init.xavier_uniform_(self.weight)
  if self.bias then self.bias:fill_(0) end
end

-- What TensorFlow's "same" adds to each side of a dim: the output has ceil(n / stride)
-- elements and the odd zero stands behind.
local function same(n, kernel, stride)
  local total = math.max((math.ceil(n / stride) - 1) * stride + kernel - n, 0)
  local before = math.floor(total / 2)
  return before, total - before
end

docs("keras.Conv2D", "Conv2D(in_channels, filters, kernel_size, {strides=1, padding=\"valid\", activation=nil,"
  .. " use_bias=true}): [N, in, H, W] to [N, filters, H', W']; \"same\" gives ceil(H / stride), an odd zero is padded"
  .. " at the bottom and right; activation relu or sigmoid; Glorot uniform weight, bias 0; as keras.layers.Conv2D")
layers.Conv2D = nn.class("Conv2D", nn.Conv2d)

function layers.Conv2D:__init(in_channels, filters, kernel_size, options)
  local o = args.options("keras.Conv2D", options, { strides = 1, padding = "valid", activation = false, use_bias = true })
  check_choices("keras.Conv2D", o)
  nn.Conv2d.__init(self, in_channels, filters, kernel_size, { stride = o.strides, padding = o.padding, bias = o.use_bias })
  self.activation = o.activation
  initialise(self)
end

function layers.Conv2D:forward(x)
  local padding = 0
  if self.padding == "same" then
    local top, bottom = same(x:size(3), self.kernel_size[1], self.stride[1])
    local left, right = same(x:size(4), self.kernel_size[2], self.stride[2])
    if top == bottom and left == right then
      padding = { top, left }
    else
      x = F.pad(x, { left, right, top, bottom })
    end
  end
  return activate(self, F.conv2d(x, self.weight, self.bias, { stride = self.stride, padding = padding }))
end

layers.Conv2D.extra_repr = describe(nn.Conv2d)

docs("keras.Conv2DTranspose", "Conv2DTranspose(in_channels, filters, kernel_size, {strides=1, padding=\"valid\","
  .. " activation=nil, use_bias=true}): [N, in, H, W] to [N, filters, H', W']; \"same\" gives H * stride: of the full"
  .. " result an odd row or column more is cropped at the end; \"valid\" is the full result, H * stride at least;"
  .. " weight [in, filters, h, w] Glorot uniform, bias 0; as keras.layers.Conv2DTranspose")
layers.Conv2DTranspose = nn.class("Conv2DTranspose", nn.ConvTranspose2d)

function layers.Conv2DTranspose:__init(in_channels, filters, kernel_size, options)
  local o = args.options("keras.Conv2DTranspose", options,
    { strides = 1, padding = "valid", activation = false, use_bias = true })
  check_choices("keras.Conv2DTranspose", o)
  nn.ConvTranspose2d.__init(self, in_channels, filters, kernel_size, { stride = o.strides, bias = o.use_bias })
  self.activation, self.same = o.activation, o.padding == "same"
  initialise(self)
end

function layers.Conv2DTranspose:forward(x)
  local padding, extra, surplus = {}, {}, {}
  for i = 1, 2 do
    local cropped = self.same and math.max(self.kernel_size[i] - self.stride[i], 0) or 0
    padding[i] = math.floor(cropped / 2)
    surplus[i] = cropped % 2
    extra[i] = math.max(self.stride[i] - self.kernel_size[i], 0) -- strides that no kernel reaches: bias alone
  end
  local y = F.conv_transpose2d(x, self.weight, self.bias, { stride = self.stride, padding = padding, output_padding = extra })
  if surplus[1] + surplus[2] > 0 then y = F.pad(y, { 0, -surplus[2], 0, -surplus[1] }) end
  return activate(self, y)
end

layers.Conv2DTranspose.extra_repr = describe(nn.ConvTranspose2d)

-- -- the others

docs("keras.BatchNormalization", "BatchNormalization(channels, {momentum=0.99, epsilon=1e-3}): per channel of"
  .. " [N, C, H, W]; in training by the batch's statistics, which move the running ones by 1 - momentum, the variance"
  .. " as it is (biased); as keras.layers.BatchNormalization of Keras 3")
layers.BatchNormalization = nn.class("BatchNormalization")

function layers.BatchNormalization:__init(channels, options)
  local o = args.options("keras.BatchNormalization", options, { momentum = 0.99, epsilon = 1e-3 })
  self.channels, self.momentum, self.epsilon = channels, o.momentum, o.epsilon
  self.weight = core.cell({ channels }, { requires_grad = true }):fill_(1)
  self.bias = core.cell({ channels }, { requires_grad = true })
  self:register_buffer("running_mean", core.cell({ channels }))
  self:register_buffer("running_var", core.cell({ channels }):fill_(1))
end

function layers.BatchNormalization:forward(x)
  local ops = core.ops
  if not self.training then
    return ops.batch_norm_eval(x, self.running_mean, self.running_var, self.weight, self.bias, { eps = self.epsilon })
  end
  local y, mean, var = ops.batch_norm(x, self.weight, self.bias, { eps = self.epsilon })
  ops.lerp_write(self.running_mean, mean, { weight = 1 - self.momentum })
  ops.lerp_write(self.running_var, var, { weight = 1 - self.momentum })
  return y
end

function layers.BatchNormalization:extra_repr()
  return ("%d, momentum=%g, epsilon=%g"):format(self.channels, self.momentum, self.epsilon)
end

docs("keras.MaxPooling2D", "MaxPooling2D(pool_size=2): largest of each window, rows and columns that fill none are"
  .. " dropped; as keras.layers.MaxPooling2D")
layers.MaxPooling2D = function(size) return nn.MaxPool2d(size or 2) end

docs("keras.UpSampling2D", "UpSampling2D(size=2): every pixel repeated size times in both directions (nearest); as"
  .. " keras.layers.UpSampling2D")
layers.UpSampling2D = function(size) return nn.Upsample { scale_factor = size or 2, mode = "nearest" } end

docs("keras.Dropout", "Dropout(rate): nn.Dropout; as keras.layers.Dropout")
layers.Dropout = nn.Dropout

docs("keras.Activation", "Activation(name): relu or sigmoid as a layer; as keras.layers.Activation")
layers.Activation = nn.class("Activation")
function layers.Activation:__init(name)
  args.check(activations[name], "[keras.Activation] unknown activation '%s' (relu, sigmoid)", tostring(name))
  self.activation = name
end
function layers.Activation:forward(x) return activate(self, x) end
function layers.Activation:extra_repr() return self.activation end

return layers
