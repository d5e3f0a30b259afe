/**
 * @module evaluate/evaluate: how good labels are, by a truth: pairs the pages, judges each, and
 * adds up. What it asks of labels and truth are two small interfaces, so it needs no store.
 */

import type { EvaluationDocument, ThresholdFound } from "../state/documents.ts";
import { type JudgedPage, judgePage } from "./judge.ts";
import { commonPages, type LabelSource, type Repairs } from "./pages.ts";
import { pairPages } from "./pair_pages.ts";
import { RankedWords } from "./ranking.ts";
import { reliability } from "./reliability.ts";
import { nothingInCommon, type RuleWishes, settleRules } from "./rules.ts";
import { HEIGHT_RANGES, heightRange, ScoreSum, TextSum } from "./scores.ts";
import { scriptOf } from "./text.ts";
import { findThreshold, type JudgedWord, LevelSums } from "./threshold.ts";
import { ValueCounts } from "./value_counts.ts";
import { WorstPages } from "./worst_pages.ts";

/** Labels whose words can be counted, too. */
export interface CountedLabels extends LabelSource {
  /** All rows with how many words they have. */
  flatRows(): AsyncIterable<{ readonly words: { readonly count: number } }>;
}

/** What {@linkcode evaluateLabels} works with. */
export interface EvaluateOptions extends RuleWishes {
  /** What is evaluated. */
  readonly labels: CountedLabels;
  /** What they were made with, by name. */
  readonly engine: string;
  /** The engines whose agreement stands beside the labels, by name; absent where none does. */
  readonly agreed?: readonly string[];
  /** A threshold is looked for if it is given; shares 0 to 1, exclusive. */
  readonly target?: {
    readonly error: number;
    readonly confidence: number;
    /** Whether all kinds of pages are taken to be in the truth. @default not */
    readonly pagesAlike?: boolean;
  };
  /** Its reason is thrown once it aborts. */
  readonly signal: AbortSignal;
  /** Told from time to time how many pages of how many are through. */
  readonly onProgress?: (pages: number, total: number) => void;
}

/** The figures of an evaluation, without what they are of. */
export type Evaluation =
  & Pick<
    EvaluationDocument,
    "pages" | "overall" | "by" | "reliability" | "ranking" | "threshold" | "worst"
  >
  & {
    readonly labels: Pick<EvaluationDocument["labels"], "hulled" | "dropped">;
    readonly truth: EvaluationDocument["truth"];
  };

/** Splits and engines that are told apart. */
const GROUPS = 50;
const CONFIDENCES = [0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1];
/** Pages that are named of those that can't be compared. */
const EXAMPLES = 10;
/** Pages of so many times the words of the truth's largest page are of another kind. */
const LARGER = 2;
/** Pages between two reports of progress. */
const PROGRESS_PAGES = 20;

/**
 * Evaluates labels.
 *
 * @throws {RunError} `input` if no page of the truth is one of the labels, or a file can't be read
 * @throws {StoreError} when the store fails
 */
export async function evaluateLabels(options: EvaluateOptions): Promise<Evaluation> {
  const { labels, truth, target, signal, onProgress } = options;
  const pairing = await pairPages(truth.names, labels.names());
  if (pairing.pairs.length === 0) throw nothingInCommon(pairing, truth);
  const { granularity, caseRule } = await settleRules(options, pairing.pairs);
  const repairs: Repairs = {
    truth: { hulled: 0, dropped: 0 },
    labels: { hulled: 0, dropped: 0 },
  };
  const sums = new Sums(options.engine, options.agreed);
  const otherShape = { count: 0, examples: [] as string[] };
  const frameUnknown = { count: 0, examples: [] as string[] };
  let [compared, failed, ignored, largest] = [0, 0, 0, 0];
  for await (const page of commonPages(labels, truth, pairing.pairs, granularity, repairs)) {
    signal.throwIfAborted();
    if ("skipped" in page) {
      if (page.skipped === "failed") failed++;
      else note(page.skipped === "other_shape" ? otherShape : frameUnknown, page.row.imagePath);
      continue;
    }
    compared++;
    largest = Math.max(largest, page.row.texts.length);
    ignored += page.truths.filter(({ ignore }) => ignore).length;
    const judged = judgePage(page.truths, page.words, granularity, caseRule);
    sums.add(page.row, page.words, judged);
    if (compared % PROGRESS_PAGES === 0) onProgress?.(compared, pairing.pairs.length);
  }
  const unlike = target && !target.pagesAlike
    ? await shareBeyond(labels.flatRows(), LARGER * largest, signal)
    : 0;
  return {
    labels: repairs.labels,
    truth: {
      ...{ url: truth.url, format: truth.format, pages: truth.names.length },
      picked_as_doubtful: truth.pickedAsDoubtful ?? 0,
      ...{ granularity, case: caseRule, ignored, ...repairs.truth },
    },
    pages: {
      ...{ compared, failed, other_shape: otherShape, frame_unknown: frameUnknown },
      truth_only: { ...pairing.truthOnly, examples: [...pairing.truthOnly.examples] },
      labels_only: { ...pairing.labelsOnly, examples: [...pairing.labelsOnly.examples] },
      ambiguous: { ...pairing.ambiguous, examples: [...pairing.ambiguous.examples] },
    },
    overall: sums.overall.scores,
    by: sums.groups,
    reliability: reliability(sums.confidences, sums.unsure),
    ranking: sums.ranked.rankings,
    threshold: target ? lookFor(sums.levels, target, unlike) : null,
    worst: sums.worst.pages,
  };
}

function note(pages: { count: number; examples: string[] }, path: string): void {
  if (++pages.count <= EXAMPLES) pages.examples.push(path);
}

/** Share of all words that lie on pages of more words than that. */
async function shareBeyond(
  rows: ReturnType<CountedLabels["flatRows"]>,
  most: number,
  signal: AbortSignal,
): Promise<number> {
  let [all, beyond] = [0, 0];
  for await (const { words: { count } } of rows) {
    signal.throwIfAborted();
    all += count;
    if (count > most) beyond += count;
  }
  return all > 0 ? beyond / all : 0;
}

function lookFor(
  sample: LevelSums,
  { error, confidence, pagesAlike }: NonNullable<EvaluateOptions["target"]>,
  unlike: number,
): ThresholdFound {
  const found = findThreshold(sample, error, 1 - confidence, { pagesAlike, unlike });
  return { target_error: error, confidence, ...found };
}

/** Everything that is added up. */
class Sums {
  readonly overall = new ScoreSum();
  readonly worst = new WorstPages();
  /** Judged words by their confidence. */
  readonly confidences = new ValueCounts();
  /** The same by the levels of confidence that a threshold may be. */
  readonly levels = new LevelSums();
  /** Judged words by all that tells how sure they are. */
  readonly ranked: RankedWords;
  /** Judged words without a confidence. */
  unsure = 0;
  readonly #engine: string;
  readonly #split = new Map<string, ScoreSum>();
  readonly #engines = new Map<string, ScoreSum>();
  readonly #heights = new Map<string, TextSum>(HEIGHT_RANGES.map((name) => [name, new TextSum()]));
  readonly #scripts = new Map<string, TextSum>();
  readonly #confidences = CONFIDENCES.slice(1).map(() => ({ words: 0, right: 0 }));

  constructor(engine: string, agreed?: readonly string[]) {
    this.#engine = engine;
    this.ranked = new RankedWords(agreed);
  }

  add(
    row: Parameters<WorstPages["add"]>[0],
    words: readonly { readonly confidence: number | null; readonly agreement?: number }[],
    judged: JudgedPage,
  ): void {
    this.overall.add(judged);
    sumOf(this.#split, row.split ?? "none", () => new ScoreSum(), GROUPS).add(judged);
    const engine = `${this.#engine}/${row.metadata.model_version ?? "unknown"}`;
    sumOf(this.#engines, engine, () => new ScoreSum(), GROUPS).add(judged);
    for (const truth of judged.truths) {
      sumOf(this.#heights, heightRange(truth.height), () => new TextSum()).add(truth);
      if (truth.text === null) continue;
      sumOf(this.#scripts, scriptOf(truth.text), () => new TextSum()).add(truth);
    }
    const sure: JudgedWord[] = [];
    judged.wrong.forEach((wrong, i) => {
      const { confidence, agreement } = words[i];
      if (wrong === null) return;
      this.ranked.add(confidence, agreement, wrong);
      if (confidence === null) {
        this.unsure++;
        return;
      }
      sure.push({ confidence, wrong });
      this.confidences.add(confidence, wrong);
      const bucket = Math.max(1, CONFIDENCES.findIndex((edge) => confidence < edge));
      const counts = this.#confidences[confidence >= 1 ? this.#confidences.length - 1 : bucket - 1];
      counts.words++;
      if (!wrong) counts.right++;
    });
    this.levels.addPage(sure);
    this.worst.add(row, judged);
  }

  get groups(): EvaluationDocument["by"] {
    const named = this.#confidences.map(({ words, right }, i) => {
      const accuracy = words > 0 ? right / words : null;
      return [`${CONFIDENCES[i]}-${CONFIDENCES[i + 1]}`, { words, right, accuracy }] as const;
    });
    return {
      split: scoresOf(this.#split),
      engine: scoresOf(this.#engines),
      height: scoresOf(this.#heights),
      script: scoresOf(new Map([...this.#scripts].sort(([a], [b]) => a < b ? -1 : 1))),
      confidence: Object.fromEntries(named),
    };
  }
}

/** The sum of that name; beyond `most` names, that of all others. */
function sumOf<T>(sums: Map<string, T>, name: string, make: () => T, most = Infinity): T {
  const own = sums.has(name) || sums.size < most ? name.slice(0, 200) : "others";
  let sum = sums.get(own);
  if (!sum) sums.set(own, sum = make());
  return sum;
}

function scoresOf<S>(sums: ReadonlyMap<string, { readonly scores: S }>): Record<string, S> {
  return Object.fromEntries(Array.from(sums, ([name, { scores }]) => [name, scores]));
}
