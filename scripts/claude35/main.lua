-- Claude 3.5 Sonnet's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/claude35/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: targets that the resize has enlarged (dataset.lua), a soft Dice
-- (train.lua), torch's random_split, and the only model selection among the eight: the epoch of
-- the smallest validation loss is saved and tested, the last one is not kept.

local lt = require "lunette"
local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "claude35", epochs = 50, batch = 16, size = 256, lr = 1e-3,
  loss = "BCELoss", optimizer = "Adam",
  dice = "soft, per image, smooth 1e-5, mask > 0 after the resize",
}
local o = paper.options

-- Data: one generator with seed 42 makes both splits: first 90 % training and validation and
-- the rest test, then 80 % of those 90 % training and the rest validation, rounded down.
local dataset = SegmentationDataset(paper:pairs { numeric = true }, o.size)
local generator = data.generator(42)
local count = dataset:count()
local kept = math.floor(0.9 * count)
local kept_ids, test_ids = paper:random_split(count, { lengths = { kept, count - kept }, generator = generator })
local train_size = math.floor(0.8 * count)
local train_ids, val_ids = paper:random_split(kept_ids, {
  lengths = { train_size, kept - train_size }, generator = generator,
})
print("Device: " .. o.device)
print(("Total: %d, training: %d, validation: %d, test: %d"):format(count, #train_ids, #val_ids, #test_ids))

local train_loader = paper:loader(data.Subset(dataset, train_ids), { shuffle = true })
local val_loader = paper:loader(data.Subset(dataset, val_ids))
local test_set = data.Subset(dataset, test_ids)
local test_loader = paper:loader(test_set)
print(("Train loader: %d, validation loader: %d, test loader: %d"):format(train_loader:batches(), val_loader:batches(),
  test_loader:batches()))

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)
print(model)
local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  if paper:improves(val_loss) then
    paper:save("best_model.safetensors", model:state_dict())
    paper:save("best_model_full.safetensors", model, { input = input })
  end
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  print(("Epoch %d/%d, Train Loss: %.4f, Val Loss: %.4f"):format(epoch, o.epochs, train_loss, val_loss))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.epoch_table(paper.train_losses, "Loss"))
paper:xlsx("val_losses.xlsx", sheets.epoch_table(paper.val_losses, "Loss"))
paper:xlsx("validation_dice_scores.xlsx", sheets.numbered(paper.val_dice))

model:load_state_dict(assert(lt.load(paper:path("best_model.safetensors"))))
local scores = paper:test(steps, model, test_loader)
print(("Average test Dice: %.4f"):format(paper:log_test(scores)))
paper:xlsx("test_dice_scores.xlsx", sheets.column(scores))

paper:plot_losses()
-- The first five images of the test set, not of five batches.
paper:plot_predictions(model, paper:loader(test_set, { batch_size = 1 }), function(net, images)
  return net(images):gt(0.5):float()
end)
paper:finish()
