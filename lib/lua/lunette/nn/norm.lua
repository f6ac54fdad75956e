-- nn.norm: batch, instance, group and layer normalisation.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"
local base = require "lunette.nn.module"

local nn = {}

local function affine(self, shape)
  self.weight = core.cell(shape, { requires_grad = true }):fill_(1)
  self.bias = core.cell(shape, { requires_grad = true })
end

local function python(value) return value and "True" or "False" end

-- Numbers as Python prints them: 1e-05, 0.1.
local function number_text(x) return ("%.10g"):format(x) end

local function define_batch(space)
  local name, rank = ("BatchNorm%dd"):format(space), space + 2
  docs("nn." .. name, name .. "(num_features, {eps=1e-5, momentum=0.1, affine=true, track_running_stats=true}): per"
    .. " channel over batch and space; in training by the batch's statistics, else by the running ones (unbiased"
    .. " variance); momentum=\"cumulative\" averages over all batches; as torch.nn." .. name)
  local class = base.class(name)
  nn[name] = class

  function class:__init(num_features, options)
    local o = args.options(name, options, { eps = 1e-5, momentum = 0.1, affine = true, track_running_stats = true })
    self.num_features, self.eps, self.momentum = args.count(name, "num_features", num_features), o.eps, o.momentum
    self.affine, self.track_running_stats = o.affine, o.track_running_stats
    if o.affine then affine(self, { num_features }) end
    if o.track_running_stats then
      self:register_buffer("running_mean", core.cell({ num_features }))
      self:register_buffer("running_var", core.cell({ num_features }):fill_(1))
      self:register_buffer("num_batches_tracked", core.cell({}, { dtype = "i64" }))
    end
  end

  function class:forward(x)
    local shape = x.shape
    if #shape ~= rank and not (space == 1 and #shape == 2) then
      args.fail("[%s] the input must have rank %d, got %s", name, rank, tostring(shape))
    end
    if shape[2] ~= self.num_features then
      args.fail("[%s] the input has %d channels, the layer %d (input %s)", name, shape[2], self.num_features,
        tostring(shape))
    end
    if not self.track_running_stats then
      return F.batch_norm(x, nil, nil, self.weight, self.bias, true, nil, self.eps)
    end
    local momentum = self.momentum
    if self.training then
      local tracked = self.num_batches_tracked
      tracked:assign_(tracked + 1)
      if momentum == "cumulative" then momentum = 1 / tracked:item() end
    end
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, momentum,
      self.eps)
  end

  function class:extra_repr()
    return ("%d, eps=%s, momentum=%s, affine=%s, bias=%s, track_running_stats=%s"):format(self.num_features,
      number_text(self.eps), self.momentum == "cumulative" and "None" or number_text(self.momentum),
      python(self.affine), python(self.bias), python(self.track_running_stats))
  end
end

local function define_instance(space)
  local name, rank = ("InstanceNorm%dd"):format(space), space + 2
  docs("nn." .. name, name .. "(num_features, {eps=1e-5, affine=false}): every channel of every sample by itself, in"
    .. " training and evaluation alike; as torch.nn." .. name .. " without running statistics")
  local class = base.class(name)
  nn[name] = class

  function class:__init(num_features, options)
    local o = args.options(name, options, { eps = 1e-5, affine = false })
    self.num_features, self.eps, self.affine = args.count(name, "num_features", num_features), o.eps, o.affine
    if o.affine then affine(self, { num_features }) end
  end

  function class:forward(x)
    local shape = x.shape
    if #shape ~= rank then args.fail("[%s] the input must have rank %d, got %s", name, rank, tostring(shape)) end
    if shape[2] ~= self.num_features then
      args.fail("[%s] the input has %d channels, the layer %d (input %s)", name, shape[2], self.num_features,
        tostring(shape))
    end
    return F.instance_norm(x, self.weight, self.bias, self.eps)
  end

  function class:extra_repr()
    return ("%d, eps=%s, momentum=0.1, affine=%s, bias=%s, track_running_stats=False"):format(self.num_features,
      number_text(self.eps), python(self.affine), python(self.bias))
  end
end

for space = 1, 3 do
  define_batch(space)
  define_instance(space)
end

docs("nn.GroupNorm", "GroupNorm(num_groups, num_channels, {eps=1e-5, affine=true}): over each group of channels of a"
  .. " sample; as torch.nn.GroupNorm")
nn.GroupNorm = base.class("GroupNorm")

function nn.GroupNorm:__init(num_groups, num_channels, options)
  local o = args.options("GroupNorm", options, { eps = 1e-5, affine = true })
  args.count("GroupNorm", "num_groups", num_groups)
  args.count("GroupNorm", "num_channels", num_channels)
  args.check(num_channels % num_groups == 0, "[GroupNorm] %d channels do not divide into %d groups", num_channels,
    num_groups)
  self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, o.eps, o.affine
  if o.affine then affine(self, { num_channels }) end
end

function nn.GroupNorm:forward(x) return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps) end

function nn.GroupNorm:extra_repr()
  return ("%d, %d, eps=%s, affine=%s, bias=%s"):format(self.num_groups, self.num_channels, number_text(self.eps),
    python(self.affine), python(self.bias))
end

docs("nn.LayerNorm", "LayerNorm(normalized_shape, {eps=1e-5, affine=true, bias=true}): over the last dims, whose"
  .. " sizes are normalized_shape; as torch.nn.LayerNorm (affine is its elementwise_affine)")
nn.LayerNorm = base.class("LayerNorm")

function nn.LayerNorm:__init(shape, options)
  local o = args.options("LayerNorm", options, { eps = 1e-5, affine = true, bias = true })
  self.normalized_shape = type(shape) == "number" and { shape } or shape
  args.check(type(self.normalized_shape) == "table", "[LayerNorm] normalized_shape must be a number or a list of"
    .. " numbers, got %s", args.kind(shape))
  for i, n in ipairs(self.normalized_shape) do args.count("LayerNorm", ("normalized_shape[%d]"):format(i), n) end
  self.eps, self.affine = o.eps, o.affine
  if o.affine then
    self.weight = core.cell(self.normalized_shape, { requires_grad = true }):fill_(1)
    if o.bias then self.bias = core.cell(self.normalized_shape, { requires_grad = true }) end
  end
end

function nn.LayerNorm:forward(x) return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps) end

function nn.LayerNorm:extra_repr()
  local shape = table.concat(self.normalized_shape, ", ") .. (#self.normalized_shape == 1 and "," or "")
  return ("(%s), eps=%s, elementwise_affine=%s, bias=%s"):format(shape, number_text(self.eps), python(self.affine),
    python(self.bias))
end

return nn
