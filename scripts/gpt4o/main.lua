-- GPT-4o's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/gpt4o/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: pooled bottleneck and cropped skips (model.lua), enlarged output
-- (train.lua), the last epoch is tested. Not kept: rows of an earlier run in the sheet of the
-- validation scores.

local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "gpt4o", epochs = 25, batch = 8, size = 256, lr = 1e-4,
  loss = "BCELoss", optimizer = "Adam",
  dice = "hard (p > 0.5) of the enlarged output, per batch, smooth 1e-6, mask > 0.5",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42. The
-- original hands the data set itself to the split, which decodes all of it into memory once;
-- the loaders here keep what they have decoded.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print(("Training size: %d, Validation size: %d, Test size: %d"):format(#train_ids, #val_ids, #test_ids))

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
  local dice = paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
  print(("Epoch %d/%d, Train Loss: %.4f, Val Loss: %.4f, Val Dice: %.4f"):format(epoch, o.epochs, train_loss, val_loss,
    dice))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.epoch_row(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.epoch_row(paper.val_losses))

local scores = paper:test(steps, model, test_loader)
print("Test Dice mean: " .. paper:log_test(scores))
paper:xlsx("test_dice_scores.xlsx", sheets.row(scores))

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_model_state_dict.safetensors", model:state_dict())

paper:plot_losses()
-- The prediction is drawn at the model's own size, half of the image's.
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
