-- GPT-o1 preview's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/gpt_o1/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Runs as generated on Keras 2. Repaired for Keras 3: Mean.reset_states is
-- gone, a new epoch's means start anew; the weights' file name (it must end in .weights.h5 there).
-- Kept as generated: a loss that is summed over pixels (train.lua), the splits are copied into the
-- results folder and read from there in name order, the last epoch is tested. Not kept: images of an
-- earlier run that stay in the copied splits.

local data = require "lunette.data"
local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local load_dataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/gpt_o1", epochs = 10, batch = 16, size = 256, lr = 1e-3,
  loss = "BCE + Dice loss, summed over pixels", optimizer = "Adam (Keras)", resize = "bilinear-no-antialias",
  dice = "soft, per batch, smooth 1",
}
local o = paper.options

-- Data: 20 % test, then an eighth of the rest validation (70, 10 and 20 %), as scikit-learn splits with
-- seed 42.
local pairs = paper:pairs()
local train_val_ids, test_ids = paper:train_test_split(#pairs, { test_size = 0.2, random_state = 42 })
local train_ids, val_ids = paper:train_test_split(train_val_ids, { test_size = 0.125, random_state = 42 })
print(("Training size: %d, validation size: %d, test size: %d"):format(#train_ids, #val_ids, #test_ids))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = keras.Adam(model:parameters(), { lr = o.lr })

-- Copies a split and reads it again, in name order.
local function copied(name, ids)
  local images, masks = paper:copy_pairs(ids, name .. "/images", name .. "/masks")
  return load_dataset(assert(data.folder { images = images, masks = masks, suffix = o.suffix }), o.size)
end

local train_loader = paper:loader(copied("train", train_ids), { shuffle = true })
local val_loader = paper:loader(copied("val", val_ids))
local test_loader = paper:loader(copied("test", test_ids))

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  local dice = paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, loss: %.4f, val_loss: %.4f, val_dice: %.4f"):format(epoch, o.epochs, train_loss, val_loss, dice))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.epoch_table(paper.train_losses, "Train Loss"))
paper:xlsx("val_losses.xlsx", sheets.epoch_table(paper.val_losses, "Val Loss"))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

local scores = paper:test(steps, model, test_loader)
print(("Mean test Dice: %.4f"):format(paper:log_test(scores)))
paper:xlsx("test_dice_scores.xlsx", sheets.numbered { scores })

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_weights.safetensors", model:state_dict())

paper:plot_losses()
paper:plot_predictions(model, test_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
