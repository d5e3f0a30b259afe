/**
 * @module soak/data: the data sets that are labelled under fire, and how their outputs are
 * compared: mostly plain pages, with twins, files that are no images, pages that the API rejects
 * and an image that is missing.
 */

import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { isDeepStrictEqual } from "node:util";
import { encodeInput, fakeImage, inputRow, readFake, sizedImage } from "../testing/fixtures.ts";
import { type Answer, errorAnswer, MODEL_VERSION } from "../doubles/ocr/upstage_answer.ts";
import type { InputRow, OutputRow } from "../../lib/dataset/row.ts";
import { answerPrefix, askedBy, defaultInputKey, defaultOutputKey } from "../../lib/state/keys.ts";
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
/** The engine of all models here but {@linkcode LATER}. */
export const ENGINE = "upstage-ocr";
/** The run's own model. */
export const OWN = "ocr";
/** The model that stands for another engine: answers, limits and books of its own. */
export const OTHER = MODEL_VERSION;
/** The model of an engine whose answers are fetched later: the run's own where that is asked. */
export const LATER = "document-parse";
/** That engine. */
export const LATER_ENGINE = "upstage-parse-async";
/** What keys of stored answers of the run's own model begin with. */
export const RESPONSES = answerPrefix(ENGINE, OWN);
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

/** The engine that has a model. */
export function engineOf(model: string): string {
  return model === LATER ? LATER_ENGINE : ENGINE;
}

/**
 * Makes a data set; of 30 rows and more every oddity is in it, of 6 and more a twin and a missing
 * image.
 *
 * @param bucket Where the images lie; without one their paths are keys.
 * @param sized Whether the headers of images say their size. @default they don't
 */
export async function soakData(count: number, bucket?: string, sized = false): Promise<SoakData> {
  const root = bucket === undefined ? "" : `s3://${bucket}/`;
  const rows = Array.from(
    { length: count },
    (_, i) => inputRow(i, { image_path: `${root}images/${i}.png` }),
  );
  const objects = new Map<string, Uint8Array<ArrayBuffer>>();
  const needed = new Set<string>();
  for (const { index } of rows) {
    const image = contentOf(index, sized ? (name) => sizedImage(name, 300, 100) : fakeImage);
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

function contentOf(
  index: number,
  image: (name: string) => Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | undefined {
  if (index === 3) return undefined;
  if (index % 17 === 5) return image(`page ${index - 5}`); // a twin of another batch, mostly
  if (index % 29 === 11) return new TextEncoder().encode(`GIF89a ${index}`);
  if (index === 13) return new Uint8Array();
  if (index === 19 || index === 27) return image(`rejected ${index}`);
  return image(`page ${index}`);
}

/** What the API of these data sets answers when it works, if only its own model is asked. */
export function readSoak(bytes: Uint8Array): Answer & { kind: "page" | "http" } {
  const names = [16, 33].map((at) => new TextDecoder().decode(bytes.subarray(at, at + 8)));
  if (names.includes("rejected")) return REJECTED;
  return { kind: "page", page: readFake(bytes) };
}

const REJECTED = errorAnswer(422, "unreadable", "cannot read this page");

/**
 * What it answers where another model is asked for what its own doesn't read. Its own one finds no
 * words on a quarter of the pages and rejects an eighth, for ever. The other one reads nearly all,
 * and never as its fellow does; of every eighth page it reads nothing either, or rejects it.
 */
export function readByTwo(bytes: Uint8Array, model: string): Answer & { kind: "page" | "http" } {
  const sha = sha256(bytes);
  const dice = parseInt(sha[9], 16);
  if (model === OWN) return dice < 2 ? REJECTED : readSoak(bytes);
  if (dice % 8 === 1) return parseInt(sha[8], 16) < 8 ? REJECTED : { kind: "page", page: BLANK };
  const page = readFake(bytes);
  const words = page.words.map((word) => ({ ...word, text: `${word.text}~` }));
  const vertices = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }];
  words.push({ text: model, confidence: 0.7, vertices });
  return { kind: "page", page: { ...page, words } };
}

const BLANK = { ...readFake(new Uint8Array(1)), words: [], text: "" };

/** An image as one model is asked for it: what is paid for once. */
export function pageOf(image: string, model: string): string {
  return `${model}/${image}`;
}

/** The SHA-256 of a page's image, and the model. */
export function partsOf(page: string): { readonly model: string; readonly image: string } {
  const [model, image] = page.split("/");
  return { model, image };
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

/** The page whose stored answer a key names; `undefined` for any other key. */
export function answeredPage(key: string): string | undefined {
  const image = /\/(\w{64})\.json\.gz$/.exec(key)?.[1];
  const by = image && askedBy(key, image);
  return by ? pageOf(image, by.model) : undefined;
}

/** Every page whose answer is stored. */
export function answeredPages(objects: { keys(): Iterable<string> }): Set<string> {
  return new Set([...objects.keys()].flatMap((key) => answeredPage(key) ?? []));
}

/** SHA-256 of every image whose answer by a model is stored. */
export function storedAnswers(
  objects: { keys(): Iterable<string> },
  model: string = OWN,
): Set<string> {
  const pages = [...answeredPages(objects)].map(partsOf).filter((page) => page.model === model);
  return new Set(pages.map(({ image }) => image));
}

/**
 * Pages on the bills of all stored answers of a model.
 *
 * @param isDamaged Tells those that are left out. @default none is
 */
export function storedPages(
  objects: Objects,
  model: string = OWN,
  isDamaged: (page: string, bytes: Uint8Array) => boolean = () => false,
): number {
  let pages = 0;
  for (const [key, bytes] of objects) {
    const page = answeredPage(key);
    if (!page || partsOf(page).model !== model || isDamaged(page, bytes)) continue;
    const { body } = JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
    pages += body.numBilledPages ?? 1; // an answer that doesn't say still costs its page
  }
  return pages;
}

/** Pages on the bills of a model's answers that were set aside, as far as they can be read. */
export function setAsidePages(objects: Objects, model: string = OWN): number {
  let pages = 0;
  for (const [key, bytes] of objects) {
    if (!key.startsWith(`responses/set_aside/${engineOf(model)}/${model}/`)) continue;
    try {
      const { body } = JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
      pages += body.numBilledPages ?? 1;
    } catch {
      // torn: nobody knows any more what it cost
    }
  }
  return pages;
}

/**
 * Pages that a data set's ledger says were billed, of all models or of one; 0 if there is none.
 */
export function ledgerPages(objects: Objects, dataset = DATASET, model?: string): number {
  const bytes = objects.get(`checkpoints/${dataset}/ledger.json`);
  if (!bytes) return 0;
  type Run = { billed_pages: number; others?: Record<string, { billed_pages: number }> };
  const { runs } = JSON.parse(new TextDecoder().decode(bytes));
  let pages = 0;
  for (const { billed_pages, others = {} } of Object.values(runs as Record<string, Run>)) {
    if (model === undefined) pages += billed_pages;
    else if (model === OTHER) pages += others[`${ENGINE}/${model}`]?.billed_pages ?? 0;
    else {
      const besides = Object.values(others).reduce((sum, other) => sum + other.billed_pages, 0);
      pages += billed_pages - besides;
    }
  }
  return pages;
}

/** The upper bound of what the run has spent, as it wrote it down; 0 if it did not. */
export function reservedPages(objects: Objects, dataset = DATASET): number {
  const bytes = objects.get(`checkpoints/${dataset}/spending.json`);
  return bytes ? JSON.parse(new TextDecoder().decode(bytes)).reserved_pages : 0;
}
