-- nn.conv: convolutions in 1 to 3 dims, transposed ones, and Linear, with torch's
-- arguments, defaults, initial distributions and printed form.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"
local base = require "lunette.nn.module"
local init = require "lunette.nn.initial"

local nn = {}

-- torch's kaiming_uniform_(a = sqrt(5)) on the weight is U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as is the bias.
local function make_parameters(self, shape, bias)
  self.weight = core.cell(shape, { requires_grad = true })
  local fan_in = init.fans(self.weight)
  local bound = fan_in > 0 and 1 / math.sqrt(fan_in) or 0
  self.weight:uniform_(-bound, bound)
  if bias then
    self.bias = core.cell({ bias }, { requires_grad = true })
    self.bias:uniform_(-bound, bound)
  end
end

-- (3, 3); one number as (3,), as Python prints tuples
local function tuple_text(list)
  return "(" .. table.concat(list, ", ") .. (#list == 1 and ",)" or ")")
end

local function any_other(list, value)
  for _, v in ipairs(list) do
    if v ~= value then return true end
  end
  return false
end

local function conv_repr(self)
  local parts = { self.in_channels, self.out_channels, "kernel_size=" .. tuple_text(self.kernel_size),
    "stride=" .. tuple_text(self.stride) }
  local function add(text) parts[#parts + 1] = text end
  if type(self.padding) == "string" then add("padding=" .. self.padding)
  elseif any_other(self.padding, 0) then add("padding=" .. tuple_text(self.padding)) end
  if any_other(self.dilation, 1) then add("dilation=" .. tuple_text(self.dilation)) end
  if self.output_padding and any_other(self.output_padding, 0) then
    add("output_padding=" .. tuple_text(self.output_padding))
  end
  if self.groups ~= 1 then add("groups=" .. self.groups) end
  if not self.bias then add("bias=False") end
  if self.padding_mode and self.padding_mode ~= "zeros" then add("padding_mode=" .. self.padding_mode) end
  return table.concat(parts, ", ")
end

local function check_channels(self, who)
  for _, name in ipairs { "in_channels", "out_channels", "groups" } do args.count(who, name, self[name]) end
  args.check(self.in_channels % self.groups == 0 and self.out_channels % self.groups == 0,
    "[%s] %d and %d channels do not divide into %d groups", who, self.in_channels, self.out_channels, self.groups)
end

local function set_geometry(self, who, space, kernel, o)
  self.groups = o.groups
  check_channels(self, who)
  self.kernel_size = args.tuple(who, "kernel_size", kernel, space)
  self.stride = args.tuple(who, "stride", o.stride, space)
  self.dilation = args.tuple(who, "dilation", o.dilation, space)
end

-- Padding with other values than zeros: F.pad's pairs, from the last dim on.
local function padded(self, x)
  local sizes = {}
  for i = #self.kernel_size, 1, -1 do
    local before, after
    if self.padding == "same" then
      local total = self.dilation[i] * (self.kernel_size[i] - 1)
      before = math.floor(total / 2)
      after = total - before
    else
      before = self.padding == "valid" and 0 or self.padding[i]
      after = before
    end
    sizes[#sizes + 1] = before
    sizes[#sizes + 1] = after
  end
  return F.pad(x, sizes, self.padding_mode)
end

local function define_conv(space)
  local name = ("Conv%dd"):format(space)
  local f = F[("conv%dd"):format(space)]
  docs("nn." .. name, name .. "(in_channels, out_channels, kernel_size, {stride=1, padding=0, dilation=1, groups=1,"
    .. " bias=true, padding_mode=\"zeros\"}): cross-correlation of [N, in, ...] to [N, out, ...]; padding may be"
    .. " \"same\" or \"valid\", padding_mode zeros, reflect or replicate; weight [out, in/groups, kernel...],"
    .. " U(+-1/sqrt(fan_in)); as torch.nn."
    .. name)
  local class = base.class(name)
  nn[name] = class

  function class:__init(in_channels, out_channels, kernel_size, options)
    local o = args.options(name, options,
      { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, padding_mode = "zeros" })
    self.in_channels, self.out_channels = in_channels, out_channels
    set_geometry(self, name, space, kernel_size, o)
    local text = type(o.padding) == "string"
    args.check(not text or o.padding == "same" or o.padding == "valid", "[%s] padding must be numbers, \"same\" or"
      .. " \"valid\"",
      name)
    self.padding = text and o.padding or args.tuple(name, "padding", o.padding, space)
    self.padding_mode = o.padding_mode
    local other = o.padding_mode ~= "zeros"
    args.check(not other or o.padding_mode == "reflect" or o.padding_mode == "replicate",
      "[%s] padding_mode must be zeros, reflect or replicate, got '%s'", name, tostring(o.padding_mode))
    make_parameters(self, { out_channels, in_channels / o.groups, unpack(self.kernel_size) }, o.bias and out_channels)
  end

  function class:forward(x)
    local padding = self.padding
    if self.padding_mode ~= "zeros" then x, padding = padded(self, x), 0 end
    return f(x, self.weight, self.bias,
      { stride = self.stride, padding = padding, dilation = self.dilation, groups = self.groups })
  end

  class.extra_repr = conv_repr
end

local function define_transpose(space)
  local name = ("ConvTranspose%dd"):format(space)
  local f = F[("conv_transpose%dd"):format(space)]
  docs("nn." .. name, name .. "(in_channels, out_channels, kernel_size, {stride=1, padding=0, output_padding=0,"
    .. " groups=1, bias=true, dilation=1}): transposed convolution of [N, in, ...] to [N, out, ...]; weight [in,"
    .. " out/groups, kernel...], U(+-1/sqrt(fan_in)) with fan_in = out/groups times the window; as torch.nn." .. name)
  local class = base.class(name)
  nn[name] = class

  function class:__init(in_channels, out_channels, kernel_size, options)
    local o = args.options(name, options,
      { stride = 1, padding = 0, output_padding = 0, groups = 1, bias = true, dilation = 1 })
    self.in_channels, self.out_channels = in_channels, out_channels
    set_geometry(self, name, space, kernel_size, o)
    self.padding = args.tuple(name, "padding", o.padding, space)
    self.output_padding = args.tuple(name, "output_padding", o.output_padding, space)
    make_parameters(self, { in_channels, out_channels / o.groups, unpack(self.kernel_size) }, o.bias and out_channels)
  end

  function class:forward(x)
    return f(x, self.weight, self.bias, { stride = self.stride, padding = self.padding,
      output_padding = self.output_padding, groups = self.groups, dilation = self.dilation })
  end

  class.extra_repr = conv_repr
end

for space = 1, 3 do
  define_conv(space)
  define_transpose(space)
end

docs("nn.Linear", "Linear(in_features, out_features, {bias=true}): x [..., in] times the transposed weight [out,"
  .. " in], plus bias [out]; U(+-1/sqrt(in)); as torch.nn.Linear")
nn.Linear = base.class("Linear")

function nn.Linear:__init(in_features, out_features, options)
  local o = args.options("Linear", options, { bias = true })
  self.in_features = args.count("Linear", "in_features", in_features)
  self.out_features = args.count("Linear", "out_features", out_features)
  make_parameters(self, { out_features, in_features }, o.bias and out_features)
end

function nn.Linear:forward(x) return F.linear(x, self.weight, self.bias) end

function nn.Linear:extra_repr()
  return ("in_features=%d, out_features=%d, bias=%s"):format(self.in_features, self.out_features,
    self.bias and "True" or "False")
end

return nn
