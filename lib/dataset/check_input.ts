/**
 * @module dataset/check_input: finds whatever is wrong with the input before anything is paid.
 */

import { RunError } from "../base/errors.ts";
import { hash53 } from "../base/hash_index.ts";
import { escaped, isSigned, quoted } from "../base/text.ts";
import type { RowRange } from "../parquet/rows.ts";
import { findBegun } from "../parquet/source.ts";
import type { Store, StoredObject } from "../store/store.ts";
import { IMAGE_PATH_FORMS, type ImageSource, locateImage, pathAdvice } from "./image_location.ts";
import type { Input } from "./input.ts";
import { rowKey } from "./row_keys.ts";
import { RowSample, sampleHashes } from "./row_sample.ts";

/** Objects of a folder that are counted at most, for a message. */
const COUNTED = 1_000;
/** Rows whose ids are handed on together, and so many characters at most: ids may be long. */
const ROWS_AT_ONCE = 1_024;
const CHARACTERS_AT_ONCE = 1 << 20;

/** Finds the input object and its beginning. @throws {RunError} `input` if there is none */
export async function findInput(
  store: Store,
  key: string,
  signal?: AbortSignal,
): Promise<StoredObject> {
  const found = await findBegun(store, key, { signal });
  if (found) return found;
  // Spark writes a folder of that very name, others one without the ending.
  const name = (key: string) => escaped(`${store.url}/${key}`, 1_100);
  for (const folder of new Set([`${key}/`, `${key.replace(/\.parquet$/, "")}/`])) {
    const parts = await count(store, folder);
    if (parts === 0) continue;
    throw new RunError(
      "input",
      `input object ${name(key)} does not exist, but the folder ${name(folder)} holds ` +
        `${parts < COUNTED ? parts : `${COUNTED} or more`} objects.\nThe input is one Parquet ` +
        "object: join the parts, for example with DuckDB " +
        `(COPY (FROM '${name(folder)}*.parquet') TO '….parquet'), and name it with ` +
        "--input-s3-key",
    );
  }
  throw new RunError(
    "input",
    `input object ${name(key)} does not exist; upload it, or name another with ` +
      "--input-s3-key",
  );
}

/** Objects below a prefix, up to {@linkcode COUNTED}. */
async function count(store: Store, prefix: string): Promise<number> {
  let objects = 0;
  for await (const _ of store.list(prefix)) if (++objects === COUNTED) break;
  return objects;
}

/** What is learnt of rows that are checked. */
export interface CheckedRows {
  /** Hashes of some rows, see `dataset/row_sample.ts`. */
  readonly sample: readonly number[];
  /** How many of an earlier input's sample are among them; `undefined` without one. */
  readonly shared: number | undefined;
}

/**
 * Checks every row: its image can be located, its id is its own. All columns that will be used are
 * read, so that whatever is wrong with a value is found by the reader on the way, and not when
 * pages have been paid for.
 *
 * @param url Names the input in messages.
 * @param sampled Of an earlier input, see `dataset/row_sample.ts`, to be looked for.
 * @throws {RunError} `input` naming the row
 */
export async function checkRows(
  input: Input,
  url: string,
  images: ImageSource,
  stop: AbortSignal,
  sampled?: string,
): Promise<CheckedRows> {
  const sample = new RowSample();
  const earlier = sampled === undefined ? undefined : sampleHashes(sampled);
  const wanted = new Set(earlier);
  async function* readAll() {
    let rows: IdRow[] = [];
    let characters = 0;
    const all: RowRange[] = [[0, input.rows]];
    for await (const { index, id, image_path } of input.read(all, { checking: true })) {
      stop.throwIfAborted();
      if (isSigned(image_path)) { // which would stand in the output
        throw new RunError(
          "input",
          `${url}, row ${index} (${
            escaped(id)
          }): image_path has the signature of a presigned URL: ` +
            `it is ${quoted(image_path)}; name the object itself, as s3://bucket/key`,
        );
      }
      if (!locateImage(image_path, images)) {
        throw new RunError(
          "input",
          `${url}, row ${index} (${escaped(id)}): image_path must be ${IMAGE_PATH_FORMS}: it is ${
            quoted(image_path)
          }${pathAdvice(image_path)}`,
        );
      }
      const key = rowKey(id, image_path);
      sample.add(key);
      wanted.delete(key);
      rows.push({ index, id });
      characters += id.length;
      if (rows.length < ROWS_AT_ONCE && characters < CHARACTERS_AT_ONCE) continue;
      yield rows;
      rows = [];
      characters = 0;
    }
    yield rows;
  }
  let read = false;
  const scan = () => {
    if (read) return input.scan(); // only ids are of interest any more
    read = true;
    return readAll();
  };
  const twice = await findDuplicateId(scan, input.rows);
  if (!twice) return { sample: sample.hashes, shared: earlier && earlier.length - wanted.size };
  throw new RunError(
    "input",
    `${url}: rows ${twice.first} and ${twice.second} have the same id ${
      quoted(twice.id)
    }; ids must be ` +
      "unique, as labels are joined to images by them",
  );
}

/** Where one id occurs twice. */
export interface Duplicate {
  /** The id. */
  readonly id: string;
  /** Row of its first occurrence, from 0. */
  readonly first: number;
  /** Row of its second occurrence, from 0. */
  readonly second: number;
}

/** One row as far as it matters here. */
export interface IdRow {
  /** Row, from 0. */
  readonly index: number;
  /** The id. */
  readonly id: string;
}

/**
 * Finds the first row whose id was there before. The answer is exact, however bad the hash.
 *
 * @param scan Gives all rows in order, in batches; called once, and again if two hashes are equal.
 * @param rows Number of rows that `scan` gives.
 * @param hash Maps an id to a number. @default 53 bits
 * @throws {RangeError} if `scan` gives more or fewer rows
 */
export async function findDuplicateId(
  scan: () => AsyncIterable<readonly IdRow[]>,
  rows: number,
  hash: (id: string) => number = hash53,
): Promise<Duplicate | undefined> {
  const hashes = new Float64Array(rows);
  let count = 0;
  for await (const batch of scan()) {
    for (const { id } of batch) hashes[count++] = hash(id);
  }
  if (count !== rows) throw new RangeError(`Cannot compare ids: got ${count} rows of ${rows}`);
  hashes.sort();
  const suspicious = new Set<number>();
  for (let at = 1; at < rows; at++) {
    if (hashes[at] === hashes[at - 1]) suspicious.add(hashes[at]);
  }
  if (suspicious.size === 0) return undefined;
  const met = new Map<string, number>();
  for await (const batch of scan()) {
    for (const { index, id } of batch) {
      if (!suspicious.has(hash(id))) continue;
      const first = met.get(id);
      if (first !== undefined) return { id, first, second: index };
      met.set(id, index);
    }
  }
  return undefined;
}
