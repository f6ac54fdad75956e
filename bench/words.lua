-- What the programs of bench/ do with their options: lists of words, and an end with a message.

local sys = require "lunette.sys"

return function(o)
  local words = {}

  function words.stop(format, ...)
    io.stdout:flush()
    io.stderr:write("bench: ", format:format(...), "\n")
    sys.exit(2)
  end

  --- The words that --name was given, all that are known without it: a list in the usual order, and a set.
  function words.chosen(name, known)
    local list, set, allowed = {}, {}, {}
    for _, word in ipairs(known) do allowed[word] = true end
    for word in (o[name] or table.concat(known, ",")):gmatch("[^,%s]+") do
      if not allowed[word] then words.stop("--%s: there is no '%s' (%s)", name, word, table.concat(known, ", ")) end
      set[word] = true
    end
    for _, word in ipairs(known) do
      if set[word] then list[#list + 1] = word end
    end
    return list, set
  end

  return words
end
