/**
 * @module view/report_page: the report as a page: no script, nothing loaded, readable on a phone,
 * on paper and in the dark. Pure: the same report gives the same page.
 */

import { counted, dollars, grouped, unitPrice } from "../base/figures.ts";
import { oneLine } from "../base/text.ts";
import { FAILURE_CODES } from "../dataset/failure.ts";
import type { Binned, EvaluationDocument, ReportDocument, ReportPage } from "../state/documents.ts";
import { EVALUATION_STYLE, evaluationSections } from "./evaluation_page.ts";
import { BASE_STYLE, foreign, html, wholePage } from "./html.ts";
import {
  type Bar,
  barChart,
  CHART_STYLE,
  shareBar,
  short,
  type Tick,
  timeChart,
} from "./report_charts.ts";
import { LOW_CONFIDENCE } from "./report_measures.ts";

/** Characters of an id that are shown, and of what was said of a failure. */
const SHOWN_ID = 48;
const SHOWN_MESSAGE = 180;

/** The page. @param evaluation Of the same run's labels, where a truth was looked at. */
export function reportPage(report: ReportDocument, evaluation?: EvaluationDocument): string {
  const body = [
    header(report),
    tiles(report),
    outcomes(report),
    doubtful(report),
    ...evaluation ? [evaluationSections(evaluation)] : [],
    charts(report),
    time(report),
    tables(report),
    about(report),
  ].join("\n");
  return wholePage({
    title: `${report.dataset}: report`,
    style: BASE_STYLE + CHART_STYLE + STYLE + (evaluation ? EVALUATION_STYLE : ""),
    body: `<main>\n${body}\n</main>`,
  });
}

function header({ dataset, complete, rows, run, made_at, input, output }: ReportDocument): string {
  const state = complete
    ? `Complete: ${counted(rows.done, "row")}`
    : `<span class="warn">Unfinished: ${grouped(rows.done)} of ${grouped(rows.total)} rows</span>`;
  const facts: [string, string][] = [
    ["Engine", `${foreign(run.engine)}, model ${foreign(run.model)}`],
    [
      "Run",
      `begun ${day(run.created_at)}${run.finished_at ? `, finished ${day(run.finished_at)}` : ""}${
        run.batch_job_id ? `, Batch job ${foreign(run.batch_job_id)}` : ""
      }`,
    ],
    ["Input", foreign(input)],
    [complete ? "Output" : "Output to be", foreign(output)],
  ];
  return `<header><h1>${foreign(dataset)}</h1>` +
    `<p class="state">${state} · report of ${day(made_at)}</p>` +
    `<dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join("")}</dl>` +
    "</header>";
}

function tiles({ rows, cost, words, pages }: ReportDocument): string {
  const tile = (name: string, value: string, note = "", kind = "") =>
    `<li class="${kind}"><span>${name}</span><b>${value}</b><small>${note}</small></li>`;
  const reused = cost.answers_reused > 0
    ? `${grouped(cost.answers_reused)} answers reused`
    : "no answer reused";
  return `<ul class="tiles">` + [
    tile("labelled", share(rows.ok, rows.done), `${grouped(rows.ok)} pages with words`),
    tile("empty", grouped(rows.empty), "pages without words"),
    tile(
      "failed",
      grouped(rows.failed),
      share(rows.failed, rows.done),
      rows.failed > 0 ? "bad" : "",
    ),
    tile("words", short(words.total), `${grouped(pages.usual.words ?? 0)} on a page (median)`),
    tile(
      "words in doubt",
      share(words.low_confidence, words.total),
      `confidence below ${LOW_CONFIDENCE}`,
    ),
    tile("paid", dollars(cost.dollars), `${grouped(cost.pages_billed)} pages; ${reused}`),
  ].join("") + "</ul>";
}

function outcomes({ rows, failures, dataset }: ReportDocument): string {
  const line = (name: string, n: number, kind: "good" | "warn" | "bad", meaning: string) =>
    `<tr><th scope="row">${name}</th><td class="n">${grouped(n)}</td>` +
    `<td class="bar-cell">${shareBar(rows.done > 0 ? n / rows.done : 0, kind)}</td>` +
    `<td>${meaning}</td></tr>`;
  const why = failures.map(({ code, count, examples }) => {
    const meaning = Object.hasOwn(FAILURE_CODES, code)
      ? FAILURE_CODES[code as keyof typeof FAILURE_CODES]
      : "";
    const shown = examples.map(({ row, id, message }) =>
      `<li>${link(row, id)}: ${foreign(message, SHOWN_MESSAGE)}</li>`
    ).join("");
    return line(`<code>${html(code)}</code>`, count, "bad", `${html(meaning)}<ul>${shown}</ul>`);
  });
  const again = failures.length > 0
    ? `<p class="hint">Made anew, and only they: <code>run --dataset-name ${html(dataset)} ` +
      `--retry-failed</code></p>`
    : "";
  return section(
    "How rows ended",
    `<table class="outcomes"><tbody>${
      [
        line("ok", rows.ok, "good", "words were found"),
        line("empty", rows.empty, "warn", "the page was read and holds no words"),
        ...rows.failed === 0 ? [line("failed", 0, "bad", "the page was not read")] : [],
        ...why,
      ].join("")
    }</tbody></table>${again}`,
  );
}

function doubtful({ doubtful, pages, rows }: ReportDocument): string {
  const usual = pages.usual.coverage > 0
    ? ` Usually text covers ${percent(pages.usual.coverage)} of a page and ${
      percent(pages.usual.span)
    } of its height.`
    : "";
  const intro = `<p>What <i>ok</i> hides: pages on which little was read, or much is unsure, ` +
    `compared with the others.${usual}</p>`;
  if (doubtful.length === 0) {
    const none = rows.done > 0 ? "No page stands out." : "There are no pages.";
    return section("Doubtful pages", `<p>${none}</p>`);
  }
  const lines = doubtful.map((page) => [
    link(page.row, page.id),
    grouped(page.words),
    confidence(page.confidence),
    html(page.reasons.join("; ")),
  ]);
  const table = pageTable(["page", "words", "confidence", "why"], lines, [1, 2]);
  return section("Doubtful pages", intro + table);
}

function charts({ words, pages }: ReportDocument): string {
  const low = share(words.low_confidence, words.total);
  const median = pages.usual.confidence;
  const drawn = [
    barChart({
      title: "Confidence of words.",
      lesson: words.total > 0
        ? `${low} of ${short(words.total)} words are below ${LOW_CONFIDENCE}.`
        : "There are no words.",
      bars: shareBars(words.confidence, "words"),
      ticks: SHARE_TICKS,
      along: "the API's confidence in a word",
    }),
    barChart({
      title: "Confidence of pages.",
      lesson: median === null ? "No page was read." : `Median ${median.toFixed(2)}.`,
      bars: shareBars(pages.confidence, "pages"),
      ticks: SHARE_TICKS,
      along: "the API's confidence in a page",
    }),
    barChart({
      title: "Words on a page.",
      lesson: pages.usual.words === null
        ? "No page has words."
        : `Median ${grouped(pages.usual.words)}.`,
      ...rangeBars(pages.words, "pages"),
      along: "words on a page",
    }),
    barChart({
      title: "Height of text.",
      lesson: small(words.height),
      ...rangeBars(words.height, "words"),
      along: "height of a word's box, pixels",
    }),
    barChart({
      title: "Page covered by text.",
      lesson: `Median ${percent(pages.usual.coverage)}.`,
      bars: pages.coverage.counts.map((value, i) => ({
        value,
        title: `${2 * i} to ${2 * i + 2} %: ${grouped(value)} pages`,
      })),
      ticks: SHARE_TICKS.map(({ at }) => ({ at, text: `${at * 100} %` })),
      along: "share of the page that lies in boxes",
    }),
    barChart({
      title: "Requests for a page.",
      lesson: tries(pages.attempts),
      ...attemptBars(pages.attempts),
      along: "requests until there was an answer or a failure; 429s don't count",
    }),
  ];
  return section("Words and pages", `<div class="charts">${drawn.join("")}</div>`);
}

function time({ time, rows }: ReportDocument): string {
  const drawn = [answersChart(time), requestsChart(time)].filter(Boolean);
  const before = time.before > 0
    ? `<p>${grouped(time.before)} answers were there before the run began.</p>`
    : "";
  if (drawn.length === 0 && rows.done === 0) return "";
  return section(
    "Over time",
    drawn.join("") || "<p>No answer came since the run began.</p>",
    before,
  );
}

function answersChart({ from, bucket_s: step, answered, documented_rate: limit }: Time): string {
  const total = answered.reduce((sum, n) => sum + n, 0);
  if (total === 0) return "";
  return timeChart({
    title: "Answers a second.",
    lesson: `${grouped(total)} answers in ${span(answered.length * step)}.`,
    values: answered.map((n) => n / step),
    limit: limit === null ? undefined : { value: limit, text: `documented limit ${limit}/s` },
    ticks: timeTicks(answered.length * step),
    along: `time since ${day(from)}, each step ${span(step)}`,
  });
}

function requestsChart({ process }: Time): string {
  if (process === null) return "";
  const { from, bucket_s: step, requests, throttled, rate } = process;
  const refused = throttled.reduce((sum, n) => sum + n * step, 0);
  const limits = rate.filter((value) => value !== null);
  const last = limits.at(-1);
  return timeChart({
    title: "Requests a second.",
    lesson: refused >= 0.5
      ? `Of the process that came last, ${grouped(Math.round(refused))} were answered 429 (red).`
      : "Of the process that came last, none was answered 429.",
    values: requests,
    refused: throttled,
    limit: last === undefined ? undefined : {
      value: last,
      text: `allowed in the end ${Number(last.toFixed(2))}/s`,
    },
    ticks: timeTicks(requests.length * step),
    along: `time since ${day(from)}, each step ${span(step)}`,
  });
}

type Time = ReportDocument["time"];

function timeTicks(seconds: number): Tick[] {
  return [0, 0.25, 0.5, 0.75, 1].map((at) => ({
    at,
    text: span(seconds * at),
    minor: at === 0.25 || at === 0.75,
  }));
}

function tables({ least_confident, most_tried, slowest }: ReportDocument): string {
  const parts: string[] = [];
  const lines = (pages: readonly ReportPage[]) =>
    pages.map((page) => [
      link(page.row, page.id),
      grouped(page.words),
      confidence(page.confidence),
      grouped(page.attempts),
    ]);
  const columns = ["page", "words", "confidence", "requests"];
  if (least_confident.length > 0) {
    parts.push(section(
      "Least confident pages",
      pageTable(columns, lines(least_confident), [1, 2, 3]),
    ));
  }
  if (slowest.length > 0) {
    parts.push(section(
      "Slowest pages",
      pageTable(
        ["page", "seconds", "words", "requests"],
        slowest.map((page) => [
          link(page.row, page.id),
          page.seconds.toFixed(1),
          grouped(page.words),
          grouped(page.attempts),
        ]),
        [1, 2, 3],
      ),
    ));
  }
  if (most_tried.length > 0) {
    parts.push(section(
      "Pages that took most requests",
      pageTable(columns, lines(most_tried), [1, 2, 3]),
    ));
  }
  return parts.join("\n");
}

function about({ dataset, cost, words, rows, pages, made_by }: ReportDocument): string {
  const atOwnPrice = cost.pages_billed * cost.price_per_page;
  const besides = Math.abs(cost.dollars - atOwnPrice) > 1e-6
    ? "; those of other engines at their listed prices"
    : "";
  const notes = [
    `Names of pages lead into the gallery: into <code>gallery.html</code> beside this file, as ` +
    `<code>gallery --dataset-name ${html(dataset)} --out store</code> writes it, or, where ` +
    `<code>gallery --dataset-name ${html(dataset)}</code> shows this report, to any page.`,
    `Paid is what the stored answers say was billed, ${grouped(cost.pages_billed)} pages, at ` +
    `${unitPrice(cost.price_per_page)} a page (<code>--price-per-page</code>)${besides}.`,
  ];
  if (cost.failed_attempts > 0) {
    notes.push(
      `${
        grouped(cost.failed_attempts)
      } requests were for pages that failed for good; what an API ` +
        "bills for those, no answer tells.",
    );
  }
  if (words.unknown > 0) {
    notes.push(`${grouped(words.unknown)} words have a character that the API could not name.`);
  }
  if (words.outside_page > 0) {
    notes.push(`${grouped(words.outside_page)} words have a box that leaves the page.`);
  }
  if (rows.size_mismatches > 0) {
    notes.push(
      `In ${
        grouped(rows.size_mismatches)
      } rows the input's width and height differ from what the ` +
        "API saw; boxes are in pixels of <code>api_width × api_height</code>.",
    );
  }
  const unknown = pages.frames?.unknown ?? 0;
  if (unknown > 0) {
    notes.push(
      `${
        grouped(unknown)
      } pages are of pictures that EXIF turns, and their rows don't tell how the ` +
        "engine has read them (<code>metadata.frame</code> is <code>unknown</code>). " +
        "<code>export</code> and <code>evaluate</code> leave them out: half turns, mirrored and " +
        "square ones until <code>probe-frame</code> has found it out, quarter turns for good, as " +
        "the engine tells no size: <code>prepare --convert</code> makes upright pictures.",
    );
  }
  return `<footer><ul>${notes.map((note) => `<li>${note}</li>`).join("")}</ul>` +
    `<p>${html(made_by)}</p></footer>`;
}

function section(title: string, ...inner: string[]): string {
  return `<section><h2>${title}</h2>${inner.join("")}</section>`;
}

/** @param numeric Columns of numbers. */
function pageTable(
  columns: readonly string[],
  lines: readonly (readonly string[])[],
  numeric: readonly number[],
): string {
  const kind = (i: number) => numeric.includes(i) ? ' class="n"' : "";
  const name = (i: number) => numeric.includes(i) ? ` data-name="${columns[i]}"` : "";
  const head = columns.map((name, i) => `<th scope="col"${kind(i)}>${name}</th>`).join("");
  const rows = lines.map((cells) =>
    `<tr>${cells.map((cell, i) => `<td${kind(i)}${name(i)}>${cell}</td>`).join("")}</tr>`
  );
  return `<div class="wide"><table class="pages"><thead><tr>${head}</tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table></div>`;
}

function link(row: number, id: string): string {
  return `<a href="gallery.html#row=${row}" title="row ${row}: ${html(oneLine(id))}">` +
    `${foreign(id, SHOWN_ID)}</a>`;
}

const SHARE_TICKS: readonly Tick[] = [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: `${at}` }));

function shareBars({ edges, counts }: Binned, what: string): Bar[] {
  return counts.map((value, i) => ({
    value,
    warn: edges[i]! < LOW_CONFIDENCE - 1e-9,
    title: `${edges[i]!.toFixed(2)} to ${edges[i + 1]!.toFixed(2)}: ${grouped(value)} ${what}`,
  }));
}

/** Bars of ranges that differ in width, each with its least value below it. */
function rangeBars({ edges, counts }: Binned, what: string): { bars: Bar[]; ticks: Tick[] } {
  const name = (i: number) => edges[i + 1] === null ? `${edges[i]}+` : `${edges[i]}`;
  return {
    bars: counts.map((value, i) => ({
      value,
      title: `${edges[i]}${edges[i + 1] === null ? " or more" : ` to ${edges[i + 1]}`}: ` +
        `${grouped(value)} ${what}`,
    })),
    ticks: counts.map((_, i) => ({
      at: (i + 0.5) / counts.length,
      text: name(i),
      minor: i % 2 === 1,
    })),
  };
}

function attemptBars(attempts: Readonly<Record<string, number>>): { bars: Bar[]; ticks: Tick[] } {
  const most = Math.min(10, Math.max(4, ...Object.keys(attempts).map(Number)));
  const counts = Array.from({ length: most }, () => 0);
  for (const [n, pages] of Object.entries(attempts)) {
    counts[Math.min(most, Math.max(1, Number(n))) - 1] += pages;
  }
  const name = (i: number) => i + 1 === most && most === 10 ? "10+" : `${i + 1}`;
  return {
    bars: counts.map((value, i) => ({
      value,
      warn: i > 0,
      title: `${name(i)}: ${grouped(value)} pages`,
    })),
    ticks: counts.map((_, i) => ({ at: (i + 0.5) / most, text: name(i) })),
  };
}

function tries(attempts: Readonly<Record<string, number>>): string {
  const total = Object.values(attempts).reduce((sum, n) => sum + n, 0);
  const first = attempts["1"] ?? 0;
  if (total === 0) return "No page was asked for.";
  if (first === total) return "Every page was answered at once.";
  return `${share(first, total)} of the pages took one.`;
}

/** How much of the text is too small to train on, by a usual bound. */
function small({ edges, counts }: Binned): string {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return "There are no words.";
  const below = counts.reduce((sum, n, i) => edges[i]! < 8 ? sum + n : sum, 0);
  return `${share(below, total)} of the words are below 8 pixels.`;
}

function confidence(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

/** A share of a whole; never 0 % or 100 % where it is not. */
function share(part: number, whole: number): string {
  return whole > 0 ? percent(part / whole) : "–";
}

function percent(value: number): string {
  if (value <= 0) return "0 %";
  if (value < 0.001) return "under 0.1 %";
  if (value >= 1) return "100 %";
  if (value > 0.999) return "over 99.9 %";
  const text = (value * 100).toFixed(value < 0.1 || value > 0.9 ? 1 : 0);
  return `${text.replace(/\.0$/, "")} %`;
}

/** `26 Nov 2026, 17:42 UTC` */
function day(timestamp: string): string {
  const at = new Date(timestamp);
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  return `${at.getUTCDate()} ${months[at.getUTCMonth()]} ${at.getUTCFullYear()}, ` +
    `${at.toISOString().slice(11, 16)} UTC`;
}

/** `0`, `45 s`, `3 min`, `2 h 30 min`, `4 d 2 h`. */
function span(seconds: number): string {
  if (seconds < 1) return seconds === 0 ? "0" : `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

const STYLE = `
main{max-width:78rem;margin:0 auto;padding:1.2rem 1rem 3rem}
section>figure+figure{margin-top:1.6rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
p{margin:.3rem 0 .8rem;max-width:46rem}
.state{color:var(--soft)}.warn{color:var(--warn)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.8rem 0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;min-width:0}
.tiles{list-style:none;margin:1.2rem 0 0;padding:0;display:grid;gap:.6rem;
grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr))}
.tiles li{background:var(--panel);border:1px solid var(--line);border-radius:8px;
padding:.6rem .8rem;min-width:0;break-inside:avoid}
.tiles span,.tiles small{display:block;color:var(--soft);font-size:13px}
.tiles b{display:block;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles .bad b{color:var(--bad)}
.charts{display:grid;gap:1.8rem 2rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr))}
table{border-collapse:collapse;width:100%;font-size:14px}
td,th{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top;overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:500;font-size:13px}
tr{break-inside:avoid}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
td.n,th.n{padding-right:1.2rem}
.outcomes th{font-weight:600;white-space:nowrap}
.outcomes .bar-cell{width:26%;padding-top:.65rem}
.outcomes ul{margin:.2rem 0 0;padding-left:1.1rem;color:var(--soft);font-size:13px}
.pages td:first-child{min-width:8rem}.pages .n{width:8rem}
.wide{overflow-x:auto}
code{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.hint,footer{color:var(--soft);font-size:13px}
footer{margin-top:2.4rem;border-top:1px solid var(--line);padding-top:.6rem}
footer ul{padding-left:1.1rem;margin:.3rem 0}footer li{max-width:46rem}
@media(max-width:600px){
.outcomes tr{display:grid;grid-template-columns:1fr max-content;gap:0 .8rem;padding:.35rem 0;
border-bottom:1px solid var(--line)}
.outcomes td,.outcomes th{border:0;padding:.1rem 0;display:block}
.outcomes .n{padding:0}.outcomes .bar-cell{grid-column:1/-1;width:auto;padding:.2rem 0}
.outcomes td:last-child{grid-column:1/-1}
.pages thead{display:none}
.pages tr{display:block;padding:.35rem 0;border-bottom:1px solid var(--line)}
.pages td{border:0;padding:0;display:block}
.pages td.n{display:inline-block;width:auto;padding-right:.9rem;color:var(--soft);font-size:13px}
.pages td.n::after{content:" " attr(data-name)}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.3rem}
figcaption{min-height:0}
}
@media print{body{font-size:11pt}main{max-width:none;padding:0}a{color:inherit;text-decoration:none}
h2{break-after:avoid}}
`;
