-- Messages for those who write as in Python: named arguments, methods with a dot.
local check = dofile("tests/check.lua")
local scratch = dofile("tests/scratch.lua")

-- What the program says on standard error, and its status.
local function said(words, input)
  local status, _, err = scratch.lunette(words, { stdin = input, env = { LUNETTE_CHECK_LEAKS = "0" } })
  return err, status
end

local KEYWORD = "')' expected near '='; named arguments go in a table: f(x, { name = value })"
local NET = "nn = require 'lunette.nn'; net = nn.Linear(2, 3)"

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

check.test("a script's own nil is its own", function()
  check.equal((said { "-e", "local self; print(self.x)" }), "lunette: (command line):1: attempt to index local 'self' (a nil value)\n")
end)

scratch.remove()
check.done()
