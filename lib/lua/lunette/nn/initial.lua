-- nn.initial: nn.init, the initial distributions. Each writes into a cell and returns it.

local docs = require "lunette.docs"
local args = require "lunette.args"

local init = {}

local function define(name, text, f)
  docs("nn.init." .. name, text)
  init[name] = f
end

--- fan_in, fan_out as torch counts them: the sizes of dims 2 and 1, times the window.
local function fans(cell)
  local shape = cell.shape
  args.check(#shape >= 2, "[nn.init] fan in and fan out need a weight of rank 2 or more")
  local window = 1
  for i = 3, #shape do window = window * shape[i] end
  return shape[2] * window, shape[1] * window
end
init.fans = fans

define("uniform_", "uniform_(cell, a=0, b=1): uniform in [a, b)", function(cell, a, b) return cell:uniform_(a, b) end)
define("normal_", "normal_(cell, mean=0, std=1): normal",
  function(cell, mean, std) return cell:normal_(mean, std) end)
define("constant_", "constant_(cell, value): that number everywhere",
  function(cell, value) return cell:fill_(value) end)
define("zeros_", "zeros_(cell): 0 everywhere", function(cell) return cell:fill_(0) end)
define("ones_", "ones_(cell): 1 everywhere", function(cell) return cell:fill_(1) end)

local gains = {
  linear = 1, sigmoid = 1, conv1d = 1, conv2d = 1, conv3d = 1, tanh = 5 / 3, relu = math.sqrt(2),
}

define("calculate_gain", "calculate_gain(nonlinearity, a=0.01): torch's gain for linear, sigmoid, tanh, relu,"
  .. " leaky_relu",
  function(nonlinearity, a)
    if nonlinearity == "leaky_relu" then return math.sqrt(2 / (1 + (a or 0.01) ^ 2)) end
    return args.check(gains[nonlinearity], "[nn.init] unknown nonlinearity '%s'", tostring(nonlinearity))
  end)

define("xavier_uniform_", "xavier_uniform_(weight, gain=1): U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)); Glorot"
  .. " 2010",
  function(weight, gain)
    local fan_in, fan_out = fans(weight)
    local bound = (gain or 1) * math.sqrt(6 / (fan_in + fan_out))
    return weight:uniform_(-bound, bound)
  end)

define("xavier_normal_", "xavier_normal_(weight, gain=1): N(0, gain^2 2 / (fan_in + fan_out)); Glorot 2010",
  function(weight, gain)
    local fan_in, fan_out = fans(weight)
    return weight:normal_(0, (gain or 1) * math.sqrt(2 / (fan_in + fan_out)))
  end)

local kaiming_known = { a = 0, mode = "fan_in", nonlinearity = "leaky_relu" }

local function kaiming_std(who, weight, options)
  local o = args.options(who, options, kaiming_known)
  local fan_in, fan_out = fans(weight)
  args.check(o.mode == "fan_in" or o.mode == "fan_out", "[%s] mode must be fan_in or fan_out", who)
  return init.calculate_gain(o.nonlinearity, o.a) / math.sqrt(o.mode == "fan_in" and fan_in or fan_out)
end

define("kaiming_uniform_", "kaiming_uniform_(weight, {a=0, mode=\"fan_in\", nonlinearity=\"leaky_relu\"}): U(-b, b),"
  .. " b = gain sqrt(3 / fan); He 2015",
  function(weight, options)
    local bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", weight, options)
    return weight:uniform_(-bound, bound)
  end)

define("kaiming_normal_", "kaiming_normal_(weight, {a=0, mode=\"fan_in\", nonlinearity=\"leaky_relu\"}): N(0, gain^2"
  .. " / fan); He 2015",
  function(weight, options) return weight:normal_(0, kaiming_std("kaiming_normal_", weight, options)) end)

return init
