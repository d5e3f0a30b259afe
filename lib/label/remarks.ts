/**
 * @module label/remarks: what people should know of many rows, told without a line for each: the
 * first few of a kind as they come, and how many there were in the end.
 */

/** So many of a kind are told as they come. */
const EXAMPLES = 3;

/** Remarks of one process. */
export class Remarks {
  readonly #note: (message: string) => void;
  readonly #told = new Map<string, number>();
  readonly #counted = new Map<string, number>();

  /** Nothing is told yet. @param note Told of each remark, in one line. */
  constructor(note: (message: string) => void) {
    this.#note = note;
  }

  /** Tells an example of `kind`, if there weren't enough of them yet. */
  tell(kind: string, example: string): void {
    const before = this.#told.get(kind) ?? 0;
    this.#told.set(kind, before + 1);
    if (before < EXAMPLES) this.#note(example);
  }

  /** Only counts one of `kind`. */
  count(kind: string): void {
    this.#counted.set(kind, (this.#counted.get(kind) ?? 0) + 1);
  }

  /** How many there were of each kind, as far as that is not plain. */
  end(): void {
    for (const [kind, n] of this.#told) if (n > EXAMPLES) this.#note(`${kind}: ${n} times in all`);
    for (const [kind, n] of this.#counted) this.#note(`${kind}: ${n} times`);
    this.#told.clear();
    this.#counted.clear();
  }
}
