-- Bing Microsoft Copilot's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/bing/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: a ReLU before the sigmoid (model.lua), a soft Dice (train.lua), the last
-- epoch is tested. Not kept: that nothing is written before training ends (run.json,
-- metrics.jsonl and the checkpoint are; the pipeline's own files still come at the end).

local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "bing", epochs = 25, batch = 16, size = 256, lr = 1e-4,
  loss = "BCELoss", optimizer = "Adam",
  dice = "soft, per batch, smooth 1, mask by nearest pixel",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })

local model = UNet()
print(model)
print("Training size: " .. #train_ids)
print("Validation size: " .. #val_ids)
print("Test size: " .. #test_ids)

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, Training Loss: %.4f, Validation Loss: %.4f"):format(epoch, o.epochs, train_loss, val_loss))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.epoch_row(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.epoch_row(paper.val_losses))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

local scores = paper:test(steps, model, test_loader)
paper:log_test(scores)
paper:xlsx("test_dice_scores.xlsx", sheets.column(scores))

-- Its unet_model file is the state, the net itself is in unet_model_full.
paper:save("unet_model.safetensors", model:state_dict())
paper:save("unet_model_full.safetensors", model, { input = input })

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
print("Training and testing are complete. Results are in " .. paper.out)
paper:finish()
