-- What is measured, and how each side is started. A cell is one row of a table: a kind of
-- measurement with its network, size and batch, and the sides that are compared in it.

local save = require "lunette.save"
local sys = require "lunette.sys"

local jobs = {}

jobs.nets = { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" }
local paper_size = { copilot = 128 }

jobs.kinds = { "startup", "loader", "train", "infer", "memory", "first" }
jobs.peers = { "installed", "tuned", "onnxruntime", "openvino" }
jobs.variants = { "eager", "channels_last", "compile" }

-- glibc keeps what it was given instead of handing it back, so that pages are touched for the first time once.
local keep_memory = { MALLOC_MMAP_THRESHOLD_ = "8589934592", MALLOC_TRIM_THRESHOLD_ = "17179869184", MALLOC_TOP_PAD_ = "268435456" }

-- Tuned is what an expert would take: the best of these with memory that is kept. (Without AVX-512 that is often the contiguous layout.)
local variants = { installed = jobs.variants, tuned = jobs.variants }

local function add_words(argv, words)
  local names = {}
  for name in pairs(words) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do argv[#argv + 1] = ("%s=%s"):format(name, words[name]) end
  return argv
end

local function merged(...)
  local result = {}
  for i = 1, select("#", ...) do
    for name, value in pairs((select(i, ...))) do result[name] = value end
  end
  return result
end

local function lunette_side(o, words)
  local argv = { sys.executable(), "--precision", o.precision }
  if o.threads then
    argv[#argv + 1] = "--threads"
    argv[#argv + 1] = tostring(o.threads)
  end
  argv[#argv + 1] = o.root .. "/bench/side.lua"
  return { side = "lunette", class = "lunette", argv = add_words(argv, words), env = {} }
end

local function peer_side(o, class, variant, words)
  local precision = o.precision == "bf16" and "bf16" or "f32"
  local env = { TORCHINDUCTOR_CACHE_DIR = o.work .. "/inductor" }
  if o.threads then env.OMP_NUM_THREADS = tostring(o.threads) end
  return {
    side = class .. " " .. variant, class = class, env = merged(env, class == "tuned" and keep_memory or {}),
    argv = add_words({ o.python, o.root .. "/bench/peer.py" },
      merged(words, { variant = variant, precision = precision, threads = o.threads or 0 })),
  }
end

local function add_pytorch(o, sides, words)
  for _, class in ipairs { "installed", "tuned" } do
    for _, variant in ipairs(o.peers[class] and variants[class] or {}) do
      if o.variants[variant] then sides[#sides + 1] = peer_side(o, class, variant, words) end
    end
  end
end

-- ONNX Runtime and OpenVINO run the same file, which PyTorch writes once a cell.
local function add_exported(o, cell, words)
  cell.export = ("%s/%s-%d-%d.onnx"):format(o.work, cell.net, cell.size, cell.batch)
  words = merged(words, { file = cell.export })
  cell.exporter = peer_side(o, "export", "eager", merged(words, { what = "export" })).argv
  for _, class in ipairs { "onnxruntime", "openvino" } do
    -- ONNX Runtime has no bf16 on this kind of processor
    if o.peers[class] and not (class == "onnxruntime" and o.precision == "bf16") then
      local side = peer_side(o, class, class, words)
      side.side, side.exported = class, true
      cell.sides[#cell.sides + 1] = side
    end
  end
end

local function network_cell(o, what, net, batch)
  local size = o.size or paper_size[net] or 256
  local training = what == "train"
  local cell = { what = what, net = net, size = size, batch = batch }
  local words = { what = what, net = net, size = size, batch = batch, warm = o.warm, steps = training and o.steps or 3 * o.steps }
  cell.count = lunette_side(o, { what = "count", net = net, size = size, batch = batch }).argv
  cell.sides = { lunette_side(o, words) }
  add_pytorch(o, cell.sides, words)
  if not training and (o.peers.onnxruntime or o.peers.openvino) then add_exported(o, cell, words) end
  return cell
end

local function startup_cell(o)
  local cell = { what = "startup", sides = { { side = "lunette", class = "lunette", argv = { sys.executable(), "-e", "print(1)" }, env = {} } } }
  if o.peers.installed then
    cell.sides[2] = { side = "installed", class = "installed", argv = { o.python, "-c", "import torch" }, env = {} }
  end
  return cell
end

local function loader_cell(o)
  local words = { what = "loader", size = o.size or 256, batch = 8, epochs = 4, data = o.data }
  local cell = { what = "loader", size = words.size, batch = words.batch, sides = { lunette_side(o, words) } }
  for _, workers in ipairs(o.peers.installed and { 0, 1 } or {}) do
    cell.sides[#cell.sides + 1] = peer_side(o, "installed", tostring(workers), words)
  end
  return cell
end

--- The cells of a run with these options, in the order in which they are measured.
function jobs.cells(o)
  local cells = {}
  local function add(cell) cells[#cells + 1] = cell end
  if o.what.startup then add(startup_cell(o)) end
  if o.what.loader then add(loader_cell(o)) end
  for _, net in ipairs(o.nets) do
    if o.what.train or o.what.memory or o.what.first then
      for _, batch in ipairs(o.batches) do add(network_cell(o, "train", net, batch)) end
    end
    if o.what.infer then add(network_cell(o, "infer", net, o.batches[1])) end
  end
  return cells
end

--- A cell as the results have it: without how its sides are started.
function jobs.plain(cell)
  local sides = {}
  for i, side in ipairs(cell.sides) do
    sides[i] = { side = side.side, class = side.class, samples = save.array(side.samples) }
  end
  return { what = cell.what, net = cell.net, size = cell.size, batch = cell.batch, gflop = cell.gflop, sides = sides }
end

return jobs
