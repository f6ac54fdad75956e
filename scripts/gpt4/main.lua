-- GPT-4's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/gpt4/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: no batch normalisation at a learning rate of 1e-3 (training is slow and
-- sometimes stays black), the last epoch is tested, masks are not binary, the Dice threshold
-- lies on the logit (train.lua). Not kept: rows of an earlier run in the sheet of the
-- validation scores; a fresh run starts fresh files.

local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "gpt4", epochs = 25, batch = 16, size = 256, lr = 1e-3,
  loss = "BCEWithLogitsLoss", optimizer = "Adam",
  dice = "hard (logit > 0.5), per batch, smooth 1e-6, mask with fractions",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print("Total images: " .. dataset:count())
print("Training set: " .. #train_ids)
print("Validation set: " .. #val_ids)
print("Test set: " .. #test_ids)

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
  print(("Epoch %d, Train Loss: %.17g, Val Loss: %.17g"):format(epoch, train_loss, val_loss))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.column(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.column(paper.val_losses))

local scores = paper:test(steps, model, test_loader)
print("Test Dice mean: " .. paper:log_test(scores))
paper:xlsx("test_dice_scores.xlsx", sheets.row(scores))

paper:save("model_state.safetensors", model:state_dict())
paper:save("model.safetensors", model, { input = input })

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
