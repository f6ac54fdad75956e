-- Messages for those who write as in Python: named arguments, methods with a dot.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")

-- What the program says on standard error, and its status.
local function said(words, input)
  local status, _, err = scratch.lunette(words, { stdin = input, env = { LUNETTE_CHECK_LEAKS = "0" } })
  return err, status
end

local KEYWORD = "')' expected near '='; named arguments go in a table: f(x, { name = value })"
local NET = "nn = require 'lunette.nn'; net = nn.Conv2d(1, 2, 3)"

check.test("a keyword argument is told where it goes", function()
  check.equal({ said { "-e", "x = 1\nf(2, bias=false)" } }, { "lunette: (command line):2: " .. KEYWORD .. "\n", 1 })
  local script = scratch.write("script.lua", "\nprint(1, sep=2)\n")
  check.equal({ said { script } }, { ("lunette: %s:2: %s\n"):format(script, KEYWORD), 1 })
  check.equal((said({ "-i" }, "f(2, bias=false)\n")), "prompt:1: " .. KEYWORD .. "\n")
end)

check.test("other syntax errors stand as they are", function()
  check.equal((said { "-e", "x = = 1" }), "lunette: (command line):1: unexpected symbol near '='\n")
end)

check.test("a method called with a dot is told of the colon, at the script's line", function()
  local want = "train was called without its object; write object:train(), with a colon\n"
  check.equal({ said { "-e", NET, "-e", "\nnet.train()" } }, { "lunette: (command line):2: " .. want, 1 })
  check.equal((said({ "-i" }, NET .. "\nnet.train()\n")), "prompt:1: " .. want)
  for _, name in ipairs { "parameters", "eval", "zero_grad", "state_dict" } do
    check.equal((said { "-e", NET, "-e", "net." .. name .. "()" }),
      ("lunette: (command line):1: %s was called without its object; write object:%s(), with a colon\n"):format(name, name))
  end
end)

check.test("so is forward of a layer and of a script's own class, and a tensor's method", function()
  local class = "M = nn.class 'M' function M:__init() self.f = nn.Conv2d(1, 2, 3) end function M:forward(x) return self.f(x) end m = M()"
  local want = "lunette: (command line):1: forward was called without its object; write object:forward(), with a colon\n"
  local x = "x = require('lunette').rand(1, 1, 4, 4)"
  check.equal((said { "-e", NET, "-e", x, "-e", "net.forward(x)" }), want)
  local err = said { "-e", NET, "-e", class, "-e", x, "-e", "m.forward(x)" }
  check.equal(err:sub(1, #want), want)
  check.equal((said { "-e", x, "-e", "x.sum()" }),
    "lunette: (command line):1: [sum] x: expected a tensor, got nil; as a method it takes a colon, x:sum()\n")
  check.equal((said { "-e", x, "-e", "x.size(1)" }),
    "lunette: (command line):1: argument 1: expected a tensor, got number; as a method it takes a colon, x:size()\n")
end)

check.test("a name that is nearly known, what a module is called, and Python's operators", function()
  local P = "lunette: (command line):1: "
  for code, want in pairs {
    ["require('lunette.nn').Conv2D(1, 2, 3)"] = "attempt to call field 'Conv2D' (a nil value); perhaps keras.Conv2D, nn.Conv2d, nn.functional.conv2d",
    ["nn.Linear(2, 3)"] = "attempt to index global 'nn' (a nil value); local nn = require \"lunette.nn\"",
    ["print(require('lunette').rand(2) > 0)"] = "attempt to compare number with userdata; tensors compare by methods: x:gt(0), x:eq(y)",
    ["x += 1"] = "'=' expected near '+'; x += 1 is x = x + 1", ["print([1, 2])"] = "unexpected symbol near '['; a list is { 1, 2, 3 }",
    ["if 1 != 2 then end"] = "'then' expected near '!'; unequal is ~=",
    ["local t = {} t.encoder()"] = "attempt to call field 'encoder' (a nil value)", ["nothing()"] = "attempt to call global 'nothing' (a nil value)",
  } do check.equal((said { "-e", code }), P .. want .. "\n") end
end)

check.test("a script's own nil is its own", function()
  check.equal((said { "-e", "local self; print(self.x)" }), "lunette: (command line):1: attempt to index local 'self' (a nil value)\n")
end)

scratch.remove()
check.done()
