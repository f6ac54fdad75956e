-- Gemini 1.5 Pro's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/gemini15/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: the data set and loader are PyTorch's and
-- hand out channels first, the Keras model wants them last (here nets are channels first anyway).
-- Kept as generated: the Dice loss alone (train.lua), targets that the resize has enlarged (dataset.lua),
-- a training time that contains the test (below), the last epoch is tested.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/gemini15", epochs = 25, batch = 16, size = 256, lr = 1e-4,
  loss = "Dice loss", optimizer = "Adam (Keras)",
  dice = "soft, per batch, smooth 1e-7, mask > 0 after the resize",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local dataset = SegmentationDataset(paper:pairs(), o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print(("Training size: %d, validation size: %d, test size: %d"):format(#train_ids, #val_ids, #test_ids))

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
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

paper:xlsx("train_losses.xlsx", sheets.epoch_table(paper.train_losses, "Loss"))
paper:xlsx("val_losses.xlsx", sheets.epoch_table(paper.val_losses, "Loss"))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

local scores = paper:test(steps, model, test_loader)
print(("Mean test Dice: %.4f"):format(paper:log_test(scores)))
paper:xlsx("test_dice_scores.xlsx", sheets.numbered { scores })
-- QUIRK: the clock is stopped behind the test.
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:save("unet_model.safetensors", model, { input = input })

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
