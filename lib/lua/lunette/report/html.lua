-- report.html: HTML as nested calls. Text is escaped, markup is what these functions return.
--
--   html.tag("p", { class = "note" }, "5 < 6, ", html.tag("b", "see"))

local docs = require "lunette.docs"
local args = require "lunette.args"
local base64 = require "lunette.report.base64"

local html = {}

-- Markup is a table with its text, so that it cannot be taken for text and text not for it.
local Markup = {}
Markup.__index = Markup
Markup.__tostring = function(m) return m.text end

local function is_markup(x) return getmetatable(x) == Markup end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

docs("report.html.escape", "escape(text): text with the characters that mean something in HTML as entities; control"
  .. " characters are dropped")
function html.escape(text)
  return (tostring(text):gsub("[%z\1-\8\11\12\14-\31\127]", ""):gsub("[&<>\"']", entities))
end

docs("report.html.raw", "raw(text): text that is markup already")
function html.raw(text) return setmetatable({ text = text }, Markup) end

local void = { br = true, img = true, input = true, meta = true, hr = true }

local function add(parts, child)
  if child == nil or child == false then return end
  if is_markup(child) then
    parts[#parts + 1] = child.text
  elseif type(child) == "table" then
    for _, inner in ipairs(child) do add(parts, inner) end
  else
    parts[#parts + 1] = html.escape(child)
  end
end

local function attributes(list)
  local names, parts = {}, {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = list[name]
    if value == true then
      parts[#parts + 1] = " " .. name
    elseif value then
      parts[#parts + 1] = (' %s="%s"'):format(name, html.escape(value))
    end
  end
  return table.concat(parts)
end

docs("report.html.tag", "tag(name, {attribute=value}, children...): an element as markup; attributes may be left out; children are"
  .. " text, which is escaped, markup, or lists of them; nil and false are passed over; an attribute that is true has no"
  .. " value")
function html.tag(name, first, ...)
  local children, list = { n = select("#", ...), ... }, {}
  if type(first) == "table" and not is_markup(first) and #first == 0 then
    list = first
  else
    children = { n = children.n + 1, first, ... }
  end
  local parts = { "<", name, attributes(list), ">" }
  if void[name] then
    args.check(children.n == 0 or children[1] == nil, "[html.tag] %s holds no children", name)
    return html.raw(table.concat(parts))
  end
  for i = 1, children.n do add(parts, children[i]) end
  parts[#parts + 1] = ("</%s>"):format(name)
  return html.raw(table.concat(parts))
end

docs("report.html.list", "list(children...): several children as one markup")
function html.list(...)
  local parts = {}
  for i = 1, select("#", ...) do add(parts, (select(i, ...))) end
  return html.raw(table.concat(parts))
end

docs("report.html.picture", "picture(png, alt, {attribute=value}): an img that holds the PNG's bytes itself")
function html.picture(png, alt, list)
  local all = { src = "data:image/png;base64," .. base64.encode(png), alt = alt }
  for name, value in pairs(list or {}) do all[name] = value end
  return html.tag("img", all)
end

return html
