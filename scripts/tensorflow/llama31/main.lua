-- LLaMA 3.1 405B's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/llama31/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: train_test_split is called twice, since it
-- never returns three parts; the data set is indexed one by one; main imports tf; UNet is a Keras model,
-- so that it has a summary; learning_rate= and color_mode= for the names that Keras 3 refuses; the
-- missing test scores as the validation does.
-- Kept as generated: masks that are not binary (dataset.lua), a Dice without smoothing (train.lua), of
-- which only the epochs' means are written, the last epoch is tested.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/llama31", epochs = 50, batch = 32, size = 256, lr = 1e-4,
  loss = "BinaryCrossentropy", optimizer = "Adam (Keras)", resize = "nearest",
  dice = "soft, per batch, no smoothing, mask by nearest pixel",
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
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

-- QUIRK: one sheet holds the training and the validation losses, and the Dice one value an epoch.
local losses, val_means = {}, {}
for i, train_loss in ipairs(paper.train_losses) do
  losses[i], val_means[i] = { train_loss, paper.val_losses[i] }, run.mean(paper.val_dice[i])
end
paper:xlsx("train_losses.xlsx", losses, { header = { "Train Loss", "Val Loss" } })
paper:xlsx("val_dice_scores.xlsx", sheets.column(val_means))

paper:save("model.safetensors", model, { input = input })

-- The answer has no test: these scores are in metrics.jsonl alone.
paper:log_test(paper:test(steps, model, test_loader))

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
