-- run.copies: pairs copied into the results folder, as two of the paper's pipelines do. A run
-- begins with empty folders: images that an earlier run left there would end up in two splits.

local save = require "lunette.save"
local sys = require "lunette.sys"

local copies = {}

-- Says that the folder is ours to empty; a name that no list of images shows.
local MARK = ".copies"

local function file_name(path) return path:match("[^/]+$") end

-- Makes a folder, or empties one that an earlier run has filled; anyone else's files stop the program.
local function cleared(run, folder, stop)
  local path = run:path(folder)
  if sys.exists(path) then
    local names = sys.list(path)
    if names and #names > 0 and not sys.exists(path .. "/" .. MARK) then
      stop("%s holds files that no run has put there; give another --out", path)
    end
    for _, name in ipairs(names or {}) do
      if name ~= MARK then os.remove(path .. "/" .. name) end
    end
  end
  local made, message = sys.mkdir(path)
  if made then made, message = save.write(path .. "/" .. MARK, "") end
  if not made then stop("%s", message) end
  return path
end

local function copy(from, to, stop)
  local text, message = save.read(from)
  local done = text
  if text then done, message = save.write(to, text) end
  if not done then stop("%s", message) end
end

-- A drawn pair has no files; it is written as PNG.
local function draw(list, i, image_path, mask_path, stop)
  local image, mask = list:load(i)
  for _, file in ipairs { { image_path, image }, { mask_path, mask } } do
    local done, message = save.png(file[1], file[2])
    if not done then stop("%s", message) end
  end
end

--- Copies the pairs at `indices` of run.list; the mask comes second, so in one folder for both it
--- replaces an image of the same name. Returns the two folders' paths.
function copies.make(run, indices, images, masks, stop)
  local image_folder = cleared(run, images, stop)
  local mask_folder = masks == images and image_folder or cleared(run, masks, stop)
  for _, i in ipairs(indices) do
    local image, mask = run.list:paths(i)
    if image then
      copy(image, image_folder .. "/" .. file_name(image), stop)
      copy(mask, mask_folder .. "/" .. file_name(mask), stop)
    else
      local name = run.list:stem(i) .. ".png"
      draw(run.list, i, image_folder .. "/" .. name, mask_folder .. "/" .. name, stop)
    end
  end
  return image_folder, mask_folder
end

return copies
