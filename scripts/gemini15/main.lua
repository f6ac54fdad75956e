-- Gemini 1.5 Pro's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/gemini15/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: targets that the resize has enlarged (dataset.lua), an output of half the
-- size (model.lua) scored at two sizes (train.lua), the last epoch is tested, and copies of the
-- splits that nothing reads. Not kept: files of an earlier run among these copies, rows of an
-- earlier run in the sheet of the validation scores.

local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "gemini15", epochs = 20, batch = 8, size = 256, lr = 1e-4,
  loss = "BCELoss", optimizer = "Adam",
  dice = "hard (p > 0.5), per batch, smooth 1, mask > 0 after the resize; validation at the output's size, test enlarged",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local dataset = SegmentationDataset(paper:pairs { numeric = true }, o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print("Training size: " .. #train_ids)
print("Validation size: " .. #val_ids)
print("Testing size: " .. #test_ids)

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))
print(("Train loader: %d, validation loader: %d, test loader: %d"):format(train_loader:batches(), val_loader:batches(),
  test_loader:batches()))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

-- QUIRK: images and masks are copied into one folder a split; where the two share a name, the
-- mask replaces the image. Training reads the originals.
for name, ids in pairs { train = train_ids, val = val_ids, test = test_ids } do paper:copy_pairs(ids, name, name) end

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("train_losses.xlsx", sheets.epoch_table(paper.train_losses, "Train Loss"))
  paper:xlsx("val_losses.xlsx", sheets.epoch_table(paper.val_losses, "Val Loss"))
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
  print(("Epoch %d/%d"):format(epoch, o.epochs))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_model_weights.safetensors", model:state_dict())

local scores = paper:test(steps, model, test_loader)
paper:log_test(scores)
paper:xlsx("test_dice_scores.xlsx", sheets.row(scores))

paper:plot_losses()
-- The prediction is drawn at the model's own size, half of the image's.
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
