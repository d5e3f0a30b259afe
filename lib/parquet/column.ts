/**
 * @module parquet/column: walks through one leaf column of one row group, page by page.
 *
 * A writer may put a million rows into one row group, or six hundred megabytes into one page, so a
 * reader that decodes whole groups or pages needs memory by the size of the file. Here one window
 * of bytes and one page, or a part of a long one, are held, and pages before the wanted rows are
 * passed over undecoded where their header tells how many rows they hold.
 */
import { RunError } from "../base/errors.ts";
import { type DecodeOptions, Leaf, pageHeader } from "./decode.ts";
import { type Dictionary, openDictionary, StreamedDictionary } from "./dictionary.ts";
import { isDivisible, LongPage } from "./long_page.ts";
import { type DataPage, type Fitting, isSound, MUCH, openPage, unpackPage } from "./page.ts";
import { PageBytes } from "./page_bytes.ts";
import { type ReadMemory, TooLarge } from "./read_memory.ts";
import { type RandomAccess, WINDOW } from "./source.ts";
import type { ColumnMetaData, PageHeader, SchemaTree } from "./types.ts";
import { canUnpack, type Pieces, unpack } from "./unpack.ts";

/** Page headers hold statistics, so their length is unknown; nearly all are shorter than this. */
const HEADER_GUESS = 4096;

/** How the columns of a file share its memory. */
export interface Share {
  /** Counts what is held. */
  readonly memory: ReadMemory;
  /** How many columns are read side by side. */
  readonly columns: number;
  /** Whether a dictionary that can't be held may be read as often as it takes. */
  readonly patient: boolean;
}

/** All windows together, bytes. */
const WINDOWS = 16 << 20;
/** All pages that are held whole, packed and unpacked, bytes, about. */
const PAGES = 32 << 20;
/** A page of more bytes is read in parts, bytes of a part. */
const LONG = 2 << 20;
/** All dictionaries that are held whole, bytes. */
const DICTIONARIES = 40 << 20;
/** A dictionary of more is read again and again. */
const LONG_DICTIONARY = 24 << 20;
/** The least of any of these, however many columns there are, bytes. */
const LEAST = 64 << 10;

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
  #dictionary: Dictionary | undefined;
  #dropDictionary = () => {};
  #page: DataPage | undefined;
  /** What the page is a part of. */
  #long: LongPage | undefined;
  readonly #share: Share;
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
   * @param share Of the memory; windows and pages are shorter the more columns there are.
   * @throws {RunError} `input` if that is outside the file
   */
  constructor(
    source: RandomAccess,
    tree: SchemaTree,
    chunk: ColumnMetaData,
    options: DecodeOptions,
    share: Share,
  ) {
    this.#source = source;
    this.#share = share;
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
    let weight = 0;
    while (this.#skip > 0 || this.#ready < wanted) {
      if (this.#page !== undefined && !this.#page.done) {
        if (this.#skip === 0) await this.#prepare(this.#page, wanted - this.#ready);
        const before = this.#ready;
        this.#decode(this.#page, wanted);
        // A row may go on through any number of pages.
        weight = this.#skip > 0 || this.#ready > before ? 0 : weight + this.#page.weight;
        this.#guard(() => this.#share.memory.checkRow(weight));
      } else if (!await this.#nextPage()) break;
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
  async fitting(count: number, bytes: number): Promise<Fitting> {
    while (this.#skip > 0 || this.#ready === 0) {
      if (this.#page !== undefined && !this.#page.done) {
        if (this.#skip === 0) break;
        this.#decode(this.#page, 0);
      } else if (!await this.#nextPage()) return { rows: count, bytes: 0 }; // take() says what lacks
    }
    const [page, ready] = [this.#page, this.#ready];
    if (page === undefined || page.done || ready >= count) {
      return { rows: Math.max(1, Math.min(count, ready)), bytes: 0 };
    }
    await this.#prepare(page, count - ready, bytes);
    const fitting = this.#guard(() => page.fitting(count - ready, bytes));
    return { ...fitting, rows: Math.max(1, ready + fitting.rows) };
  }

  /** Lets go of all that is open; nothing can be read any more. */
  async close(): Promise<void> {
    this.#page?.release();
    this.#page = undefined;
    this.#bytes = new Uint8Array(0);
    await this.#long?.close();
    await this.#closeDictionary();
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

  async #prepare(page: DataPage, count: number, bytes?: number): Promise<void> {
    const { prepare } = page;
    if (prepare) await this.#guardAll(() => prepare(count, bytes));
  }

  /** Goes on to the next page, or part of one; tells whether there was one. */
  async #nextPage(): Promise<boolean> {
    this.#page?.release();
    this.#page = undefined;
    const long = this.#long;
    if (long !== undefined) {
      this.#page = await this.#guardAll(() => long.next());
      if (this.#page !== undefined) return true;
      await long.close();
      this.#long = undefined;
    }
    if (this.#seen >= this.#values) return false;
    const { header, length } = await this.#header();
    if (!isSound(header)) throw this.#damaged(`has no readable page at byte ${this.#at}`);
    const size = header.compressed_page_size;
    const start = this.#at + length;
    const next = start + size;
    if (next > this.#end) throw this.#damaged("has a page that runs past its end");
    const data = header.data_page_header ?? header.data_page_header_v2;
    this.#seen += data?.num_values ?? 0;
    if (this.#seen > this.#values) throw this.#damaged("has more values than it announces");
    const rows = this.#rowsOf(header);
    if (rows !== undefined && rows <= this.#skip) {
      this.#skip -= rows;
    } else if (header.type === "DICTIONARY_PAGE") {
      await this.#closeDictionary();
      this.#dictionary = await this.#openDictionary(header, start);
    } else if (data !== undefined && data.num_values > 0) {
      await this.#openPage(header, data.encoding, start);
    }
    this.#at = next;
    return true;
  }

  async #closeDictionary(): Promise<void> {
    await this.#dictionary?.close?.();
    this.#dictionary = undefined;
    this.#dropDictionary();
  }

  async #openDictionary(header: PageHeader, start: number): Promise<Dictionary> {
    const { memory, patient } = this.#share;
    const count = header.dictionary_page_header?.num_values ?? 0;
    const [leaf, end] = [this.#leaf, start + header.compressed_page_size];
    const length = header.uncompressed_page_size;
    const most = this.#part(DICTIONARIES, LONG_DICTIONARY);
    if (length > most && leaf.type === "BYTE_ARRAY" && canUnpack(this.#codec)) {
      this.#dropDictionary = this.#guard(() => memory.hold("a dictionary", most));
      const open = () => new PageBytes(this.#unpacked(start, end, false));
      return new StreamedDictionary({ leaf, count, open, capacity: most, patient, memory });
    }
    this.#dropDictionary = this.#guard(() => memory.hold("a dictionary", length));
    const page = await this.#whole(start, header);
    return this.#guard(() => openDictionary(leaf, page, count));
  }

  async #openPage(header: PageHeader, encoding: string, start: number): Promise<void> {
    const [leaf, share, codec] = [this.#leaf, this.#share, this.#codec];
    const { data_page_header_v2: v2, compressed_page_size: size } = header;
    const [packed, long] = [v2?.is_compressed !== false, this.#part(PAGES, LONG)];
    const most = Math.max(size, header.uncompressed_page_size);
    const inPieces = canUnpack(packed ? codec : "UNCOMPRESSED");
    if (most > long && inPieces && isDivisible(leaf, encoding)) {
      const before = v2 ? v2.repetition_levels_byte_length + v2.definition_levels_byte_length : 0;
      const release = this.#guard(() => share.memory.hold("a page of many values", before));
      const levels = await this.#bytesAt(start, before);
      const bytes = new PageBytes(this.#unpacked(start + before, start + size, !packed));
      const options = { leaf, header, bytes, levels, memory: share.memory, partBytes: long / 2 };
      this.#long = await this.#guardAll(() => LongPage.open(options));
      release();
      return;
    }
    const values = (header.data_page_header ?? v2)!.num_values;
    const release = this.#guard(() => share.memory.hold("a page", most + values * 6));
    if (most > long && inPieces && v2 === undefined) {
      const page = await this.#whole(start, header);
      const open = () => openPage(leaf, header, page, () => page, this.#dictionary, release);
      this.#page = this.#guard(open);
      return;
    }
    const room = this.#guard(() => share.memory.hold("a page", size > long ? size : 0));
    const bytes = await this.#bytesAt(start, size);
    this.#page = this.#guard(() =>
      openPage(
        leaf,
        header,
        bytes,
        (packed, length) => unpackPage(codec, packed, length),
        this.#dictionary,
        release,
      )
    );
    room();
  }

  /** A column's part of what all of them may have, bytes. @param most It has never more. */
  #part(all: number, most: number): number {
    return Math.max(Math.min(LEAST, most), Math.min(most, all / this.#share.columns));
  }

  /** All bytes of a page, unpacked, the packed ones in pieces where that can be. */
  async #whole(start: number, header: PageHeader): Promise<Uint8Array> {
    const { compressed_page_size: size, uncompressed_page_size: length } = header;
    if (!canUnpack(this.#codec) || Math.max(size, length) <= LEAST) {
      const bytes = await this.#bytesAt(start, size);
      return this.#guard(() => unpackPage(this.#codec, bytes, length));
    }
    const page = new Uint8Array(length);
    const bytes = new PageBytes(this.#unpacked(start, start + size, false));
    try {
      await this.#guardAll(() => bytes.read(page));
    } finally {
      await bytes.close();
    }
    return page;
  }

  /** The bytes of a page in pieces. */
  #unpacked(start: number, end: number, plain: boolean): Pieces {
    return unpack(plain ? "UNCOMPRESSED" : this.#codec, this.#pieces(start, end));
  }

  /** Bytes of the file in pieces, the first of which may be at hand. */
  async *#pieces(start: number, end: number): AsyncGenerator<Uint8Array> {
    const window = this.#part(WINDOWS, WINDOW);
    for (let at = start; at < end;) {
      const known = this.#start + this.#bytes.length;
      if (at >= this.#start && at < known) {
        const from = at - this.#start;
        const piece = this.#bytes.subarray(from, from + Math.min(known, end) - at);
        at += piece.length;
        yield piece;
        continue;
      }
      const until = Math.min(end, at + window);
      let piece: Uint8Array<ArrayBuffer>;
      try {
        piece = new Uint8Array(await this.#source.slice(at, until));
      } catch (cause) {
        throw new FromSource(cause);
      }
      at = until;
      yield piece;
      // Whoever asks for the next one has done with it; the collector would keep some first.
      if (piece.length >= MUCH) piece.buffer.transfer(0);
    }
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

  /** Bytes of the file; valid until others are asked for. */
  async #bytesAt(start: number, count: number): Promise<Uint8Array> {
    await this.#fetch(start - this.#at + count);
    const from = start - this.#start;
    return this.#bytes.subarray(from, from + count);
  }

  /** Makes `count` bytes from `#at` on available, or as many as the column has. */
  async #fetch(count: number): Promise<void> {
    const wanted = Math.min(this.#end, this.#at + count);
    const known = this.#start + this.#bytes.length;
    if (wanted <= known && this.#at >= this.#start) return;
    const kept = this.#bytes.subarray(Math.min(this.#bytes.length, this.#at - this.#start));
    const from = this.#at + kept.length;
    const window = this.#part(WINDOWS, WINDOW);
    const until = Math.min(this.#end, Math.max(wanted, from + window));
    const more = new Uint8Array(await this.#source.slice(from, until));
    if (kept.length === 0) this.#bytes = more;
    else {
      this.#bytes = new Uint8Array(kept.length + more.length);
      this.#bytes.set(kept);
      this.#bytes.set(more, kept.length);
    }
    this.#start = this.#at;
  }

  /** Runs code that only looks at bytes at hand: whatever it throws means that they are damaged. */
  #guard<T>(decode: () => T, what = "has a page that cannot be decoded"): T {
    try {
      return decode();
    } catch (cause) {
      throw this.#meaning(cause, what);
    }
  }

  /** As {@linkcode #guard}, of code that fetches bytes by {@linkcode #pieces} as well. */
  async #guardAll<T>(decode: () => Promise<T>): Promise<T> {
    try {
      return await decode();
    } catch (cause) {
      throw this.#meaning(cause, "has a page that cannot be decoded");
    }
  }

  #meaning(cause: unknown, what: string): unknown {
    if (cause instanceof FromSource) return cause.cause;
    if (cause instanceof TooLarge) return this.#tooLarge(cause);
    return this.#damaged(`${what} (${cause instanceof Error ? cause.message : cause})`);
  }

  #tooLarge({ what, bytes }: TooLarge): RunError {
    return new RunError(
      "input",
      `${this.#source.name}: column "${this.#column}" has ${what} that takes ` +
        `${Math.ceil(bytes / (1 << 20))} MiB of memory at once, more than there is for it.\n` +
        "Write the file again with row groups of fewer rows, or leave long values out.",
    );
  }

  #damaged(what: string): RunError {
    return new RunError(
      "input",
      `${this.#source.name} is damaged: column "${this.#column}" ${what}.\n` +
        "Write the file again and start over.",
    );
  }
}

/** What the source threw, on its way through code that may throw of its own. */
class FromSource extends Error {
  override readonly name = "FromSource";

  constructor(cause: unknown) {
    super("a read failed", { cause });
  }
}
