/**
 * @module state/earlier_rows: the rows that earlier generations of a data set's input have left in
 * their checkpoints, and which of their images are unchanged. About 110 bytes a row, which are
 * found by hashes; the rows themselves are read when they are taken over
 * (`state/rows_in_order.ts`).
 */

import { Buffer } from "node:buffer";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { hash53, HashIndex } from "../base/hash_index.ts";
import { parseJsonAs } from "../base/json.ts";
import type { ImageVersion } from "../dataset/image_versions.ts";
import { readFooter, readKeys, readRows } from "../dataset/output_read.ts";
import type { OutputRow } from "../dataset/row.ts";
import { openSource, type RandomAccess } from "../parquet/source.ts";
import type { Store } from "../store/store.ts";
import { rowCheck, rowKey, type RowKeys } from "../dataset/row_keys.ts";
import { BATCH_WINDOW, type EarlierBatch } from "./checkpoints.ts";
import {
  CHECKPOINT_FOOTER_KEY,
  type CheckpointFooter,
  checkpointFooter,
  type Manifest,
} from "./documents.ts";
import { readImages, type RowMark } from "./image_marks.ts";

/** Batches that are looked at in parallel. */
const CONCURRENCY = 6;
/** The footer of most batches is shorter, bytes. */
const FOOTER_WINDOW = 512 << 10;
/** Bytes of a SHA-256, and of the ETag of an object that was written in one piece. */
const SHA_BYTES = 32;
const ETAG_BYTES = 16;

/** What is known of a row without reading it. */
const KIND = {
  /** There is no such row, or a later generation has it. */
  none: 0,
  /** It failed. */
  failed: 1,
  /** It was made by a version that kept nothing of its image. */
  unmarked: 2,
  /** It can be taken over if its image is unchanged. */
  marked: 3,
} as const;

/** Whether the image that a row was made of lies in the store, as far as seen. */
const SEEN = { not: 0, same: 1, other: 2 } as const;
/** ETags that are compared to find out whether they say anything. */
const ETAGS_COMPARED = 1_000;

/** The rows of earlier generations; a position names one. */
export class EarlierRows {
  /** Footers of the batches that could be read, and which of those given they are. */
  readonly footers: readonly { readonly batch: number; readonly footer: CheckpointFooter }[] = [];
  /** Batches that could not. */
  unusable = 0;
  readonly #store: Store;
  readonly #objects: readonly EarlierBatch[];
  /** Position of the first row of each batch, and of the end. */
  readonly #starts: Uint32Array;
  readonly #kinds: Uint8Array;
  readonly #keys: Float64Array;
  /** Another hash of the same: among millions two keys may be equal by chance, both never. */
  readonly #checks: Uint32Array;
  /** Hashes of image paths, of rows whose images can be compared. */
  readonly #paths: Float64Array;
  /** The next row with the same image path, from 1; 0 for none. */
  readonly #sameImage: Uint32Array;
  /** Lengths of images, and when they were written, NaN where that isn't known. */
  readonly #bytes: Float64Array;
  readonly #modified: Float64Array;
  readonly #seen: Uint8Array;
  readonly #sha256: Uint8Array;
  readonly #etags: Uint8Array;
  /** ETags of another form. */
  readonly #otherEtags = new Map<number, string>();
  /** From 1; 0 for none. */
  readonly #payers: Uint32Array;
  readonly #runs: string[] = [];
  readonly #runOf = new Map<string, number>();
  readonly #byKey: HashIndex;
  readonly #byImage: HashIndex;
  /** Of images of which nothing but an ETag is known: which content it stood for. */
  readonly #etagOf = new Map<string, string>();
  /** Whether one ETag stood for two contents: then they say nothing. */
  #vagueEtags = false;

  private constructor(store: Store, objects: readonly EarlierBatch[], longest: readonly number[]) {
    this.#starts = new Uint32Array(objects.length + 1);
    for (let batch = 0; batch < objects.length; batch++) {
      this.#starts[batch + 1] = this.#starts[batch] + longest[batch];
    }
    const most = this.#starts[objects.length];
    this.#store = store;
    this.#objects = objects;
    this.#kinds = new Uint8Array(most);
    this.#keys = new Float64Array(most).fill(NaN);
    this.#checks = new Uint32Array(most);
    this.#paths = new Float64Array(most).fill(NaN);
    this.#sameImage = new Uint32Array(most);
    this.#bytes = new Float64Array(most);
    this.#modified = new Float64Array(most).fill(NaN);
    this.#seen = new Uint8Array(most);
    this.#sha256 = new Uint8Array(SHA_BYTES * most);
    this.#etags = new Uint8Array(ETAG_BYTES * most);
    this.#payers = new Uint32Array(most);
    this.#byKey = new HashIndex(this.#keys);
    this.#byImage = new HashIndex(this.#paths);
  }

  /**
   * Reads which rows there are. A batch that is damaged, or of a run that is none of the data
   * set's, is as if it were not there.
   *
   * @param objects The batches, the latest first: of two rows with one key the first counts.
   * @param manifest The run that takes them over.
   * @throws {StoreError} if the store fails
   */
  static async read(
    store: Store,
    objects: readonly EarlierBatch[],
    { inputs = [], ...own }: Pick<Manifest, "inputs" | "batch_size" | "run_id" | "input">,
  ): Promise<EarlierRows> {
    // That of generation n is the nth; the run itself has the last one.
    const made = [...inputs, { ...own, rows: own.input.rows }];
    const longest = objects.map(({ generation }) => {
      const of: { rows: number; batch_size?: number } | undefined = made[generation - 1];
      const { rows = 0, batch_size = own.batch_size } = of ?? {};
      return Math.min(batch_size, rows); // a batch may be meant to be far longer than a data set is
    });
    const rows = new EarlierRows(store, objects, longest);
    const runs = new Set(made.map(({ run_id }) => run_id));
    const footers: { batch: number; footer: CheckpointFooter }[] = [];
    await forEachConcurrent(objects.entries(), CONCURRENCY, async ([batch, info]) => {
      try {
        footers.push({ batch, footer: await rows.#read(batch, info, runs) });
      } catch (error) {
        const fails = error instanceof StoreError && !GONE.has(error.kind);
        if (fails) throw error;
        rows.unusable++;
        rows.#forget(batch);
      }
    });
    Object.assign(rows, { footers: footers.sort((a, b) => a.batch - b.batch) });
    for (let at = 0; at < rows.#kinds.length; at++) {
      if (!rows.#byKey.add(at)) rows.#kinds[at] = KIND.none;
      if (rows.#kinds[at] !== KIND.marked || rows.#byImage.add(at)) continue;
      const first = rows.#byImage.find(rows.#paths[at]);
      if (first < 0) continue;
      rows.#sameImage[at] = rows.#sameImage[first];
      rows.#sameImage[first] = at + 1;
    }
    rows.#etagOf.clear();
    return rows;
  }

  async #read(
    batch: number,
    info: EarlierBatch,
    runs: ReadonlySet<string>,
  ): Promise<CheckpointFooter> {
    const source = openSource(this.#store, info, { window: FOOTER_WINDOW });
    const file = await readFooter(source);
    const parsed = parseJsonAs(checkpointFooter, file.keyValues[CHECKPOINT_FOOTER_KEY] ?? "");
    if (parsed.problem !== undefined) throw new Error(parsed.problem);
    if (!runs.has(parsed.value.run_id)) throw new Error("it is of another run");
    let at = this.#starts[batch];
    if (file.rows > this.#starts[batch + 1] - at) throw new Error("it has more rows than a batch");
    const { marks, keys } = readImages(file.keyValues) ?? {};
    if (marks && marks.length !== file.rows) throw new Error("not every row has its mark");
    let row = 0;
    for await (const { key, check, path } of keys ? keysOf(keys, file.rows) : readRowKeys(source)) {
      this.#keys[at] = key;
      this.#checks[at] = check;
      const mark = marks?.[row++];
      this.#kinds[at] = mark ? KIND.marked : marks ? KIND.failed : KIND.unmarked;
      if (mark) this.#keep(at, path, mark);
      at++;
    }
    return parsed.value;
  }

  #keep(at: number, path: number, { etag, modified, bytes, sha256, payer }: RowMark): void {
    if (etag !== null || modified !== null) this.#paths[at] = path;
    this.#bytes[at] = bytes;
    this.#modified[at] = modified ?? NaN;
    if (etag !== null) {
      if (modified === null && this.#etagOf.size < ETAGS_COMPARED) {
        this.#vagueEtags ||= (this.#etagOf.get(etag) ?? sha256) !== sha256;
        this.#etagOf.set(etag, sha256);
      }
      // Of zeros it would pass for none.
      if (/^(?!0{32})[0-9a-f]{32}$/.test(etag)) {
        this.#etags.set(Buffer.from(etag, "hex"), ETAG_BYTES * at);
      } else this.#otherEtags.set(at, etag);
    }
    this.#sha256.set(Buffer.from(sha256, "hex"), SHA_BYTES * at);
    if (payer === null) return;
    const run = this.#runOf.get(payer) ?? this.#runs.push(payer);
    this.#runOf.set(payer, run);
    this.#payers[at] = run;
  }

  #forget(batch: number): void {
    const [start, end] = this.#starts.subarray(batch, batch + 2);
    this.#kinds.fill(KIND.none, start, end);
    this.#keys.fill(NaN, start, end);
    this.#paths.fill(NaN, start, end);
  }

  /** Whether ETags stood for different contents, so that they are not compared. */
  get vague(): boolean {
    return this.#vagueEtags;
  }

  /** How many rows there are. */
  get count(): number {
    return this.#kinds.reduce((sum, kind) => sum + (kind === KIND.none ? 0 : 1), 0);
  }

  /** How many positions there are. */
  get positions(): number {
    return this.#kinds.length;
  }

  /** The position of a row; -1 if there was none of that id and image. */
  find(id: string, path: string): number {
    const at = this.#byKey.find(rowKey(id, path));
    return at >= 0 && this.#checks[at] === rowCheck(id, path) ? at : -1;
  }

  /** Whether the row failed. */
  failed(at: number): boolean {
    return this.#kinds[at] === KIND.failed;
  }

  /** Whether the version of its image is known, so that it can be compared. */
  comparable(at: number): boolean {
    const known = !this.#vagueEtags || !Number.isNaN(this.#modified[at]);
    return known && !Number.isNaN(this.#paths[at]);
  }

  /**
   * Notes that this version of an image lies in the store now. It is the one that a row was made of
   * if everything is the same that is known of both: an ETag alone may not follow the content.
   */
  see(path: string, size: number, { etag, modified }: ImageVersion): void {
    let at = this.#byImage.find(hash53(path));
    while (at >= 0) {
      const was = { etag: this.#etag(at), modified: this.#modified[at] };
      const sameEtag = etag && was.etag !== null ? etag === was.etag : undefined;
      const sameTime = modified !== null && !Number.isNaN(was.modified)
        ? modified === was.modified
        : undefined;
      const same = this.#bytes[at] === size && (sameEtag ?? sameTime ?? false) &&
        (sameTime ?? true);
      const unknown = this.#bytes[at] === size && sameEtag === undefined && sameTime === undefined;
      this.#seen[at] = same ? SEEN.same : unknown ? SEEN.not : SEEN.other;
      at = this.#sameImage[at] - 1;
    }
  }

  /** Whether the image that the row was made of lies in the store, as far as seen. */
  unchanged(at: number): boolean {
    return this.comparable(at) && this.#seen[at] === SEEN.same;
  }

  /** Whether another version of it lies in the store, by all that can be seen. */
  changed(at: number): boolean {
    return this.comparable(at) && this.#seen[at] === SEEN.other;
  }

  #etag(at: number): string | null {
    const other = this.#otherEtags.get(at);
    if (other !== undefined) return other;
    const bytes = this.#etags.subarray(at * ETAG_BYTES, (at + 1) * ETAG_BYTES);
    return bytes.some((byte) => byte !== 0) ? Buffer.from(bytes).toString("hex") : null;
  }

  /** What is kept of the row's image; `undefined` where nothing is. */
  mark(at: number): Omit<RowMark, "bytes"> | undefined {
    if (this.#kinds[at] !== KIND.marked) return undefined;
    const sha256 = this.#sha256.subarray(at * SHA_BYTES, (at + 1) * SHA_BYTES);
    const modified = this.#modified[at];
    const run = this.#payers[at];
    return {
      etag: this.#etag(at),
      modified: Number.isNaN(modified) ? null : modified,
      sha256: Buffer.from(sha256).toString("hex"),
      payer: run === 0 ? null : this.#runs[run - 1],
    };
  }

  /** Which batch the row is in, by its position among those given, and where. */
  placeOf(at: number): { readonly batch: number; readonly offset: number } {
    let [low, high] = [0, this.#objects.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return { batch: low, offset: at - this.#starts[low] };
  }

  /** How many rows a batch may have. */
  sizeOf(batch: number): number {
    return this.#starts[batch + 1] - this.#starts[batch];
  }

  /** The position of a row of a batch. */
  positionOf(batch: number, offset: number): number {
    return this.#starts[batch] + offset;
  }

  /** The rows of a batch in order. @throws {Error} if it is damaged or gone */
  async *rowsOf(batch: number): AsyncGenerator<OutputRow> {
    yield* readRows(openSource(this.#store, this.#objects[batch], { window: BATCH_WINDOW }));
  }
}

/** Kinds of errors by which a store says that an object isn't there as it was. */
export const GONE: ReadonlySet<StoreError["kind"]> = new Set(["not_found", "precondition"]);

/** The hashes of rows that a footer keeps. */
function* keysOf(keys: RowKeys, rows: number): Generator<ReturnType<RowKeys["get"]>> {
  for (let row = 0; row < rows; row++) yield keys.get(row);
}

/** The same of the rows themselves, for batches of versions that did not keep them. */
async function* readRowKeys(source: RandomAccess): AsyncGenerator<ReturnType<RowKeys["get"]>> {
  for await (const row of readKeys(source)) {
    const { id, image_path: path } = row;
    yield { key: rowKey(id, path), check: rowCheck(id, path), path: hash53(path) };
  }
}
