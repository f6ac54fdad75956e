-- Bing Microsoft Copilot's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/bing/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: main breaks off in the middle and is
-- completed (files after training, a test that scores as the validation does); compile_model is taken
-- from the file that has it; the data set is no subclass of tf.data.Dataset; its list of pairs is stacked
-- into images and masks.
-- Kept as generated: a Dice that is MeanIoU (train.lua), masks with fractions (dataset.lua), losses
-- divided by the number of samples (below), the last epoch is tested.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/bing", epochs = 20, batch = 8, size = 256, lr = 1e-4,
  loss = "binary_crossentropy", optimizer = "Adam (Keras)", resize = "bilinear-no-antialias",
  dice = "MeanIoU of the rounded output, per batch, mask fractions are background",
}
local o = paper.options

-- Data: 20 % test, then a tenth of the rest validation (72, 8 and 20 %), as scikit-learn splits with seed 42.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local train_val_ids, test_ids = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local train_ids, val_ids = paper:train_test_split(train_val_ids, { test_size = 0.1, random_state = 42 })
print(("Training size: %d, validation size: %d, test size: %d"):format(#train_ids, #val_ids, #test_ids))

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_loader = paper:loader(data.Subset(dataset, test_ids))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = keras.Adam(model:parameters(), { lr = o.lr })

-- QUIRK: the sum of the batches' mean losses is divided by the number of samples: every loss that is
-- written down is too small by about the batch size.
local function by_samples(loss, loader) return loss * loader:batches() / loader:samples() end

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  train_loss, val_loss = by_samples(train_loss, train_loader), by_samples(val_loss, val_loader)
  local dice = paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, loss: %.4f, val_loss: %.4f, val_dice: %.4f"):format(epoch, o.epochs, train_loss, val_loss, dice))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.epoch_table(paper.train_losses, "Loss"))
paper:xlsx("val_losses.xlsx", sheets.epoch_table(paper.val_losses, "Loss"))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

paper:save("unet_model.safetensors", model, { input = input })

-- The answer has no test: these scores are in metrics.jsonl alone.
paper:log_test(paper:test(steps, model, test_loader))

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
