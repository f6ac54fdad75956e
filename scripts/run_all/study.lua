-- One study: its holdout, the options that all its pipelines share, and what is finished.

local save = require "lunette.save"
local sys = require "lunette.sys"
local holdout = require "lunette.run.holdout"

local study = {}

-- What must not change while a study is completed: otherwise its runs could not be compared.
local fixed = { "images", "masks", "suffix", "phantom", "exclude", "group_by", "limit", "holdout", "epochs", "batch", "size", "lr",
  "seed", "precision", "budget", "tensorflow" }

local function read_json(path)
  local text = save.exists(path) and save.read(path)
  local value = text and save.parse_json(text)
  return type(value) == "table" and value or nil
end

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = (line:gsub("\r$", "")) end
  return list
end

local function write_lines(path, lines, must) must(save.write(path, table.concat(lines, "\n") .. "\n")) end

-- The options of this study: those of its first start, which later ones must repeat.
local function check_same(o, before, must)
  for _, name in ipairs(fixed) do
    local was, is = before.options[name], o[name]
    local function said(value)
      return value == nil and "without --" .. name:gsub("_", "-") or ("with --%s %s"):format(name:gsub("_", "-"), tostring(value))
    end
    must(tostring(was) == tostring(is), ("%s was started %s, now it is %s; repeat the options or give another --out"):format(
      o.out, said(was), said(is)))
  end
end

--- Draws the holdout once; later starts find it. Returns what the pipelines share: epochs, and the files of stems.
function study.prepare(o, images, must)
  local path = o.out .. "/study.json"
  local before = read_json(path)
  local common = { holdout_file = o.out .. "/holdout.txt", exclude_file = o.out .. "/holdout.txt", epochs = not o.budget and o.epochs or nil }
  if before and type(before.options) == "table" then
    check_same(o, before, must)
    common.epochs = before.epochs
    common.held_out = #lines_of(common.holdout_file)
    if o.exclude then common.exclude_file = o.out .. "/exclude.txt" end
    return common
  end
  local stems = must(holdout(images, { share = o.holdout, group_by = o.group_by }))
  common.held_out = #stems
  write_lines(common.holdout_file, stems, must)
  if o.exclude then
    -- the pipelines leave out both, the comparison scores on the holdout alone
    common.exclude_file = o.out .. "/exclude.txt"
    for _, stem in ipairs(lines_of(o.exclude)) do stems[#stems + 1] = stem end
    write_lines(common.exclude_file, stems, must)
  end
  study.write(o, common, must)
  return common
end

--- Writes study.json: what was asked for, and the epochs that --budget chose.
function study.write(o, common, must)
  local asked = {}
  for _, name in ipairs(fixed) do asked[name] = o[name] end
  must(save.write(o.out .. "/study.json", save.json({ options = asked, epochs = common.epochs }, { indent = 2 }) .. "\n"))
end

--- Whether the run in this folder has come to its end.
function study.finished(folder)
  local about = read_json(folder .. "/run.json")
  return about ~= nil and about.status == "finished"
end

--- What run.json says of the data, for a pipeline that broke off before it could.
function study.data_options(o, common)
  return { images = o.images, masks = o.images and (o.masks or o.images), suffix = o.suffix,
    phantom = not o.images and o.phantom or nil, limit = o.limit, exclude = common.exclude_file }
end

local passed = { "images", "masks", "suffix", "phantom", "group_by", "batch", "size", "lr", "limit", "seed", "device", "precision",
  "threads", "workers", "memory", "log_steps", "deterministic", "eager" }

--- The words of a pipeline's command line.
function study.words(o, common, folder)
  local words = { "--out", folder, "--exclude", common.exclude_file }
  local function add(name, value)
    words[#words + 1] = "--" .. name:gsub("_", "-")
    if value ~= true then words[#words + 1] = tostring(value) end
  end
  for _, name in ipairs(passed) do
    if o.given[name] then add(name, o.given[name]) end
  end
  if common.epochs then add("epochs", common.epochs) end
  -- a run that was stopped goes on where its checkpoint is; without one it starts anew
  if o.resume and sys.exists(folder .. "/checkpoint.safetensors") then add("resume", true) end
  return words
end

study.read_json = read_json
return study
