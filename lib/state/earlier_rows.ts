/**
 * @module state/earlier_rows: the rows that earlier generations of a data set's input have left in
 * their checkpoints, and which of their images are unchanged. About 100 bytes a row, which are
 * found by hashes; the rows themselves are read when they are taken over
 * (`state/rows_in_order.ts`).
 */

import { Buffer } from "node:buffer";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { hash53, HashIndex } from "../base/hash_index.ts";
import { parseJsonAs } from "../base/json.ts";
import { readFooter, readKeys, readRows } from "../dataset/output_read.ts";
import type { OutputRow } from "../dataset/row.ts";
import { openSource } from "../parquet/source.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import {
  CHECKPOINT_FOOTER_KEY,
  type CheckpointFooter,
  checkpointFooter,
  type Manifest,
} from "./documents.ts";
import { readMarks, type RowMark } from "./image_marks.ts";

/** Batches that are looked at in parallel. */
const CONCURRENCY = 8;
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

/** The rows of earlier generations; a position names one. */
export class EarlierRows {
  /** Rows in a batch at most. */
  readonly batchSize: number;
  /** Footers of the batches that could be read, and which of those given they are. */
  readonly footers: readonly { readonly batch: number; readonly footer: CheckpointFooter }[] = [];
  /** Batches that could not. */
  unusable = 0;
  readonly #store: Store;
  readonly #objects: readonly ObjectInfo[];
  readonly #kinds: Uint8Array;
  readonly #keys: Float64Array;
  /** Another hash of the same: among millions two keys may be equal by chance, both never. */
  readonly #checks: Uint32Array;
  readonly #images: Float64Array;
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

  private constructor(store: Store, objects: readonly ObjectInfo[], batchSize: number) {
    const most = objects.length * batchSize;
    this.#store = store;
    this.#objects = objects;
    this.batchSize = batchSize;
    this.#kinds = new Uint8Array(most);
    this.#keys = new Float64Array(most).fill(NaN);
    this.#checks = new Uint32Array(most);
    this.#images = new Float64Array(most).fill(NaN);
    this.#seen = new Uint8Array(most);
    this.#sha256 = new Uint8Array(SHA_BYTES * most);
    this.#etags = new Uint8Array(ETAG_BYTES * most);
    this.#payers = new Uint32Array(most);
    this.#byKey = new HashIndex(this.#keys);
    this.#byImage = new HashIndex(this.#images);
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
    objects: readonly ObjectInfo[],
    { inputs = [], batch_size }: Pick<Manifest, "inputs" | "batch_size">,
  ): Promise<EarlierRows> {
    // A batch may be meant to be far longer than a data set is.
    const longest = Math.min(batch_size, Math.max(0, ...inputs.map(({ rows }) => rows)));
    const rows = new EarlierRows(store, objects, longest);
    const runs = new Set(inputs.map(({ run_id }) => run_id));
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
      if (rows.#kinds[at] === KIND.marked) rows.#byImage.add(at);
    }
    return rows;
  }

  async #read(
    batch: number,
    info: ObjectInfo,
    runs: ReadonlySet<string>,
  ): Promise<CheckpointFooter> {
    const source = openSource(this.#store, info);
    const file = await readFooter(source);
    const parsed = parseJsonAs(checkpointFooter, file.keyValues[CHECKPOINT_FOOTER_KEY] ?? "");
    if (parsed.problem !== undefined) throw new Error(parsed.problem);
    if (!runs.has(parsed.value.run_id)) throw new Error("it is of another run");
    if (file.rows > this.batchSize) throw new Error("it has more rows than a batch");
    const marks = readMarks(file.keyValues);
    if (marks && marks.length !== file.rows) throw new Error("not every row has its mark");
    let at = batch * this.batchSize;
    let row = 0;
    for await (const { id, image_path } of readKeys(source)) {
      this.#keys[at] = keyOf(id, image_path);
      this.#checks[at] = checkOf(id, image_path);
      const mark = marks?.[row++];
      this.#kinds[at] = mark ? KIND.marked : marks ? KIND.failed : KIND.unmarked;
      if (mark) this.#keep(at, image_path, mark);
      at++;
    }
    return parsed.value;
  }

  #keep(at: number, path: string, { etag, bytes, sha256, payer }: RowMark): void {
    if (etag !== null) {
      this.#images[at] = versionOf(path, bytes, etag);
      if (/^[0-9a-f]{32}$/.test(etag)) {
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
    const [start, end] = [batch * this.batchSize, (batch + 1) * this.batchSize];
    this.#kinds.fill(KIND.none, start, end);
    this.#keys.fill(NaN, start, end);
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
    const at = this.#byKey.find(keyOf(id, path));
    return at >= 0 && this.#checks[at] === checkOf(id, path) ? at : -1;
  }

  /** Whether the row failed. */
  failed(at: number): boolean {
    return this.#kinds[at] === KIND.failed;
  }

  /** Whether the version of its image is known, so that it can be compared. */
  comparable(at: number): boolean {
    return !Number.isNaN(this.#images[at]);
  }

  /** Notes that this version of an image lies in the store now. */
  see(path: string, size: number, etag: string): void {
    const at = etag === "" ? -1 : this.#byImage.find(versionOf(path, size, etag));
    if (at >= 0) this.#seen[at] = 1;
  }

  /** Whether the image that the row was made of lies in the store, as far as seen. */
  unchanged(at: number): boolean {
    const first = this.#byImage.find(this.#images[at]); // of several rows with one image
    return first >= 0 && this.#seen[first] === 1;
  }

  /** What is kept of the row's image; `undefined` where nothing is. */
  mark(at: number): Omit<RowMark, "bytes"> | undefined {
    if (this.#kinds[at] !== KIND.marked) return undefined;
    const hex = (bytes: Uint8Array, length: number) =>
      Buffer.from(bytes.subarray(at * length, (at + 1) * length)).toString("hex");
    const etag = this.comparable(at)
      ? this.#otherEtags.get(at) ?? hex(this.#etags, ETAG_BYTES)
      : null;
    const run = this.#payers[at];
    return {
      etag,
      sha256: hex(this.#sha256, SHA_BYTES),
      payer: run === 0 ? null : this.#runs[run - 1],
    };
  }

  /** Which batch the row is in, by its position among those given, and where. */
  placeOf(at: number): { readonly batch: number; readonly offset: number } {
    return { batch: Math.floor(at / this.batchSize), offset: at % this.batchSize };
  }

  /** The rows of a batch in order. @throws {Error} if it is damaged or gone */
  async *rowsOf(batch: number): AsyncGenerator<OutputRow> {
    yield* readRows(openSource(this.#store, this.#objects[batch]));
  }
}

/** Kinds of errors by which a store says that an object isn't there as it was. */
export const GONE: ReadonlySet<StoreError["kind"]> = new Set(["not_found", "precondition"]);

function keyOf(id: string, path: string): number {
  return hash53(`${id}\0${path}`);
}

/** 32 bits that have nothing to do with {@linkcode keyOf} (FNV-1a, the other way round). */
function checkOf(id: string, path: string): number {
  const text = `${path}\0${id}`;
  let hash = 0x811c9dc5;
  for (let at = text.length - 1; at >= 0; at--) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

function versionOf(path: string, size: number, etag: string): number {
  return hash53(`${path}\0${size}\0${etag}`);
}
