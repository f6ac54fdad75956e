-- GPT-4o's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/gpt4o/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: the output has half the size of the
-- masks, it is enlarged bilinearly before loss and Dice (what GPT-4o itself proposed for the same
-- clash in its PyTorch answer); the loss figure is given the losses instead of the loaders; the
-- missing test function scores as the validation does.
-- Kept as generated: the signs and sums of the loss (train.lua), pooled skips (model.lua), no shuffle
-- and no short batch (below), the last epoch is tested.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local DataGenerator = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/gpt4o", epochs = 50, batch = 16, size = 256, lr = 1e-3,
  loss = "BCE + Dice coefficient (sign error), summed over pixels", optimizer = "Adam (Keras)", resize = "nearest",
  dice = "soft, per batch, smooth 1",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation, as scikit-learn splits with seed 42.
local dataset = DataGenerator(paper:pairs(), o.size)
local train_ids, held_out = paper:train_test_split(dataset:count(), { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print(("Training size: %d, validation size: %d, test size: %d"):format(#train_ids, #val_ids, #test_ids))

-- QUIRK: a generator hands out whole batches only and never shuffles: the same images meet in every
-- epoch, and what is left over is not seen at all. A part with fewer images than a batch gives nothing
-- to average; its numbers are blank.
local function generator(ids) return paper:loader(data.Subset(dataset, ids), { drop_last = true }) end
local train_loader, val_loader, test_loader = generator(train_ids), generator(val_ids), generator(test_ids)

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

paper:xlsx("train_losses.xlsx", sheets.epoch_row(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.epoch_row(paper.val_losses))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

paper:save("model_full.safetensors", model, { input = input })
paper:save("model_weights.safetensors", model:state_dict())

-- The answer has no test: these scores are in metrics.jsonl alone.
paper:log_test(paper:test(steps, model, test_loader))

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images, masks)
  return steps.predict(net, images, masks):gt(0.5):float()
end)
paper:finish()
