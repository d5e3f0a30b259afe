/**
 * @module dataset/row_sample: some rows of an input, always the same ones: those whose hashes are
 * the smallest. By them another input is told to share no row with it, without reading both.
 */

/** Rows of a sample at most: of two inputs that share a twentieth it misses all one time in 700. */
const ROWS = 128;

/** Collects a sample. */
export class RowSample {
  /** The smallest hashes so far, ascending. */
  readonly #least: number[] = [];

  /** Takes a row into account. @param hash Of its id and image, at least 0. */
  add(hash: number): void {
    const least = this.#least;
    if (least.length === ROWS && hash >= least[ROWS - 1]) return;
    let at = least.length;
    while (at > 0 && least[at - 1] > hash) at--;
    least.splice(at, 0, hash);
    if (least.length > ROWS) least.pop();
  }

  /** The hashes, ascending. */
  get hashes(): readonly number[] {
    return this.#least;
  }
}

/** A sample as it lies in a document: a word for each hash. */
export function sampleText(hashes: readonly number[]): string {
  return hashes.map((hash) => hash.toString(36)).join(" ");
}

/** The hashes of {@linkcode sampleText}. */
export function sampleHashes(text: string): number[] {
  return text.split(" ").filter((word) => word !== "").map((word) => parseInt(word, 36));
}
