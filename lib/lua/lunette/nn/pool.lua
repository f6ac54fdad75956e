-- nn.pool: pooling and Upsample.

local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"
local class = require("lunette.nn.module").class

local nn = {}

local function text(value)
  if type(value) == "table" then return "(" .. table.concat(value, ", ") .. ")" end
  return tostring(value)
end

local function python(value) return value and "True" or "False" end

for space = 1, 3 do
  local name = ("MaxPool%dd"):format(space)
  docs("nn." .. name, name .. "(kernel_size, {stride=kernel_size, padding=0, dilation=1, ceil_mode=false,"
    .. " return_indices=false}): largest of each window of [N, C, ...]; as torch.nn." .. name)
  local max = class(name)
  nn[name] = max
  local max_pool = F[("max_pool%dd"):format(space)]

  function max:__init(kernel_size, options)
    self.kernel_size = args.check(kernel_size, "[%s] needs a kernel_size", name)
    self.options = args.options(name, options,
      { stride = kernel_size, padding = 0, dilation = 1, ceil_mode = false, return_indices = false })
  end

  function max:forward(x) return max_pool(x, self.kernel_size, self.options) end

  function max:extra_repr()
    local o = self.options
    return ("kernel_size=%s, stride=%s, padding=%s, dilation=%s, ceil_mode=%s"):format(text(self.kernel_size),
      text(o.stride), text(o.padding), text(o.dilation), python(o.ceil_mode))
  end

  local mean_name = ("AvgPool%dd"):format(space)
  docs("nn." .. mean_name, mean_name .. "(kernel_size, {stride=kernel_size, padding=0, ceil_mode=false,"
    .. " count_include_pad=true}): mean of each window of [N, C, ...]; as torch.nn." .. mean_name)
  local mean = class(mean_name)
  nn[mean_name] = mean
  local avg_pool = F[("avg_pool%dd"):format(space)]

  function mean:__init(kernel_size, options)
    self.kernel_size = args.check(kernel_size, "[%s] needs a kernel_size", mean_name)
    self.options = args.options(mean_name, options,
      { stride = kernel_size, padding = 0, ceil_mode = false, count_include_pad = true })
  end

  function mean:forward(x) return avg_pool(x, self.kernel_size, self.options) end

  function mean:extra_repr()
    local o = self.options
    return ("kernel_size=%s, stride=%s, padding=%s"):format(text(self.kernel_size), text(o.stride), text(o.padding))
  end
end

docs("nn.Upsample", "Upsample{size=nil, scale_factor=nil, mode=\"nearest\", align_corners=false}: F.interpolate as a"
  .. " layer; as torch.nn.Upsample")
nn.Upsample = class("Upsample")

function nn.Upsample:__init(options)
  self.options = args.options("Upsample", options,
    { size = false, scale_factor = false, mode = "nearest", align_corners = false })
  args.check(self.options.size or self.options.scale_factor, "[Upsample] needs size or scale_factor")
end

function nn.Upsample:forward(x) return F.interpolate(x, self.options) end

function nn.Upsample:extra_repr()
  local o = self.options
  local what
  if o.scale_factor then
    local factor = o.scale_factor
    what = "scale_factor=" .. (type(factor) == "number" and ("%.1f"):format(factor) or text(factor))
  else
    what = "size=" .. text(o.size)
  end
  return ("%s, mode='%s'"):format(what, o.mode)
end

return nn
