-- A call that may fail without ending the comparison: its result, or nil and why as text. Ctrl-C
-- is no failure of that kind: it goes on up.

return function(f, ...)
  local ok, result, message = pcall(f, ...)
  if ok then return result, message end
  if type(result) == "table" and result.code == "LN_EINTR" then error(result, 0) end
  return nil, tostring(result)
end
