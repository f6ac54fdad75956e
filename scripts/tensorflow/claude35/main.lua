-- Claude 3.5 Sonnet's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/claude35/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study; it seems to run as generated, nothing is repaired.
-- Kept as generated: a soft Dice (train.lua), a parameter count that is not what it says (below), the
-- last epoch is tested. It decodes all pairs into memory first; the loaders here keep what they have
-- decoded.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/claude35", epochs = 50, batch = 16, size = 256, lr = 1e-4,
  loss = "binary_crossentropy", optimizer = "Adam (Keras)",
  dice = "soft, per batch, smooth 1e-6, mask by nearest pixel",
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

-- QUIRK: the count that is printed as trainable contains the moving statistics, which are not.
local count = 0
for _, list in ipairs { model:parameters(), model:buffers() } do
  for _, cell in ipairs(list) do count = count + cell:numel() end
end
print("Total trainable parameters: " .. count)

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  local dice = paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, loss: %.4f, val_loss: %.4f, val_dice: %.4f"):format(epoch, o.epochs, train_loss, val_loss, dice))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.two_rows(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.two_rows(paper.val_losses))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

local scores = paper:test(steps, model, test_loader)
print(("Average test Dice: %.4f"):format(paper:log_test(scores)))
paper:xlsx("test_dice_scores.xlsx", sheets.column(scores))

paper:save("model.safetensors", model, { input = input })

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
