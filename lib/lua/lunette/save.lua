-- save: files. Tensors (safetensors), tables (xlsx), pictures (PNG), figures, JSON, text.
--
-- Every file is written under a temporary name and renamed, so it is there in full or not at
-- all. What the environment refuses (no such folder, disk full, damaged file, no gnuplot)
-- returns nil, message, code; misuse raises.

local c = require "lunette.save_c"
local docs = require "lunette.docs"
local args = require "lunette.args"

local save = { null = c.null, exists = c.exists, mkdir = c.mkdir, read = c.read, write = c.write, array = c.array }

-- Sorted string keys of t.
local function keys_of(who, what, t)
  local keys = {}
  for key in pairs(t) do
    args.check(type(key) == "string", "[%s] %s: keys are strings, got a %s", who, what, type(key))
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- The names of `tensors` in the order asked for: all of them, each once.
local function ordered(tensors, order)
  if not order then return keys_of("save.safetensors", "tensors", tensors) end
  local seen = {}
  for _, name in ipairs(order) do
    args.check(tensors[name] ~= nil, "[save.safetensors] order names '%s', which is not among the tensors",
      tostring(name))
    args.check(not seen[name], "[save.safetensors] order names '%s' twice", tostring(name))
    seen[name] = true
  end
  for name in pairs(tensors) do
    args.check(seen[name], "[save.safetensors] order lacks '%s'", tostring(name))
  end
  return order
end

docs("save.safetensors", "safetensors(path, {name = tensor}, {order=, metadata=}): the tensors in one file that"
  .. " Python's safetensors reads; names sorted unless order lists them all; metadata: strings by name. true, or"
  .. " nil, message, code")
function save.safetensors(path, tensors, options)
  local o = args.options("save.safetensors", options, { order = false, metadata = false })
  args.check(type(tensors) == "table", "[save.safetensors] expected a table of tensors, got %s", type(tensors))
  local names = ordered(tensors, o.order or nil)
  local metadata = o.metadata or {}
  local keys = keys_of("save.safetensors", "metadata", metadata)
  local values, texts = {}, {}
  for i, name in ipairs(names) do values[i] = tensors[name] end
  for i, key in ipairs(keys) do texts[i] = metadata[key] end
  return c.safetensors(path, names, values, keys, texts)
end

docs("save.load_safetensors", "load_safetensors(path): {name = tensor}, metadata {key = string}, names in the file's"
  .. " order; F16 becomes f32. The file is checked as untrusted input. Or nil, message, code")
save.load_safetensors = c.load_safetensors

docs("save.xlsx", "xlsx(path, rows, {header=}): one sheet, Sheet1; rows are lists of numbers and strings, NaN and"
  .. " infinities are left blank; header is a first row, whose numbers stay numeric cells. true, or nil, message, code")
function save.xlsx(path, rows, options)
  local o = args.options("save.xlsx", options, { header = false })
  args.check(type(rows) == "table", "[save.xlsx] expected a list of rows, got %s", type(rows))
  return c.xlsx(path, rows, o.header or nil)
end

docs("save.png", "png(path, tensor, {scale=\"none\"}): a u8, bool or f32 (0..1) tensor [H,W], [1,H,W] or [H,W,3];"
  .. " scale=\"minmax\" stretches a grey picture from its smallest value to its largest. true, or nil, message, code")
function save.png(path, tensor, options)
  local o = args.options("save.png", options, { scale = "none" })
  args.check(o.scale == "none" or o.scale == "minmax", "[save.png] scale must be none or minmax, got '%s'",
    tostring(o.scale))
  return c.png(path, tensor, o.scale == "minmax")
end

local common = { size = false, title = false, xlabel = false, ylabel = false, logx = false, logy = false, grid = false,
  legend = false, xrange = false, yrange = false }
local kinds = {
  series = { series = false },
  boxes = { boxes = false, horizontal = false },
  images = { images = false, rows = false, columns = false, scale = false, axes = false },
}

docs("save.figure", "figure(path, spec): a .png, .svg or .pdf through gnuplot. spec has series = {{y=, x=, label=,"
  .. " colour=, points=}, ...} (x defaults to 1, 2, 3; a NaN leaves a gap), or boxes = {{values=, label=, colour=}, ...}"
  .. " with horizontal=false (quartiles as numpy, whiskers 1.5), or images = {tensor | {image=, title=} | false, ...} with"
  .. " columns=3, rows=, axes=false, scale=\"minmax\" (each grey picture to its own; or \"none\"). Also size={width, height}"
  .. " in pixels, title=, xlabel=, ylabel=, xrange={a, b}, yrange=, logx=false, logy=false, grid=false, legend=\"top right\""
  .. " or \"none\". Numbers are lists or tensors. true, or nil, message, code")
function save.figure(path, spec)
  args.check(type(spec) == "table", "[save.figure] expected a table after the path, got %s", type(spec))
  local known = {}
  for name, default in pairs(common) do known[name] = default end
  for kind, options in pairs(kinds) do
    if spec[kind] ~= nil then
      for name, default in pairs(options) do known[name] = default end
    end
  end
  args.options("save.figure", spec, known)
  return c.figure(path, spec)
end

docs("save.json", "json(value, {indent=0, order=}): a value as JSON text; keys sorted, those of the list order first;"
  .. " NaN and infinities become null, save.null too; an empty table is {}, save.array{} is []; other values raise")
function save.json(value, options)
  local o = args.options("save.json", options, { indent = 0, order = false })
  return c.json(value, o.indent, o.order or nil)
end

docs("save.parse_json", "parse_json(text, {null=}): the value of a JSON text, or nil, message, code; a null leaves"
  .. " its member of an object out and is save.null in a list, or is the given value in both")
function save.parse_json(text, options)
  local o = args.options("save.parse_json", options, { null = false })
  return c.parse_json(text, o.null or nil)
end

docs("save.append", "append(path, line): adds a line to a file in one write, made if need be; the line end is added"
  .. " where it is missing. true, or nil, message, code")
function save.append(path, line)
  if type(line) == "string" and line:sub(-1) ~= "\n" then line = line .. "\n" end
  return c.append(path, line)
end

docs("save.write", "write(path, text): that text as the whole file. true, or nil, message, code")
docs("save.read", "read(path): the whole file as a string, or nil, message, code")
docs("save.mkdir", "mkdir(path): makes a folder and those above it; fine when it is there. true, or nil, message, code")
docs("save.exists", "exists(path): whether there is a file or folder of that name")
docs("save.array", "array(t): marks t as a list, so that json writes an empty one as []; gives t")
docs("save.null", "null: what JSON's null is in Lua; it is equal to itself only")

return save
