-- run.figures: the two figures that the study's authors put into every pipeline of 2024 alike.

local lt = require "lunette"
local docs = require "lunette.docs"

local figures = {}

docs("run.plot_losses", "plot_losses(): losses.png, training and validation loss by epoch, 600x500 pixels")
function figures.losses(run)
  run:figure("losses.png", {
    size = { 600, 500 }, title = "Training and Validation losses", xlabel = "Epochs", ylabel = "Loss",
    series = {
      { y = run.train_losses, label = "Training loss", colour = "blue" },
      { y = run.val_losses, label = "Validation loss", colour = "orange" },
    },
  })
end

docs("run.plot_predictions", "plot_predictions(model, loader, show): predictions.png, image, mask and prediction for"
  .. " the first image of each of the first five batches (not random, and fewer where there are fewer); every panel"
  .. " is scaled to its own smallest and largest value, so that a constant one is black. show(model, images, masks)"
  .. " returns the prediction [B,1,H,W] as the pipeline draws it, and the mask where it draws another")
function figures.predictions(run, model, loader, show)
  local panels = {}
  model:eval()
  lt.no_grad(function()
    for images, masks in loader do
      local prediction, drawn = show(model, images, masks)
      for _, batch in ipairs { images, drawn or masks, prediction } do panels[#panels + 1] = batch[1][1] end
      if #panels == 15 then break end
    end
  end)
  run:figure("predictions.png", { size = { 1200, 1500 }, images = panels, rows = 5, columns = 3, axes = true })
end

return figures
