/**
 * @module parquet/column: walks through one leaf column of one row group, page by page.
 *
 * A writer may put a million rows into one row group, so a reader that decodes whole groups needs
 * memory by the size of the file. Here one page and one window of bytes are held, and pages before
 * the wanted rows are passed over undecoded where their header tells how many rows they hold.
 */
import { RunError } from "../base/errors.ts";
import { type DecodeOptions, Leaf, pageHeader } from "./decode.ts";
import { DataPage, isSound, readDictionary } from "./page.ts";
import { type RandomAccess, WINDOW } from "./source.ts";
import type { ColumnMetaData, PageHeader, SchemaTree, Values } from "./types.ts";

/** Page headers hold statistics, so their length is unknown; nearly all are shorter than this. */
const HEADER_GUESS = 4096;

/** Reads the rows of one leaf column of one row group in order. */
export class ColumnCursor {
  readonly #source: RandomAccess;
  readonly #column: string;
  readonly #leaf: Leaf;
  readonly #codec: string;
  /** Values, nulls and empty lists included, that the column chunk has and that were met so far. */
  readonly #values: number;
  #seen = 0;
  /** Bytes of the file from `#start` on; the next page is at `#at`, the column ends at `#end`. */
  #bytes = new Uint8Array(0);
  #start: number;
  #at: number;
  readonly #end: number;
  #dictionary: Values | undefined;
  #page: DataPage | undefined;
  /** Decoded rows from `#head` on; the last one may go on in the next page if values repeat. */
  #rows: unknown[] = [];
  #head = 0;
  /** Rows still to be passed over before the next {@linkcode take}. */
  #skip = 0;

  /**
   * Nothing is requested before the first {@linkcode take}.
   *
   * @param tree The file's schema.
   * @param chunk Where the column lies in the file.
   * @throws {RunError} `input` if that is outside the file
   */
  constructor(
    source: RandomAccess,
    tree: SchemaTree,
    chunk: ColumnMetaData,
    options: DecodeOptions,
  ) {
    this.#source = source;
    this.#column = chunk.path_in_schema.join(".");
    this.#leaf = this.#guard(
      () => new Leaf(tree, chunk.path_in_schema, options),
      "is not in the schema",
    );
    this.#codec = chunk.codec;
    this.#values = Number(chunk.num_values);
    // Some writers leave the dictionary's offset out, or 0, and count it as the first data page.
    this.#at = this.#start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    this.#end = this.#at + Number(chunk.total_compressed_size);
    const inside = this.#at >= 4 && this.#end <= source.byteLength;
    if (!inside) throw this.#damaged("lies outside the file");
  }

  /** Whether its rows are as they are meant, with nothing to put together. */
  get whole(): boolean {
    return this.#leaf.whole;
  }

  /** Passes over the next `count` rows. */
  skip(count: number): void {
    const decoded = Math.min(count, this.#ready);
    this.#head += decoded;
    this.#skip += count - decoded;
  }

  /**
   * The next `count` rows: one value each, nested ones as the decoder leaves them.
   *
   * @throws {RunError} `input` if the column is damaged or ends before
   * @throws {StoreError} what the source throws
   */
  async take(count: number): Promise<unknown[]> {
    // A row of a repeated column is known to be complete only when the next one has begun.
    const wanted = count + Math.sign(this.#leaf.maxRepetition);
    while (this.#skip > 0 || this.#ready < wanted) {
      if (this.#page !== undefined && !this.#page.done) this.#decode(this.#page, wanted);
      else if (this.#seen < this.#values) await this.#nextPage();
      else break;
    }
    const missing = this.#skip + count - this.#ready;
    if (missing > 0) throw this.#damaged(`ends ${missing} rows early`);
    const rows = this.#rows.slice(this.#head, this.#head + count);
    this.#rows = this.#rows.slice(this.#head + count);
    this.#head = 0;
    return rows;
  }

  /**
   * How many of the next `count` rows take about `bytes` or less once they are decoded: at least
   * one, and not more than the page at hand tells of.
   *
   * @throws {RunError} `input` if the column is damaged
   * @throws {StoreError} what the source throws
   */
  async fitting(count: number, bytes: number): Promise<number> {
    while (this.#skip > 0 || this.#ready === 0) {
      if (this.#page !== undefined && !this.#page.done) {
        if (this.#skip === 0) break;
        this.#decode(this.#page, 0);
      } else if (this.#seen < this.#values) await this.#nextPage();
      else return count; // what is missing, take() says
    }
    const [page, ready] = [this.#page, this.#ready];
    if (page === undefined || page.done || ready >= count) {
      return Math.max(1, Math.min(count, ready));
    }
    return Math.max(1, ready + this.#guard(() => page.fitting(count - ready, bytes)));
  }

  get #ready(): number {
    return this.#rows.length - this.#head;
  }

  #decode(page: DataPage, wanted: number): void {
    this.#guard(() => {
      if (this.#skip > 0) this.#skip -= page.skip(this.#skip);
      else page.take(wanted - this.#ready, this.#rows);
    });
  }

  async #nextPage(): Promise<void> {
    const { header, length } = await this.#header();
    if (!isSound(header)) throw this.#damaged(`has no readable page at byte ${this.#at}`);
    const size = header.compressed_page_size;
    const next = this.#at + length + size;
    if (next > this.#end) throw this.#damaged("has a page that runs past its end");
    this.#page?.release();
    this.#page = undefined;
    const data = header.data_page_header ?? header.data_page_header_v2;
    this.#seen += data?.num_values ?? 0;
    if (this.#seen > this.#values) throw this.#damaged("has more values than it announces");
    const rows = this.#rowsOf(header);
    if (rows !== undefined && rows <= this.#skip) {
      this.#skip -= rows;
    } else if (data?.num_values !== 0) {
      await this.#fetch(length + size);
      const from = this.#at - this.#start + length;
      const bytes = this.#bytes.subarray(from, from + size);
      this.#guard(() => {
        if (header.type === "DICTIONARY_PAGE") {
          this.#dictionary = readDictionary(this.#leaf, this.#codec, header, bytes);
        } else if (data !== undefined) {
          this.#page = new DataPage(this.#leaf, this.#codec, header, bytes, this.#dictionary);
        }
      });
    }
    this.#at = next;
  }

  /** Rows of a data page, where its header tells. */
  #rowsOf(header: PageHeader): number | undefined {
    if (header.data_page_header_v2 !== undefined) return header.data_page_header_v2.num_rows;
    return this.#leaf.maxRepetition > 0 ? undefined : header.data_page_header?.num_values;
  }

  async #header(): Promise<{ header: PageHeader; length: number }> {
    for (let guess = HEADER_GUESS;; guess *= 8) {
      await this.#fetch(guess);
      const found = pageHeader(this.#bytes.subarray(this.#at - this.#start));
      if (found !== undefined) return found;
      if (this.#at + guess >= this.#end) {
        throw this.#damaged(`has no readable page at byte ${this.#at}`);
      }
    }
  }

  /** Makes `count` bytes from `#at` on available, or as many as the column has. */
  async #fetch(count: number): Promise<void> {
    const wanted = Math.min(this.#end, this.#at + count);
    const known = this.#start + this.#bytes.length;
    if (wanted <= known && this.#at >= this.#start) return;
    const kept = this.#bytes.subarray(Math.min(this.#bytes.length, this.#at - this.#start));
    const from = this.#at + kept.length;
    const until = Math.min(this.#end, Math.max(wanted, from + WINDOW));
    const more = new Uint8Array(await this.#source.slice(from, until));
    const bytes = new Uint8Array(kept.length + more.length);
    bytes.set(kept);
    bytes.set(more, kept.length);
    this.#bytes = bytes;
    this.#start = this.#at;
  }

  /** Runs code that only looks at bytes at hand: whatever it throws means that they are damaged. */
  #guard<T>(decode: () => T, what = "has a page that cannot be decoded"): T {
    try {
      return decode();
    } catch (cause) {
      throw this.#damaged(`${what} (${cause instanceof Error ? cause.message : cause})`);
    }
  }

  #damaged(what: string): RunError {
    return new RunError(
      "input",
      `${this.#source.name} is damaged: column "${this.#column}" ${what}.\n` +
        "Write the file again and start over.",
    );
  }
}
