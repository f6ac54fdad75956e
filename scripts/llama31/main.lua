-- LLaMA 3.1 405B's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/llama31/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: an output smaller than the image (model.lua) and masks shrunk to it, whose
-- binary rule differs between training and validation (train.lua), the last epoch is tested.
-- Not kept: a split without a seed (--seed decides), the crash on a batch without any foreground
-- (it scores 1), the crash when the results folder is missing, rows of an earlier run in the
-- sheet of the validation scores.

local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "llama31", epochs = 10, batch = 32, size = 256, lr = 1e-3,
  loss = "BCELoss", optimizer = "Adam",
  dice = "hard (p > 0.5) at the output's size, per batch, no smoothing, both empty 1, mask shrunk and > 0.5",
}
local o = paper.options

-- Data: 80 % training, 10 % validation, the rest test, rounded down.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local count = dataset:count()
local train_size, val_size = math.floor(0.8 * count), math.floor(0.1 * count)
local train_ids, val_ids, test_ids = paper:random_split(count, {
  lengths = { train_size, val_size, count - train_size - val_size }, seed = o.seed,
})
print("Total images: " .. count)
print("Training size: " .. #train_ids)
print("Validation size: " .. #val_ids)
print("Testing size: " .. #test_ids)

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

for _ in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.column(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.column(paper.val_losses))

local scores = paper:test(steps, model, test_loader)
paper:log_test(scores)
paper:xlsx("test_dice_scores.xlsx", sheets.row(scores))

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_model_state_dict.safetensors", model:state_dict())

paper:plot_losses()
-- The mask is drawn shrunk, but not binary.
paper:plot_predictions(model, test_loader, function(net, images, masks)
  local outputs = net(images)
  return outputs:gt(0.5):float(), steps.shrink(masks, outputs)
end)
paper:finish()
