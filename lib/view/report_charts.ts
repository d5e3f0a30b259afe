/**
 * @module view/report_charts: charts as SVG that needs no script. Nothing in them is scaled: what
 * lies along is in percent of the width, text and heights are in pixels, so labels are as readable
 * on a phone as on a wide screen. Colours come from the page's style.
 */

import { html } from "./html.ts";

/** Height of the drawing, pixels: a line of room for labels above and below. */
const TOP = 16;
const PLOT = 132;
const HEIGHT = TOP + PLOT + 22;

/** A bar. */
export interface Bar {
  /** At least 0. */
  readonly value: number;
  /** What it stands for, for whoever points at it. */
  readonly title: string;
  /** Whether it stands for something doubtful. */
  readonly warn?: boolean;
}

/** A label below the chart. */
export interface Tick {
  /** 0 at the left end, 1 at the right. */
  readonly at: number;
  /** What it says. */
  readonly text: string;
  /** Left out where there is little room. */
  readonly minor?: boolean;
}

/** A chart with its heading. */
export interface Chart {
  /** Its heading. */
  readonly title: string;
  /** What is to be learnt from it, in a sentence or two. */
  readonly lesson: string;
  /** Labels below it. */
  readonly ticks: readonly Tick[];
  /** What stands along the bottom. */
  readonly along: string;
}

/** Bars side by side, each as wide as the others. */
export function barChart(chart: Chart & { readonly bars: readonly Bar[] }): string {
  const { bars } = chart;
  const most = roundUp(Math.max(0, ...bars.map(({ value }) => value)));
  const width = 100 / bars.length;
  const drawn = bars.map(({ value, title, warn }, i) => {
    if (value === 0) return "";
    const height = Math.max(1.5, PLOT * value / most);
    return `<rect class="${warn ? "bar warn" : "bar"}" x="${pct(i * width)}" ` +
      `width="${pct(width)}" y="${px(TOP + PLOT - height)}" height="${px(height)}">` +
      `<title>${html(title)}</title></rect>`;
  });
  return figure(chart, ruled(most, drawn.join("")));
}

/** A line over time, and another as a limit; what was refused stands below as bars. */
export function timeChart(
  chart: Chart & {
    /** Equally spaced, from the left end to the right. */
    readonly values: readonly number[];
    /** Likewise, in the same unit; drawn from the bottom. */
    readonly refused?: readonly number[];
    readonly limit?: { readonly value: number; readonly text: string };
  },
): string {
  const { values, refused = [], limit } = chart;
  const most = roundUp(Math.max(limit?.value ?? 0, ...values, ...refused));
  const n = Math.max(1, values.length);
  const y = (value: number) => px(PLOT * (1 - value / most));
  // Steps, as each value stands for a span of time.
  const line = values.map((value, i) => `${i},${y(value)} ${i + 1},${y(value)}`).join(" ");
  const bars = refused.map((value, i) =>
    value > 0
      ? `<rect class="refused" x="${i}" width="1" y="${y(value)}" height="${
        px(PLOT * value / most)
      }"/>`
      : ""
  ).join("");
  const bound = limit === undefined ? "" : `<line class="limit" x1="0" x2="100%" ` +
    `y1="${px(TOP + PLOT * (1 - limit.value / most))}" y2="${
      px(TOP + PLOT * (1 - limit.value / most))
    }"/>` +
    `<text class="tick limit-text" x="100%" y="${px(TOP + PLOT * (1 - limit.value / most) - 4)}" ` +
    `text-anchor="end">${html(limit.text)}</text>`;
  const plot = `<svg x="0" y="${TOP}" width="100%" height="${PLOT}" viewBox="0 0 ${n} ${PLOT}" ` +
    `preserveAspectRatio="none" aria-hidden="true">${bars}` +
    `<polyline class="curve" points="${line}" vector-effect="non-scaling-stroke"/></svg>`;
  return figure(chart, ruled(most, plot + bound));
}

/** A share as a bar in a line of a table. @param share 0 to 1 */
export function shareBar(share: number, kind: "good" | "warn" | "bad" | "accent"): string {
  return `<svg class="share" width="100%" height="10" aria-hidden="true">` +
    `<rect class="rest" width="100%" height="10"/>` +
    (share > 0
      ? `<rect class="${kind}" width="${pct(Math.max(0.4, share * 100))}" height="10"/>`
      : "") +
    "</svg>";
}

function figure({ title, lesson, ticks, along }: Chart, inner: string): string {
  const labels = ticks.map(({ at, text, minor }) => {
    const anchor = at <= 0.001 ? "start" : at >= 0.999 ? "end" : "middle";
    return `<text class="tick${minor ? " minor" : ""}" x="${pct(at * 100)}" ` +
      `y="${HEIGHT - 6}" text-anchor="${anchor}">${html(text)}</text>`;
  });
  return `<figure><figcaption><b>${html(title)}</b> ${html(lesson)}</figcaption>` +
    `<svg class="chart" width="100%" height="${HEIGHT}" role="img" ` +
    `aria-label="${html(`${title}. ${lesson}`)}">${inner}${labels.join("")}</svg>` +
    `<p class="along">${html(along)}</p></figure>`;
}

/** A drawing over lines at nothing, half and all, with their values above them. */
function ruled(most: number, drawing: string): string {
  const at = (share: number) => TOP + PLOT * (1 - share);
  const rules = [0, 0.5, 1].map((share) =>
    `<line class="rule" x1="0" x2="100%" y1="${px(at(share))}" y2="${px(at(share))}"/>`
  );
  const labels = [0.5, 1].map((share) =>
    `<text class="tick" x="0" y="${px(at(share) - 4)}">${html(short(most * share))}</text>`
  );
  return rules.join("") + drawing + labels.join("");
}

/** The next number that looks round. @param value At least 0. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) =>
    step >= value * 0.9999
  )!;
}

/** A number for a label: `1.5M`, `20k`, `0.25`. */
export function short(value: number): string {
  if (value >= 1e6) return `${trimmed(value / 1e6)}M`;
  if (value >= 1e4) return `${trimmed(value / 1e3)}k`;
  return trimmed(value);
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(value < 1 ? 2 : 1)));
}

function pct(value: number): string {
  return `${Number(value.toFixed(3))}%`;
}

function px(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** How charts look; belongs to the style of the page that they are in. */
export const CHART_STYLE = `
figure{margin:0;min-width:0;break-inside:avoid}
figcaption{font-size:14px;min-height:2.9em}
.chart{display:block;overflow:visible;margin-top:.3rem}
.bar{fill:var(--accent);stroke:var(--bg);stroke-width:1px}
.bar.warn{fill:var(--warn)}
.bar:hover{fill-opacity:.75}
.curve{fill:none;stroke:var(--accent);stroke-width:1.6px}
.refused{fill:var(--bad);fill-opacity:.7}
.limit{stroke:var(--bad);stroke-dasharray:5 4}
.rule{stroke:var(--line)}
.tick{fill:var(--soft);font-size:11.5px;paint-order:stroke;stroke:var(--bg);stroke-width:3px}
.limit-text{fill:var(--bad)}
.along{margin:0;max-width:none;font-size:12px;color:var(--soft);text-align:center}
.share{display:block;border-radius:2px;overflow:hidden}
.share .rest{fill:var(--line)}.share .good{fill:var(--good)}.share .warn{fill:var(--warn)}
.share .bad{fill:var(--bad)}.share .accent{fill:var(--accent)}
@media(max-width:600px){.tick.minor{display:none}}
@media print{.bar,.refused,.share rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
