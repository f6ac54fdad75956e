-- check: the helper of the Lua tests. A test file is a plain script:
--
--   local check = dofile("tests/check.lua")
--   check.test("one and one", function() check.equal(1 + 1, 2) end)
--   check.done()
--
-- It prints "ok name", "FAILED name: why" or "skipped name: why" for each test, then the
-- totals, and exits with 1 when one failed.

local check = { passed = 0, failed = 0, skipped = 0 }

local SKIP = {} -- the error value of check.skip

local function describe(value)
  if type(value) == "string" then return ("%q"):format(value) end
  return tostring(value)
end

local function fail(what, format, ...)
  error((what and what .. ": " or "") .. format:format(...), 3)
end

--- Raw equality of plain values; tables are compared element by element. NaN equals NaN.
function check.equal(got, want, what)
  if type(got) == "table" and type(want) == "table" then
    for key, value in pairs(want) do check.equal(got[key], value, ("%s[%s]"):format(what or "", tostring(key))) end
    for key in pairs(got) do
      if want[key] == nil then fail(what, "unexpected key %s", tostring(key)) end
    end
  elseif got ~= want and not (got ~= got and want ~= want) then
    fail(what, "got %s, expected %s", describe(got), describe(want))
  end
end

--- |got - want| <= tolerance; NaN is near nothing.
function check.near(got, want, tolerance, what)
  if not (math.abs(got - want) <= tolerance) then
    fail(what, "got %.9g, expected %.9g within %g", got, want, tolerance)
  end
end

function check.truthy(value, what)
  if not value then fail(what, "got %s", describe(value)) end
  return value
end

local function contains(text, pattern) return text:find(pattern, 1, true) or text:find(pattern) end

--- fn must raise an error whose text contains the pattern (plain, or as a Lua pattern); returns the text.
function check.raises(fn, pattern)
  local ok, err = pcall(fn)
  if ok then fail(nil, "no error; expected one with '%s'", pattern) end
  local text = tostring(err)
  if not contains(text, pattern) then fail(nil, "error '%s' does not contain '%s'", text, pattern) end
  return text
end

--- A call that fails as the environment does: nil, message, code. Use: check.fails(pattern, code, f(...)).
function check.fails(pattern, code, value, message, got)
  if value ~= nil then fail(nil, "got %s; expected nil and a message with '%s'", describe(value), pattern) end
  if not contains(tostring(message), pattern) then fail(nil, "message '%s' does not contain '%s'", tostring(message), pattern) end
  if code then check.equal(got, code, "code") end
  return message
end

--- Ends the running test as skipped.
function check.skip(why) error({ SKIP, why }, 0) end

function check.test(name, fn)
  local ok, err = xpcall(fn, function(e)
    if type(e) == "table" and e[1] == SKIP then return e end
    return os.getenv("LUNETTE_TEST_TRACE") and debug.traceback(tostring(e), 2) or e
  end)
  if ok then
    check.passed = check.passed + 1
    print("ok " .. name)
  elseif type(err) == "table" and err[1] == SKIP then
    check.skipped = check.skipped + 1
    print(("skipped %s: %s"):format(name, err[2]))
  else
    check.failed = check.failed + 1
    print(("FAILED %s: %s"):format(name, tostring(err)))
  end
end

function check.done()
  local skipped = check.skipped > 0 and (", %d skipped"):format(check.skipped) or ""
  print(("%d passed, %d failed%s"):format(check.passed, check.failed, skipped))
  os.exit(check.failed > 0 and 1 or 0, true)
end

return check
