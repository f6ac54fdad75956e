-- GPT-o1 preview's pipeline of the paper: data, training, test, results.
--
--   lunette scripts/gpt_o1/main.lua --images DIR --masks DIR        (--help lists the options)
--
-- Kept as published: the splits are copied into the results folder and read from there in name
-- order (so its batches, and its Dice per batch, are others than those of a pipeline with the
-- same split), only ten epochs, the last of which is tested. Not kept: images of an earlier run
-- that stay in the copied splits, rows of an earlier run in the sheet of the validation scores,
-- and the crash at the very end with fewer than five test images.

local lt = require "lunette"
local optim = require "lunette.optim"
local data = require "lunette.data"
local run = require "lunette.run"
local sheets = require "lunette.run.sheets"
local SegmentationDataset = require "dataset"
local UNet = require "model"
local steps = require "train"

local paper = run.start {
  id = "gpt_o1", epochs = 10, batch = 16, size = 256, lr = 1e-4,
  loss = "BCELoss", optimizer = "Adam",
  dice = "hard (p > 0.5), per batch, smooth 1e-6, mask > 0.5",
}
local o = paper.options

-- Data: 80 % training, 10 % test, 10 % validation of the sorted names, as scikit-learn splits
-- with seed 42.
local pairs = paper:pairs()
local train_ids, held_out = paper:train_test_split(#pairs, { test_size = 0.2, random_state = 42 })
local val_ids, test_ids = paper:train_test_split(held_out, { test_size = 0.5, random_state = 42 })
print("Training size: " .. #train_ids)
print("Validation size: " .. #val_ids)
print("Testing size: " .. #test_ids)

local model = UNet()
local input = { o.batch, 1, o.size, o.size }
paper:summary(model, input)

-- Copies a split and reads it again, in name order.
local function copied(name, ids)
  local images, masks = paper:copy_pairs(ids, name .. "/images", name .. "/masks")
  return SegmentationDataset(assert(data.folder { images = images, masks = masks, suffix = o.suffix }), o.size)
end

local test_set = copied("test", test_ids)
local train_loader = paper:loader(copied("train", train_ids), { shuffle = true })
local val_loader = paper:loader(copied("val", val_ids))
local test_loader = paper:loader(test_set)
print(("Train loader: %d, validation loader: %d, test loader: %d"):format(train_loader:batches(), val_loader:batches(),
  test_loader:batches()))

local optimizer = optim.Adam(model:parameters(), { lr = o.lr })

for epoch in paper:epochs(model, optimizer) do
  local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
  local val_loss, val_dice = paper:validate(steps, model, val_loader)
  paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
  paper:xlsx("validation_dice_scores.xlsx", paper.val_dice)
  print(("Epoch %d/%d, Train Loss: %.4f, Val Loss: %.4f"):format(epoch, o.epochs, train_loss, val_loss))
end
print(("Total training time: %.2f seconds"):format(paper:training_seconds()))

paper:xlsx("train_losses.xlsx", sheets.two_rows(paper.train_losses))
paper:xlsx("val_losses.xlsx", sheets.two_rows(paper.val_losses))

local scores = paper:test(steps, model, test_loader)
paper:log_test(scores)
paper:xlsx("test_dice_scores.xlsx", sheets.row(scores))

paper:save("unet_model.safetensors", model, { input = input })
paper:save("unet_model_state_dict.safetensors", model:state_dict())

paper:plot_losses()

-- Five test images at random (the first five of a shuffle by --seed), or as many as there are.
local panels = {}
model:eval()
lt.no_grad(function()
  local all = test_set:count()
  local picks = all > 1 and data.random_split(all, { lengths = { math.min(5, all), math.max(0, all - 5) }, seed = o.seed })
    or { 1 }
  for _, i in ipairs(picks) do
    local image, mask = test_set:get(i)
    local prediction = model(image:unsqueeze(1)):gt(0.5):float()
    panels[#panels + 1] = { image = image[1], title = "Input Image: " .. test_set:stem(i) }
    panels[#panels + 1] = { image = mask[1], title = "Ground Truth" }
    panels[#panels + 1] = { image = prediction[1][1], title = "Prediction" }
  end
end)
paper:figure("test_predictions.png", { size = { 1200, 2000 }, images = panels, rows = 5, columns = 3 })
paper:finish()
