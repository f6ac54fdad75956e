-- options: the options that all paper scripts share.
--
--   local o = options.parse(arg, { id = "gpt4", epochs = 25, batch = 16, size = 256, lr = 1e-3 })
--
-- The defaults are the pipeline's own choices. Words that make no sense end the program
-- with the usage line and status 2, as other programs do; read() is the same without ending it.
--
-- A script with options of its own describes them and may take these shared ones by name:
--
--   local o = options.command(arg, { words = "RUN...", rows = { options.row("device"), {...} } })

local docs = require "lunette.docs"
local sys = require "lunette.sys"

local options = {}

-- kind -> check(text) giving the value, or nil and what is wanted
local kinds = {}

local function whole(text)
  local n = text:match("^%d+$") and tonumber(text)
  return n and n <= 2 ^ 53 and n or nil
end

function kinds.count(text)
  local n = whole(text)
  if n and n >= 1 then return n end
  return nil, "a whole number, at least 1"
end

function kinds.whole(text)
  local n = whole(text)
  if n then return n end
  return nil, "a whole number, 0 or more"
end

function kinds.positive(text)
  local x = text:match("^[%d.]") and not text:lower():find("x", 1, true) and tonumber(text)
  if x and x > 0 and x < math.huge then return x end
  return nil, "a positive number"
end

function kinds.gigabytes(text)
  local x = text:match("^[%d.]") and not text:lower():find("x", 1, true) and tonumber(text)
  if x and x >= 0 and x < math.huge then return x end
  return nil, "a number of gigabytes"
end

function kinds.text(text)
  if text ~= "" then return text end
  return nil, "a text that is not empty"
end

function kinds.phantom(text)
  local family, count = text:match("^(%a+):?(.*)$")
  local known = family == "glottis" or family == "bolus" or family == "brain"
  if known and (count == "" or kinds.count(count)) then return text end
  return nil, "glottis, bolus or brain, with a count as in brain:70"
end

local function choice(...)
  local words = { ... }
  return function(text)
    for _, word in ipairs(words) do
      if text == word then return text end
    end
    return nil, table.concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
  end
end
kinds.device = choice("cpu", "cuda", "reference", "auto")
kinds.precision = choice("strict", "f32", "bf16")

-- name, what stands for its value (none: a switch; "[=FILE]": a value may follow a "="), kind, meaning; name
-- with "-" becomes a key with "_".
local rows = {
  { "images", "DIR", "text", "folder of images, png or jpg; without it the built-in phantoms" },
  { "masks", "DIR", "text", "folder of masks (default: the images' folder)" },
  { "suffix", "S", "text", "a mask is its image's stem .. S, png or jpg" },
  { "phantom", "F[:N]", "phantom", "drawn data: glottis, bolus or brain, N images (default glottis:200)" },
  { "exclude", "FILE", "text", "stems to leave out, one a line" },
  { "group-by", "KEY", "text", "key of stem.meta: what shares its value stays in one split" },
  { "out", "DIR", "text", "results" },
  { "epochs", "N", "count", "epochs" },
  { "batch", "N", "count", "batch size" },
  { "size", "N", "count", "images are resized to N x N" },
  { "lr", "X", "positive", "learning rate" },
  { "limit", "N", "count", "the first N pairs by name only" },
  { "seed", "N", "whole", "seed of weights and shuffles" },
  { "device", "NAME", "device", "cpu, cuda, reference or auto" },
  { "precision", "NAME", "precision", "strict, f32 (default) or bf16" },
  { "threads", "N", "count", "threads for kernels (default: all cores)" },
  { "workers", "N", "count", "threads that load images" },
  { "memory", "GB", "gigabytes", "soft limit on memory for tensors" },
  { "init", "FILE", "text", "start from the weights in this safetensors file" },
  { "no-shuffle", nil, nil, "take the training images in the split's order" },
  { "log-steps", nil, nil, "write every step's loss to metrics.jsonl" },
  { "deterministic", nil, nil, "the same bits for every number of threads" },
  { "eager", nil, nil, "run each operation when called, not planned" },
  { "profile", "[=FILE]", "text", "show at the end where time and memory went; FILE.json and FILE.trace.json" },
  { "resume", nil, nil, "go on after a stop" },
  { "summary", nil, nil, "print the model and exit" },
  { "help", nil, nil, "print this and exit" },
}

local function by_name(list)
  local row_of = {}
  for _, row in ipairs(list) do row_of[row[1]] = row end
  return row_of
end

local row_of = by_name(rows)

local general = { seed = 0, workers = 1, phantom = "glottis:200", device = "cpu", precision = "f32" }

local function key_of(name) return (name:gsub("-", "_")) end

-- -- words that nearly fit

local function distance(a, b)
  local previous = {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    local current = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      current[j] = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
    end
    previous = current
  end
  return previous[#b]
end

local function suggestion(name, list)
  local best, least = nil, 3
  for _, row in ipairs(list) do
    local d = row[1]:sub(1, #name) == name and #name >= 2 and 0 or distance(name, row[1])
    if d < least then best, least = row[1], d end
  end
  return best and (" (did you mean --%s?)"):format(best) or ""
end

-- -- reading

-- One option at words[i]; returns the index behind it, or nil and what is wrong.
local function read_one(words, i, result, list)
  local name, value = words[i]:match("^%-%-([^=]+)=(.*)$")
  name = name or words[i]:match("^%-%-(.+)$")
  if words[i] == "-h" then name = "help" end
  if not name then return nil, ("unexpected argument '%s'"):format(words[i]) end
  local row = by_name(list)[name]
  if not row then return nil, ("unknown option --%s%s"):format(name, suggestion(name, list)) end
  local optional = row[2] and row[2]:sub(1, 2) == "[="
  if not row[2] or optional and not value then
    if value then return nil, ("--%s takes no value"):format(name) end
    result[key_of(name)] = true
    return i + 1
  end
  if not value then
    i = i + 1
    value = words[i]
    if not value or value:match("^%-%-%a") then return nil, ("--%s needs a value: %s"):format(name, row[2]) end
  end
  local checked, wanted = kinds[row[3]](value)
  if checked == nil then return nil, ("--%s wants %s, got '%s'"):format(name, wanted, value) end
  result[key_of(name)] = checked
  return i + 1
end

docs("options.check", "check(given): what is wrong with options taken together (--masks without --images and the like), or nil")
function options.check(given)
  if given.images and given.phantom then return "--images and --phantom exclude each other" end
  if given.masks and not given.images then return "--masks goes with --images" end
  if given.suffix and not given.images then return "--suffix goes with --images" end
  if given.images and not given.masks and not given.suffix then
    return "--images alone: say where the masks are, with --masks or --suffix"
  end
  if given.init and given.resume then return "--init and --resume exclude each other" end
end

docs("options.read_command", "read_command(words, {rows=, words=, defaults=}): the options and words of a script with options"
  .. " of its own as a table, plain words in its list part, given = those on the command line; or nil and what is wrong")
function options.read_command(words, command)
  local given, plain, i, only_words = {}, {}, 1, false
  while words[i] do
    local following, problem = i + 1, nil
    if words[i] == "--" and command.words and not only_words then
      only_words = true
    elseif command.words and (only_words or words[i]:sub(1, 1) ~= "-") then
      plain[#plain + 1] = words[i]
    else
      following, problem = read_one(words, i, given, command.rows)
    end
    if not following then return nil, problem end
    i = following
  end
  local result = plain
  result.given = given
  for _, source in ipairs { command.defaults or {}, given } do
    for name, value in pairs(source) do result[name] = value end
  end
  if command.words and #plain == 0 and not given.help then return nil, command.words .. " is missing" end
  return result
end

docs("options.read", "read(words, defaults): the options in a list of words as a table, completed by the pipeline's"
  .. " defaults, with given = those on the command line; or nil and what is wrong")
function options.read(words, defaults)
  local completed = {}
  for _, source in ipairs { general, defaults } do
    for name, value in pairs(source) do completed[name] = value end
  end
  local result, problem = options.read_command(words, { rows = rows, defaults = completed })
  if not result then return nil, problem end
  problem = not result.help and options.check(result.given)
  if problem then return nil, problem end
  result.out = result.out or "runs/" .. (defaults.id or "run")
  result.shuffle = not result.given.no_shuffle
  result.no_shuffle = nil
  return result
end

local function usage_text(program, list, default_of)
  local lines = { ("usage: lunette %s"):format(program), "" }
  for _, row in ipairs(list) do
    local default = default_of(key_of(row[1]))
    lines[#lines + 1] = ("  --%-18s %s%s"):format(row[1] .. (row[2] and (row[2]:sub(1, 1) == "[" and "" or " ") .. row[2] or ""), row[4],
      default ~= nil and not row[4]:find("(default", 1, true) and (" (default %s)"):format(tostring(default)) or "")
  end
  return table.concat(lines, "\n")
end

docs("options.usage", "usage(program, defaults): the text of --help")
function options.usage(program, defaults)
  return usage_text(program .. " [options]", rows, function(name)
    local default = defaults[name] or general[name]
    if name == "out" then default = default or "runs/" .. (defaults.id or "run") end
    return default
  end)
end

-- Settings of the host that the command line named; a device that is not there ends the program with status 1.
local function configure(o, stop)
  local settings = { seed = o.seed }
  for _, name in ipairs { "device", "precision", "threads", "memory", "deterministic", "eager" } do
    settings[name] = o.given[name]
  end
  local ok, done, message = pcall(sys.configure, settings)
  if not ok then stop(1, tostring(done)) end
  if not done then stop(1, message) end
  if o.profile then require("lunette.profile").program(o.profile ~= true and o.profile or nil) end
end

-- Ends the program: status 2 for words that make no sense, with the usage line; 1 for what is not there.
local function stopper(usage)
  return function(status, text)
    io.stdout:flush()
    io.stderr:write("lunette: ", text, "\n")
    if status == 2 then io.stderr:write(("usage: lunette %s (--help lists them)\n"):format(usage)) end
    sys.exit(status)
  end
end

-- What follows when the words were read: the end with the usage, or with the help, or the host set up.
local function settle(usage, help, o, problem)
  local stop = stopper(usage)
  if not o then stop(2, problem) end
  if o.help then
    print(help())
    sys.exit(0)
  end
  configure(o, stop)
  return o
end

docs("options.parse", "parse(arg, defaults): reads the command line and sets device, threads, seed and the like;"
  .. " ends the program with the usage and status 2 when it makes no sense, with status 1 when there is no such"
  .. " device")
function options.parse(words, defaults)
  local program = words[0] or "script.lua"
  return settle(program .. " [options]", function() return options.usage(program, defaults) end,
    options.read(words, defaults))
end

-- -- scripts with options of their own

docs("options.row", "row(name): a shared option's row, {name, value, kind, meaning}, for options.command")
function options.row(name) return row_of[name] or error("options.row: there is no option " .. tostring(name), 2) end

docs("options.command", "command(arg, {rows={{name, value, kind, meaning}, ...}, words=\"FILE...\", defaults=}): as options.parse for"
  .. " a script with options of its own; rows may hold options.row(\"device\") and the like; words: what plain words stand"
  .. " for, at least one; without it there are none")
function options.command(words, command)
  local usage = (words[0] or "script.lua") .. (command.words and " " .. command.words or "") .. " [options]"
  return settle(usage, function()
    return usage_text(usage, command.rows, function(name) return (command.defaults or {})[name] end)
  end, options.read_command(words, command))
end

return options
