-- progress: a bar around a loop.
--
--   for images, masks in progress(loader, "Training") do ... end
--
--   local bar = progress(loader, "Training")       -- to show numbers beside it:
--   for images, masks in bar do ... bar:set{ loss = loss:item() } end
--
-- The loop may run over a loader, any iterator (`progress(ipairs(t))`), a list, or a number of
-- rounds. On a terminal the bar moves in place; elsewhere a plain line comes now and then,
-- so that log files stay short. It writes to stderr: stdout belongs to results.

local docs = require "lunette.docs"
local sys = require "lunette.sys"

local TERMINAL_SECONDS = 0.1 -- between two drawings
local LOG_SECONDS = 5        -- between two plain lines

local Progress = {}
Progress.__index = Progress

local progress = { quiet = false } -- progress.quiet = true silences every bar to come

local function time_text(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then return string.format("%d:%02d", math.floor(seconds / 60), seconds % 60) end
  return string.format("%d:%02d:%02d", math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60)
end

local function number_text(value)
  if type(value) ~= "number" then return tostring(value) end
  if value == math.floor(value) and math.abs(value) < 1e6 then return string.format("%d", value) end
  return string.format("%.4g", value)
end

-- "loss 0.4123  dice 0.71"
local function values_text(self)
  local parts = {}
  for i, name in ipairs(self.names) do parts[i] = name .. " " .. number_text(self.values[name]) end
  return table.concat(parts, "  ")
end

local function rate_text(self, elapsed)
  if self.count == 0 or elapsed <= 0 then return "" end
  local rate = self.count / elapsed
  return rate >= 1 and string.format("%.1f/s", rate) or string.format("%.1f s each", 1 / rate)
end

-- The text beside the bar: "12/50  3.4/s  0:11 left  loss 0.41".
local function status_text(self, elapsed, finished)
  local parts = { self.total and self.count .. "/" .. self.total or tostring(self.count) }
  local rate = rate_text(self, elapsed)
  if rate ~= "" then parts[#parts + 1] = rate end
  if finished then
    parts[#parts + 1] = time_text(elapsed)
  elseif self.total and self.count > 0 then
    parts[#parts + 1] = time_text(elapsed / self.count * math.max(0, self.total - self.count)) .. " left"
  end
  local values = values_text(self)
  if values ~= "" then parts[#parts + 1] = values end
  return table.concat(parts, "  ")
end

local BLOCKS = { [0] = "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function bar_text(fraction, width)
  local eighths = math.floor(math.min(1, fraction) * width * 8)
  local full, part = math.floor(eighths / 8), eighths % 8
  return string.rep("█", full) .. BLOCKS[part] .. string.rep(" ", width - full - (part > 0 and 1 or 0))
end

local function draw(self, now, finished)
  self.drawn = now
  local elapsed = now - self.started
  local status = status_text(self, elapsed, finished)
  if not self.terminal then
    io.stderr:write(self.name, ": ", status, "\n")
    return
  end
  local room = sys.width("stderr") - 1 - #self.name - 2 - #status - 3
  local line = self.name .. ": "
  if self.total and self.total > 0 and room >= 8 then
    line = line .. bar_text(self.count / self.total, math.min(room, 30)) .. " "
  end
  -- \27[K clears what a longer line left behind.
  io.stderr:write("\r", line, status, "\27[K", finished and "\n" or "")
  io.stderr:flush()
end

-- Shows name = number pairs beside the bar. Values that have item() are read at once:
-- keeping tensors alive here would keep their memory.
function Progress:set(values)
  for name, value in pairs(values) do
    if self.values[name] == nil then
      self.names[#self.names + 1] = name
      table.sort(self.names) -- pairs() has no order of its own
    end
    self.values[name] = type(value) == "number" and value or value:item()
  end
end

-- Draws the last state and ends the line; the loop's end calls it, a `break` may.
function Progress:close()
  if self.closed then return end
  self.closed = true
  if not self.quiet then draw(self, sys.clock(), true) end
end

-- One step of the generic for.
local function step(self, first, ...)
  if first == nil then
    self:close()
    return nil
  end
  self.control = first
  return first, ...
end

function Progress:__call()
  if not self.started then
    self.started = sys.clock()
    self.drawn = self.terminal and 0 or self.started -- a log's first line may wait
  else
    self.count = self.count + 1
  end
  if not self.quiet and self.count ~= self.total then -- the last state is close()'s to draw
    local now = sys.clock()
    if now - self.drawn >= self.seconds then draw(self, now) end
  end
  return step(self, self.iterate(self.state, self.control))
end

local function count_up(last, i)
  if i < last then return i + 1 end
end

local function each(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or (type(meta) == "table" and meta.__call ~= nil)
end

docs("progress", "progress(loader, name, {quiet=false, total=}): a progress bar around a loop: for images, masks in"
  .. " progress(loader, \"Training\") do. Takes a loader, an iterator, a list or a number; bar:set{loss=x} shows numbers"
  .. " beside the bar, bar:close() ends its line after a break. On a terminal it moves, elsewhere it writes a line every"
  .. " few seconds, on stderr")
setmetatable(progress, {
  __call = function(_, loader, ...)
    local arguments = { ... }
    local state, control
    if type(loader) == "function" and type(arguments[1]) ~= "string" then -- progress(ipairs(t), ...)
      state, control = arguments[1], arguments[2]
      arguments = { arguments[3], arguments[4] }
    end
    local name, options = arguments[1] or "progress", arguments[2] or {}
    local iterate, total = loader, options.total
    if type(loader) == "number" then
      iterate, state, control, total = count_up, loader, 0, total or loader
    elseif not is_callable(loader) then
      if type(loader) ~= "table" then
        error("progress: expected a loader, an iterator, a list or a number, got " .. type(loader), 2)
      end
      iterate, total = each(loader), total or #loader
    elseif type(loader) ~= "function" and loader.batches then
      total = total or loader:batches()
    end
    local quiet = options.quiet
    if quiet == nil then quiet = progress.quiet end
    local terminal = sys.isatty("stderr")
    return setmetatable({
      name = name, iterate = iterate, state = state, control = control, total = total, count = 0,
      names = {}, values = {}, quiet = quiet, terminal = terminal,
      seconds = terminal and TERMINAL_SECONDS or LOG_SECONDS,
    }, Progress)
  end,
})

return progress
