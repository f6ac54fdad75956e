-- The program itself: options, exit statuses, errors, Ctrl-C, the prompt, the embedded library.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")
local sys = require "lunette.sys"

local path, write = scratch.path, scratch.write
local lunette = assert(sys.executable())

local function run(words, env) return scratch.run(words, { env = env }) end
local function lua(...) return run({ lunette, ... }, { LUNETTE_CHECK_LEAKS = "1" }) end
local function shell(text, env) return run({ "sh", "-c", text }, env) end

local function has(text, part, what)
  if not text:find(part, 1, true) then error((what or "text") .. " lacks '" .. part .. "':\n" .. text, 2) end
end

local function lacks(text, part)
  if text:find(part, 1, true) then error("text has '" .. part .. "':\n" .. text, 2) end
end

-- -- statuses and options

check.test("-e runs code and gives 0", function()
  local status, out, err = lua("-e", "x = 20", "-e", "print(x + 1)")
  check.equal({ status, out, err:match("[^\n]*live") }, { 0, "21\n", "lunette: 0 bytes live" })
end)

check.test("an error gives 1 and its position", function()
  local status, out, err = lua("-e", "error('boom')")
  check.equal(status, 1)
  check.equal(out, "")
  has(err, "lunette: (command line):1: boom")
  lacks(err, "traceback") -- a single frame would only repeat the position
end)

check.test("a syntax error gives 1", function()
  local status, _, err = lua("-e", "x = = 1")
  check.equal(status, 1)
  has(err, "(command line):1: unexpected symbol near '='")
end)

check.test("a missing file gives 1 and its name", function()
  local status, _, err = lua("nosuch.lua")
  check.equal(status, 1)
  has(err, "cannot open nosuch.lua")
end)

check.test("a command line without sense gives 2", function()
  for _, case in ipairs {
    { "no option --bogus", "--bogus" },
    { "no option -q", "-q" },
    { "missing after -e", "-e" },
    { "missing after --threads", "--threads" },
    { "threads wants a whole number from 1 to 1024, got '0'", "--threads", "0" },
    { "threads wants a whole number from 1 to 1024, got 'two'", "--threads=two" },
    { "memory wants", "--memory", "-1" },
    { "seed wants", "--seed", "-1" },
    { "device wants cpu, cuda, reference or auto, got 'tpu'", "--device", "tpu" },
    { "precision wants strict, f32 or bf16", "--precision", "f16" },
  } do
    local status, out, err = lua(unpack(case, 2))
    check.equal({ status, out }, { 2, "" }, case[1])
    has(err, case[1])
    has(err, "usage: lunette")
  end
end)

check.test("version and help", function()
  local status, out = lua("-v")
  check.equal({ status, out }, { 0, "Lunette " .. sys.version .. "\n" })
  status, out = lua("--help")
  check.equal(status, 0)
  has(out, "--deterministic")
end)

check.test("options reach the context", function()
  local code = "local s = require 'lunette.sys'.settings() print(s.threads, s.seed, s.eager, s.deterministic,"
    .. " s.device, s.precision, s.memory)"
  local status, out = lua("--threads", "2", "--seed=7", "--eager", "--deterministic", "--device", "reference",
    "--precision", "strict", "--memory", "1.5", "-e", code)
  check.equal({ status, out }, { 0, "2\t7\ttrue\ttrue\treference\tstrict\t1.5\n" })
end)

check.test("a device that is not there gives 1", function()
  local status, _, err = lua("--device", "cuda", "-e", "print(1)")
  check.equal(status, 1)
  has(err, "cuda: built without it")
end)

check.test("a script on standard input", function()
  local status, out = shell("echo 'print(\"in\", ...)' | " .. lunette)
  check.equal({ status, out }, { 0, "in\n" })
  status, out = shell("echo 'print(...)' | " .. lunette .. " - a b")
  check.equal({ status, out }, { 0, "a\tb\n" })
end)

check.test("a full disk is an error", function()
  if not sys.exists("/dev/full") then check.skip("no /dev/full") end
  local status, _, err = shell(lunette .. " -e 'print(1)' > /dev/full")
  check.equal(status, 1)
  has(err, "standard output")
end)

-- -- scripts

write("neighbour.lua", "return { name = 'neighbour', fail = function() error('far away') end }")

check.test("a script sees its arguments and its neighbours", function()
  local script = write("script.lua", [[
    print(arg[0] == debug.getinfo(1, "S").source:sub(2), arg[1], arg[2], ..., require("neighbour").name)]])
  local status, out = shell("cd / && " .. lunette .. " " .. script .. " --threads many")
  check.equal({ status, out }, { 0, "true\t--threads\tmany\t--threads\tneighbour\n" })
end)

check.test("a traceback shows the script's frames and not the library's", function()
  local script = write("deep.lua", [[
local nn = require "lunette.nn"
local function forward() return 1 + nn.Sequential(function() require("neighbour").fail() end) end
local function outer() forward() print() end
outer()]])
  local status, _, err = lua(script)
  check.equal(status, 1)
  has(err, "stack traceback:")
  has(err, "deep.lua:3: in function 'outer'")
  has(err, "deep.lua:4: in main chunk")
  lacks(err, "\n\tlunette/")
  lacks(err, "[C]")
  status, _, err = run({ lunette, script }, { LUNETTE_TRACEBACK = "full" })
  check.equal(status, 1)
  has(err, "[C]")
end)

check.test("error values that are no texts", function()
  local _, _, err = lua("-e", "error(setmetatable({}, { __tostring = function() return 'an object' end }))")
  has(err, "lunette: an object")
  local status
  status, _, err = lua("-e", "error({})")
  check.equal(status, 1)
  has(err, "the error is a table")
  status, _, err = lua("-e", "error(setmetatable({}, { __tostring = function() error('worse') end }))")
  check.equal(status, 1)
  has(err, "worse")
end)

check.test("a runaway recursion is an error, not a crash", function()
  local status, _, err = lua("-e", "local function f() return 1 + f() end f()")
  check.equal(status, 1)
  has(err, "stack overflow")
end)

check.test("exit closes everything, from a coroutine too", function()
  for code, want in pairs {
    ["require('lunette.sys').exit(7)"] = 7,
    ["coroutine.wrap(function() require('lunette.sys').exit(8) end)()"] = 8,
    ["local t = require('lunette').randn(1000) os.exit(true)"] = 0,
    ["local t = require('lunette').randn(1000) + 1; os.exit(false)"] = 1,
    ["pcall(os.exit, 9)"] = 9,
  } do
    local status, _, err = lua("-e", code)
    check.equal(status, want, code)
    has(err, "lunette: 0 bytes live at exit")
  end
end)

-- -- Ctrl-C. timeout sends it once after a while.

local function interrupted(code)
  return run { "timeout", "-s", "INT", "--preserve-status", "-k", "10", "0.4", lunette, "-e", code }
end

check.test("Ctrl-C ends a script with 130", function()
  for _, code in ipairs {
    "while true do end",
    "local i = 0 while true do i = i + 1 end",
    "jit.off() while true do end",
    "local function f() return f() end f()",
    "local t = {} while true do for k = 1, 1e6 do t[k % 10] = k end end",
    "local co = coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do co() end",
    "require('lunette.sys').sleep(100)",
    "local x = require('lunette').ones(64, 64) while true do x = x:matmul(x) * 1e-3 x:sum():item() end",
  } do
    local status, _, err = interrupted(code)
    check.equal(status, 130, code)
    has(err, "interrupted")
  end
end)

check.test("after a caught Ctrl-C the session goes on", function()
  local status, out = interrupted("local ok, err = pcall(function() while true do end end) print(ok, err)"
    .. " print(require('lunette').ones(2):sum():item())")
  check.equal(status, 0)
  check.equal(out, "false\tinterrupted\n2\n")
end)

check.test("a second Ctrl-C kills what does not listen", function()
  local code = [[
    local pid = require("lunette.sys").pid()
    os.execute(("(sleep 0.5; kill -INT %d; sleep 0.2; kill -INT %d) &"):format(pid, pid))
    local a = ("a"):rep(28)
    a:find(("a?"):rep(28) .. a .. "b") -- minutes inside one C function ]]
  local status, _, err = run { "timeout", "20", lunette, "-e", code }
  check.equal(status, "signal 2")
  has(err, "lunette: killed")
end)

-- -- the embedded library

check.test("the library is in the binary, and LUNETTE_LIB replaces it", function()
  local status, out = shell("cd / && " .. lunette .. " -e 'print(type(require \"lunette.nn\".Conv2d))'")
  check.equal(status, 0)
  lacks(out, "nil")
  sys.mkdir(path "lib/lunette")
  write("lib/lunette/special.lua", "return { name = ..., source = debug.getinfo(1, 'S').source }")
  status, out = run({ lunette, "-e", "local m = require 'lunette.special' print(m.name, m.source)" },
    { LUNETTE_LIB = path "lib" })
  check.equal({ status, out }, { 0, "lunette.special\t=lunette/special.lua\n" })
  local _, _, err = lua("-e", "require 'lunette.special'")
  has(err, "no module 'lunette.special' in Lunette's own library")
end)

check.test("the program starts quickly", function()
  local best = math.huge
  for _ = 1, 10 do
    local start = sys.clock()
    lua("-e", "print(1)")
    best = math.min(best, sys.clock() - start)
  end
  check.truthy(best < 0.2, ("best of 10 is %.0f ms"):format(best * 1e3))
end)

-- -- the prompt

-- Types the lines at the prompt: through a terminal when util-linux's script is there, else plainly.
local function type_in(lines, environment)
  local input = write("input", table.concat(lines, "\n") .. "\n")
  local command = environment == "plain" and lunette .. " -i" or
    "TERM=xterm script -qefc '" .. lunette .. "' /dev/null"
  local status, out, err = shell("(cat " .. input .. "; sleep 1) | HOME=" .. path "" .. " XDG_STATE_HOME= " .. command)
  return status, out:gsub("\r", ""):gsub("\27%[%?2004[hl]", ""), err
end

local session = {
  "1 + 1", "x = 'text'", "x", "x;", "1, nil, 'two'", "_", "{ 1, 2, k = 'v' }", "return 4, 5", "=6",
  "for i = 1, 2 do", "print('line', i)", "end", "local y = 1", "error('oops')", "string.rep()", "x = = 1",
  "lt.ones(2):sum():item()", "nn ~= nil, optim ~= nil, data ~= nil, F ~= nil", "?permute", "?nn.Conv2", "?nn.Conv2d",
  "?nosuchthing", "mem()", "who()", "$ echo from a shell", "exit",
}

local function check_session(out, err)
  has(out, "2\n")
  has(out, '"text"\n')
  has(out, '1\tnil\t"two"\n')
  has(out, '{ 1, 2, k = "v" }\n')
  has(out, "4\t5\n")
  has(out, "line\t1\nline\t2\n")
  has(err, "without 'local' the name stays")
  has(err, "prompt:1: oops\n")
  has(err, "prompt:1: bad argument #1 to 'rep'")
  has(err, "prompt:1: unexpected symbol near '='")
  lacks(err, "traceback")
  has(out, "true\ttrue\ttrue\ttrue\n")
  has(out, "core.ops.permute(x, {dims}) -> y")
  has(out, "Perhaps: ")
  has(out, "nn.Conv2d(in_channels, out_channels, kernel_size")
  has(out, "nothing is known under 'nosuchthing'")
  has(out, "process")
  has(out, 'x            "text"')
  has(out, "from a shell")
end

check.test("a session without a terminal", function()
  local status, out, err = type_in(session, "plain")
  check.equal(status, 0)
  check_session(out, err)
end)

check.test("a session on a terminal, with readline where it is", function()
  if shell "script -qefc true /dev/null" ~= 0 then check.skip("no program 'script' or no pseudo-terminals") end
  local status, out, err = type_in(session)
  check.equal(status, 0)
  check_session(out, out .. err)
  has(out, "Lunette " .. sys.version)
end)

check.test("the prompt goes on after code with -i, and after an error", function()
  local _, out = shell("echo 'print(x)' | " .. lunette .. " -e 'x = 5' -i")
  has(out, "5\n")
  local err
  _, out, err = shell("printf 'f()\\n_\\nprint(7)' | " .. lunette .. " -e 'function f() error(\"bad\") end' -i")
  has(err, "(command line):1: bad")
  has(out, "7\n")
end)

-- What the prompt says to lines typed without a terminal: stdout, stderr.
local function says(lines, ...)
  local words = { lunette, "-i", ... }
  for i, word in ipairs(words) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  write("typed", table.concat(lines, "\n") .. "\n")
  local _, out, err = shell(table.concat(words, " ") .. " < " .. path "typed")
  return out, err
end

check.test("help knows modules by the names that people use", function()
  local out = says { "?lt" }
  has(out, "lunette:\n  arange cat")
  has(out, "tensor.lt(other)")
  for _, name in ipairs { "?nn", "?lunette.nn", "help nn", "help(nn)", "help('lunette.nn')" } do
    out = says { name }
    has(out, "nn:\n", name)
    has(out, " functional.* ", name)
    lacks(out, "functional.relu")
  end
  has(says { "?lunette.nn.functional" }, "nn.functional:\n")
  has(says { "?F.relu" }, "nn.functional.relu(")
  has(says { "?lunette.nn.Linear" }, "nn.Linear(in_features")
  has(says { "?save" }, "save:\n")
  has(says { "?lunette.save" }, "lunette.save(path, x)")
  has(says { "?lunette.save" }, "parse_json")
  has(says { "help" }, "?topic lists its names")
  has(says { "help()" }, "?topic lists its names")
  has(says { "help = 5", "help" }, "5\n")
end)

check.test("exit and quit leave, with and without brackets", function()
  for _, word in ipairs { "exit", "quit", "exit()", " quit () ;" } do lacks(says { word, "print('still here')" }, "still") end
  has(says { "exit = 4", "exit", "print('still here')" }, "4\n> still here")
end)

check.test("who() lists what -e and a script left, and nothing else", function()
  local script = write("names.lua", "learned = 3 stats = 'mine' local hidden = 1")
  local out = says({ "typed = 4", "x = lt.ones(2, 3)", "stats, nn.ReLU, progress, _", "who()" }, "-e", "given = 2", script)
  out = out:match("given.*")
  check.equal(out, "given        2\nlearned      3\nstats        \"mine\"\ntyped        4\nx            [f32 2x3 cpu]\n> \n")
  has(says { "who()" }, "no variables of your own yet")
end)

check.test("errors at the prompt say prompt:1", function()
  for line, text in pairs {
    ["lt.zeros(1e5, 1e5, 1e5)"] = "prompt:1: out of memory: wanted",
    ["lt.ones(2):backward()"] = "prompt:1: [backward] the loss does not depend",
    ["data.phantom{ family = 'cat' }"] = "prompt:1: phantom: no family 'cat'",
    ["data.ImageMask(3)"] = "prompt:1: expected a list of pairs as data.folder and data.phantom give it, got number",
    ["nn.BatchNorm2d()"] = "prompt:1: [BatchNorm2d] num_features must be",
    ["nn.Sequential(1)"] = "prompt:1: [Sequential] element 1 is no layer but the number 1",
  } do
    local _, err = says({ line }, "--memory", "0.5")
    check.equal(err:sub(1, #text), text, line)
  end
end)

check.test("a peak is never below what there is", function()
  for _ = 1, 5 do
    local out = says { "x = lt.rand(300, 1000)", "x:sum():item()", "mem()",
      "for _ = 1, 50 do assert(sys.peak_rss() >= 0.999 * sys.rss()) end print('held')" }
    local function amount(number, unit) return tonumber(number) * ({ B = 1, KB = 1e3, MB = 1e6, GB = 1e9 })[unit] end
    local function row(name) return amount(out:match("\n" .. name .. " +([%d.]+) (%a+)")) end
    local process, unit, peak, peak_unit = out:match("process +([%d.]+) (%a+) %(peak ([%d.]+) (%a+)%)")
    check.truthy(amount(peak, peak_unit) >= amount(process, unit), out)
    check.truthy(row("peak") >= row("live"), out)
    check.truthy(row("lua_peak") >= row("lua_live"), out)
    has(out, "held")
  end
end)

check.test("tensors in tables and beside each other stay aligned", function()
  local out = says { "x = lt.tensor({ { 1, 2 }, { 3, 4 } })", "{ x, 'word', k = x }", "x, 5", "{ lt.zeros(64, 2), 1 }", "x.shape" }
  local matrix = "1.  2.\n      3.  4.\n    [f32 2x2 cpu]\n"
  has(out, "{\n  1 =\n      " .. matrix .. '  2 = "word"\n  k =\n      ' .. matrix .. "}\n")
  has(out, "\n>   1.  2.\n  3.  4.\n[f32 2x2 cpu]\n5\n")
  has(out, "{ [f32 64x2 cpu], 1 }\n")
  has(out, "> 2x2\n")
end)

check.test("nothing of the user's is overwritten", function()
  local _, out = shell("echo 'nn, lt, progress' | " .. lunette .. " -e 'nn = 1 lt = 2 progress = 3' -i")
  has(out, "1\t2\t3\n")
end)

check.test("completion of fields, methods, keywords and modules", function()
  local prompt = require "lunette.prompt"
  local function among(line, word)
    for _, name in ipairs(prompt.complete(line)) do
      if name == word then return true end
    end
    return false
  end
  _G.host_test = { inner = { value = 1 }, t = require("lunette").ones(2) }
  check.truthy(among("string.fo", "format"))
  check.truthy(among("print(string.", "rep"))
  check.truthy(among("host_test.in", "inner"))
  check.truthy(among("x = host_test.inner.va", "value"))
  check.truthy(among("host_test.t:perm", "permute"))
  check.truthy(among("host_test.t.sh", "shape"))
  check.truthy(among("nn.Conv2", "Conv2d"))
  check.truthy(among("whi", "while"))
  check.truthy(among("hos", "host_test"))
  check.equal(prompt.complete("host_test.missing.x"), {})
  _G.host_test = nil
end)

-- -- sys and progress

check.test("folders, names and paths", function()
  check.equal(sys.mkdir(path "a/b/c"), true)
  check.equal(sys.mkdir(path "a/b/c/"), true)
  write("a/z", "")
  write("a/B", "")
  check.equal(sys.list(path "a"), { "B", "b", "z" })
  check.equal({ sys.exists(path "a"), sys.exists(path "a/z"), sys.exists(path "no") }, { "directory", "file", false })
  check.equal({ sys.dirname("a/b/c.lua"), sys.basename("a/b/c.lua"), sys.dirname("x") }, { "a/b", "c.lua", "." })
  check.equal(sys.realpath(path "a/../a/z"), sys.realpath(path "a/z"))
  check.fails("No such file", "LN_EIO", sys.list(path "no"))
  check.fails("No such file", "LN_EIO", sys.realpath(path "no"))
  check.fails("Not a directory", "LN_EIO", sys.mkdir(path "a/z/d"))
end)

check.test("time, memory and cores", function()
  local start = sys.clock()
  sys.sleep(0.02)
  check.truthy(sys.clock() - start >= 0.02)
  check.truthy(sys.rss() > 1e6 and sys.peak_rss() >= 1e6)
  check.truthy(sys.cores() >= 1 and sys.pid() > 0 and sys.width() > 0)
  check.truthy(not sys.isatty("stdin"))
end)

check.test("child processes", function()
  local result = assert(sys.run({ "sh", "-c", "echo $WORD; exit 3" }, { stdout = path "out", env = { WORD = "from env" } }))
  check.equal(result.status, 3)
  check.equal(scratch.read "out", "from env\n")
  local inner = { "sh", "-c", "echo $HOME", "sh" } -- a shell would take the last of two
  check.equal(select(2, run(inner, { HOME = "here" })), "here\n")
  check.truthy(result.seconds >= 0 and result.peak_rss > 0)
  check.equal(sys.run({ "sh", "-c", "kill -9 $$" }).signal, 9)
  check.fails("No such file", "LN_EIO", sys.run { "/nosuchprogram" })
  check.raises(function() sys.run { "echo", 1 } end, "word 2 is a number")
end)

check.test("every function of sys has its help, and the help its function", function()
  local docs = require "lunette.host_docs"
  for name, value in pairs(sys) do
    if type(value) == "function" then check.truthy(docs["sys." .. name], "sys." .. name) end
  end
  for name in pairs(docs) do
    local short = name:match("^sys%.(.*)")
    if short then check.truthy(type(sys[short]) == "function", name) end
  end
end)

check.test("threads wait shortly, unless told otherwise, and the environment is as it was", function()
  local show = "print(os.getenv('GOMP_SPINCOUNT'), os.getenv('SHLVL'), os.getenv('_'))"
  local function looks(env)
    env.OMP_DISPLAY_ENV, env.SHLVL, env._ = "verbose", "7", "made up"
    local _, out, err = run({ lunette, "-e", show }, env)
    return err:match("GOMP_SPINCOUNT = '(%d+)'"), out
  end
  check.equal({ looks {} }, { "10000", "nil\t7\tmade up\n" })
  check.equal({ looks { GOMP_SPINCOUNT = "5" } }, { "5", "5\t7\tmade up\n" })
  check.equal((looks { OMP_WAIT_POLICY = "passive" }), "0")
end)

check.test("settings are refused after the first operation", function()
  local code = "local s, lt = require 'lunette.sys', require 'lunette' assert(s.configure{ threads = 1, seed = 5 })"
    .. " print(s.settings().threads) lt.ones(2):sum():item() print(select(2, pcall(s.configure, { threads = 2 })))"
  local _, out = lua("-e", code)
  has(out, "1\n")
  has(out, "before the first operation")
  check.raises(function() sys.configure { colour = 1 } end, "there is no setting 'colour'")
end)

check.test("progress passes everything on and counts", function()
  local script = write("progress.lua", [[
    local progress = require "lunette.progress"
    for i, word in progress(ipairs { "a", "b" }) do io.write(i, word, " ") end
    for x in progress({ 7, 8 }, "List") do io.write(x, " ") end
    for i in progress(3) do io.write(i, " ") end
    local calls = 0
    local loader = setmetatable({ batches = function() return 2 end }, { __call = function()
      calls = calls + 1
      if calls <= 2 then return "image" .. calls, "mask" .. calls end
    end })
    local bar = progress(loader, "Training")
    for image, mask in bar do
      io.write(image, mask, " ")
      bar:set { loss = 0.25, dice = 1 }
    end
    for _ in progress(2, "Silent", { quiet = true }) do end]])
  local status, out, err = lua(script)
  check.equal({ status, out }, { 0, "1a 2b 7 8 1 2 3 image1mask1 image2mask2 " })
  has(err, "List: 2/2")
  has(err, "Training: 2/2")
  has(err, "dice 1  loss 0.25")
  lacks(err, "Silent")
  lacks(err, "\r")
end)

scratch.remove()
check.done()
