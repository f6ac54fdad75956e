-- run: what the paper's scripts share, so that each holds only its LLM's own choices:
-- options, results folder, metrics.jsonl, run.json, and going on after a stop.
--
--   local run = require "lunette.run"
--   local paper = run.start { id = "gpt4", epochs = 25, batch = 16, size = 256, lr = 1e-3 }
--   local pairs = paper:pairs()
--   for epoch in paper:epochs(model, optimizer) do
--     local train_loss = paper:train_epoch(steps, model, train_loader, optimizer)
--     local val_loss, val_dice = paper:validate(steps, model, val_loader)
--     paper:log_epoch { train_loss = train_loss, val_loss = val_loss, val_dice = val_dice }
--   end
--   paper:log_test(paper:test(steps, model, test_loader))
--   paper:finish()

local core = require "lunette.core"
local data = require "lunette.data"
local docs = require "lunette.docs"
local args = require "lunette.args"
local options = require "lunette.options"
local save = require "lunette.save"
local sys = require "lunette.sys"
local summary = require "lunette.summary"
local tune = require "lunette.tune"
local journal = require "lunette.run.journal"
local checkpoint = require "lunette.run.checkpoint"
local groups = require "lunette.run.groups"
local loops = require "lunette.run.loops"
local figures = require "lunette.run.figures"
local copies = require "lunette.run.copies"

local Run = {}
Run.__index = Run

local run = { class = Run, steps = loops.steps }

-- Ends the program as an error of the environment does: no traceback, status 1.
local function stop(format, ...)
  io.stdout:flush()
  io.stderr:write("lunette: ", format:format(...), "\n")
  sys.exit(1)
end

local function must(value, message)
  if not value then stop("%s", message) end
  return value
end

-- What a pipeline says of itself: the defaults of its options, and facts for run.json.
local own = { "id", "out", "epochs", "batch", "size", "lr" }
local facts = { "loss", "optimizer", "dice", "resize" }

docs("run.start", "start{id=, epochs=, batch=, size=, lr=, loss=, optimizer=, dice=, resize=\"bilinear\"}: reads the command"
  .. " line (--help lists its options), sets device and seed, and returns the run; its options are in .options. loss,"
  .. " optimizer and dice are one line each that says what the pipeline uses and how it defines its own Dice; with resize"
  .. " (how images are resized: bilinear and nearest are Pillow's, bilinear-no-antialias is TensorFlow's) they go into"
  .. " run.json for the comparison")
function run.start(pipeline)
  local defaults, about, known = {}, {}, {}
  for _, list in ipairs { own, facts } do
    for _, name in ipairs(list) do known[name] = false end
  end
  args.options("run.start", pipeline, known)
  for _, name in ipairs { "id", "epochs", "batch", "size", "lr" } do
    args.check(pipeline[name], "[run.start] %s is missing: a pipeline has an id, epochs, batch, size and lr of its own", name)
  end
  for _, name in ipairs(own) do defaults[name] = pipeline[name] end
  for _, name in ipairs(facts) do about[name] = pipeline[name] end
  local o = options.parse(arg or {}, defaults)
  core.seed(o.seed)
  return setmetatable({
    id = defaults.id, options = o, out = o.out, started = sys.clock(), earlier = 0, about = about,
    train_losses = {}, val_losses = {}, val_dice = {}, test_dice = {},
    loaders = {}, files = {},
  }, Run)
end

docs("run.path", "path(name): the name of a file in the results folder, which is made when it is not there")
function Run:path(name)
  if not self.made then
    must(sys.mkdir(self.out))
    self.made = true
  end
  return self.out .. "/" .. name
end

-- -- data

docs("run.open", "open(options, {numeric=false, only=}): the list of images and masks that the shared options name, or nil,"
  .. " message, code; only keeps the stems that a file names, as in data.folder")
function run.open(o, extra)
  local e = args.options("run.open", extra, { numeric = false, only = false })
  local only = e.only or nil
  if o.images then
    return data.folder { images = o.images, masks = o.masks or o.images, suffix = o.suffix, limit = o.limit,
      only = only, exclude = o.exclude, numeric = e.numeric }
  end
  local family, count = o.phantom:match("^(%a+):?(%d*)$")
  count = tonumber(count) or 200
  return data.phantom { family = family, count = math.min(count, o.limit or count), seed = 0, only = only,
    exclude = o.exclude }
end

docs("run.pairs", "pairs{numeric=false}: the list of images and masks that the options name: sorted, limited,"
  .. " excluded; numeric sorts stems that are all numbers by value, as a pipeline that does so for BAGLS")
function Run:pairs(extra)
  local list, message = run.open(self.options, extra)
  must(list, message)
  if #list == 0 then stop("no image with a mask in %s", self.options.images) end
  if not (self.options.images or self.options.given.phantom) then
    io.stderr:write(("no --images: %d drawn pictures (--phantom %s); for a quick look add --size 64 --epochs 1\n"):format(#list,
      self.options.phantom))
  end
  self.list = list
  return list
end

docs("run.train_test_split", "train_test_split(items, {test_size=, random_state=}): as data.train_test_split; with"
  .. " --group-by whole groups go to one side")
function Run:train_test_split(items, split)
  if self.options.group_by then
    return groups.split(must(groups.read(self.list, self.options.group_by)), items, split)
  end
  local ok, first, second = pcall(data.train_test_split, items, split)
  if not ok then stop("too few pairs (%d) for this pipeline's split: %s", #self.list, tostring(first)) end
  return first, second
end

docs("run.random_split", "random_split(items, {lengths=, generator= or seed=}): as data.random_split; with --group-by"
  .. " whole groups go to one side, in the same shares")
function Run:random_split(items, split)
  if self.options.group_by then
    return groups.random_split(must(groups.read(self.list, self.options.group_by)), items, split)
  end
  return data.random_split(items, split)
end

docs("run.copy_pairs", "copy_pairs(indices, images, masks): copies these pairs into folders of the results folder and"
  .. " returns images' folder, masks' folder; what an earlier run copied there is removed first")
function Run:copy_pairs(indices, images, masks) return copies.make(self, indices, images, masks, stop) end

docs("run.loader", "loader(dataset, {shuffle=false}): a DataLoader with the options' batch size, seed and workers;"
  .. " --no-shuffle takes the order as it is")
function Run:loader(dataset, choices)
  local o = self.options
  local c = args.options("loader", choices, { shuffle = false, batch_size = o.batch, drop_last = false })
  local loader = data.DataLoader(dataset, { batch_size = c.batch_size, shuffle = c.shuffle and o.shuffle, seed = o.seed,
    workers = o.workers, drop_last = c.drop_last })
  table.insert(self.loaders, loader)
  return loader
end

-- -- the model

docs("run.summary", "summary(model, shape): prints the summary; with --summary the program ends there, its last line"
  .. " the number of trainable parameters")
function Run:summary(model, shape)
  local text, totals = summary(model, shape)
  print(text)
  if self.options.summary then
    print("Trainable params: " .. summary.grouped(totals.trainable))
    sys.exit(0)
  end
end

local function count_parameters(model)
  local n = 0
  for _, cell in ipairs(model:parameters()) do
    if cell.requires_grad then n = n + cell:numel() end
  end
  return n
end

-- Options that must not change between a start and its --resume.
local fixed = { "images", "masks", "suffix", "phantom", "exclude", "group_by", "batch", "size", "lr", "limit", "seed",
  "precision", "shuffle" }

-- The options as run.json has them: without the phantoms that a run on files does not draw.
local function recorded(given)
  local o = {}
  for name, value in pairs(given) do
    if name ~= "given" and not (name == "phantom" and given.images) then o[name] = value end
  end
  return o
end

local function describe(self, status)
  local o, settings, about = recorded(self.options), sys.settings(), self.about
  return save.json({
    id = self.id, status = status, options = o, seed = self.options.seed, device = settings.device,
    precision = settings.precision, threads = settings.threads > 0 and settings.threads or sys.cores(), deterministic = settings.deterministic,
    eager = settings.eager, tune = self.tune or save.null, versions = { lunette = sys.version, luajit = jit.version },
    data = { count = #self.list, fingerprint = self.fingerprint },
    input = { size = o.size, resize = about.resize or "bilinear" },
    loss = about.loss, optimizer = about.optimizer, dice = about.dice, model = self.model_file,
    files = #self.files > 0 and self.files or nil,
  }, { indent = 2, order = { "id", "status" } }) .. "\n"
end

local function earlier_run(self)
  local text = io.open(self:path("run.json"))
  if not text then return nil end
  local before = save.parse_json(text:read("*a"))
  text:close()
  return type(before) == "table" and type(before.options) == "table" and before or nil
end

-- What an earlier run left here would pass for this one's; it listed its files in run.json.
local function remove_earlier(self)
  local before = earlier_run(self)
  for _, name in ipairs(before and type(before.files) == "table" and before.files or {}) do
    if type(name) == "string" and not name:find("/", 1, true) then os.remove(self:path(name)) end
  end
  os.remove(self:path("checkpoint.safetensors"))
end

local function check_unchanged(self)
  local before = earlier_run(self)
  if not before then stop("--resume: no run in %s to go on with", self.out) end
  self.files = type(before.files) == "table" and before.files or {}
  self.model_file = before.model
  local now = recorded(self.options)
  for _, name in ipairs(fixed) do
    local was, is = before.options[name], now[name]
    if tostring(was) ~= tostring(is) then
      stop("--resume: %s was started with --%s %s, now it is"
        .. " %s", self.out, name:gsub("_", "-"), tostring(was), tostring(is))
    end
  end
  if before.data and before.data.fingerprint ~= self.fingerprint then
    stop("--resume: the data in %s are not those that %s was started with", self.options.images or "the"
      .. " phantoms", self.out)
  end
end

-- Weights from --init, or everything from the checkpoint of --resume. Returns the epochs that are done.
local function restore(self, model, optimizer)
  local o = self.options
  if o.init then
    local tensors, message = save.load_safetensors(o.init)
    local ok, problem = pcall(model.load_state_dict, model, must(tensors, message))
    if not ok then stop("%s: %s", o.init, tostring(problem)) end
  end
  if not o.resume then
    remove_earlier(self)
    return 0
  end
  check_unchanged(self)
  local found = checkpoint.load(self:path("checkpoint.safetensors"), model, optimizer, stop)
  if not found then
    if journal.finished(self:path("metrics.jsonl")) then stop("--resume: %s is finished; leave --resume out to run anew", self.out) end
    return 0
  end
  self.earlier = found.seconds
  journal.reload(self:path("metrics.jsonl"), found.epoch, self)
  return found.epoch
end

docs("run.epochs", "epochs(model, optimizer): for epoch in run:epochs(model, optimizer) do; starts from --init or"
  .. " where --resume goes on; every epoch draws from its own seed, so that a resumed run equals an uninterrupted one")
function Run:epochs(model, optimizer)
  self.model, self.optimizer, self.params = model, optimizer, count_parameters(model)
  self.fingerprint = groups.fingerprint(self.list, self.options)
  self.tune = tune.hash()
  local epoch = restore(self, model, optimizer)
  self.journal = journal.open(self:path("metrics.jsonl"), epoch == 0, stop)
  must(save.write(self:path("run.json"), describe(self, "running")))
  self.training_started = sys.clock()
  return function()
    if epoch >= self.options.epochs then return nil end
    epoch = epoch + 1
    self.epoch, self.step, self.epoch_started = epoch, 0, sys.clock()
    self.step_started = self.epoch_started
    core.seed(self.options.seed % 2 ^ 32 * 2 ^ 20 + epoch)
    for _, loader in ipairs(self.loaders) do loader:set_epoch(epoch - 1) end
    return epoch
  end
end

docs("run.improves", "improves(val_loss): whether this loss is smaller than every earlier epoch's; to be asked before"
  .. " log_epoch. A NaN or infinite loss is none")
function Run:improves(val_loss)
  local least = math.huge
  for _, earlier in ipairs(self.val_losses) do least = math.min(earlier == earlier and earlier or least, least) end
  return val_loss < least
end

Run.train_epoch, Run.validate, Run.test = loops.train_epoch, loops.validate, loops.test
Run.plot_losses, Run.plot_predictions = figures.losses, figures.predictions

docs("run.training_seconds", "training_seconds(): seconds spent in epochs so far, those before a --resume included")
function Run:training_seconds() return self.earlier + sys.clock() - self.training_started end

-- -- what is written down

docs("run.log_step", "log_step(loss): with --log-steps one line of metrics.jsonl; call it once a training step")
function Run:log_step(loss)
  self.step = self.step + 1
  if not self.options.log_steps then return end
  local now = sys.clock()
  self.journal:write {
    { "kind", "step" }, { "epoch", self.epoch }, { "step", self.step }, { "loss", loss },
    { "seconds", now - self.step_started },
  }
  self.step_started = now
end

local function mean(list)
  local total = 0
  for _, x in ipairs(list) do total = total + x end
  return #list > 0 and total / #list or 0 / 0
end
run.mean = mean
docs("run.mean", "mean(list): the unweighted mean of a list of numbers")

docs("run.log_epoch", "log_epoch{train_loss=, val_loss=, val_dice={one a batch}}: adds the epoch to .train_losses,"
  .. " .val_losses, .val_dice and to metrics.jsonl, then writes the checkpoint that --resume goes on from; returns"
  .. " the mean Dice")
function Run:log_epoch(result)
  local lines = {}
  for batch, dice in ipairs(result.val_dice) do
    lines[batch] = { { "kind", "val_batch" }, { "epoch", self.epoch }, { "batch", batch }, { "dice", dice } }
  end
  local val_dice = mean(result.val_dice)
  lines[#lines + 1] = {
    { "kind", "epoch" }, { "epoch", self.epoch }, { "train_loss", result.train_loss }, { "val_loss", result.val_loss },
    { "val_dice", val_dice }, { "seconds", sys.clock() - self.epoch_started },
  }
  self.journal:write(unpack(lines))
  journal.remember(self, result.train_loss, result.val_loss, result.val_dice)
  checkpoint.save(self:path("checkpoint.safetensors"), self.model, self.optimizer, self.epoch,
    self:training_seconds(), stop)
  return val_dice
end

docs("run.log_test", "log_test({one Dice a batch}): writes them to metrics.jsonl; returns their mean")
function Run:log_test(scores)
  local lines = {}
  for batch, dice in ipairs(scores) do
    lines[batch] = { { "kind", "test_batch" }, { "batch", batch }, { "dice", dice } }
  end
  self.journal:write(unpack(lines))
  self.test_dice = scores
  return mean(scores)
end

docs("run.finish", "finish(): the last line of metrics.jsonl and of the output: test dice, parameters, time; removes"
  .. " the checkpoint")
function Run:finish()
  local seconds, test_dice = self.earlier + sys.clock() - self.started, mean(self.test_dice)
  self.journal:write {
    { "kind", "end" }, { "test_dice", test_dice }, { "params", self.params }, { "seconds", seconds },
    { "peak_rss_bytes", sys.peak_rss() },
  }
  must(save.write(self:path("run.json"), describe(self, "finished")))
  os.remove(self:path("checkpoint.safetensors"))
  print(("test dice %.4f  params %d  time %.1f s"):format(test_dice, self.params, seconds))
end

-- -- files of the results folder; a failure (disk full, no right) ends the program

-- The path of a result, which run.json lists from now on.
local function result(self, name)
  for _, known in ipairs(self.files) do
    if known == name then return self:path(name) end
  end
  table.insert(self.files, name)
  if self.fingerprint then must(save.write(self:path("run.json"), describe(self, "running"))) end
  return self:path(name)
end

docs("run.xlsx", "xlsx(name, rows, {header=}): a sheet in the results folder; as save.xlsx")
function Run:xlsx(name, rows, extra) must(save.xlsx(result(self, name), rows, extra)) end

docs("run.figure", "figure(name, spec): a figure in the results folder; as save.figure")
function Run:figure(name, spec)
  local done, message, code = save.figure(result(self, name), spec)
  -- Without gnuplot the run is whole but for its pictures.
  if not done and code == "LN_ENODEV" then io.stderr:write("lunette: ", message, "\n") return end
  must(done, message)
end

docs("run.save", "save(name, state or net, {input=}): tensors in the results folder; as lunette.save. The last net that"
  .. " was saved whole is the one that the comparison scores")
function Run:save(name, what, extra)
  if extra and extra.input then self.model_file = name end
  must(require("lunette.files").save(result(self, name), what, extra))
end

return run
