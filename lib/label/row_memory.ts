/**
 * @module label/row_memory: what rows may take of the memory, in bytes: those under way, and those
 * that are made and wait for one before them or for the end of their batch. When it is used up no
 * row starts; what has started always goes on, so the row that all wait for does, too.
 */

import { pack, type Packed } from "../base/packed.ts";
import type { OutputRow } from "../dataset/row.ts";
import { outputBytes } from "../dataset/row_bytes.ts";

/** Bytes of rows at once; a single row that is larger passes alone. */
const ROW_MEMORY = 48 << 20;
/** The share of waiting rows that may stay objects: packing takes time, and few ever need it. */
const AS_OBJECTS = 1 / 3;
/** What packing leaves of a row, about. */
const PACKED = 1 / 8;
/**
 * What an answer takes while it is in hand (its text, what is made of it, and what the collector
 * has not found yet) for each byte of its row as objects, and what of that needs no counting: so
 * pages of up to 500 words are not held up, and of 10,000 words four are under way.
 */
const IN_HAND = 2;
const UNCOUNTED = 1 << 19;
/** How much the latest row counts when the size of the next is guessed. */
const LATEST = 1 / 8;

/** A made row that waits. */
export interface HeldRow {
  /** Takes it out; once. */
  take(): OutputRow;
  /** Lets go of it instead. */
  drop(): void;
}

/** The memory of rows. */
export class RowMemory {
  readonly #capacity: number;
  /** Bytes of rows that are made: as objects, packed, encoded. */
  #made = 0;
  /** Of these, rows as objects. */
  #objects = 0;
  #rowsUnderWay = 0;
  #bytesUnderWay = 0;
  /** What a made row takes while it waits, by those of late. */
  #usual = 0;
  /** What a row takes while its answer is in hand, by those of late. */
  #inHand = 0;
  #wake: (() => void) | undefined;
  /** Who sends a batch before it is done. */
  #sender: object | undefined;

  /** All is free at first. @param capacity Bytes, greater than 0. */
  constructor(capacity = ROW_MEMORY) {
    this.#capacity = capacity;
  }

  /** Bytes in use, those that rows under way will need as they are made among them. */
  get used(): number {
    return this.#made + this.#bytesUnderWay + this.#rowsUnderWay * this.#next;
  }

  /** What the next row is going to need. */
  get #next(): number {
    return Math.max(this.#usual, this.#inHand);
  }

  /**
   * Waits until there is room for another row, or none is under way: then nothing would make room.
   * For one caller at a time.
   *
   * @param bytes What the row takes by itself.
   * @returns Call it when the row is made, or has failed.
   * @throws The signal's reason, if it aborts before.
   */
  async start(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    while (this.#rowsUnderWay > 0 && this.used + bytes + this.#next > this.#capacity) {
      const woken = Promise.withResolvers<void>();
      const stop = () => woken.reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      this.#wake = woken.resolve;
      await woken.promise.finally(() => signal.removeEventListener("abort", stop));
    }
    this.#rowsUnderWay++;
    this.#bytesUnderWay += bytes;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#rowsUnderWay--;
      this.#bytesUnderWay -= bytes;
      this.#wake?.();
    };
  }

  /** Keeps a made row until it is taken, packed where many wait already. */
  hold(row: OutputRow): HeldRow {
    const asObject = outputBytes(row);
    this.#inHand += (Math.max(0, asObject * IN_HAND - UNCOUNTED) - this.#inHand) * LATEST;
    if (this.#objects + asObject > this.#capacity * AS_OBJECTS) return this.#holdPacked(pack(row));
    return this.#holdObject(row, asObject);
  }

  #holdObject(row: OutputRow, bytes: number): HeldRow {
    this.#objects += bytes;
    this.#expect(bytes * PACKED);
    this.count(bytes);
    const drop = () => {
      this.#objects -= bytes;
      this.count(-bytes);
    };
    return { drop, take: () => (drop(), row) };
  }

  // Apart from the other, as closures of one function keep the variables of each other: here the
  // row.
  #holdPacked(packed: Packed<OutputRow>): HeldRow {
    const bytes = packed.byteLength;
    this.#expect(bytes);
    this.count(bytes);
    const drop = () => this.count(-bytes);
    return { drop, take: () => (drop(), packed.unpack()) };
  }

  #expect(bytes: number): void {
    this.#usual += (bytes - this.#usual) * LATEST;
  }

  /** Counts bytes that made rows take more, or less if negative. */
  count(bytes: number): void {
    this.#made += bytes;
    if (bytes < 0) this.#wake?.();
  }

  /**
   * Whether `sender` may send its batch before it is done; one at a time may, until it is released.
   */
  claimUpload(sender: object): boolean {
    this.#sender ??= sender;
    return this.#sender === sender;
  }

  /** Lets another one send. */
  releaseUpload(sender: object): void {
    if (this.#sender === sender) this.#sender = undefined;
  }
}
