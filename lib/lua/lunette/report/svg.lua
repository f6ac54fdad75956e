-- report.svg: gnuplot's SVG made fit for the inside of a page: no prolog, no fixed size, ids
-- that no other figure has, and black, white and the grid left to the page's colours, so
-- that it reads in light and dark.

local docs = require "lunette.docs"
local args = require "lunette.args"
local html = require "lunette.report.html"

local svg = {}

-- Marks and patterns are drawn by reference; a figure that has none of them needs no definitions.
local function definitions(text, prefix)
  local body = text:gsub("<defs>.-</defs>", "", 1)
  if not body:find("#gp", 1, true) then return body end
  text = text:gsub("stroke%-width='0%.205'", "stroke-width='0.5'") -- marks are hair-thin otherwise
  return (text:gsub("id='(%w+)'", "id='" .. prefix .. "-%1'"):gsub("href='#(%w+)'", "href='#" .. prefix .. "-%1'"))
end

-- Groups that hold nothing, of which gnuplot leaves hundreds.
local function without_empty(text)
  local count
  repeat text, count = text:gsub("<g[^>]*>%s*</g>%s*", "") until count == 0
  return text
end

docs("report.svg.inline", "inline(text, prefix, label): an SVG file as gnuplot writes it as markup for an HTML page: scales with"
  .. " its box, ids start with prefix, black lines and letters take the page's colour; label is what a screen reader says."
  .. " Raises when the text is no SVG")
function svg.inline(text, prefix, label)
  local view, body = text:match("<svg[^>]-viewBox=\"([^\"]+)\"[^>]*>(.*)</svg>")
  args.check(view, "[svg.inline] this is no SVG")
  body = body:gsub("<title>.-</title>", ""):gsub("<desc>.-</desc>", ""):gsub("<!%-%-.-%-%->", "")
  body = body:gsub("<rect x=\"0\" y=\"0\" width=\"%d+\" height=\"%d+\" fill=\"#ffffff\"/>", "", 1)
  body = definitions(body, prefix)
  body = body:gsub("id=\"([%w_]+)\"", "id=\"" .. prefix .. "-%1\"")
  body = body:gsub(" font%-family=\"[^\"]*\"", ""):gsub("(<g [^>]-) color=\"[^\"]*\"", "%1")
  body = body:gsub("stroke='black'", "stroke='currentColor'"):gsub("stroke='rgb%(%s*0,%s*0,%s*0%)'", "stroke='currentColor'")
  body = body:gsub("stroke=\"black\"", "stroke=\"currentColor\""):gsub("fill=\"black\"", "fill=\"currentColor\"")
  return html.list(html.raw(('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="%s"'
    .. ' role="img" aria-label="%s">'):format(html.escape(view), html.escape(label))), html.raw(without_empty(body)),
    html.raw("</svg>"))
end

return svg
