-- The study's own side of the comparison: which pipelines there are, their names, order and
-- colours in its figures, and the words of its two feature tables (PyTorch and TensorFlow).

local paper = {}

-- From the bottom of the paper's box plots to the top. Keys of the words: rows of features_table.lua.
paper.models = {
  { id = "bing", name = "Bing Copilot", colour = "#66c2a5" },
  { id = "claude35", name = "Claude 3.5 Sonnet", colour = "#fc8d62" },
  { id = "copilot", name = "GitHub Copilot", colour = "#8da0cb" },
  { id = "gemini15", name = "Gemini 1.5 Pro", colour = "#e78ac3" },
  { id = "gpt4", name = "GPT-4", colour = "#a6d854" },
  { id = "gpt4o", name = "GPT-4o", colour = "#ffd92f" },
  { id = "gpt_o1", name = "GPT-o1 preview", colour = "#e5c494" },
  { id = "llama31", name = "LLaMA 3.1 405B", colour = "#b3b3b3" },
}

-- Pipelines that the study does not have: the colours that its figures of 2025 add.
local more_colours = { "#e41a1c", "#d95f02", "#7570b3", "#1f78b4", "#33a02c", "#6a3d9a" }

local columns = { "gpt4", "gpt4o", "gpt_o1", "claude35", "copilot", "bing", "llama31", "gemini15" }

-- A row of the table in the README, its cells in the order of `columns`.
local function row(result, key, ...)
  for i, id in ipairs(columns) do
    local words = select(i, ...)
    result[id] = result[id] or {}
    result[id][key] = words or nil
  end
end

local conv, norm = "Conv2d(64, 1, 1)", "Conv2d + BatchNorm2d + ReLU ×2"
local torch = {}
row(torch, "batch", "16", "8", "16", "16", "16", "16", "32", "8")
row(torch, "epochs", "25", "25", "10", "50", "25", "25", "10", "20")
row(torch, "optimizer", "Adam (lr=0.001)", "Adam (lr=1e-4)", "Adam (lr=1e-4)", "Adam (lr=0.001)", "Adam (lr=1e-4)",
  "Adam (lr=1e-4)", "Adam (lr=0.001)", "Adam (lr=1e-4)")
row(torch, "loss", "BCEWithLogitsLoss", "BCELoss", "BCELoss", "BCELoss", "BCELoss", "BCELoss", "BCELoss", "BCELoss")
row(torch, "size", "256x256", "256x256", "256x256", "256x256", "128x128", "256x256", "256x256", "256x256")
row(torch, "encoder_stages", "4", "5", "4", "4", "4", "4", "3", "4")
row(torch, "decoder_stages", "3", "4", "4", "4", "4", "4", "3", "4")
row(torch, "block", "Double Conv (Conv2d + ReLU ×2)", norm, "Double Conv (Conv2d + BatchNorm + ReLU ×2)",
  "Double Conv (Conv2d + BatchNorm2d + ReLU ×2)", norm, "Conv2d + ReLU ×2", "Conv2d + ReLU", norm)
row(torch, "bottleneck", "512 channels", "1024 channels", "1024 channels", "1024 channels", "512 channels", "512 channels",
  "256 channels", "1024 channels")
row(torch, "final_layer", conv, conv, conv, conv, conv, conv, conv, conv)
row(torch, "encoder_channels", "64, 128, 256, 512", "64, 128, 256, 512, 1024", "64, 128, 256, 512, 1024",
  "64, 128, 256, 512, 1024", "64, 128, 256, 512", "64, 128, 256, 512", "64, 128, 256", "64, 128, 256, 512")
row(torch, "decoder_channels", "512, 256, 128, 64", "512, 256, 128, 64", "512, 256, 128, 64", "512, 256, 128, 64",
  "512, 256, 128, 64", "512, 256, 128, 64", "256, 128, 64", "512, 256, 128, 64")
row(torch, "parameters", "7,696,193", "31,042,369", "31,042,369", "31,042,369", "6,153,297", "6,147,659", "533,953",
  "31,042,369")
row(torch, "seconds", "1474.03 s", "949.33 s", "780.13 s", "5285.17 s", "184.16 s", "497.04 s", "234.27 s", "1066.50 s")
-- The README's table has no row for skips; the detailed sheet says this of Copilot.
torch.copilot.skips = "concatenates encoder features"

local tensorflow = {}
row(tensorflow, "batch", "32", "16", "16", "16", "16", "8", "32", "16")
row(tensorflow, "epochs", "50", "50", "10", "50", "25", "20", "50", "25")
row(tensorflow, "optimizer", "Adam, default learning rate (0.001)", "Adam, Learning Rate: 0.001",
  "Adam, Default Learning Rate 0.001 (TensorFlow)", "Adam, Learning Rate: 0.0001", "Adam (lr=1e-4)",
  "Adam, Learning Rate: 0.0001", "Adam, Learning Rate: 0.0001", "Adam, Learning Rate: 0.0001")
row(tensorflow, "loss", "Binary Crossentropy", "Binary Cross-Entropy + Dice Loss",
  "Combined Loss (Binary Cross-Entropy + Dice Loss)", "Binary Cross-Entropy", "BCELoss", "Binary Cross-Entropy",
  "Binary Cross-Entropy", "Dice Loss")
row(tensorflow, "size", "256x256", "(256, 256)", "(256, 256)", "(256, 256)", "128x128", "(256, 256)", "(256, 256)",
  "(256, 256)")
row(tensorflow, "encoder_stages", "4 (typical in U-Net)", "4", "4", "4", "4", "4", "4", "3")
row(tensorflow, "decoder_stages", "4 (symmetrical to encoder)", "4", "4", "4", "4", "4", "4", "3")
row(tensorflow, "block", "2 Conv2D + ReLU per block", "2 Conv layers + BatchNorm + ReLU",
  "2 Conv layers + ReLU Activation", "2 Conv layers + BatchNorm + ReLU", "Conv2d + BatchNorm2d + ReLU ×2",
  "2 Conv layers + BatchNorm + ReLU", "2 Conv layers + ReLU Activation", "2 Conv layers + ReLU Activation")
row(tensorflow, "bottleneck", false, "1024 filters", "1024 filters", "1024 filters", "512 channels", "1024 filters",
  "512 filters", "512 filters")
row(tensorflow, "final_layer", false, false, false, false, conv, false, false, false)
row(tensorflow, "encoder_channels", "64, 128, 256, 512", "64, 128, 256, 512, 1024", "64, 128, 256, 512, 1024",
  "64, 128, 256, 512, 1024", "64, 128, 256, 512", "64, 128, 256, 512, 1024", "32, 64, 128, 256, 512", "64, 128, 256, 512")
row(tensorflow, "decoder_channels", "256, 128, 64, 32", "512, 256, 128, 64", "512, 256, 128, 64", "512, 256, 128, 64",
  "512, 256, 128, 64", "512, 256, 128, 64", "256, 128, 64, 32", "256, 128, 64")

local index = {}
for i, model in ipairs(paper.models) do
  model.order = i
  index[model.id] = model
end

--- What is known of a pipeline: { id, name, colour, order, words }; `count` numbers those that the study lacks.
function paper.find(id, count)
  local base = id:match("^tensorflow[/_-](.+)$") or id:match("^tf[/_-](.+)$") or id:match("^(.+)_tf$")
  local known = index[base or id]
  if known then
    return { id = id, name = known.name .. (base and " (TensorFlow)" or ""), colour = known.colour,
      order = known.order + (base and #paper.models or 0), words = (base and tensorflow or torch)[known.id] }
  end
  return { id = id, name = id, colour = more_colours[(count - 1) % #more_colours + 1], order = 100 + count, words = {} }
end

return paper
