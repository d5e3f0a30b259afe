/**
 * @module soak/data: the data sets that are labelled under fire, and how their outputs are
 * compared: mostly plain pages, with twins, files that are no images, pages that the API rejects
 * and an image that is missing.
 */

import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { isDeepStrictEqual } from "node:util";
import { encodeInput, fakeImage, inputRow, readFake } from "../testing/fixtures.ts";
import { type Answer, errorAnswer } from "../doubles/ocr/upstage_answer.ts";
import type { InputRow, OutputRow } from "../../lib/dataset/row.ts";
import { answerPrefix, defaultInputKey, defaultOutputKey } from "../../lib/state/keys.ts";
import { readRows } from "../../lib/dataset/output_read.ts";
import { memorySource } from "../../lib/parquet/source.ts";

/** The data set's name. */
export const DATASET = "demo";
/** Name of the second data set over the same images. */
export const TWIN = "other";
/** Key of the input. */
export const INPUT = defaultInputKey(DATASET);
/** Key of the output. */
export const OUTPUT = defaultOutputKey(DATASET);
/** What keys of stored answers begin with. */
export const RESPONSES = answerPrefix("upstage-ocr", "ocr");
/** What keys of the run's state begin with. */
export const CHECKPOINTS = `checkpoints/${DATASET}/`;

/** Objects by key. */
export type Objects = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** A data set. */
export interface SoakData {
  /** The input's rows. */
  readonly rows: readonly InputRow[];
  /** Input and images. */
  readonly objects: Objects;
  /** SHA-256 of every image that the API can read: each is paid for once. */
  readonly needed: ReadonlySet<string>;
}

/**
 * Makes a data set; of 30 rows and more every oddity is in it, of 6 and more a twin and a missing
 * image.
 *
 * @param bucket Where the images lie; without one their paths are keys.
 */
export async function soakData(count: number, bucket?: string): Promise<SoakData> {
  const root = bucket === undefined ? "" : `s3://${bucket}/`;
  const rows = Array.from(
    { length: count },
    (_, i) => inputRow(i, { image_path: `${root}images/${i}.png` }),
  );
  const objects = new Map<string, Uint8Array<ArrayBuffer>>();
  const needed = new Set<string>();
  for (const { index } of rows) {
    const image = contentOf(index);
    if (!image) continue;
    objects.set(`images/${index}.png`, image);
    if (readSoak(image).kind === "page" && image[0] === 0x89) needed.add(sha256(image));
  }
  objects.set(INPUT, await encodeInput(rows));
  return { rows, objects, needed };
}

/**
 * The input of a second data set over the same images.
 *
 * @param reversed Whether the last come first.
 */
export async function twinInput(
  { rows }: SoakData,
  reversed: boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const ordered = reversed ? rows.toReversed() : rows;
  return await encodeInput(ordered.map((row, index) => ({ ...row, index, id: `twin-${index}` })));
}

function contentOf(index: number): Uint8Array<ArrayBuffer> | undefined {
  if (index === 3) return undefined;
  if (index % 17 === 5) return fakeImage(`page ${index - 5}`); // a twin of another batch, mostly
  if (index % 29 === 11) return new TextEncoder().encode(`GIF89a ${index}`);
  if (index === 13) return new Uint8Array();
  if (index === 19 || index === 27) return fakeImage(`rejected ${index}`);
  return fakeImage(`page ${index}`);
}

/** What the API of these data sets answers when it works. */
export function readSoak(bytes: Uint8Array): Answer & { kind: "page" | "http" } {
  const name = new TextDecoder().decode(bytes.subarray(16, 24));
  if (name === "rejected") return errorAnswer(422, "unreadable", "cannot read this page");
  return { kind: "page", page: readFake(bytes) };
}

/** SHA-256, lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The rows of a data set's output. */
export async function itemsOf(objects: Objects, dataset = DATASET): Promise<OutputRow[]> {
  const key = defaultOutputKey(dataset);
  const bytes = objects.get(key);
  if (!bytes) throw new Error(`there is no ${key}`);
  return await Array.fromAsync(readRows(memorySource(key, bytes)));
}

/** How the rows of an output differ from those of an undisturbed run. */
export interface Comparison {
  /** Rows that are missing. */
  readonly lost: number;
  /** Rows that are there more than once. */
  readonly doubled: number;
  /** Rows in another place, or with other content, or that should not be there. */
  readonly wrong: number;
}

/**
 * Compares all columns of two outputs, but for when a row was made and in how many attempts, and
 * for the words of a failure.
 */
export function compareItems(
  actual: readonly OutputRow[],
  expected: readonly OutputRow[],
): Comparison {
  const times = new Map<string, number>();
  for (const { id } of actual) times.set(id, (times.get(id) ?? 0) + 1);
  let wrong = Math.max(0, actual.length - expected.length);
  expected.forEach((item, i) => {
    if (actual[i] && !isDeepStrictEqual(comparable(actual[i]), comparable(item))) wrong++;
  });
  return {
    lost: expected.filter(({ id }) => !times.has(id)).length,
    doubled: [...times.values()].filter((n) => n > 1).length,
    wrong,
  };
}

/** A row without what may differ from run to run. */
export function comparable(item: OutputRow): unknown {
  const { attempts: _, processed_at: __, error_message, ...metadata } = item.metadata;
  return { ...item, metadata: { ...metadata, has_message: error_message !== null } };
}

/** SHA-256 of the image whose stored answer a key names; `undefined` for any other key. */
export function answeredImage(key: string): string | undefined {
  if (!key.startsWith(RESPONSES)) return undefined;
  return /^(\w\w)\/(\1\w{62})\.json\.gz$/.exec(key.slice(RESPONSES.length))?.[2];
}

/** SHA-256 of every image whose answer is stored. */
export function storedAnswers(objects: { keys(): Iterable<string> }): Set<string> {
  const stored = new Set<string>();
  for (const key of objects.keys()) {
    const image = answeredImage(key);
    if (image !== undefined) stored.add(image);
  }
  return stored;
}

/** Pages on the bills of all stored answers. */
export function storedPages(objects: Objects): number {
  let pages = 0;
  for (const [key, bytes] of objects) {
    if (answeredImage(key) === undefined) continue;
    const { body } = JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
    pages += body.numBilledPages ?? 1; // an answer that doesn't say still costs its page
  }
  return pages;
}

/** Pages on the bills of answers that were set aside, as far as they can be read. */
export function setAsidePages(objects: Objects): number {
  let pages = 0;
  for (const [key, bytes] of objects) {
    if (!key.startsWith("responses/set_aside/")) continue;
    try {
      const { body } = JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
      pages += body.numBilledPages ?? 1;
    } catch {
      // torn: nobody knows any more what it cost
    }
  }
  return pages;
}

/** Pages that a data set's ledger says were billed; 0 if there is none. */
export function ledgerPages(objects: Objects, dataset = DATASET): number {
  const bytes = objects.get(`checkpoints/${dataset}/ledger.json`);
  if (!bytes) return 0;
  const { runs } = JSON.parse(new TextDecoder().decode(bytes));
  return Object.values(runs as Record<string, { billed_pages: number }>)
    .reduce((sum, run) => sum + run.billed_pages, 0);
}

/** The upper bound of what the run has spent, as it wrote it down; 0 if it did not. */
export function reservedPages(objects: Objects, dataset = DATASET): number {
  const bytes = objects.get(`checkpoints/${dataset}/spending.json`);
  return bytes ? JSON.parse(new TextDecoder().decode(bytes)).reserved_pages : 0;
}
