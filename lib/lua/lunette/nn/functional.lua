-- nn.functional: torch.nn.functional, with torch's argument order. Options may also come
-- as one table of names: F.conv2d(x, w, b, { padding = 1 }).
--
-- Images are [N, C, H, W], volumes [N, C, D, H, W], sequences [N, C, L].

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local ops = core.ops
local F = {}

local function define(name, text, f)
  docs("nn.functional." .. name, text)
  F[name] = f
end

-- -- convolutions

local function check_rank(who, x, rank)
  args.check(args.is_tensor(x), "[%s] the input must be a tensor, got %s", who, type(x))
  if x:dim() ~= rank then
    args.fail("[%s] the input must have rank %d (batch, channels, space), got %s", who, rank, tostring(x.shape))
  end
end

-- padding = "same" as sizes before and after each spatial dim; torch puts the odd one behind.
local function same_padding(x, kernel, dilation)
  local rank, before, after = #x.shape, {}, {}
  for i = 1, rank do before[i], after[i] = 0, 0 end
  for i = 1, rank - 2 do
    local total = dilation[i] * (kernel[i + 2] - 1)
    before[i + 2] = math.floor(total / 2)
    after[i + 2] = total - before[i + 2]
  end
  return ops.pad(x, { before = before, after = after, mode = "constant", value = 0 })
end

local conv_order = { "stride", "padding", "dilation", "groups" }
local conv_known = { stride = 1, padding = 0, dilation = 1, groups = 1 }
local transpose_order = { "stride", "padding", "output_padding", "groups", "dilation" }
local transpose_known = { stride = 1, padding = 0, output_padding = 0, groups = 1, dilation = 1 }

for space = 1, 3 do
  local name = ("conv%dd"):format(space)
  define(name, name .. "(x, weight, bias=nil, stride=1, padding=0, dilation=1, groups=1): cross-correlation; x [N,"
    .. " C, ...], weight [O, C/groups, ...], bias [O]; padding may be \"same\" or \"valid\"; as torch." .. name,
    function(x, weight, bias, ...)
      check_rank(name, x, space + 2)
      local o = args.positional(name, conv_order, conv_known, ...)
      if o.padding == "same" then
        x = same_padding(x, weight.shape, args.tuple(name, "dilation", o.dilation, space))
        o.padding = 0
      elseif o.padding == "valid" then
        o.padding = 0
      end
      return ops.conv(x, weight, bias, o)
    end)

  local back = ("conv_transpose%dd"):format(space)
  define(back, back .. "(x, weight, bias=nil, stride=1, padding=0, output_padding=0, groups=1, dilation=1):"
    .. " transposed convolution; x [N, C, ...], weight [C, O/groups, ...], bias [O]; as torch." .. back,
    function(x, weight, bias, ...)
      check_rank(back, x, space + 2)
      return ops.conv_transpose(x, weight, bias, args.positional(back, transpose_order, transpose_known, ...))
    end)
end

define("linear", "linear(x, weight, bias=nil): x [..., in] times weight [out, in] transposed, plus bias [out]; as"
  .. " torch",
  function(x, weight, bias)
    local rows = #x.shape == 1 and x:unsqueeze(1) or x
    local y = ops.matmul(rows, weight, { transpose_b = true })
    if bias then y = y + bias end
    return #x.shape == 1 and y:squeeze(1) or y
  end)

-- -- pooling

local max_order = { "stride", "padding", "dilation", "ceil_mode", "return_indices" }
local max_known = { stride = false, padding = 0, dilation = 1, ceil_mode = false, return_indices = false }
local avg_order = { "stride", "padding", "ceil_mode", "count_include_pad" }
local avg_known = { stride = false, padding = 0, ceil_mode = false, count_include_pad = true }

for space = 1, 3 do
  local name = ("max_pool%dd"):format(space)
  define(name, name .. "(x, kernel_size, stride=kernel_size, padding=0, dilation=1, ceil_mode=false,"
    .. " return_indices=false): largest of each window; as torch." .. name,
    function(x, kernel, ...)
      check_rank(name, x, space + 2)
      local o = args.positional(name, max_order, max_known, ...)
      local y, indices = ops.max_pool(x, { kernel = kernel, stride = o.stride or kernel, padding = o.padding,
        dilation = o.dilation, ceil_mode = o.ceil_mode })
      if o.return_indices then return y, indices end
      return y
    end)

  local mean = ("avg_pool%dd"):format(space)
  define(mean, mean .. "(x, kernel_size, stride=kernel_size, padding=0, ceil_mode=false, count_include_pad=true):"
    .. " mean of each window; as torch." .. mean,
    function(x, kernel, ...)
      check_rank(mean, x, space + 2)
      local o = args.positional(mean, avg_order, avg_known, ...)
      return ops.avg_pool(x, { kernel = kernel, stride = o.stride or kernel, padding = o.padding,
        ceil_mode = o.ceil_mode, count_include_pad = o.count_include_pad })
    end)
end

-- -- resampling and padding

-- torch's mode names; the linear ones are tied to the rank.
local linear_rank = { linear = 3, bilinear = 4, trilinear = 5 }

local function target_size(x, o, space)
  if o.size then return args.tuple("interpolate", "size", o.size, space), { 0, 0, 0 } end
  args.check(o.scale_factor, "[interpolate] needs size or scale_factor")
  local factor, size = args.tuple("interpolate", "scale_factor", o.scale_factor, space), {}
  for i = 1, space do size[i] = math.floor(x:size(i + 2) * factor[i]) end
  return size, { factor[1], factor[2] or 0, factor[3] or 0 }
end

define("interpolate", "interpolate(x, size=nil, scale_factor=nil, mode=\"nearest\", align_corners=false): resampled"
  .. " to size, or by scale_factor (the size is rounded down); modes nearest, linear, bilinear, trilinear; no"
  .. " antialias; as torch",
  function(x, ...)
    local space = #x.shape - 2
    local o = args.positional("interpolate", { "size", "scale_factor", "mode", "align_corners" },
      { size = false, scale_factor = false, mode = "nearest", align_corners = false }, ...)
    args.check(o.mode == "nearest" or linear_rank[o.mode], "[interpolate] unknown mode '%s' (nearest, linear,"
      .. " bilinear, trilinear)", tostring(o.mode))
    local rank = linear_rank[o.mode]
    args.check(not rank or rank == space + 2, "[interpolate] mode '%s' wants rank %d, got %s", o.mode, rank or 0,
      table.concat(x.shape, "x"))
    args.check(not (o.align_corners and o.mode == "nearest"), "[interpolate] align_corners goes with the linear"
      .. " modes only")
    local size, scale = target_size(x, o, space)
    return ops.interpolate(x, { size = size, mode = rank and "linear" or "nearest", align_corners = o.align_corners,
      scale = scale })
  end)

define("pad", "pad(x, {left, right, top, bottom, ...}, mode=\"constant\", value=0): sizes in pairs from the last dim"
  .. " on, negative ones crop; modes constant, reflect, replicate; as torch.nn.functional.pad",
  function(x, sizes, mode, value)
    local rank, before, after = #x.shape, {}, {}
    args.check(type(sizes) == "table" and #sizes % 2 == 0 and #sizes <= 2 * rank,
      "[pad] sizes come in pairs, at most one a dimension (%d)", rank)
    for i = 1, rank do
      before[i], after[i] = sizes[2 * (rank - i) + 1] or 0, sizes[2 * (rank - i) + 2] or 0
    end
    return ops.pad(x, { before = before, after = after, mode = mode or "constant", value = value or 0 })
  end)

-- -- activations

for _, name in ipairs { "relu", "sigmoid", "tanh" } do
  define(name, name .. "(x): as x:" .. name .. "()", function(x) return ops[name](x) end)
end

define("leaky_relu", "leaky_relu(x, negative_slope=0.01): x where positive, else slope * x; as torch",
  function(x, slope) return ops.leaky_relu(x, { slope = slope or 0.01 }) end)
define("elu", "elu(x, alpha=1): x where positive, else alpha * (exp(x) - 1); as torch",
  function(x, alpha)
    -- the exp of the negative part only: a large positive x must not overflow into its gradient
    return ops.where(x:gt(0), x, ops.mul(ops.sub(ops.exp(x:clamp(nil, 0)), 1), alpha or 1))
  end)
define("silu", "silu(x): x * sigmoid(x); as torch", function(x) return ops.mul(x, ops.sigmoid(x)) end)
-- log(1 + exp(x)) is the cross-entropy of logit x against target 0.
define("softplus", "softplus(x): log(1 + exp(x)) without overflow; as torch",
  function(x) return ops.bce_with_logits(x, ops.full({ size = x.shape, value = 0, dtype = x.dtype })) end)
define("softmax", "softmax(x, dim): exp(x) / sum exp(x) along dim; as"
  .. " torch", function(x, dim) return x:softmax(dim) end)
define("log_softmax", "log_softmax(x, dim): logarithm of softmax along dim; as torch",
  function(x, dim) return x:log_softmax(dim) end)

local function dropout(name, channelwise, what)
  define(name, name .. "(x, p=0.5, training=true): " .. what .. " zeroed with probability p, the rest divided by 1 -"
    .. " p; as torch." .. name,
    function(x, p, training)
      p = p or 0.5
      if training == false or p == 0 then return x end
      return ops.dropout(x, { p = p, channelwise = channelwise })
    end)
end
dropout("dropout", false, "elements")
dropout("dropout2d", true, "whole channels")

define("one_hot", "one_hot(labels, classes): i64 with a last dim of that size, 1 at the label (counted from 0); as"
  .. " torch",
  function(labels, classes)
    local values = ops.arange({ size = { classes }, value = 0, increment = 1, dtype = labels.dtype })
    return labels:unsqueeze(-1):eq(values):long()
  end)

-- -- normalisation

-- A per-channel vector as [1, C, 1, ...] so that it broadcasts over x.
local function per_channel(v, rank)
  local size = { 1, v:size(1) }
  for i = 3, rank do size[i] = 1 end
  return v:reshape(size)
end

define("group_norm", "group_norm(x, num_groups, weight=nil, bias=nil, eps=1e-5): x [N, C, ...] normalised over each"
  .. " group of C / num_groups channels; as torch",
  function(x, groups, weight, bias, eps)
    local n, c = x:size(1), x:size(2)
    args.check(c % groups == 0, "[group_norm] %d channels do not divide into %d groups", c, groups)
    local rows = x:reshape(n * groups, x:numel() / (n * groups))
    local y = ops.row_norm(rows, { eps = eps or 1e-5 }):reshape(x.shape)
    if weight then y = y * per_channel(weight, #x.shape) end
    if bias then y = y + per_channel(bias, #x.shape) end
    return y
  end)

define("instance_norm", "instance_norm(x, weight=nil, bias=nil, eps=1e-5): every channel of every sample by itself;"
  .. " as torch",
  function(x, weight, bias, eps) return F.group_norm(x, x:size(2), weight, bias, eps) end)

define("layer_norm", "layer_norm(x, normalized_shape, weight=nil, bias=nil, eps=1e-5): over the last dims, whose"
  .. " sizes are normalized_shape; as torch",
  function(x, shape, weight, bias, eps)
    if type(shape) == "number" then shape = { shape } end
    local k, tail = 1, #x.shape - #shape
    for i, n in ipairs(shape) do
      args.check(x.shape[tail + i] == n, "[layer_norm] the input %s does not end in %s", table.concat(x.shape, "x"),
        table.concat(shape, "x"))
      k = k * n
    end
    local y = ops.row_norm(x:reshape(x:numel() / k, k), { eps = eps or 1e-5 }):reshape(x.shape)
    if weight then y = y * weight end
    if bias then y = y + bias end
    return y
  end)

define("batch_norm", "batch_norm(x, running_mean, running_var, weight=nil, bias=nil, training=false, momentum=0.1,"
  .. " eps=1e-5): per channel (dim 2), in training by the batch's own statistics, which also move the running ones;"
  .. " as torch",
  function(x, running_mean, running_var, weight, bias, training, momentum, eps)
    eps = eps or 1e-5
    if not training then
      return ops.batch_norm_eval(x, running_mean, running_var, weight, bias, { eps = eps })
    end
    local count = x:numel() / x:size(2)
    if count <= 1 then
      args.fail("[batch_norm] training needs more than 1 value per channel, got input %s", tostring(x.shape))
    end
    local y, mean, var = ops.batch_norm(x, weight, bias, { eps = eps })
    if running_mean then
      ops.batch_norm_update(running_mean, running_var, mean, var, { size = { count }, weight = momentum or 0.1 })
    end
    return y
  end)

for name, f in pairs(require "lunette.nn.losses") do F[name] = f end

return F
