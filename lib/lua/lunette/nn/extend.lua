-- nn.extend: layers with a gradient of their own in plain Lua, and helpers on gradients.

local lt = require "lunette"
local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local nn = { utils = {} }

docs("nn.Function", "Function{forward = function(ctx, x, ...) return y end, backward = function(ctx, gy) return gx"
  .. " end}: an operation with its own gradient, called as f(x, ...). forward runs without recording a tape and may"
  .. " read values (ptr, item); what it keeps in the table ctx, backward finds there. backward gets a gradient per"
  .. " result and returns one per tensor argument, nil where there is none")
function nn.Function(definition)
  local forward, backward = definition.forward, definition.backward
  args.check(type(forward) == "function" and type(backward) == "function",
    "[Function] needs forward and backward functions")
  return function(...)
    local ctx, inputs = {}, {}
    for i = 1, select("#", ...) do
      local input = select(i, ...)
      if args.is_tensor(input) then inputs[#inputs + 1] = input end
    end
    local outputs = { lt.no_grad(forward, ctx, ...) }
    for i, y in ipairs(outputs) do
      args.check(args.is_tensor(y), "[Function] result %d of forward is no tensor but a %s", i, type(y))
      -- detach: forward may have returned an input, which must not be tied to itself
      outputs[i] = lt.no_grad(y.detach, y)
    end
    core.func(inputs, outputs, function(...) return backward(ctx, ...) end)
    return unpack(outputs)
  end
end

docs("nn.utils.clip_grad_norm_", "clip_grad_norm_(parameters, max_norm, {norm_type=2}): scales all gradients so that"
  .. " their common norm is at most max_norm; returns the norm before (a scalar); as torch")
function nn.utils.clip_grad_norm_(parameters, max_norm, options)
  local p = args.options("clip_grad_norm_", options, { norm_type = 2 }).norm_type
  return lt.no_grad(function()
    local norms = {}
    for _, cell in ipairs(parameters) do
      if cell.grad then norms[#norms + 1] = cell.grad:norm(p):reshape(1) end
    end
    if #norms == 0 then return core.tensor(0) end
    local total = lt.cat(norms):norm(p)
    local scale = (max_norm / (total + 1e-6)):clamp(nil, 1)
    for _, cell in ipairs(parameters) do
      if cell.grad then cell.grad = cell.grad * scale end
    end
    return total
  end)
end

docs("nn.utils.clip_grad_value_", "clip_grad_value_(parameters, clip_value): limits every gradient element to"
  .. " [-clip_value, clip_value]; as torch")
function nn.utils.clip_grad_value_(parameters, clip_value)
  lt.no_grad(function()
    for _, cell in ipairs(parameters) do
      if cell.grad then cell.grad = cell.grad:clamp(-clip_value, clip_value) end
    end
  end)
end

return nn
