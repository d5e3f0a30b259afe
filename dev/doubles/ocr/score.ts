/**
 * @module doubles/ocr/score: how many words of a ground truth were read, as one number to keep an
 * eye on.
 *
 * A word counts only if its text is right and its box lies where the word is. As a program it
 * prints the recall of `dev/doubles/ocr/reader.ts` on the sample and on a folder of receipts.
 */

import { basename, join } from "node:path";
import type { ReadWord } from "../../testing/read_page.ts";

/** A word of the truth. */
export interface TruthWord {
  /** The word, without white space. */
  readonly text: string;
  /** Four points `[x, y]` in pixels, clockwise from the text's top left. */
  readonly polygon: readonly (readonly number[])[];
}

/** A page of the truth. */
export interface TruthPage {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** Its words. */
  readonly words: readonly TruthWord[];
}

/** Pages by image id: the content of `testdata/sample_10.truth.json`. */
export type Truth = Record<string, TruthPage>;

/** A line of text and where it stands, for a truth that knows no words. */
export interface TruthLine {
  /** The line; its words are separated by white space. */
  readonly text: string;
  /** Four points `[x, y]` in pixels. */
  readonly polygon: readonly (readonly number[])[];
}

/** Words of the truth: all, and those that were read. */
export interface Score {
  /** Words that were read, in the right place. */
  readonly found: number;
  /** Words of the truth. */
  readonly total: number;
}

/** Words count as in the same place from this overlap on (intersection over union). */
const MIN_IOU = 0.3;

/** How far beyond a line's box, in parts of its height, the centre of a word may lie. */
const LINE_GROWTH = 0.5;

type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** A word as it is compared: composed (NFC), without punctuation at its ends; case counts. */
export function normalise(text: string): string {
  const composed = text.normalize("NFC").trim();
  // A word of nothing but punctuation stays as it is.
  return composed.replace(/^\p{P}+|\p{P}+$/gu, "") || composed;
}

/**
 * Scores words against words. A word of the truth is found if a word not yet used has the same
 * text after {@linkcode normalise} and its upright box overlaps by an IoU of at least 0.3.
 */
export function scoreWords(truth: readonly TruthWord[], words: readonly ReadWord[]): Score {
  return score(
    truth.map((word) => ({ text: normalise(word.text), box: boxOf(word.polygon) })),
    words.map((word) => ({ text: normalise(word.text), box: boxOfWord(word) })),
    (a, b) => iou(a, b) >= MIN_IOU,
  );
}

/**
 * Scores words against lines. A word of a line is found if a word not yet used has the same text
 * but for case (after {@linkcode normalise}) and its centre lies in the line's upright box, grown
 * by half its height.
 */
export function scoreLines(truth: readonly TruthLine[], words: readonly ReadWord[]): Score {
  return score(
    truth.flatMap((line) =>
      line.text.split(/\s+/).filter(Boolean).map((text) => ({
        text: normalise(text).toLowerCase(),
        box: boxOf(line.polygon),
      }))
    ),
    words.map((word) => ({ text: normalise(word.text).toLowerCase(), box: boxOfWord(word) })),
    ([x0, y0, x1, y1], [a0, b0, a1, b1]) => {
      const growth = (y1 - y0) * LINE_GROWTH;
      const [x, y] = [(a0 + a1) / 2, (b0 + b1) / 2];
      return x > x0 - growth && x < x1 + growth && y > y0 - growth && y < y1 + growth;
    },
  );
}

/** Reads lines as `x1,y1,…,x4,y4,text`, the text with commas of its own. */
export function parseLines(csv: string): TruthLine[] {
  return csv.split(/\r?\n/).filter((line) => line.trim() !== "").map((line) => {
    const cells = line.split(",");
    const numbers = cells.slice(0, 8).map(Number);
    if (numbers.length < 8 || numbers.some(Number.isNaN)) {
      throw new Error(`Cannot parse a line of truth, want x1,y1,…,x4,y4,text: ${line}`);
    }
    const polygon = [0, 2, 4, 6].map((i) => numbers.slice(i, i + 2));
    return { text: cells.slice(8).join(","), polygon };
  });
}

interface Placed {
  readonly text: string;
  readonly box: Box;
}

function score(
  truth: readonly Placed[],
  words: readonly Placed[],
  near: (truth: Box, word: Box) => boolean,
): Score {
  const unused = new Set(words);
  let found = 0;
  for (const { text, box } of truth) {
    const hit = unused.values().find((word) => word.text === text && near(box, word.box));
    if (hit && unused.delete(hit)) found++;
  }
  return { found, total: truth.length };
}

function boxOf(points: readonly (readonly number[])[]): Box {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function boxOfWord(word: ReadWord): Box {
  return boxOf(word.vertices.map(({ x, y }) => [x, y]));
}

function iou(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = ([x0, y0, x1, y1]: Box) => (x1 - x0) * (y1 - y0);
  return width * height / (area(a) + area(b) - width * height);
}

/** Prints one line per page and one for all of them. */
function printScores(scores: readonly (readonly [name: string, score: Score])[]): void {
  const found = scores.reduce((sum, [, score]) => sum + score.found, 0);
  const total = scores.reduce((sum, [, score]) => sum + score.total, 0);
  for (const [name, score] of [...scores, ["all", { found, total }] as const]) {
    const percent = (100 * score.found / score.total).toFixed(1);
    console.log(`${name.padEnd(16)} ${score.found}/${score.total} words, ${percent} %`);
  }
}

/** Names of the images in a folder, in order. */
function imagesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name)
    .filter((name) => /\.(jpe?g|png)$/.test(name)).sort();
}

async function main(folder: string | undefined): Promise<void> {
  const { createReader } = await import("./reader.ts");
  await using reader = await createReader({ workers: navigator.hardwareConcurrency });
  const readAll = (folder: string, judge: (id: string, words: readonly ReadWord[]) => Score) =>
    Promise.all(
      imagesIn(folder).map(async (name) => {
        const page = await reader.read(await Deno.readFile(join(folder, name)));
        const id = basename(name).replace(/\.\w+$/, "");
        return [id, judge(id, page.words)] as const;
      }),
    );

  const testdata = join(import.meta.dirname!, "../testdata");
  const truth: Truth = JSON.parse(await Deno.readTextFile(join(testdata, "sample_10.truth.json")));
  const sample = join(testdata, "store/images/sample_10");
  printScores(await readAll(sample, (id, words) => scoreWords(truth[id].words, words)));
  if (folder === undefined) return;
  printScores(
    await readAll(folder, (id, words) => {
      const lines = parseLines(Deno.readTextFileSync(join(folder, `${id}.csv`)));
      return scoreLines(lines, words);
    }),
  );
}

if (import.meta.main) await main(Deno.args[0]);
