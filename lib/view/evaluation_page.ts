/**
 * @module view/evaluation_page: an evaluation as a page, and as a part of the report: figures,
 * whether confidences mean what they say, and the worst pages with their errors drawn. Pure.
 */

import { grouped } from "../base/figures.ts";
import { oneLine } from "../base/text.ts";
import type { EvaluationDocument, Ranking, Scores, TextScores } from "../state/documents.ts";
import { percent, SHOWN_COVERAGES, thresholdLine } from "./evaluation_text.ts";
import { BASE_STYLE, foreign, html, wholePage } from "./html.ts";

/** Worst pages that are drawn. */
const DRAWN = 6;
/** Errors of a page that are told in words. */
const TOLD = 12;

/** The page. */
export function evaluationPage(document: EvaluationDocument): string {
  const { dataset, made_at, made_by } = document;
  const body = `<main><header><h1>${foreign(dataset)}</h1>` +
    `<p>Labels against a truth · ${html(made_at.slice(0, 16).replace("T", " "))} UTC · ` +
    `<a href="report.html">report</a></p></header>` +
    `${evaluationSections(document)}<footer><p>${html(made_by)}</p></footer></main>`;
  return wholePage({
    title: `${dataset}: evaluation`,
    style: BASE_STYLE + PAGE_STYLE + EVALUATION_STYLE,
    body,
  });
}

/** What a report shows of an evaluation; needs {@linkcode EVALUATION_STYLE}. */
export function evaluationSections(document: EvaluationDocument): string {
  return [figures(document), confidence(document), groups(document), worst(document)].join("\n");
}

function figures({ truth, pages, overall, threshold, made_at }: EvaluationDocument): string {
  const { detection, end_to_end, recognition } = overall;
  const what = truth.granularity === "word" ? "words" : "pieces of text";
  const lines: [string, number | null, number | null, number | null, string][] = [
    ["found", detection.recall, detection.precision, detection.hmean, "IoU above 0.5, one to one"],
    [
      "found and read right",
      ...[end_to_end.recall, end_to_end.precision, end_to_end.hmean] as const,
      `1−NED ${percent(end_to_end.one_minus_ned)}, CER ${percent(end_to_end.cer)}`,
    ],
  ];
  const rows = lines.map(([name, recall, precision, hmean, note]) =>
    `<tr><th scope="row">${name}</th>${
      [recall, precision, hmean].map((each) => `<td class="n">${percent(each)}</td>`).join("")
    }<td>${html(note)}</td></tr>`
  );
  const notes = [
    `Of ${grouped(recognition.pairs)} that were found, ${
      percent(recognition.accuracy)
    } were read ` +
    `right: 1−NED ${percent(recognition.one_minus_ned)}, CER ${percent(recognition.cer)}.`,
    `${grouped(pages.compared)} pages with ${grouped(detection.truths)} ${what} of ` +
    `${foreign(oneLine(truth.url))} were compared on ${html(made_at.slice(0, 10))}, ` +
    `${truth.case === "ignore" ? "without regard to case" : "case counts"}.`,
    ...alone(pages),
    ...truth.picked_as_doubtful > 0
      ? [
        `<span class="warn">${grouped(truth.picked_as_doubtful)} of these pages were picked ` +
        "because they looked doubtful: all pages together are better than these figures.</span>",
      ]
      : [],
    ...threshold
      ? [`<b>Threshold for a word's confidence:</b> ${html(thresholdLine(threshold))}.`]
      : [],
  ];
  return `<section><h2>Against a truth</h2><div class="wide"><table><thead><tr>` +
    `<th scope="col">${html(what)}</th><th scope="col" class="n">recall</th>` +
    `<th scope="col" class="n">precision</th><th scope="col" class="n">hmean</th>` +
    `<th scope="col"></th></tr></thead><tbody>${rows.join("")}</tbody></table></div>` +
    notes.map((note) => `<p>${note}</p>`).join("") + "</section>";
}

function alone(pages: EvaluationDocument["pages"]): string[] {
  const parts = ([
    [pages.failed, "failed pages"],
    [pages.truth_only.count, "pages of the truth without labels"],
    [pages.labels_only.count, "labelled pages without a truth"],
    [pages.ambiguous.count, "pages that could be several"],
    [pages.other_shape.count, "pages whose picture has another shape"],
  ] as const).filter(([count]) => count > 0).map(([count, what]) => `${grouped(count)} ${what}`);
  return parts.length > 0 ? [`In no figure: ${parts.join(", ")}.`] : [];
}

function confidence(
  { reliability: { bins, ece, words }, ranking }: EvaluationDocument,
): string {
  if (bins.length === 0) {
    const alone = ranked(ranking);
    return alone && `<section><h2>What agreement means</h2>${alone}</section>`;
  }
  return `<section><h2>What a confidence means</h2><p>Each point is the words of one range of ` +
    `confidence (${grouped(words)} in ${bins.length} ranges of about equally many): along, their ` +
    "mean confidence; up, the share that is right, with its 95 % interval. On the line, " +
    "confidences mean what they say; below it they promise too much. They are off by " +
    `${percent(ece)} in the mean (ECE).</p>${diagram(bins)}${ranked(ranking)}</section>`;
}

function ranked(ranking: EvaluationDocument["ranking"]): string {
  if (!ranking || ranking.wrong === 0) return "";
  const { confidence, agreement, both, engines } = ranking;
  const line = (name: string, figures: Ranking) =>
    `<tr><th scope="row">${html(name)}</th>` +
    [figures.auroc, figures.average_precision].map((each) =>
      `<td class="n">${each === null ? "-" : each.toFixed(3)}</td>`
    ).join("") +
    SHOWN_COVERAGES.map((share) =>
      `<td class="n">${percent(figures.kept.find((kept) => kept.share === share)!.errors)}</td>`
    ).join("") + "</tr>";
  const rows = [
    ...confidence ? [line("confidence", confidence)] : [],
    ...agreement ? [line(`agreement of ${engines?.join(" and ")}`, agreement)] : [],
    ...both ? [line("their sum", both)] : [],
  ];
  return `<p>How well wrong words (${percent(ranking.wrong / ranking.words)} of ${
    grouped(ranking.words)
  }) are told from right ones: the chance that a wrong one is less sure (AUROC), the average ` +
    "precision of looking at the least sure first, and how many are wrong among the surest.</p>" +
    `<div class="wide"><table><thead><tr><th scope="col"></th><th scope="col" class="n">AUROC</th>` +
    `<th scope="col" class="n">average precision</th>${
      SHOWN_COVERAGES.map((share) =>
        `<th scope="col" class="n">wrong, surest ${share * 100} %</th>`
      ).join(
        "",
      )
    }</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

type Bins = EvaluationDocument["reliability"]["bins"];

/** Side of the diagram, pixels, and room for labels. */
const SIDE = 300;
const ROOM = 40;

function diagram(bins: Bins): string {
  // Engines are sure of most words: what is below the least bin would be empty room.
  const least = Math.min(...bins.map((bin) => Math.min(bin.confidence, bin.low)));
  const from = Math.max(0, Math.floor(least * 10) / 10);
  const x = (value: number) => n(ROOM + SIDE * (value - from) / (1 - from));
  const y = (value: number) => n(10 + SIDE * (1 - (value - from) / (1 - from)));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => from + part * (1 - from));
  const rules = ticks.map((at) =>
    `<line class="rule" x1="${x(from)}" x2="${x(1)}" y1="${y(at)}" y2="${y(at)}"/>` +
    `<text class="tick" x="${ROOM - 6}" y="${Number(y(at)) + 4}" text-anchor="end">${
      n(at, 3)
    }</text>` +
    `<text class="tick" x="${x(at)}" y="${SIDE + 26}" text-anchor="middle">${n(at, 3)}</text>`
  );
  const points = bins.map(({ confidence, accuracy, low, high, words, right, from, to }) =>
    `<g class="bin"><line x1="${x(confidence)}" x2="${x(confidence)}" y1="${y(low)}" ` +
    `y2="${y(high)}"/><circle cx="${x(confidence)}" cy="${y(accuracy)}" r="4"/><title>` +
    `${n(from, 3)} to ${n(to, 3)}: ${grouped(right)} of ${grouped(words)} right</title></g>`
  );
  const [width, height] = [SIDE + ROOM + 16, SIDE + 34];
  return `<svg class="diagram" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="Share of right words by confidence">` +
    `${rules.join("")}<line class="ideal" x1="${x(from)}" y1="${y(from)}" x2="${x(1)}" ` +
    `y2="${y(1)}"/>${points.join("")}</svg>`;
}

function groups({ by }: EvaluationDocument): string {
  const of = ({ detection, end_to_end, recognition }: Scores): TextScores => ({
    ...{ truths: detection.truths, recall: detection.recall, recognition },
    end_to_end_recall: end_to_end.recall,
  });
  const kinds: [string, [string, TextScores][]][] = [
    ["split", Object.entries(by.split).map(([name, scores]) => [name, of(scores)])],
    ["engine", Object.entries(by.engine).map(([name, scores]) => [name, of(scores)])],
    ["height of text, pixels", Object.entries(by.height)],
    ["script", Object.entries(by.script)],
  ];
  const tables = kinds.map(([kind, lines]) => {
    const rows = lines.filter(([, { truths }]) => truths > 0).map(([name, each]) => {
      const { truths, recall, end_to_end_recall, recognition } = each;
      const shares = [recall, end_to_end_recall, recognition.one_minus_ned];
      return `<tr><th scope="row">${foreign(oneLine(name, 60))}</th>` +
        `<td class="n">${grouped(truths)}</td>` +
        `${shares.map((share) => `<td class="n">${percent(share)}</td>`).join("")}</tr>`;
    });
    return `<div class="wide"><table><thead><tr><th scope="col">${kind}</th>` +
      ["boxes", "found", "and right", "1−NED"].map((name) =>
        `<th scope="col" class="n">${name}</th>`
      ).join("") + `</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
  });
  return `<section><h2>Where it is good</h2>${tables.join("")}</section>`;
}

function worst({ worst }: EvaluationDocument): string {
  if (worst.length === 0) return "";
  const pages = worst.map((page, i) => {
    const { row, id, truths, matched, equal, detections } = page;
    const link = `<a href="gallery.html#row=${row}" title="row ${row}: ${html(id)}">` +
      `${foreign(oneLine(id, 60))}</a>`;
    const line = `${link}: of ${grouped(truths)} ${grouped(matched)} found, ${grouped(equal)} ` +
      `right; ${grouped(detections)} detected`;
    return `<li>${line}${i < DRAWN ? errors(page) : ""}</li>`;
  });
  return `<section><h2>Worst pages</h2><p>Drawn: the boxes of errors where they lie on the page, ` +
    `<span class="key missed">missed</span>, <span class="key misread">misread</span>, ` +
    `<span class="key spurious">in no box of the truth</span>.</p>` +
    `<ol class="worst">${pages.join("")}</ol></section>`;
}

type WorstPage = EvaluationDocument["worst"][number];

function errors({ errors }: WorstPage): string {
  if (errors.length === 0) return "";
  const all = errors.flatMap(({ polygon }) => polygon);
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(1, Math.max(...xs) - left), Math.max(1, Math.max(...ys) - top)];
  const drawn = errors.map(({ kind, polygon, read, truth }) =>
    `<polygon class="${kind}" points="${
      polygon.map(([x, y]) => `${n(x - left)},${n(y - top)}`).join(" ")
    }"><title>${html(said(read, truth))}</title></polygon>`
  );
  const told = errors.slice(0, TOLD).map(({ kind, read, truth }) =>
    `<li class="${kind}">${foreign(oneLine(said(read, truth), 160))}</li>`
  );
  const rest = errors.length > TOLD ? `<li>and ${grouped(errors.length - TOLD)} more</li>` : "";
  const scale = Math.min(1, 320 / width, 420 / height);
  return `<div class="errors"><svg viewBox="-2 -2 ${n(width + 4)} ${n(height + 4)}" ` +
    `width="${n(width * scale)}" height="${n(height * scale)}" role="img" ` +
    `aria-label="Where the errors lie">${drawn.join("")}</svg><ul>${
      told.join("")
    }${rest}</ul></div>`;
}

function said(read: string | null, truth: string | null): string {
  if (read === null) return `${truth ?? "a box"} was missed`;
  return truth === null ? `${read} is in no box` : `${read} instead of ${truth}`;
}

function n(value: number, digits = 1): string {
  return String(Number(value.toFixed(digits)));
}

/** How {@linkcode evaluationSections} looks. */
export const EVALUATION_STYLE = `
.diagram{display:block;max-width:100%;height:auto}
.diagram .ideal{stroke:var(--soft);stroke-dasharray:5 4}
.diagram .rule{stroke:var(--line)}.diagram .tick{fill:var(--soft);font-size:11.5px}
.diagram .bin line{stroke:var(--accent);stroke-width:2px}.diagram circle{fill:var(--accent)}
.worst>li{margin-bottom:.8rem;overflow-wrap:anywhere}
.errors{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start;margin-top:.4rem}
.errors svg{flex:none;max-width:100%;height:auto;background:var(--panel)}
.errors ul{margin:0;padding-left:1.1rem;min-width:0;flex:1 1 14rem}
.errors polygon{fill:none;vector-effect:non-scaling-stroke;stroke-width:1.5px}
.errors polygon.missed{stroke:var(--bad)}.errors polygon.misread{stroke:var(--warn)}
.errors polygon.spurious{stroke:var(--accent)}
li.missed::marker,.key.missed{color:var(--bad)}li.misread::marker,.key.misread{color:var(--warn)}
li.spurious::marker,.key.spurious{color:var(--accent)}
`;

const PAGE_STYLE = `
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.2rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:1.8rem 0 .5rem}
p{max-width:75ch;overflow-wrap:anywhere}.warn{color:var(--warn)}
.wide{overflow-x:auto;margin-bottom:1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);font-weight:400;
vertical-align:top}
thead th{color:var(--soft);font-size:13px}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
footer{margin-top:2rem;color:var(--soft);font-size:13px}
`;
