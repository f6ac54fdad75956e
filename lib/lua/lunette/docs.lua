-- docs: the one table of help texts, name -> text, that `?name` and the reference page read.
--
-- Every public function is entered right above its definition, in one form:
--   docs("nn.Linear", "Linear(in_features, out_features, {bias=true}): what it does; shapes; errors; as what")
-- The text starts with the call, options and their defaults in braces as they are written in Lua.
-- Dimensions and positions count from 1; values inside index tensors count from 0.

local docs = {}

return setmetatable(docs, {
  __call = function(self, name, text)
    if rawget(self, name) then error("docs: '" .. name .. "' is documented twice", 2) end
    self[name] = text
  end,
})
