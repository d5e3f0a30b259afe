/**
 * @module view/gallery_shell: the page of a gallery: its parts and how they look. What they do is
 * `view/gallery_client.ts`'s matter; it is the same page served or as a file.
 */

import { galleryScript } from "./gallery_client.ts";
import { BASE_STYLE, html, jsonScript, type PageParts } from "./html.ts";

/** The parts of a gallery that is served page by page. */
export function servedGallery(dataset: string): PageParts {
  return parts(dataset, "served", "");
}

/** The parts of a gallery that is one file. @param data What the script shows. */
export function galleryInFile(dataset: string, data: unknown): PageParts {
  const script = `<script type="application/json" id="data">${jsonScript(data)}</script>`;
  return parts(dataset, "file", script);
}

function parts(dataset: string, mode: "served" | "file", data: string): PageParts {
  return {
    title: `${dataset}: gallery`,
    style: BASE_STYLE + STYLE,
    script: galleryScript(),
    attributes: ` data-mode="${mode}"`,
    served: mode === "served",
    body: BODY.replace("{{dataset}}", html(dataset)) + data,
  };
}

const KEYS_HELP: readonly (readonly [keys: string, meaning: string])[] = [
  ["← →", "previous, next page"],
  ["Home End", "first, last page"],
  ["j k", "next, previous word"],
  ["n p", "next, previous doubtful word (below 0.80)"],
  ["d D", "next, previous word that the other engine reads otherwise"],
  ["[ ]", "show only words below a lower, higher confidence"],
  ["m", "mark the page as wrong, with a note"],
  [
    "e x a",
    "put the selected word right, take it away, add one that is missing by drawing its box",
  ],
  ["c", "the page is checked: what is written on it becomes a truth"],
  ["+ − 0 w", "larger, smaller, whole page, full width; Ctrl and the wheel, too"],
  ["b", "boxes on and off"],
  ["s", "words by confidence, or in reading order"],
  ["o", "boxes the other way, where a turned picture leaves it open"],
  ["Esc", "nothing selected"],
];

const button = (id: string, text: string, label: string) =>
  `<button type="button" id="${id}" title="${label}" aria-label="${label}">${text}</button>`;

const BODY = `
<noscript><p class="noscript">This page needs scripts, its own only.</p></noscript>
<header id="bar">
  <div class="group">
    ${button("pagesbutton", "Pages", "List of pages")}
    ${button("prev", "‹", "Previous page (←)")}
    <span id="where" role="status" aria-live="polite"></span>
    ${button("next", "›", "Next page (→)")}
  </div>
  <div class="group title">
    <bdi id="name"></bdi><span id="status" class="badge"></span><span id="facts"></span>
  </div>
  <div class="group">
    ${button("zoomout", "−", "Smaller (−)")}<span id="zoomed"></span>
    ${button("zoomin", "+", "Larger (+)")}
    ${button("fit", "Fit", "Whole page or full width (0, w)")}
    ${button("toggle", "Boxes", "Boxes on and off (b)")}
    ${button("check", "Check", "The page is checked: keep it as a truth (c)")}
    ${button("mark", "Mark wrong", "Mark the page as wrong (m)")}
    ${button("helpbutton", "?", "Keys")}
  </div>
</header>
<p id="marked" hidden></p>
<p id="checkline" role="status" hidden><span></span>
  <button type="button" id="uncheck">Take it back</button></p>
<main>
  <nav id="pages" aria-label="Pages">
    <p><b id="dataset">{{dataset}}</b> <a id="reportlink" href="report.html" hidden>report</a><br>
      <small id="picked"></small></p>
    <ol id="pagelist"></ol>
  </nav>
  <section id="view" aria-label="Picture">
    <div id="notice" role="status" hidden></div>
    <div id="stage" tabindex="-1"><div id="sheet" hidden>
      <img id="img" alt="The page" draggable="false">
      <svg id="boxes" preserveAspectRatio="none" aria-hidden="true"></svg>
    </div></div>
  </section>
  <aside id="words" aria-label="Words">
    <div class="tools">
      <b id="count"></b>
      <label><input type="checkbox" id="sort"> by confidence</label>
      <label class="range">below
        <input type="range" id="below" min="5" max="100" step="1" value="100"
          aria-label="Show only words below this confidence">
        <output id="belowvalue">all</output></label>
      <p class="legend" aria-label="Colours of confidence"><span class="conf c0">&lt; .5</span>
        <span class="conf c1">.5</span> <span class="conf c2">.7</span>
        <span class="conf c3">.8</span> <span class="conf c4">.9 +</span></p>
      <p id="reasons"></p>
    </div>
    <ol id="wordlist"></ol>
  </aside>
</main>
<div id="tip" hidden></div>
<dialog id="markdialog" aria-label="Mark the page as wrong"><form id="markform">
  <p><b>Wrong labels on this page</b></p>
  <label for="note">Note, for whoever looks at it next (may be empty)</label>
  <input id="note" maxlength="1000" autocomplete="off">
  <p id="markproblem" role="alert"></p>
  <p class="buttons"><button id="save">Mark wrong</button>
    <button type="button" id="unmark">Take the mark away</button>
    <button type="button" data-close>Cancel</button></p>
</form></dialog>
<dialog id="worddialog" aria-label="Put a word right"><form id="wordform">
  <label for="wordtext">What is written there</label>
  <input id="wordtext" maxlength="1000" autocomplete="off" spellcheck="false">
  <p class="buttons"><button>Keep</button>
    <button type="button" id="noword">Nothing is written there</button>
    <button type="button" data-close>Cancel</button></p>
</form></dialog>
<dialog id="helpdialog" aria-label="Keys"><h2>Keys</h2><dl>${
  KEYS_HELP.map(([keys, meaning]) =>
    `<dt>${keys.split(" ").map((key) => `<kbd>${key}</kbd>`).join(" ")}</dt><dd>${meaning}</dd>`
  ).join("")
}</dl><p class="buttons"><button type="button" data-close>Close</button></p></dialog>
`;

const STYLE = `
:root{--c0:#c22f2f;--c1:#d9730d;--c2:#b08900;--c3:#2a8a7c;--c4:#2b63c0;--cx:#777}
html,body{height:100%}
body{display:flex;flex-direction:column;overflow:hidden;font-size:14px}
[hidden]{display:none!important}
button{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);
border-radius:6px;padding:.2rem .6rem;cursor:pointer;min-height:2rem;min-width:2rem}
button:hover:not(:disabled){border-color:var(--soft)}
button:disabled{opacity:.45;cursor:default}
button.on{background:var(--bad);border-color:var(--bad);color:var(--bg)}
.plain #toggle{text-decoration:line-through}
#bar{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem 1rem;padding:.4rem .6rem;
border-bottom:1px solid var(--line)}
.group{display:flex;align-items:center;gap:.35rem;min-width:0}
.group.title{flex:1 1 12rem;gap:.6rem}
#where{min-width:5.2em;text-align:center;font-variant-numeric:tabular-nums;white-space:nowrap}
#zoomed{min-width:3.4em;text-align:center;color:var(--soft);font-variant-numeric:tabular-nums}
#name{font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;min-width:3em}
#facts{color:var(--soft);white-space:nowrap}
.badge{border-radius:99px;padding:.05rem .55rem;font-size:12px;white-space:nowrap;
border:1px solid currentColor;color:var(--good)}
.badge.empty{color:var(--warn)}.badge.failed{color:var(--bad)}.badge:empty{display:none}
#marked{margin:0;padding:.25rem .8rem;color:var(--bad);border-bottom:1px solid var(--line);
overflow-wrap:anywhere;max-height:4.2em;overflow:auto}
main{flex:1;display:grid;min-height:0;
grid-template-columns:minmax(11rem,15rem) minmax(0,1fr) minmax(15rem,22rem)}
#pages{border-right:1px solid var(--line);display:flex;flex-direction:column;min-height:0}
#pages>p{margin:.5rem .7rem;overflow-wrap:anywhere}
#pages small{color:var(--soft)}
ol{list-style:none;margin:0;padding:0;overflow:auto;flex:1;min-height:0}
#pagelist li{content-visibility:auto;contain-intrinsic-size:auto 3.6rem}
#pagelist button{display:block;width:100%;text-align:left;border:0;border-radius:0;background:none;
padding:.35rem .7rem;border-left:3px solid transparent}
#pagelist button:hover{background:var(--panel)}
#pagelist .here button{background:var(--panel);border-left-color:var(--accent)}
#pagelist .id{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
#pagelist small{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
#pagelist .why{color:var(--warn)}
#pagelist .failed small{color:var(--bad)}
#pagelist .marked .id::before{content:"✗ ";color:var(--bad)}
#view{display:flex;flex-direction:column;min-height:0;min-width:0;background:var(--panel)}
#stage{flex:1;overflow:auto;min-height:0;min-width:0;padding:12px;outline:none;
display:grid;align-content:start;justify-content:safe center;touch-action:pan-x pan-y pinch-zoom}
#stage.drag{cursor:grabbing;user-select:none}
.loading #sheet{opacity:.5}
#sheet{position:relative;background:#fff;box-shadow:0 0 0 1px var(--line)}
#sheet.blank{background:var(--bg)}
#sheet img,#sheet svg{position:absolute;inset:0;width:100%;height:100%;display:block}
#sheet img{user-select:none;-webkit-user-drag:none}
#notice{padding:.1rem .9rem;background:var(--bg);max-height:30%;overflow:auto;flex:none;
border-bottom:1px solid var(--line);border-left:4px solid var(--warn);overflow-wrap:anywhere}
#notice.bad{border-left-color:var(--bad)}#notice p{margin:.4rem 0}
#boxes polygon{fill:transparent;stroke-width:1.5px;vector-effect:non-scaling-stroke;cursor:pointer;
pointer-events:all}
#boxes .c0{stroke:var(--c0);stroke-width:2.5px;fill:#c22f2f22}
#boxes .c1{stroke:var(--c1);stroke-width:2.2px;fill:#d9730d18}
#boxes .c2{stroke:var(--c2);stroke-width:2px}
#boxes .c3{stroke:var(--c3)}#boxes .c4{stroke:var(--c4)}
#boxes .cx{stroke:var(--cx)}
#boxes .off{stroke-opacity:.12;fill:none;pointer-events:none}
#boxes .lit{fill:#ffd54d66}
#boxes .sel{fill:#ffd54d88;stroke-width:3.5px;stroke-opacity:1}
.plain #boxes polygon:not(.sel):not(.lit){stroke:none;fill:transparent}
#words{border-left:1px solid var(--line);display:flex;flex-direction:column;min-height:0}
.tools{padding:.5rem .7rem;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;
gap:.2rem .9rem;align-items:center}
.tools label{display:flex;gap:.35rem;align-items:center}
.tools .range{flex:1 1 100%}
.tools input[type=range]{flex:1;min-width:4rem;accent-color:var(--accent)}
.tools output{min-width:2.4em;font-variant-numeric:tabular-nums}
.tools p{margin:0}.legend{display:flex;gap:.25rem}#reasons{color:var(--warn);flex:1 1 100%}
#reasons:empty{display:none}
#wordlist li{display:flex;gap:.55rem;padding:.14rem .7rem;cursor:pointer;align-items:baseline;
content-visibility:auto;contain-intrinsic-size:auto 1.65rem}
#wordlist bdi{overflow-wrap:anywhere;white-space:pre-wrap;min-width:0}
#wordlist .other,#tip .other{margin-left:auto;color:var(--warn);overflow-wrap:anywhere;min-width:0}
#tip .other{margin-left:.5rem;color:#f3c77a}
#wordlist li:hover,#wordlist .lit{background:var(--panel)}
#wordlist .sel{background:var(--mark)}
.conf{font-size:12px;font-variant-numeric:tabular-nums;border-radius:4px;padding:0 .3rem;color:#fff;
flex:none}
.conf.c0{background:var(--c0)}.conf.c1{background:#b85f08}.conf.c2{background:#8a6b00}
.conf.c3{background:#23766a}.conf.c4{background:var(--c4)}.conf.cx{background:#6b6b6b}
#tip{position:fixed;left:0;top:0;z-index:5;max-width:24rem;padding:.15rem .5rem;border-radius:5px;
background:#101114;color:#fff;pointer-events:none;overflow-wrap:anywhere}
#tip small{color:#c9ccd2}
dialog{border:1px solid var(--line);border-radius:10px;background:var(--bg);color:var(--fg);
max-width:min(34rem,calc(100vw - 2rem));padding:1rem 1.2rem}
dialog::backdrop{background:#0007}
dialog p{margin:.3rem 0}dialog h2{margin:0 0 .5rem;font-size:1.1rem}
#checkline{margin:0;padding:.25rem .8rem;color:var(--good);border-bottom:1px solid var(--line);
overflow-wrap:anywhere}#checkline.bad{color:var(--bad)}#checkline.open{color:var(--warn)}
#checkline button{min-height:0;padding:0 .5rem;margin-left:.5rem}
#pagelist .checked .id::after{content:" ✓";color:var(--good)}
#check.on{background:var(--good);border-color:var(--good);color:var(--bg)}
#wordlist .removed bdi{text-decoration:line-through;color:var(--soft)}
#wordlist .edited bdi{font-weight:600;color:var(--good)}
#boxes .removed{stroke-dasharray:3 3;stroke:var(--soft);fill:none}
#boxes .edited,#boxes .drawn{stroke:#1d7a46;stroke-width:2.5px}
.adding #sheet,.adding #boxes polygon{cursor:crosshair}
#note,#wordtext{width:100%;font:inherit;padding:.45rem .6rem;margin-top:.3rem;border-radius:6px;
border:1px solid var(--soft);background:var(--bg);color:var(--fg)}
#markproblem{color:var(--bad);min-height:1.4em;overflow-wrap:anywhere}
.buttons{display:flex;gap:.5rem;flex-wrap:wrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0}dd{margin:0}
kbd{font:12px ui-monospace,Menlo,Consolas,monospace;border:1px solid var(--line);border-radius:4px;
padding:0 .3rem;background:var(--panel)}
.noscript{padding:1rem}
@media(max-width:1000px){
main{grid-template-columns:minmax(0,1fr) minmax(13rem,18rem)}
#pages{display:none}
.pages #pages{display:flex;position:fixed;inset:0 20% 0 0;z-index:4;background:var(--bg);
box-shadow:0 0 40px #0006;max-width:22rem}
}
@media(min-width:1001px){.pages #pages{display:none}
.pages main{grid-template-columns:minmax(0,1fr) minmax(15rem,22rem)}}
@media(max-width:700px){
#bar{gap:.3rem .6rem;padding:.3rem .4rem}
.group.title{order:3;flex-basis:100%}
#facts{overflow:hidden;text-overflow:ellipsis}
#zoomed,#zoomin,#zoomout,#helpbutton{display:none}
main{grid-template-columns:minmax(0,1fr);grid-template-rows:minmax(0,56fr) minmax(0,44fr)}
#words{border-left:0;border-top:1px solid var(--line)}
#wordlist li{padding:.32rem .7rem}
#stage{padding:8px}
#boxes .c3,#boxes .c4,#boxes .cx{stroke-width:1px}
#boxes .c0,#boxes .c1,#boxes .c2{stroke-width:1.5px}
}
@media print{body{overflow:visible;display:block}#bar button,.tools label,#pages{display:none}
main{display:block}#stage,ol{overflow:visible}}
`;
