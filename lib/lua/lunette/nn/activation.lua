-- nn.activation: layers without weights that work on one tensor.

local docs = require "lunette.docs"
local args = require "lunette.args"
local F = require "lunette.nn.functional"
local class = require("lunette.nn.module").class

local nn = {}

for name, what in pairs {
  ReLU = "x where positive, else 0", Sigmoid = "1 / (1 + exp(-x))", Tanh = "hyperbolic tangent",
  SiLU = "x * sigmoid(x)",
} do
  docs("nn." .. name, ("%s(): %s; same shape; as torch.nn.%s (inplace has no meaning here)"):format(name, what, name))
  nn[name] = class(name)
  local f = F[name:lower()]
  nn[name].__init = function(_, options) args.options(name, options, { inplace = false }) end
  nn[name].forward = function(_, x) return f(x) end
end

docs("nn.LeakyReLU", "LeakyReLU(negative_slope=0.01): x where positive, else slope * x; same shape; as"
  .. " torch.nn.LeakyReLU")
nn.LeakyReLU = class("LeakyReLU")
function nn.LeakyReLU:__init(slope) self.negative_slope = slope or 0.01 end
function nn.LeakyReLU:forward(x) return F.leaky_relu(x, self.negative_slope) end
function nn.LeakyReLU:extra_repr() return ("negative_slope=%g"):format(self.negative_slope) end

docs("nn.ELU", "ELU(alpha=1): x where positive, else alpha * (exp(x) - 1); same shape; as torch.nn.ELU")
nn.ELU = class("ELU")
function nn.ELU:__init(alpha) self.alpha = alpha or 1 end
function nn.ELU:forward(x) return F.elu(x, self.alpha) end
function nn.ELU:extra_repr() return ("alpha=%g"):format(self.alpha) end

for _, name in ipairs { "Softmax", "LogSoftmax" } do
  local f = name == "Softmax" and F.softmax or F.log_softmax
  docs("nn." .. name, name .. "(dim): along that dim (2 is the channels); same shape; as torch.nn." .. name)
  nn[name] = class(name)
  nn[name].__init = function(self, dim) self.dim = args.check(dim, "[%s] needs a dimension", name) end
  nn[name].forward = function(self, x) return f(x, self.dim) end
  nn[name].extra_repr = function(self) return "dim=" .. self.dim end
end

for name, f in pairs { Dropout = F.dropout, Dropout2d = F.dropout2d } do
  docs("nn." .. name, name .. "(p=0.5): in training zeroes " .. (name == "Dropout" and "elements" or "whole channels")
    .. " with probability p and divides the rest by 1 - p; same shape; as torch.nn." .. name)
  nn[name] = class(name)
  nn[name].__init = function(self, p)
    self.p = p or 0.5
    args.check(type(self.p) == "number" and self.p >= 0 and self.p <= 1, "[%s] p must be a number in 0..1, got %s", name,
      args.kind(self.p))
  end
  nn[name].forward = function(self, x) return f(x, self.p, self.training) end
  nn[name].extra_repr = function(self) return ("p=%g, inplace=False"):format(self.p) end
end

docs("nn.Flatten", "Flatten(start_dim=2, end_dim=-1): those dims joined into one; as torch.nn.Flatten")
nn.Flatten = class("Flatten")
function nn.Flatten:__init(first, last) self.first, self.last = first or 2, last or -1 end
function nn.Flatten:forward(x) return x:flatten(self.first, self.last) end
function nn.Flatten:extra_repr() return ("start_dim=%d, end_dim=%d"):format(self.first, self.last) end

return nn
