-- Runs the paper's pipelines on one data set, one after another, and compares them.
--
--   lunette scripts/run_all.lua --images DIR --masks DIR        (--help lists the options)
--
-- A share of the images is set aside before any pipeline sees the data (OUT/holdout.txt). Every
-- pipeline is a child process of the same binary with its own folder OUT/<id>, its output in
-- output.txt and errors.txt there. One that fails is recorded in its run.json and the others go
-- on; finished ones are skipped, so that the same command completes a study. The comparison is
-- in OUT/compare. The status is 1 when a pipeline or the comparison failed.

package.path = (arg[0]:match("^(.*)/") or ".") .. "/run_all/?.lua;" .. package.path

local options = require "lunette.options"
local run = require "lunette.run"
local sys = require "lunette.sys"
local budget = require "budget"
local child = require "child"
local study = require "study"

local pipelines = { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" }

local function row(name, value, kind, meaning) return { name, value, kind, meaning } end
local rows = {
  row("only", "IDS", "text", "these pipelines only, as in gpt4,bing"),
  row("with", "DIRS", "text", "folders of further pipelines (DIR/main.lua), separated by commas"),
  row("tensorflow", nil, nil, "the TensorFlow variants instead"),
  row("holdout", "X", "positive", "share of the images that is set aside for the comparison"),
  row("budget", "SECONDS", "positive", "fewer epochs than --epochs where a first timing says so"),
}
for _, name in ipairs { "out", "images", "masks", "suffix", "phantom", "exclude", "group-by", "epochs", "batch", "size", "lr",
  "limit", "seed", "device", "precision", "threads", "workers", "memory", "log-steps", "deterministic", "eager", "resume",
  "help" } do
  rows[#rows + 1] = options.row(name)
end
local o = options.command(arg, {
  rows = rows, defaults = { out = "runs/study", holdout = 0.1, phantom = "glottis:200" },
})

local function stop(status, format, ...)
  io.stdout:flush()
  io.stderr:write("lunette: ", format:format(...), "\n")
  sys.exit(status)
end

local function must(value, message)
  if not value then stop(1, "%s", message) end
  return value
end

local problem = options.check(o.given)
if problem then stop(2, "%s", problem) end
if o.holdout >= 1 then stop(2, "--holdout wants a share below 1, got %g", o.holdout) end
if o.budget and not o.epochs then stop(2, "--budget wants --epochs: the most that it may choose") end

local scripts = arg[0]:match("^(.*)/") or "."
local script_of = {}
for _, id in ipairs(pipelines) do
  script_of[id] = ("%s/%s%s/main.lua"):format(scripts, o.tensorflow and "tensorflow/" or "", id)
end
for folder in (o.with or ""):gmatch("[^,]+") do
  folder = folder:gsub("/+$", ""):gsub("/main%.lua$", "")
  local script = folder .. "/main.lua"
  local id = sys.basename(folder)
  if script_of[id] then stop(2, "--with: there are two pipelines '%s'", id) end
  if not sys.exists(script) then stop(2, "--with: there is no %s", script) end
  pipelines[#pipelines + 1] = id
  script_of[id] = script
end

-- The pipelines that --only names, in the usual order.
local function chosen()
  if not o.only then return pipelines end
  local wanted, list = {}, {}
  for id in o.only:gmatch("[^,%s]+") do wanted[id] = true end
  for _, id in ipairs(pipelines) do
    if wanted[id] then
      list[#list + 1] = id
      wanted[id] = nil
    end
  end
  local unknown = next(wanted)
  if unknown then stop(2, "--only: there is no pipeline '%s' (%s)", unknown, table.concat(pipelines, ", ")) end
  if #list == 0 then stop(2, "--only names no pipeline") end
  return list
end

local ids = chosen()

must(sys.mkdir(o.out))
local images = must(run.open(o))
if #images == 0 then stop(1, "no image with a mask in %s", o.images) end
local common = study.prepare(o, images, must)
if o.budget and not common.epochs then
  common.epochs = budget.epochs(o, common, ids, script_of, #images, must)
  study.write(o, common, must)
  print(("epochs: %d of %d, to fit into %g seconds"):format(common.epochs, o.epochs, o.budget))
end

-- -- the pipelines

print(("%d images, %d of them set aside; %d pipelines; results in %s"):format(#images, common.held_out, #ids, o.out))
local failed, started = {}, sys.clock()
for i, id in ipairs(ids) do
  local folder = o.out .. "/" .. id
  local title = ("%d of %d  %s"):format(i, #ids, id)
  if study.finished(folder) then
    print(("%-22s finished before, skipped"):format(title))
  else
    local words = study.words(o, common, folder)
    local ok, text = child.run(script_of[id], words, {
      folder = folder, id = id, title = title, done = (i - 1) / #ids, part = 1 / #ids, epochs = common.epochs,
      started = started, must = must, options = study.data_options(o, common),
    })
    print(("%-22s %s"):format(title, text))
    if not ok then failed[#failed + 1] = id end
  end
end

-- -- the comparison

local words = { sys.executable(), scripts .. "/compare/main.lua" }
for _, id in ipairs(ids) do words[#words + 1] = o.out .. "/" .. id end
for _, word in ipairs { "--out", o.out .. "/compare", "--holdout", common.holdout_file } do words[#words + 1] = word end
for _, name in ipairs { "device", "threads", "memory" } do
  if o.given[name] then
    words[#words + 1] = "--" .. name
    words[#words + 1] = tostring(o.given[name])
  end
end
local compared = must(sys.run(words))
if #failed > 0 then
  io.stderr:write(("lunette: failed: %s; why is in run.json and errors.txt of their folders\n"):format(table.concat(failed, ", ")))
end
local seconds = sys.clock() - started
print(("time %.1f s"):format(seconds))
if o.budget and seconds > 1.2 * o.budget then
  print(("it took longer than the budget of %g s: one epoch each is the least, and the machine may be busier than when it was timed")
    :format(o.budget))
end
if compared.status == 0 and sys.exists(o.out .. "/compare/report.html") then
  print("report: " .. o.out .. "/compare/report.html")
end
sys.exit((#failed > 0 or compared.status ~= 0) and 1 or 0)
