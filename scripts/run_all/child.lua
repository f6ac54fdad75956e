-- One pipeline as a child process: progress while it runs, and its end written down.

local save = require "lunette.save"
local sys = require "lunette.sys"
local study = require "study"

local child = {}

local function time_text(seconds)
  seconds = math.floor(seconds + 0.5)
  return ("%d:%02d"):format(math.floor(seconds / 60), seconds % 60)
end

-- How many epochs the journal has; of a journal that is being written, whole lines only.
local function epochs_done(folder)
  local file = io.open(folder .. "/metrics.jsonl")
  if not file then return 0 end
  local count = 0
  for line in file:lines() do
    if line:find('"kind":"epoch"', 1, true) then count = count + 1 end
  end
  file:close()
  return count
end

-- One line on the terminal that is drawn over: a bar for the whole study, and where this pipeline is.
local function draw(about)
  local epochs = epochs_done(about.folder)
  local total = about.epochs
  if not total then
    local run = study.read_json(about.folder .. "/run.json")
    total = run and type(run.options) == "table" and run.options.epochs
  end
  local share = about.done + (total and about.part * math.min(1, epochs / total) or 0)
  local width = 24
  local full = math.floor(share * width)
  io.stderr:write(("\r[%s%s] %3d %%  %s  epoch %d%s  %s\27[K"):format(("#"):rep(full), ("."):rep(width - full), 100 * share,
    about.title, epochs, total and " of " .. total or "", time_text(sys.clock() - about.started)))
  io.stderr:flush()
end

-- The last lines that say something; an error's first line and where it was.
local function last_words(path)
  local text = save.read(path)
  local last
  for line in (text or ""):gmatch("[^\r\n]+") do
    if line:match("^lunette: ") then last = line:sub(10) end
  end
  if not last then
    for line in (text or ""):gmatch("[^\r\n]+") do
      if line:find("%S") then last = line end
    end
  end
  return last
end

-- Status, signal and error go into run.json, also where the pipeline came to no run.json of its own.
local function record(about, result, message)
  local path = about.folder .. "/run.json"
  local run = study.read_json(path) or { id = about.id, options = about.options }
  run.status, run.error = "failed", message
  run.exit_status, run.signal = result.status, result.signal
  about.must(save.write(path, save.json(run, { indent = 2, order = { "id", "status", "error" } }) .. "\n"))
end

local function last_line(path)
  return (save.read(path) or ""):match("([^\n]*)\n?$")
end

--- Runs script with these words. Returns whether it came to its end, and one line about it.
function child.run(script, words, about)
  about.must(sys.mkdir(about.folder))
  local argv = { sys.executable(), script }
  for _, word in ipairs(words) do argv[#argv + 1] = word end
  local output, errors = about.folder .. "/output.txt", about.folder .. "/errors.txt"
  local terminal = sys.isatty("stderr")
  -- a run.json from before would pass for this attempt's if it broke off at once
  local old = study.read_json(about.folder .. "/run.json")
  if old and old.status == "failed" then
    old.status, old.error, old.exit_status, old.signal = "running", nil, nil, nil
    about.must(save.write(about.folder .. "/run.json", save.json(old, { indent = 2, order = { "id", "status" } }) .. "\n"))
  end
  local next_draw = 0
  local result = about.must(sys.run(argv, { stdout = output, stderr = errors, tick = terminal and function()
    if sys.clock() < next_draw then return end
    next_draw = sys.clock() + 0.5
    draw(about)
  end or nil }))
  if terminal then io.stderr:write("\r\27[K") end
  if result.status == 0 then return true, last_line(output) end
  local message = last_words(errors)
  if result.signal then
    message = ("killed by signal %d%s"):format(result.signal, message and ": " .. message or "")
  else
    message = message or ("ended with status %d"):format(result.status)
  end
  record(about, result, message)
  return false, "FAILED: " .. message
end

return child
