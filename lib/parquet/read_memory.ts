/**
 * @module parquet/read_memory: what the readers of one file may hold of it at a time. Files differ
 * by how much of them has to be in memory at once, and their writers care little: pandas puts 600
 * rows of a megabyte into one page. What can be read in pieces is; what can't, and is more than
 * this, is refused by its name instead of taking the process down.
 */

/**
 * Bytes of one file at a time: beside them images, answers and rows have to fit into a task of
 * 512 MB (`docs/PERFORMANCE.md`, Memory).
 */
const READ_MEMORY = 96 << 20;

/** Bytes that a single row may take, nested values counted as the objects that they become. */
const ROW_MEMORY = 64 << 20;

/** Something of a file can be read only as a whole and is too long for that. */
export class TooLarge extends Error {
  /** The name of the class. */
  override readonly name = "TooLarge";

  /**
   * A thing that is too large.
   *
   * @param what The thing, for a message, such as `a page`.
   * @param bytes Memory that it takes.
   */
  constructor(readonly what: string, readonly bytes: number) {
    super(`${what} takes ${bytes} bytes`);
  }
}

/** Counts what is held of a file. */
export class ReadMemory {
  /** Bytes that a single row may take. */
  readonly row: number;
  #used = 0;

  /** Nothing is held at first. @param row Bytes of a row. */
  constructor(row = ROW_MEMORY) {
    this.row = row;
  }

  /** Looks at what a row takes. @throws {TooLarge} if it is more than a row may take */
  checkRow(bytes: number): void {
    if (bytes > this.row) throw new TooLarge("a row", bytes);
  }

  /**
   * Counts something that is going to be held.
   *
   * @param what It, for a message.
   * @returns Counts it no more; a second call does nothing.
   * @throws {TooLarge} if it is more than there is room for
   */
  hold(what: string, bytes: number): () => void {
    if (this.#used + bytes > READ_MEMORY) throw new TooLarge(what, bytes);
    this.#used += bytes;
    let held = bytes;
    return () => {
      this.#used -= held;
      held = 0;
    };
  }
}
