-- GitHub Copilot's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/copilot/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: main imports pandas; the missing test
-- scores as the validation does.
-- Kept as generated: batches that are made once and shuffled as a whole (dataset.lua), 128x128 pixels,
-- the last epoch is tested. Not kept: with one folder for both, every file, masks too, is paired with
-- itself.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local sets = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/copilot", epochs = 50, batch = 16, size = 128, lr = 1e-4,
  loss = "BinaryCrossentropy", optimizer = "Adam (Keras)", resize = "nearest",
  dice = "soft, per batch, smooth 1, mask by nearest pixel",
}
local o = paper.options

-- Data: 20 % test, then a tenth of the rest validation (72, 8 and 20 %), as scikit-learn splits with seed 42.
local dataset = sets.SegmentationDataset(paper:pairs(), o.size)
local train_val_ids, test_ids = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local train_ids, val_ids = paper:train_test_split(train_val_ids, { test_size = 0.1, random_state = 42 })
print(("Training size: %d, validation size: %d, test size: %d"):format(#train_ids, #val_ids, #test_ids))

local batches = sets.batched(data.Subset(dataset, train_ids), o.batch)
local train_loader = paper:loader(batches, { batch_size = 1, shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = keras.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  local dice = paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, loss: %.4f, val_loss: %.4f, val_dice: %.4f"):format(epoch, o.epochs, train_loss, val_loss, dice))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.column(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.column(paper.val_losses))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_model_weights.safetensors", model:state_dict())

-- The answer has no test: these scores are in metrics.jsonl alone.
paper:log_test(paper:test(steps, model, test_loader))

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
