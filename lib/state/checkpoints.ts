/**
 * @module state/checkpoints: the finished batches of a run. A batch is done when its object exists
 * and holds up to a look at its footer; nothing else says so.
 */

import { StoreError, type StoreErrorKind } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import {
  CHECKPOINT_FOOTER_KEY,
  type CheckpointFooter,
  checkpointFooter,
  IMAGES_FOOTER_KEY,
  type Manifest,
  type RowCounts,
  type Spent,
} from "./documents.ts";
import { parseJsonAs } from "../base/json.ts";
import { type BatchImages, encodeImages, readImages } from "./image_marks.ts";
import type { CheckpointKeys } from "./keys.ts";
import { readFooter, readRows } from "../dataset/output_read.ts";
import { findBegun, openSource, type RandomAccess, WINDOW } from "../parquet/source.ts";
import type { RowEncoder } from "../dataset/output_write.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { infoOf, type ObjectInfo, type Store } from "../store/store.ts";

/** Footers that are looked at in parallel when a run is taken up. */
const SURVEY_CONCURRENCY = 16;
/** The footer of most batches is shorter, bytes. */
const PEEK_BYTES = 32 * 1024;
/** Batches that are looked at together, where that is not urgent. */
const LOOKED_AT_ONCE = 64;
/** What a request for rows of a batch fetches at least, bytes: they are read from end to end. */
export const BATCH_WINDOW = 2 << 20;
/** An object that was listed just now is another, or gone. */
const CHANGED: readonly StoreErrorKind[] = ["not_found", "precondition"];

/** A batch object of another input of the data set. */
export interface EarlierBatch extends ObjectInfo {
  /** Which batch. */
  readonly index: number;
  /** Of which input. */
  readonly generation: number;
}

/** A batch object that can't be used, and why. */
export interface Damaged {
  /** Its URL. */
  readonly url: string;
  /** In words. */
  readonly problem: string;
  /** Where a copy of it was put. */
  readonly movedTo: string;
}

const CONTENT = { contentType: "application/vnd.apache.parquet" };

/** A batch object on its way to the store; it appears whole with its last byte, or never. */
export class CheckpointUpload {
  readonly #pieces = new TransformStream<Uint8Array<ArrayBuffer>>();
  readonly #writer = this.#pieces.writable.getWriter();
  readonly #written: Promise<unknown>;

  /** Begins. @param write Writes an object from consecutive pieces. */
  constructor(write: (pieces: AsyncIterable<Uint8Array<ArrayBuffer>>) => Promise<unknown>) {
    this.#written = write(this.#pieces.readable);
    this.#written.catch(() => {}); // whoever writes next, or ends it, gets it
    this.#writer.closed.catch(() => {});
  }

  /**
   * Adds bytes; resolves when there is room for more.
   *
   * @throws {StoreError} what the store throws
   */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    // A store that gives up stops taking pieces; why, only its own promise says.
    await Promise.race([this.#writer.write(bytes), this.#written]).catch(async (error) => {
      await this.#written;
      throw error;
    });
  }

  /**
   * Adds the last bytes; resolves when the object is there.
   *
   * @throws {StoreError} as the store does
   */
  async end(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.write(bytes);
    await Promise.all([this.#writer.close().catch(() => {}), this.#written]);
  }

  /** Gives it up; there will be no object. Does nothing after {@linkcode end}. */
  async abort(): Promise<void> {
    await this.#writer.abort(new Error("the batch is not finished")).catch(() => {});
    await this.#written.catch(() => {});
  }
}

/** The checkpoints of one run. */
export class Checkpoints {
  readonly #store: Store;
  readonly #keys: CheckpointKeys;
  /** The run they belong to. */
  readonly manifest: Manifest;
  /** Other objects of the data set that the survey has met: the run's documents. */
  readonly others: ReadonlySet<string> = new Set();
  /** Batches of other generations of the input that the survey has met, the latest first. */
  readonly earlier: readonly EarlierBatch[] = [];
  /** The batch objects as they were last seen. */
  readonly #seen = new Map<number, ObjectInfo>();
  /** Batches that were written and not looked at yet, with their lengths in bytes. */
  readonly #unseen = new Map<number, number>();

  /** Reads nothing yet. @param manifest The run they belong to. */
  constructor(store: Store, keys: CheckpointKeys, manifest: Manifest) {
    this.#store = store;
    this.#keys = keys;
    this.manifest = manifest;
  }

  /** Which input of the data set it is, from 1. */
  get generation(): number {
    return this.manifest.generation ?? 1;
  }

  /** Number of batches, done or not. */
  get batches(): number {
    return Math.ceil(this.manifest.input.rows / this.manifest.batch_size);
  }

  /** The rows `[start, end)` of batch `index`. */
  rowsOf(index: number): readonly [start: number, end: number] {
    const start = index * this.manifest.batch_size;
    return [start, Math.min(start + this.manifest.batch_size, this.manifest.input.rows)];
  }

  /**
   * Looks at every batch object. One that is truncated, foreign or of another schema is copied
   * aside and counts as not done.
   *
   * @returns The footers of the finished batches by index.
   */
  async survey(onDamaged: (damaged: Damaged) => void): Promise<Map<number, CheckpointFooter>> {
    const done = new Map<number, CheckpointFooter>();
    const others = this.others as Set<string>;
    const earlier: EarlierBatch[] = [];
    await forEachConcurrent(
      this.#store.list(this.#keys.root),
      SURVEY_CONCURRENCY,
      async (info) => {
        const batch = this.#keys.batchOf(info.key);
        if (batch === undefined) return void others.add(info.key);
        if (batch.generation !== this.generation) return void earlier.push({ ...info, ...batch });
        const { index } = batch;
        if (index >= this.batches) return;
        try {
          done.set(index, await this.#check(index, openSource(this.#store, info)));
          this.#seen.set(index, info);
        } catch (error) {
          // A store that fails says nothing about the object.
          if (error instanceof StoreError && error.kind !== "not_found") throw error;
          const { bytes, etag } = await this.#store.read(info.key);
          const mark = etag.replace(/[^A-Za-z0-9]/g, "");
          const movedTo = this.#keys.setAside(index, mark, this.generation);
          await this.#store.write(movedTo, bytes);
          onDamaged({
            url: `${this.#store.url}/${info.key}`,
            problem: (error as Error).message,
            movedTo,
          });
        }
      },
    );
    this.#keepEarlier(earlier);
    return done;
  }

  /** Lists the batches of other generations, and nothing else. */
  async listEarlier(): Promise<void> {
    const all = await this.#listBatches(this.#keys.root);
    this.#keepEarlier(all.filter(({ generation }) => generation !== this.generation));
  }

  /** The batches of the run itself as they lie there, in order. */
  async listOwn(): Promise<EarlierBatch[]> {
    const all = await this.#listBatches(this.#keys.batches(this.generation));
    return all.sort((a, b) => a.index - b.index);
  }

  async #listBatches(prefix: string): Promise<EarlierBatch[]> {
    const batches: EarlierBatch[] = [];
    for await (const info of this.#store.list(prefix)) {
      const batch = this.#keys.batchOf(info.key);
      if (batch) batches.push({ ...info, ...batch });
    }
    return batches;
  }

  #keepEarlier(earlier: EarlierBatch[]): void {
    earlier.sort((a, b) => b.generation - a.generation || a.index - b.index);
    Object.assign(this, { earlier });
  }

  /**
   * Like {@linkcode survey}, but changes nothing: what each batch object holds, or its problem. One
   * that is no batch of this run, by its number or its name, is a problem, too.
   */
  async *inspect(): AsyncGenerator<
    & { key: string }
    & (
      | { index: number; footer: CheckpointFooter; problem?: undefined }
      | { index?: undefined; footer?: undefined; problem: string }
    )
  > {
    for await (const { key, ...info } of this.#store.list(this.#keys.root)) {
      const index = this.#keys.batchIndex(key, this.generation);
      if (index === undefined && !key.startsWith(this.#keys.batches(this.generation))) continue;
      if (index === undefined || index >= this.batches) {
        yield { key, problem: `it is none of the run's ${this.batches} batches` };
        continue;
      }
      try {
        const source = openSource(this.#store, { key, ...info });
        yield { key, index, footer: await this.#check(index, source) };
      } catch (error) {
        if (error instanceof StoreError && error.kind !== "not_found") throw error;
        yield { key, problem: (error as Error).message };
      }
    }
  }

  /**
   * The footer of one batch object, and nothing else of it: for a look at a run that goes on.
   *
   * @returns The footer; `undefined` if the object is none of this run, damaged, or gone by now.
   * @throws {StoreError} if the store fails
   */
  async peek(index: number, info: ObjectInfo): Promise<CheckpointFooter | undefined> {
    try {
      const source = openSource(this.#store, info, { window: PEEK_BYTES });
      return await this.#check(index, source, PEEK_BYTES);
    } catch (error) {
      const changed = error instanceof StoreError && CHANGED.includes(error.kind);
      if (error instanceof StoreError && !changed) throw error;
      return undefined;
    }
  }

  async #check(
    index: number,
    source: RandomAccess,
    firstRead?: number,
  ): Promise<CheckpointFooter> {
    const file = await readFooter(source, firstRead);
    if (!file.matchesSchema) throw new Error("its columns are not those of this version");
    const parsed = parseJsonAs(checkpointFooter, file.keyValues[CHECKPOINT_FOOTER_KEY] ?? "");
    if (parsed.problem !== undefined) throw new Error(`its footer is foreign: ${parsed.problem}`);
    const footer = parsed.value;
    if (footer.run_id !== this.manifest.run_id) throw new Error("it belongs to another run");
    if (footer.batch !== index) throw new Error(`it holds batch ${footer.batch}`);
    const [start, end] = this.rowsOf(index);
    if (file.rows !== end - start) {
      throw new Error(`it holds ${file.rows} rows of ${end - start}`);
    }
    if (footer.counts.rows !== file.rows) {
      throw new Error(`its footer counts ${footer.counts.rows} rows, it holds ${file.rows}`);
    }
    return footer;
  }

  /** The rows of batch `index`, which must be done, in order, a few in memory at a time. */
  async *rows(index: number): AsyncGenerator<OutputRow> {
    yield* readRows(await this.source(index));
  }

  /**
   * What batch `index`, which must be done, keeps of the images of its rows; `undefined` if an
   * earlier version has written it.
   */
  async images(index: number): Promise<BatchImages | undefined> {
    const { keyValues } = await readFooter(await this.source(index));
    return readImages(keyValues);
  }

  /** Removes the batches of other generations that the survey has met: nobody needs them more. */
  async removeEarlier(): Promise<void> {
    const earlier = this.earlier as EarlierBatch[];
    await this.#store.removeAll(earlier.splice(0).map(({ key }) => key)).catch((error) => {
      // They are in nobody's way, and the output is written.
      if (!(error instanceof StoreError && error.kind === "denied")) throw error;
    });
  }

  /** Begins to write batch `index` piece by piece: for one too long to be held whole. */
  begin(index: number): CheckpointUpload {
    return new CheckpointUpload((parts) =>
      this.#store.writeParts(this.#keys.batch(index, this.generation), parts, CONTENT)
    );
  }

  /**
   * Writes batch `index` whole, or the rest of it, and looks whether it is there: a store that
   * loses what it takes must not be paid for further. The last one is looked at when it is joined,
   * which is next; and ones that nothing was asked for many at a time, by a listing.
   *
   * @param rows All its rows in input order.
   * @param counts How many they are of each kind.
   * @param spent What they have cost.
   * @param images What is kept of them.
   * @param begun Where its first bytes went, if they were taken out of `rows`.
   * @param free Whether nothing was asked for its rows, so that it can be looked at later.
   * @param others Rows for which other engines than their own were paid, too.
   */
  async save(
    index: number,
    rows: RowEncoder,
    counts: RowCounts,
    spent: Spent,
    images: BatchImages,
    begun?: CheckpointUpload,
    free = false,
    others?: CheckpointFooter["others"],
  ): Promise<CheckpointFooter> {
    const { run_id } = this.manifest;
    const footer: CheckpointFooter = {
      run_id,
      batch: index,
      counts,
      spent,
      ...others && { others },
    };
    const bytes = await rows.finish({
      [CHECKPOINT_FOOTER_KEY]: JSON.stringify(footer),
      ...images.marks.length > 0 && { [IMAGES_FOOTER_KEY]: encodeImages(images) },
    });
    const key = this.#keys.batch(index, this.generation);
    await (begun ? begun.end(bytes) : this.#store.write(key, bytes, CONTENT));
    const isLast = !this.#seen.has(index) && this.#seen.size === this.batches - 1;
    if (free || (isLast && rows.size <= WINDOW)) {
      this.#seen.delete(index);
      this.#unseen.set(index, rows.size);
      if (this.#unseen.size >= LOOKED_AT_ONCE) await this.#lookAtUnseen();
      return footer;
    }
    const written = await this.#store.stat(key);
    this.#saw(index, written, rows.size);
    return footer;
  }

  /** @throws {StoreError} if a batch that was written is not there as it was */
  #saw(index: number, found: ObjectInfo | undefined, written: number): void {
    if (found?.size !== written) {
      throw new StoreError(
        "unavailable",
        `${this.#store.url}/${this.#keys.batch(index, this.generation)} has ${found?.size ?? 0} ` +
          `bytes after writing ${written}; run the same command again`,
      );
    }
    this.#seen.set(index, found);
  }

  /** Looks at batches of which nothing is known but that they were written. */
  async #lookAtUnseen(): Promise<void> {
    const written = new Map(this.#unseen);
    const found = new Map<number, ObjectInfo>();
    for await (const info of this.#store.list(this.#keys.batches(this.generation))) {
      const index = this.#keys.batchIndex(info.key, this.generation);
      if (index !== undefined && written.has(index)) found.set(index, info);
    }
    for (const [index, size] of written) {
      this.#saw(index, found.get(index), size);
      this.#unseen.delete(index);
    }
  }

  /** All batches in order, for joining. Every one must be done. */
  async *sources(): AsyncGenerator<RandomAccess> {
    if (this.#unseen.size > 1) await this.#lookAtUnseen();
    for (let index = 0; index < this.batches; index++) yield await this.source(index);
  }

  /**
   * Batch `index`, which must be done, as a file.
   *
   * @throws {StoreError} `not_found` if it is gone
   */
  async source(index: number): Promise<RandomAccess> {
    const key = this.#keys.batch(index, this.generation);
    const url = `${this.#store.url}/${key}`;
    const info = this.#seen.get(index);
    if (info) return openSource(this.#store, info, { window: BATCH_WINDOW });
    const found = await findBegun(this.#store, key);
    if (!found) throw new StoreError("not_found", `${url} has disappeared; run again`);
    const source = openSource(this.#store, found);
    const size = this.#unseen.get(index);
    if (size === undefined) return source;
    if (found.size !== size) {
      const message = `${url} has ${found.size} bytes after writing ${size}`;
      throw new StoreError("not_found", message);
    }
    await this.#check(index, source).catch((error) => {
      if (error instanceof StoreError) throw error;
      throw new StoreError("not_found", `${url} is not what was written: ${error.message}`);
    });
    this.#seen.set(index, infoOf(found));
    this.#unseen.delete(index);
    return source;
  }
}
