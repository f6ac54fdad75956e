-- Figures: gnuplot as a child process, what it draws, and what happens when it fails.
local check = dofile("tests/check.lua")
local files = dofile("tests/data_files.lua")
local ffi   = require "ffi"
local core  = require "lunette.core"
local data  = require "lunette.data"
local save  = require "lunette.save"

ffi.cdef [[ int setenv(const char *name, const char *value, int overwrite); ]]

local search_path = os.getenv("PATH")

-- Runs f with another PATH.
local function with_path(path, f)
  ffi.C.setenv("PATH", path, 1)
  local ok, err = pcall(f)
  ffi.C.setenv("PATH", search_path, 1)
  if not ok then error(err, 0) end
end

local curve = { series = { { y = { 3, 2, 1.5 }, label = "Training loss", colour = "blue" } } }
local have_gnuplot = save.figure(files.path("try.png"), curve)

local function test(name, f)
  check.test(name, function()
    if not have_gnuplot then check.skip("gnuplot is not installed") end
    f()
  end)
end

local function text_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Width and height from a PNG's header.
local function png_size(path)
  local text = text_of(path)
  check.equal(text:sub(1, 8), "\137PNG\r\n\26\n")
  local function number(at)
    local a, b, c, d = text:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
  end
  return { number(17), number(21) }
end

-- Draws into a PNG and gives its grey levels as u8 [H,W].
local drawn = 0
local function levels(spec)
  drawn = drawn + 1
  local folder = "drawn" .. drawn
  for _, name in ipairs { "/p.png", "/p_m.png" } do
    local done, message = save.figure(files.path(folder .. name), spec)
    check.truthy(done, message)
  end
  return (assert(data.folder { images = files.path(folder), suffix = "_m" }):load(1))
end

local function share(image, level)
  local p, n = image:ptr(), 0
  for i = 0, image:numel() - 1 do
    if p[i] == level then n = n + 1 end
  end
  return n / image:numel()
end

test("lines: size, kinds of file", function()
  check.equal(png_size(files.path("try.png")), { 600, 500 })
  curve.size = { 321, 234 }
  check.equal(save.figure(files.path("small.png"), curve), true)
  check.equal(png_size(files.path("small.png")), { 321, 234 })
  check.equal(save.figure(files.path("a.svg"), curve), true)
  check.truthy(text_of(files.path("a.svg")):find("Training loss", 1, true), "the label is in the SVG")
  check.equal(save.figure(files.path("a.pdf"), curve), true)
  check.equal(text_of(files.path("a.pdf")):sub(1, 5), "%PDF-")
end)

test("lines: what is drawn is blue and orange", function()
  -- blue is 29 in grey, orange 173
  local image = levels { size = { 400, 300 }, title = "t", xlabel = "x", ylabel = "y", logy = true, grid = true,
    series = { { y = core.tensor { 1, 0.1, 0.01 }, colour = "blue" }, { x = { 1, 3 }, y = { 0.5, 0.5 }, colour = "orange", points = true } } }
  check.equal(image.shape, { 300, 400 })
  check.truthy(share(image, 29) > 0.0005, "blue: " .. share(image, 29))
  check.truthy(share(image, 173) > 0.0005, "orange: " .. share(image, 173))
  check.truthy(share(image, 255) > 0.8, "white: " .. share(image, 255))
end)

test("lines: nothing to draw is still a figure", function()
  local nan = 0 / 0
  for name, series in pairs {
    none = {}, empty = { { y = {} } }, nans = { { y = { nan, nan, math.huge }, label = "a" } }, one = { { y = { 2 } } },
    flat = { { y = { 1, 1, 1 } } }, zero = { { y = { 0, 0 } } }, gaps = { { y = { 1, nan, 2, nan, nan, 3 } } },
    huge = { { y = { -1e300, 1e300 } } }, tiny = { { y = { 1e-300, 2e-300 } } },
  } do
    for _, logy in ipairs { false, true } do
      local done, message = save.figure(files.path(name .. ".png"), { series = series, logy = logy, size = { 200, 150 } })
      check.truthy(done, name .. ": " .. tostring(message))
    end
  end
end)

test("lines: a short count of epochs has whole numbers on its axis", function()
  for n, y in pairs { [1] = { 0.5 }, [2] = { 0.5, 0.4 }, [5] = { 5, 4, 3, 2, 1 } } do
    assert(save.figure(files.path("epochs.svg"), { series = { { y = y } }, ylabel = "", yrange = { 0, 10 } }))
    local svg = text_of(files.path("epochs.svg"))
    check.truthy(not svg:find(">%s*%d%.%d+%s*</"), n .. " epochs")
  end
end)

test("text is taken literally", function()
  local mark = files.path("touched")
  local bad = ("U_Net `touch %s` $(touch %s) it's \"q\" ${x} @a \\n %%d\nsystem('touch %s')\n!touch %s\n"):format(mark, mark, mark, mark)
  for _, spec in ipairs {
    { series = { { y = { 1, 2 }, label = bad } }, title = bad, xlabel = bad, ylabel = bad },
    { boxes = { { values = { 1, 2 }, label = bad } }, title = bad },
    { images = { { image = core.tensor { { 0, 1 } }, title = bad } }, title = bad },
  } do
    local done, message = save.figure(files.path("bad.svg"), spec)
    check.truthy(done, message)
    check.equal(save.exists(mark), false)
  end
  -- also where gnuplot would take it for a format, a subscript or markup
  local label = "it's 5% of U_Net {2} %d %%"
  for _, spec in ipairs { { series = { { y = { 1, 2 }, label = label } } }, { series = {}, title = label }, { series = {}, xlabel = label },
    { boxes = { { values = { 1, 2 }, label = label } } }, { images = { { image = core.tensor { { 0, 1 } }, title = label } } } } do
    local done, message = save.figure(files.path("literal.svg"), spec)
    check.truthy(done, message)
    local svg = text_of(files.path("literal.svg")):gsub("&apos;", "'"):gsub("&#39;", "'")
    check.truthy(svg:find(label, 1, true), "the label as it was given: " .. (next(spec)))
  end
  check.equal(save.figure(files.path("odd 'name` $(x).png"), { series = { { y = { 1 } } } }), true)
  check.truthy(save.exists(files.path("odd 'name` $(x).png")))
end)

test("boxes", function()
  local image = levels { size = { 300, 400 }, boxes = {
    { values = { 1, 2, 3, 4, 100 }, label = "a", colour = "blue" }, { values = core.tensor { 5 }, label = "b" }, { values = {}, label = "c" } } }
  check.equal(image.shape, { 400, 300 })
  check.truthy(share(image, 255) < 0.995)
  check.truthy(levels { size = { 300, 200 }, horizontal = true, xrange = { 0, 1 }, boxes = { { values = { 0.2, 0.4, 0.9 }, label = "U_Net" } } })
end)

test("images: levels, proportions, empty cells", function()
  local picture = core.tensor({ { 10, 20 }, { 20, 30 } }, { dtype = "u8" })
  local image = levels { images = { picture }, size = { 200, 200 } }
  check.near(share(image, 0) / share(image, 255), 1, 1, "stretched: as much black as white, beside the margin")
  check.truthy(share(image, 0) > 0.15 and share(image, 128) > 0.3, "black and grey")
  image = levels { images = { picture }, size = { 200, 200 }, scale = "none" }
  check.truthy(share(image, 10) > 0.15 and share(image, 20) > 0.3 and share(image, 30) > 0.15, "as they are")
  check.equal(share(image, 0), 0)
  -- constant pictures are black, as with matplotlib
  image = levels { images = { core.tensor { { 1, 1 } } }, size = { 200, 200 } }
  check.near(share(image, 0), 0.38, 0.03, "a 2:1 picture fills half of a square")
  -- the paper's predictions.png: 5 x 3, of which two rows are there
  local cells = {}
  for i = 1, 6 do cells[i] = core.tensor { { { 0, 1 }, { 0.5, 0.25 } } } end
  cells[7] = false
  local done, message = save.figure(files.path("predictions.png"), { images = cells, rows = 5, columns = 3, axes = true, size = { 1200, 1500 } })
  check.truthy(done, message)
  check.equal(png_size(files.path("predictions.png")), { 1200, 1500 })
end)

check.test("misuse", function()
  local path = files.path("m.png")
  for _, case in ipairs {
    { {}, "none of series, boxes, images" },
    { { series = { 3 } }, "series[1]: expected a table, got number" },
    { { series = { {} } }, "series[1]: no y" },
    { { series = { { y = { 1 }, x = { 1, 2 } } } }, "2 values of x and 1 of y" },
    { { series = { { y = { "a" } } } }, "y[1]: expected a number, got string" },
    { { series = { { y = 3 } } }, "y: expected a list of numbers or a tensor, got number" },
    { { series = { { y = { 1 }, colour = "'; system" } } }, "is no colour" },
    { { series = { { y = { 1 } } }, legend = "above" }, "is no place" },
    { { series = { { y = { 1 } } }, titel = "x" }, "unknown option 'titel'" },
    { { series = { { y = { 1 } } }, horizontal = true }, "unknown option 'horizontal'" },
    { { series = { { y = { 1 } } }, size = { 10, 10 } }, "outside 50..10000" },
    { { series = { { y = { 1 } } }, size = { 10 } }, "size: expected two numbers, got 1" },
    { { series = { { y = { 1 } } }, xrange = { 1, 1 } }, "is empty or not finite" },
    { { series = { { y = { 1 } } }, yrange = { 0, 1 }, logy = true }, "is empty or not finite" },
    { { boxes = {} }, "no boxes" },
    { { boxes = { { label = "a" } } }, "boxes[1]: no values" },
    { { images = { 3 } }, "images[1]: expected a tensor" },
    { { images = { core.tensor { 1, 2 } } }, "a picture is u8, bool or f32" },
    { { images = { core.tensor { { 1 } }, core.tensor { { 1 } } }, columns = 1, rows = 1 }, "need 2 to 100 rows, got 1" },
    { { images = {}, scale = "max" }, "scale: expected" },
  } do
    check.raises(function() save.figure(path, case[1]) end, case[2])
  end
  check.raises(function() save.figure(files.path("m.jpg"), { series = { { y = { 1 } } } }) end, "must end in .png, .svg or .pdf")
  check.raises(function() save.figure(path) end, "expected a table after the path")
  check.equal(save.exists(path), false)
end)

check.test("no gnuplot: the package is named, no file appears", function()
  with_path(files.path("nothing/x"), function()
    check.fails("apt-get install gnuplot-nox", "LN_ENODEV", save.figure(files.path("gone/a.png"), curve))
  end)
  check.equal(save.exists(files.path("gone/a.png")), false)
end)

-- A gnuplot of our own that misbehaves.
local function with_fake(script, f)
  local path = files.write("fake/gnuplot", "#!/bin/sh\n" .. script .. "\n")
  os.execute(("chmod 755 '%s'"):format(path))
  with_path(files.path("fake") .. ":" .. search_path, f)
end

check.test("a gnuplot that fails: its last line is told", function()
  local path = files.path("failing/a.png")
  save.write(path, "old")
  with_fake("cat >/dev/null; echo noise >&2; echo 'line 7: no such thing' >&2; exit 3", function()
    check.fails("gnuplot failed: line 7: no such thing", "LN_EIO", save.figure(path, curve))
  end)
  with_fake("exit 0", function() -- without reading: the script's pipe breaks, which must not end us
    check.fails("a.png", "LN_EIO", save.figure(path, { images = { core.ops.full { size = { 600, 600 }, value = 1 } }, scale = "none" }))
  end)
  with_fake("cat >/dev/null; echo half a picture", function()
    check.fails("cut short", "LN_EIO", save.figure(path, curve))
  end)
  with_fake("kill -9 $$", function() check.fails("gnuplot failed", "LN_EIO", save.figure(path, curve)) end)
  check.equal(text_of(path), "old")
  local pipe = io.popen(("ls -A '%s'"):format(files.path("failing")))
  check.equal(pipe:read("*a"), "a.png\n")
  pipe:close()
end)

check.test("no folder for the figure", function()
  check.fails("No such file", "LN_EIO", save.figure(files.path("no") .. "/such/a.png", curve))
end)

files.remove_all()
check.done()
