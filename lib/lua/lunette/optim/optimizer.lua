-- optim.optimizer: what all optimizers share: parameter groups, zero_grad, step, state.
--
-- step() records one update op per parameter and flushes. A plan that fails - a loss that
-- is not finite, Ctrl-C, no memory - writes nothing, so the step counts move only after
-- the flush has succeeded.

local core = require "lunette.core"
local docs = require "lunette.docs"
local args = require "lunette.args"

local Optimizer = {}
Optimizer.__index = Optimizer

-- params: a list of cells, or a list of groups { params = list, lr = ..., ... }.
local function make_groups(who, params, defaults)
  args.check(type(params) == "table" and #params > 0, "[%s] needs a list of parameters, such as net:parameters()", who)
  local groups = params[1]
  groups = args.is_tensor(groups) and { { params = params } } or params
  local result, seen = {}, {}
  for i, group in ipairs(groups) do
    args.check(type(group) == "table" and type(group.params) == "table", "[%s] group %d has no params", who, i)
    local options = {}
    for name, value in pairs(group) do
      if name ~= "params" then options[name] = value end
    end
    local made = args.options(who, options, defaults)
    made.params = group.params
    for _, cell in ipairs(group.params) do
      args.check(args.is_tensor(cell) and cell.is_cell, "[%s] group %d holds something that is no parameter", who, i)
      args.check(not seen[cell], "[%s] a parameter appears twice", who)
      seen[cell] = true
    end
    result[i] = made
  end
  return result
end

--- A new optimizer class: update(self, group, cell, state) records the op and returns nothing.
function Optimizer.class(name, known, check, update)
  local class = setmetatable({ class_name = name, update = update }, Optimizer)
  class.__index = class
  return setmetatable(class, {
    __index = Optimizer,
    __call = function(_, params, options)
      local defaults = args.options(name, options, known)
      local self = setmetatable({ defaults = defaults, state = {} }, class)
      self.param_groups = make_groups(name, params, defaults)
      for _, group in ipairs(self.param_groups) do check(group) end
      return self
    end,
  })
end

docs("optim.Optimizer.zero_grad", "zero_grad(): drops the gradients of all parameters; backward() adds to what is"
  .. " there")
function Optimizer:zero_grad()
  for _, group in ipairs(self.param_groups) do
    for _, cell in ipairs(group.params) do cell:zero_grad() end
  end
end

docs("optim.Optimizer.step", "step(): updates every parameter that has a gradient and computes all that is pending;"
  .. " when the loss is not finite it raises (code LN_ENONFINITE) and no parameter has changed")
function Optimizer:step()
  local touched = {}
  for _, group in ipairs(self.param_groups) do
    for _, cell in ipairs(group.params) do
      local gradient = cell.grad
      if gradient then
        local state = self.state[cell]
        if not state then
          state = { step = 0 }
          self.state[cell] = state
        end
        self.update(group, cell, gradient, state)
        touched[#touched + 1] = state
      end
    end
  end
  local ok, problem = pcall(core.flush)
  if not ok then
    if type(problem) == "table" and problem.code == "LN_ENONFINITE" and touched[1] then
      problem.message = ("%s; at step %d of the optimizer"):format(problem.message, touched[1].step + 1)
    end
    error(problem, 0)
  end
  for _, state in ipairs(touched) do state.step = state.step + 1 end
end

--- All parameters in the order that state_dict numbers them.
function Optimizer:positions()
  local list = {}
  for _, group in ipairs(self.param_groups) do
    for _, cell in ipairs(group.params) do list[#list + 1] = cell end
  end
  return list
end

docs("optim.Optimizer.state_dict", "state_dict(): { state = { [i] = { step, cells by name } }, param_groups ="
  .. " options }; parameter i counts from 1 over all groups; the cells are live")
function Optimizer:state_dict()
  local result = { state = {}, param_groups = {} }
  for i, cell in ipairs(self:positions()) do result.state[i] = self.state[cell] end
  for i, group in ipairs(self.param_groups) do
    local options = {}
    for name, value in pairs(group) do
      if name ~= "params" then options[name] = value end
    end
    result.param_groups[i] = options
  end
  return result
end

docs("optim.Optimizer.load_state_dict", "load_state_dict(dict): takes the options and state of state_dict(); another"
  .. " number of groups or parameters raises")
function Optimizer:load_state_dict(dict)
  args.check(#dict.param_groups == #self.param_groups, "[%s] the state has %d groups, the optimizer"
    .. " %d", self.class_name,
    #dict.param_groups, #self.param_groups)
  local cells = self:positions()
  for i in pairs(dict.state) do
    args.check(cells[i], "[%s] the state has a parameter %s, the optimizer %d", self.class_name, tostring(i), #cells)
  end
  for i, options in ipairs(dict.param_groups) do
    for name, value in pairs(options) do self.param_groups[i][name] = value end
  end
  for i, cell in ipairs(cells) do
    local given = dict.state[i]
    local state = nil
    if given then
      state = { step = given.step }
      for name, value in pairs(given) do
        if args.is_tensor(value) then
          args.check(value:numel() == cell:numel(), "[%s] state '%s' of parameter %d has shape %s, the parameter %s",
            self.class_name, name, i, table.concat(value.shape, "x"), table.concat(cell.shape, "x"))
          state[name] = core.cell(value)
        end
      end
    end
    self.state[cell] = state
  end
  core.flush()
end

--- A cell of zeros in the shape of another, for moments and momentum.
function Optimizer.zeros_like(cell)
  return core.cell(cell.shape, { dtype = cell.dtype })
end

--- The group's values of these names must be numbers, 0 or more.
function Optimizer.check_not_negative(who, group, names)
  for _, name in ipairs(names) do
    local value = group[name]
    args.check(type(value) == "number" and value >= 0, "[%s] %s must be a number, 0 or more, got %s", who, name,
      tostring(value))
  end
end

--- Adam's two factors must lie in 0 <= beta < 1.
function Optimizer.check_betas(who, group)
  local b = group.betas
  args.check(type(b) == "table" and #b == 2 and b[1] >= 0 and b[1] < 1 and b[2] >= 0 and b[2] < 1,
    "[%s] betas must be two numbers in 0 <= beta < 1", who)
end

return Optimizer
