-- The comparison's report in a browser: sorting, the overlay switch, no sideways scrolling on a phone, nothing fetched.
local check = dofile("tests/check.lua")
local save = require "lunette.save"
local sys = require "lunette.sys"
local folders = dofile("tests/results_folders.lua")

local function browser()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    local result = sys.run({ name, "--version" }, { stdout = folders.path .. "/version", stderr = folders.path .. "/version" })
    if result and result.status == 0 then return name end
  end
end

-- Runs in the page: does what a reader does and sends what came of it to the page around.
local PROBE = [[
<script>
addEventListener('load',function(){
  var out={errors:[],width:innerWidth,page:document.documentElement.scrollWidth};
  try{
    var t=document.querySelector('table.sortable:not(.across)'),head=t.tHead.rows[0].cells;
    function column(i){return [].map.call(t.tBodies[0].rows,function(r){return r.cells[i].textContent.trim()})}
    var models=column(0).length;
    out.own=column(0);
    head[0].querySelector('button').click(); out.names=column(0); out.state=head[0].getAttribute('aria-sort');
    head[0].querySelector('button').click(); out.reversed=column(0);
    head[1].querySelector('button').click(); out.dice=column(1);
    var a=document.querySelector('table.across'),row=[].filter.call(a.rows,function(r){
      return r.cells[0].textContent.indexOf('Trainable parameters')===0})[0];
    row.cells[0].querySelector('button').click();
    out.across=[].slice.call(row.cells,1).map(function(c){return c.textContent});
    out.heads=[].slice.call(a.tHead.rows[0].cells,1).map(function(c){return c.textContent});
    function shown(kind){var e=document.querySelector('.pictures img.'+kind);return e.offsetWidth>0}
    out.first=[shown('overlay'),shown('mask')];
    document.querySelector('.show-mask').click();
    out.second=[shown('overlay'),shown('mask')];
    out.broken=[].filter.call(document.images,function(i){return i.offsetWidth>0&&i.complete&&!i.naturalWidth}).length;
    out.fetched=performance.getEntriesByType('resource').filter(function(e){return e.name.indexOf('data:')!==0}).length;
    out.figures=[].map.call(document.querySelectorAll('figure svg'),function(s){return s.getBoundingClientRect().width});
    out.models=models;
  }catch(e){out.errors.push(String(e))}
  parent.postMessage(out,'*');
});
</script></body>]]

local FRAMES = [[<!DOCTYPE html><body><iframe src="probe.html" style="width:1280px;height:900px"></iframe>
<iframe src="probe.html" style="width:390px;height:800px"></iframe><script>
var all=[];addEventListener('message',function(e){all.push(e.data);
if(all.length===2){all.sort(function(a,b){return b.width-a.width});
document.body.innerHTML='<pre>BEGIN'+encodeURIComponent(JSON.stringify(all))+'END</pre>'}});</script></body>]]

local name = browser()
local wide, narrow

-- The same report as the browser shows it, wide and narrow.
local function look()
  if not name then check.skip("no chromium") end
  if wide then return end
  folders.make("all/gpt4")
  folders.make("all/copilot", {}, 2)
  folders.make("all/bing", { model = false })
  local status, _, err = folders.compare(folders.path .. "/all", "--out", folders.path .. "/out")
  check.equal(status, 0, err)
  local text = assert(save.read(folders.path .. "/out/report.html"))
  local cut = text:find("</body>", 1, true)
  assert(save.write(folders.path .. "/out/probe.html", text:sub(1, cut - 1) .. PROBE .. text:sub(cut + 7)))
  assert(save.write(folders.path .. "/out/frames.html", FRAMES))
  local result = assert(sys.run({ "timeout", "60", name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--user-data-dir=" .. folders.path .. "/profile", "--window-size=1400,1000", "--virtual-time-budget=15000", "--dump-dom",
    "file://" .. folders.path .. "/out/frames.html" }, { stdout = folders.path .. "/dom", stderr = folders.path .. "/complaints" }))
  check.equal(result.status, 0, save.read(folders.path .. "/complaints"))
  local found = assert(save.read(folders.path .. "/dom")):match("BEGIN(.-)END")
  check.truthy(found, "the page's answer")
  local both = assert(save.parse_json((found:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))))
  check.equal({ both[1].errors, both[2].errors }, { {}, {} })
  wide, narrow = both[1], both[2]
end

check.test("a click on a head sorts rows, a second one turns them round", function()
  look()
  check.equal({ wide.models, wide.state }, { 3, "ascending" })
  check.equal(wide.names, { "Bing Copilot", "GitHub Copilot", "GPT-4" })
  check.equal(wide.reversed, { "GPT-4", "GitHub Copilot", "Bing Copilot" })
  check.equal(wide.dice[3], "–", "what has no score stays last")
  check.truthy(tonumber(wide.dice[1]) <= tonumber(wide.dice[2]))
  check.equal(wide.own[3], "Bing Copilot", "the best score comes first")
end)

check.test("a click on a feature sorts the models with their heads", function()
  look()
  check.equal(wide.across[3], "not known")
  check.equal(wide.heads[3], "Bing Copilot")
end)

check.test("the switch shows either the overlay or the mask", function()
  look()
  check.equal({ wide.first, wide.second }, { { true, false }, { false, true } })
  check.equal({ wide.broken, narrow.broken }, { 0, 0 })
end)

check.test("nothing is fetched, and nothing is wider than the page", function()
  look()
  check.equal({ wide.fetched, narrow.fetched }, { 0, 0 })
  for _, seen in ipairs { wide, narrow } do
    check.truthy(seen.page <= seen.width, ("%d wide, the page %d"):format(seen.width, seen.page))
    check.truthy(#seen.figures >= 6)
    for _, width in ipairs(seen.figures) do check.truthy(width > 280 and width < seen.width, "figure of " .. width) end
  end
  check.truthy(narrow.width <= 390)
end)

folders.remove()
check.done()
