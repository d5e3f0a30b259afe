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
import { encodeMarks, readMarks, type RowMark } from "./image_marks.ts";
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
/** An object that was listed just now is another, or gone. */
const CHANGED: readonly StoreErrorKind[] = ["not_found", "precondition"];

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
  readonly earlier: readonly ObjectInfo[] = [];
  /** The batch objects as they were last seen. */
  readonly #seen = new Map<number, ObjectInfo>();
  /** The batch that was written and not looked at yet, with its length in bytes. */
  #unseen: { readonly index: number; readonly size: number } | undefined;

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
    const earlier: (ObjectInfo & { index: number; generation: number })[] = [];
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
    const earlier: (ObjectInfo & { index: number; generation: number })[] = [];
    for await (const info of this.#store.list(this.#keys.root)) {
      const batch = this.#keys.batchOf(info.key);
      if (batch && batch.generation !== this.generation) earlier.push({ ...info, ...batch });
    }
    this.#keepEarlier(earlier);
  }

  #keepEarlier(earlier: (ObjectInfo & { index: number; generation: number })[]): void {
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
   * What batch `index`, which must be done, keeps of the images of its rows, in their order;
   * `undefined` if an earlier version has written it.
   */
  async marks(index: number): Promise<readonly (RowMark | null)[] | undefined> {
    const { keyValues } = await readFooter(await this.source(index));
    return readMarks(keyValues);
  }

  /** Removes the batches of other generations that the survey has met: nobody needs them more. */
  async removeEarlier(): Promise<void> {
    const earlier = this.earlier as ObjectInfo[];
    await forEachConcurrent(earlier.splice(0), SURVEY_CONCURRENCY, async ({ key }) => {
      await this.#store.remove(key).catch((error) => {
        // They are in nobody's way, and the output is written.
        if (!(error instanceof StoreError && error.kind === "denied")) throw error;
      });
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
   * which is next.
   *
   * @param rows All its rows in input order.
   * @param counts How many they are of each kind.
   * @param spent What they have cost.
   * @param marks What is kept of their images, in order; null for a failed row. None at all where
   *   nothing is known of any.
   * @param begun Where its first bytes went, if they were taken out of `rows`.
   */
  async save(
    index: number,
    rows: RowEncoder,
    counts: RowCounts,
    spent: Spent,
    marks: readonly (RowMark | null)[],
    begun?: CheckpointUpload,
  ): Promise<CheckpointFooter> {
    const { run_id } = this.manifest;
    const footer: CheckpointFooter = { run_id, batch: index, counts, spent };
    const bytes = await rows.finish({
      [CHECKPOINT_FOOTER_KEY]: JSON.stringify(footer),
      ...marks.length > 0 && { [IMAGES_FOOTER_KEY]: encodeMarks(marks) },
    });
    const key = this.#keys.batch(index, this.generation);
    await (begun ? begun.end(bytes) : this.#store.write(key, bytes, CONTENT));
    if (this.#isLast(index) && rows.size <= WINDOW) {
      this.#unseen = { index, size: rows.size };
      return footer;
    }
    const written = await this.#store.stat(key);
    if (written?.size !== rows.size) {
      throw new StoreError(
        "unavailable",
        `${this.#store.url}/${key} has ${written?.size ?? 0} bytes after writing ` +
          `${rows.size}; run the same command again`,
      );
    }
    this.#seen.set(index, written);
    return footer;
  }

  /** Whether all batches are there but this one. */
  #isLast(index: number): boolean {
    return !this.#seen.has(index) && this.#seen.size === this.batches - 1;
  }

  /** All batches in order, for joining. Every one must be done. */
  async *sources(): AsyncGenerator<RandomAccess> {
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
    if (info) return openSource(this.#store, info);
    const found = await findBegun(this.#store, key);
    if (!found) throw new StoreError("not_found", `${url} has disappeared; run again`);
    const source = openSource(this.#store, found);
    if (this.#unseen?.index !== index) return source;
    const { size } = this.#unseen;
    if (found.size !== size) {
      const message = `${url} has ${found.size} bytes after writing ${size}`;
      throw new StoreError("not_found", message);
    }
    await this.#check(index, source).catch((error) => {
      if (error instanceof StoreError) throw error;
      throw new StoreError("not_found", `${url} is not what was written: ${error.message}`);
    });
    this.#seen.set(index, infoOf(found));
    return source;
  }
}
