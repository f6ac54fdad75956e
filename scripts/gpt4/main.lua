-- GPT-4's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/gpt4/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: no batch normalisation at a learning rate of 1e-3 (training is slow and
-- sometimes stays black), the last epoch is tested, masks are not binary, the Dice threshold
-- lies on the logit (train.lua). Not kept: rows of an earlier run in the sheet of the
-- validation scores; a fresh run starts fresh files.

local lt = require "lunette"
local nn = require "lunette.nn"
local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local train = require "train"

local paper = run.start { id = "gpt4", epochs = 25, batch = 16, size = 256, lr = 1e-3 }
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local pairs = paper:pairs()
local dataset = SegmentationDataset(pairs, o.size)
local train_ids, held_out = paper:train_test_split(#pairs, { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })

print("Total images: " .. #pairs)
print("Training set: " .. #train_ids)
print("Validation set: " .. #val_ids)
print("Test set: " .. #test_ids)

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

-- Model
local model = UNet()
paper:summary(model, { o.batch, 1, o.size, o.size })
local criterion = nn.BCEWithLogitsLoss()
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

-- Training
for epoch in paper:epochs(model, optimizer) do
  local train_loss = train.train_epoch(model, train_loader, criterion, optimizer, paper)
  local val_loss, val_dice = train.evaluate(model, val_loader, criterion)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
  print(("Epoch %d, Train Loss: %.17g, Val Loss: %.17g"):format(epoch, train_loss, val_loss))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

local function column(list)
  local rows = {}
  for i, value in ipairs(list) do rows[i] = { value } end
  return rows
end
paper:xlsx("train_losses.xlsx", column(paper.train_losses), { header = { 0 } })
paper:xlsx("val_losses.xlsx", column(paper.val_losses), { header = { 0 } })

-- Test
local scores = train.test(model, test_loader)
print("Test Dice mean: " .. paper:log_test(scores))
paper:xlsx("test_dice_scores.xlsx", { scores })

paper:save("model_state.safetensors", model:state_dict())
paper:save("model.safetensors", model, { input = { o.batch, 1, o.size, o.size } })

-- Figures
paper:figure("losses.png", {
  size = { 600, 500 }, title = "Training and Validation losses", xlabel = "Epochs", ylabel = "Loss",
  series = {
    { y = paper.train_losses, label = "Training loss", colour = "blue" },
    { y = paper.val_losses, label = "Validation loss", colour = "orange" },
  },
})

-- The first image of each of the first five test batches, its mask, and where its logit is above 0.5.
local panels = {}
model:eval()
lt.no_grad(function()
  for images, masks in test_loader do
    local prediction = model(images):gt(0.5):float()
    for _, batch in ipairs { images, masks, prediction } do panels[#panels + 1] = batch[1][1] end
    if #panels == 15 then break end
  end
end)
paper:figure("predictions.png", { size = { 1200, 1500 }, images = panels, rows = 5, columns = 3, axes = true })

paper:finish()
