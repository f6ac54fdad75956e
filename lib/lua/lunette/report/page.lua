-- report.page: one HTML file with everything in it: style, a few lines of script, pictures.
-- Nothing is fetched from anywhere, and without the script all is there but the sorting.

local docs = require "lunette.docs"
local html = require "lunette.report.html"

local page = {}

local STYLE = [[
:root{color-scheme:light dark;--back:#fbfaf8;--card:#fff;--ink:#1c1f24;--soft:#5c636e;--line:#dfdcd6;--head:#f1eee9;
--accent:#0b6e99;--warn:#9a4b00;--warnback:#fff4e5;--hit:#009ed9;--extra:#f58c1a;--missed:#cc40bf}
@media(prefers-color-scheme:dark){:root{--back:#14171b;--card:#1b1f25;--ink:#e6e4df;--soft:#a2a8b3;--line:#343a43;
--head:#232830;--accent:#6cc1e8;--warn:#ffb870;--warnback:#2d2418}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main,header,footer{max-width:1160px;margin:0 auto;padding:0 20px}
header{padding-top:36px}
h1{font-size:clamp(1.6rem,4.5vw,2.3rem);line-height:1.15;margin:0 0 .35em;letter-spacing:-.015em}
h2{font-size:1.45rem;margin:2.4em 0 .5em;padding-top:.6em;border-top:2px solid var(--ink);letter-spacing:-.01em}
h3{font-size:1.12rem;margin:2em 0 .4em}
p,li{max-width:74ch}
p{margin:.5em 0 .9em}
a{color:var(--accent)}
.lead{font-size:1.08rem;color:var(--soft)}
.note{color:var(--soft);font-size:.92rem}
.warn{background:var(--warnback);border-left:4px solid var(--warn);padding:.7em 1em;border-radius:4px;margin:1em 0}
.warn h3{margin:0 0 .3em;color:var(--warn)}
.warn ul{margin:.2em 0;padding-left:1.2em}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:1.1em 0;padding:0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6em .9em}
.facts dt{color:var(--soft);font-size:.82rem}
.facts dd{margin:0;font-size:1.2rem;font-weight:600;line-height:1.3;overflow-wrap:anywhere}
.facts dd small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.finding{font-size:1.08rem;border-left:4px solid var(--accent);padding:.2em 0 .2em 1em}
nav{display:flex;flex-wrap:wrap;gap:.3em 1.1em;margin:1em 0;font-size:.95rem}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;background:var(--card);margin:1em 0;max-width:100%;
-webkit-overflow-scrolling:touch}
.scroll:focus-visible{outline:2px solid var(--accent)}
.tall{max-height:30em;overflow-y:auto}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.5em .75em;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}
thead th{white-space:normal;background:var(--head);font-weight:600;vertical-align:bottom;position:sticky;top:0;z-index:2}
th[scope=row],thead th:first-child{position:sticky;left:0;background:var(--card);font-weight:600;z-index:1;min-width:11.5em}
thead th:first-child{background:var(--head);z-index:3}
.number{text-align:right;white-space:nowrap}
thead .number{white-space:normal;min-width:6.2em}
.wide{min-width:17em}
.range{display:block;position:relative;height:5px;margin-top:.45em;border-radius:3px;background:var(--head);min-width:7.5em}
.range::before,.range::after{content:"";position:absolute;top:0;bottom:0;border-radius:3px;background:var(--accent)}
.range::before{left:var(--low);width:max(2px,calc(var(--high) - var(--low)));opacity:.45}
.range::after{left:calc(var(--mean) - 2px);width:4px;top:-2px;bottom:-2px}
.across td{min-width:10.5em}
.across th[scope=row]{font-weight:500;color:var(--soft)}
tbody tr:hover td{background:color-mix(in srgb,var(--accent) 7%,transparent)}
th button{all:unset;cursor:pointer;font:inherit;color:inherit}
th button:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.js thead button::after{content:" \2195";color:var(--soft);opacity:.5;font-weight:400}
.js tbody th button:hover{color:var(--accent);text-decoration:underline}
.js th[aria-sort=ascending] button::after{content:" \2191";opacity:1;color:var(--accent)}
.js th[aria-sort=descending] button::after{content:" \2193";opacity:1;color:var(--accent)}
.dot{display:inline-block;width:.72em;height:.72em;border-radius:50%;margin-right:.45em;border:1px solid #0003;vertical-align:-.03em}
.paper{display:block;font-size:.84rem;color:var(--soft);margin-top:.15em}
.other{color:var(--warn);font-weight:600}
.missing{color:var(--soft);font-style:italic}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:16px;margin:1em 0}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
figure.alone{max-width:640px;margin:1.4em 0 .6em}
figcaption{font-size:.92rem;font-weight:600;margin:0 0 .3em}
figure svg{display:block;width:100%;height:auto;color:var(--ink)}
svg text{font-family:inherit}
.lines svg [id*="_plot_"] g{stroke-width:2.2}
.gridline{stroke:var(--line);stroke-dasharray:none}
.legend{display:flex;flex-wrap:wrap;gap:.25em 1.1em;font-size:.9rem;margin:.6em 0;padding:0;list-style:none}
.switch{margin:1em 0}
.switch input{position:absolute;opacity:0}
.switch label{display:inline-block;padding:.35em .9em;border:1px solid var(--line);background:var(--card);cursor:pointer;font-size:.92rem}
.switch label.l{border-radius:8px 0 0 8px}
.switch label.r{border-radius:0 8px 8px 0;border-left:0}
.switch input:checked+label{background:var(--accent);border-color:var(--accent);color:var(--card)}
.switch input:focus-visible+label{outline:2px solid var(--accent);outline-offset:2px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(46%,190px),1fr));gap:12px;margin:1em 0}
.pictures figure{padding:8px}
.pictures img{display:block;width:100%;height:auto;background:#000;border-radius:4px}
.pictures figcaption{margin:.4em 0 0;font-weight:500;line-height:1.3}
.pictures figcaption b{display:block;font-size:1.02rem}
.pixels{image-rendering:pixelated}
.show-overlay:checked~.pictures .mask,.show-mask:checked~.pictures .overlay{display:none}
.key{display:inline-block;width:.9em;height:.9em;border-radius:2px;margin:0 .35em 0 0;vertical-align:-.08em}
details{margin:1em 0}
summary{cursor:pointer;font-weight:600}
code{font-family:ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;font-size:.9em;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:.88rem;padding-top:2em;padding-bottom:3em}
@media(max-width:600px){main,header,footer{padding-left:14px;padding-right:14px}header{padding-top:22px}
body{font-size:15.5px}th,td{padding:.45em .6em}th[scope=row],thead th:first-child{min-width:6.8em;max-width:8.2em}
.facts{grid-template-columns:1fr 1fr;gap:8px}figure{padding:8px 6px}}
@media print{.scroll{overflow:visible}.switch label{display:none}body{background:#fff}}
]]

local SCRIPT = [[
document.documentElement.classList.add('js');
document.querySelectorAll('table.sortable').forEach(function(t){
  function key(c){var v=c.dataset.v;return v===undefined?c.textContent.trim().toLowerCase():v===''?null:+v}
  function by(up){return function(a,b){var x=a.key,y=b.key;
    if(x===null||y===null)return (x===null)-(y===null);
    return (typeof x==='number'&&typeof y==='number'?x-y:String(x).localeCompare(String(y)))*(up?1:-1)}}
  t.addEventListener('click',function(e){
    var b=e.target.closest('th button');if(!b)return;
    var th=b.parentNode,up=th.getAttribute('aria-sort')!=='ascending',rows=[].slice.call(t.tBodies[0].rows);
    t.querySelectorAll('th[aria-sort]').forEach(function(h){h.setAttribute('aria-sort','none')});
    th.setAttribute('aria-sort',up?'ascending':'descending');
    if(t.classList.contains('across')){
      var order=[].slice.call(th.parentNode.cells,1).map(function(c,i){return{key:key(c),i:i+1}}).sort(by(up));
      [].slice.call(t.rows).forEach(function(r){var cells=[].slice.call(r.cells);
        order.forEach(function(o){r.appendChild(cells[o.i])})});
    }else{
      rows.map(function(r){return{key:key(r.cells[th.cellIndex]),row:r}}).sort(by(up))
        .forEach(function(o){t.tBodies[0].appendChild(o.row)});
    }
  });
});
]]

docs("report.page.make", "make(title, {language=\"en\"}, children...): a whole HTML page as text, with its style and script inside")
function page.make(title, options, ...)
  return "<!DOCTYPE html>\n" .. tostring(html.tag("html", { lang = options.language or "en" },
    html.tag("head", html.tag("meta", { charset = "utf-8" }),
      html.tag("meta", { name = "viewport", content = "width=device-width, initial-scale=1" }),
      html.tag("title", title), html.tag("style", html.raw(STYLE))),
    html.tag("body", html.list(...), html.tag("script", html.raw(SCRIPT))))) .. "\n"
end

return page
