/**
 * @module view/image_index: what is known of many images without their names: 53-bit hashes of
 * these, sorted, so that a million of them take about 30 MB. Two images may by chance be taken for
 * one, about once in 18,000 plans of a million: no money depends on it.
 */

import { hash53 } from "../dataset/check_input.ts";

/** What is known of an image. */
export const LOOK = { unknown: 0, there: 1, missing: 2, denied: 3, unreadable: 4 } as const;
/** One of {@linkcode LOOK}. */
export type Look = typeof LOOK[keyof typeof LOOK];

/** The hash that stands for an image. @param bucket Null for the run's own store. */
export function imageHash(bucket: string | null, key: string): number {
  return hash53(`${bucket ?? ""}\n${key}`);
}

/** Images by hash, each once. */
export class ImageIndex {
  readonly #hashes: Float64Array;
  /** Rows of each. */
  readonly rows: Uint32Array;
  /** What is known of each, of {@linkcode LOOK}. */
  readonly looks: Uint8Array;
  /** Length of each in bytes; NaN while unknown. */
  readonly sizes: Float64Array;
  /** Stands for the content of each; NaN while unknown. */
  readonly contents: Float64Array;
  /** Whether each was met by {@linkcode first}. */
  readonly #met: Uint8Array;

  /** Sorts the hashes in place. @param hashes One for each row. */
  constructor(hashes: Float64Array) {
    hashes.sort();
    let distinct = 0;
    const rows = new Uint32Array(hashes.length);
    for (let at = 0; at < hashes.length; at++) {
      if (at === 0 || hashes[at] !== hashes[at - 1]) hashes[distinct++] = hashes[at];
      rows[distinct - 1]++;
    }
    this.#hashes = hashes.subarray(0, distinct);
    this.rows = rows.subarray(0, distinct);
    this.looks = new Uint8Array(distinct);
    this.sizes = new Float64Array(distinct).fill(NaN);
    this.contents = new Float64Array(distinct).fill(NaN);
    this.#met = new Uint8Array(distinct);
  }

  /** Number of images. */
  get length(): number {
    return this.#hashes.length;
  }

  /** Position of an image; -1 for one that is not in it. */
  find(hash: number): number {
    let [low, high] = [0, this.#hashes.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.#hashes[middle] === hash) return middle;
      if (this.#hashes[middle] < hash) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Whether an image is asked about for the first time. */
  first(at: number): boolean {
    return this.#met[at]++ === 0;
  }

  /** Lets {@linkcode first} begin anew. */
  again(): void {
    this.#met.fill(0);
  }

  /** Notes an image that is there. @param content What only equal contents share. */
  found(at: number, size: number, content: string): void {
    this.looks[at] = LOOK.there;
    this.sizes[at] = size;
    this.contents[at] = hash53(content);
  }

  /** Number of images that are like that, and of rows that they are the images of. */
  count(is: (at: number) => boolean): { readonly images: number; readonly rows: number } {
    let [images, rows] = [0, 0];
    for (let at = 0; at < this.length; at++) {
      if (!is(at)) continue;
      images++;
      rows += this.rows[at];
    }
    return { images, rows };
  }

  /** Number of different contents of images that are like that. */
  distinct(is: (at: number) => boolean): number {
    const contents = this.contents.filter((_, at) => is(at)).sort();
    let n = 0;
    for (let at = 0; at < contents.length; at++) if (contents[at] !== contents[at - 1]) n++;
    return n;
  }
}
