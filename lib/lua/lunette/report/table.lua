-- report.table: tables that are sorted by a click, and read well without.

local docs = require "lunette.docs"
local html = require "lunette.report.html"

local report_table = {}

-- A cell: text or number, markup, or { content, value = what it is sorted by, class = }.
local function cell(name, x, attributes)
  local list = attributes or {}
  if type(x) == "table" and getmetatable(x) == nil then
    if x.value ~= nil then list["data-v"] = x.value ~= x.value and "" or tostring(x.value) end
    list.class = x.class or list.class
    x = x[1]
  end
  return html.tag(name, list, x)
end

local function head(column)
  return html.tag("th", { scope = "col", class = column.class, title = column.hint, ["aria-sort"] = "none" },
    html.tag("button", { type = "button" }, column[1]))
end

-- The table in a box that scrolls by itself, so that the page never does sideways.
local function boxed(spec, kind, heads, body)
  return html.tag("div", { class = "scroll" .. (spec.tall and " tall" or ""), tabindex = "0", role = "region",
    ["aria-label"] = spec.caption },
    html.tag("table", { class = kind }, html.tag("caption", spec.caption), html.tag("thead", html.tag("tr", heads)),
      html.tag("tbody", body)))
end

docs("report.table.rows", "rows{caption=, tall=false, columns={{label, class=, hint=}, ...}, rows={{cell, ...}, ...}}: a table, a click on"
  .. " a column's head sorts its rows. A cell is text, markup, or {content, value=number to sort by, class=}; the first of a row"
  .. " names it; a tall table scrolls in a box of its own")
function report_table.rows(spec)
  local heads, body = {}, {}
  for i, column in ipairs(spec.columns) do heads[i] = head(column) end
  for r, row in ipairs(spec.rows) do
    local cells = {}
    for i, x in ipairs(row) do
      cells[i] = i == 1 and cell("th", x, { scope = "row" }) or cell("td", x, { class = spec.columns[i].class })
    end
    body[r] = html.tag("tr", cells)
  end
  return boxed(spec, "sortable", heads, body)
end

docs("report.table.columns", "columns{caption=, corner=, heads={content, ...}, rows={{label, cell, ...}, ...}}: a table whose"
  .. " columns are the things compared; a click on a row's label sorts the columns")
function report_table.columns(spec)
  local heads, body = { html.tag("th", { scope = "col" }, spec.corner or "") }, {}
  for i, x in ipairs(spec.heads) do heads[i + 1] = html.tag("th", { scope = "col" }, x) end
  for r, row in ipairs(spec.rows) do
    local cells = { html.tag("th", { scope = "row" }, html.tag("button", { type = "button" }, row[1])) }
    for i = 2, #row do cells[i] = cell("td", row[i]) end
    body[r] = html.tag("tr", cells)
  end
  return boxed(spec, "sortable across", heads, body)
end

return report_table
