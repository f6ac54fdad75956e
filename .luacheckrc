-- Lua 5.1 with LuaJIT's additions; lines as long as the editor shows them.
std = "luajit"
max_line_length = 150
-- Layers and datasets have fixed signatures, whether they need every argument or not.
self = false
unused_args = false
exclude_files = { "tests/reference" } -- values, written by programs
-- not (x <= y) is no x > y: it is how a NaN is made to fail; and not a ~= not b means what it says.
ignore = { "581", "582" }
files["tests"] = { max_line_length = false, ignore = { "512" } } -- loops that are left at once, on purpose
