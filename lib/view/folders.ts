/**
 * @module view/folders: which folders images lie in, as far as it pays to list them: a few prefixes
 * that cover all paths, however many folders there are. Pure.
 */

/** Folders that are told apart at most; beyond, those with a common parent become one. */
const MOST = 64;

/** A prefix that some images share. */
export interface Folder {
  /** Bucket; null for the run's own store. */
  readonly bucket: string | null;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Images below it. */
  readonly images: number;
}

/** Collects folders in bounded memory. */
export class Folders {
  #depth = Infinity;
  #counts = new Map<string, number>();

  /** Adds the folder of an image. */
  add(bucket: string | null, key: string): void {
    this.#count(`${bucket ?? ""}\n${key.slice(0, key.lastIndexOf("/") + 1)}`, 1);
    while (this.#counts.size > MOST && this.#depth > 0) {
      const before = this.#counts;
      const deepest = Math.max(...Array.from(before.keys(), (name) => name.split("/").length - 1));
      this.#depth = Math.min(this.#depth, deepest) - 1;
      this.#counts = new Map();
      for (const [name, images] of before) this.#count(name, images);
    }
  }

  #count(name: string, images: number): void {
    const parts = name.split("/");
    const cut = parts.length - 1 > this.#depth;
    const short = cut ? parts.slice(0, this.#depth).map((part) => `${part}/`).join("") : name;
    // At depth 0 a bucket is one folder.
    const folder = short.includes("\n") ? short : name.slice(0, name.indexOf("\n") + 1);
    this.#counts.set(folder, (this.#counts.get(folder) ?? 0) + images);
  }

  /** The folders, those with the most images first; none lies in another. */
  get all(): Folder[] {
    const names = [...this.#counts.keys()].sort();
    const top = new Map<string, number>();
    let last: string | undefined;
    for (const name of names) {
      if (last === undefined || !name.startsWith(last)) last = name;
      top.set(last, (top.get(last) ?? 0) + this.#counts.get(name)!);
    }
    return Array.from(top, ([name, images]) => {
      const [bucket, prefix] = name.split("\n");
      return { bucket: bucket || null, prefix, images };
    }).sort((a, b) => b.images - a.images);
  }
}
