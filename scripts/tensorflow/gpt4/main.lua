-- GPT-4's TensorFlow answer to the paper's prompt: data, training, test, results.
--
--   lunette scripts/tensorflow/gpt4/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Never run by the study. Repaired, as little as makes it run: the answer's model is a comment and a
-- last 1x1 layer on a name that nothing defines; the layers are those of the study's table for it
-- (model.lua). Its Dice and its test are missing and stay so: no Dice is logged, and the run's test
-- Dice is no number.
-- Kept as generated: training and validation on the same images (below), a metric that sees no
-- prediction (train.lua), the last epoch is saved.

local keras = require "lunette.keras"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local load_dataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "tensorflow/gpt4", epochs = 50, batch = 32, size = 256, lr = 1e-3,
  loss = "binary_crossentropy", optimizer = "Adam (Keras)", resize = "bilinear-no-antialias",
  dice = "none (the metric is MeanIoU of truncated probabilities)",
}
local o = paper.options

-- Data.
-- QUIRK: nothing is split: both loaders read the whole folder, so that the validation loss is a second
-- training loss and no image is left for a test.
local dataset = load_dataset(paper:pairs(), o.size)
local train_loader = paper:loader(dataset, { shuffle = true })
local val_loader = paper:loader(dataset)
print(("Training size: %d, validation size: %d"):format(train_loader:samples(), val_loader:samples()))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
local optimizer = keras.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  steps.mean_iou:reset_state()
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, loss: %.4f, val_loss: %.4f, val_mean_io_u: %.4f"):format(epoch, o.epochs, train_loss, val_loss,
    steps.mean_iou:result()))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.column(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.column(paper.val_losses))

paper:save("unet_model.safetensors", model, { input = input })

paper:plot_losses()
paper:plot_predictions(model, val_loader, function(net, images) return net(images):gt(0.5):float() end)
paper:finish()
