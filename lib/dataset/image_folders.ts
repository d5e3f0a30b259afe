/**
 * @module dataset/image_folders: which folders images lie in, as far as it pays to list them: a few
 * prefixes that cover all paths, however many folders there are. Pure.
 */

import { parseImagePath } from "./image_location.ts";

/** Folders that are told apart at most; beyond, those with a common parent become one. */
const MOST = 64;

/** A prefix that some images share. */
export interface ImageFolder {
  /** Bucket; null for the run's own store. */
  readonly bucket: string | null;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Images that were added of it. */
  readonly images: number;
}

/** The folders of one bucket. */
interface Bucket {
  readonly name: string | null;
  /** Levels of a prefix that are kept. */
  levels: number;
  /** Images by prefix. */
  prefixes: Map<string, number>;
}

/** Collects folders in bounded memory. */
export class ImageFolders {
  readonly #buckets = new Map<string | null, Bucket>();
  /** Images that were added. */
  images = 0;

  /** Adds the folder of an image. @param path Its `image_path`; one that is none is left out. */
  add(path: string): void {
    const location = parseImagePath(path);
    if (!location) return;
    this.images++;
    const { bucket: name, key } = location;
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      this.#buckets.set(name, bucket = { name, levels: Infinity, prefixes: new Map() });
    }
    const prefix = cut(key.slice(0, key.lastIndexOf("/") + 1), bucket.levels);
    const known = bucket.prefixes.get(prefix);
    bucket.prefixes.set(prefix, (known ?? 0) + 1);
    if (known === undefined) this.#merge();
  }

  /** Lets the deepest folders become those above them, until there are few enough. */
  #merge(): void {
    const all = [...this.#buckets.values()];
    while (all.reduce((sum, { prefixes }) => sum + prefixes.size, 0) > MOST) {
      const depths = all.map(({ prefixes }) => Math.max(...Array.from(prefixes.keys(), levelsOf)));
      const deepest = Math.max(...depths);
      if (deepest === 0) return; // so many buckets
      const bucket = all[depths.indexOf(deepest)];
      bucket.levels = deepest - 1;
      const before = bucket.prefixes;
      bucket.prefixes = new Map();
      for (const [prefix, images] of before) {
        const above = cut(prefix, bucket.levels);
        bucket.prefixes.set(above, (bucket.prefixes.get(above) ?? 0) + images);
      }
    }
  }

  /**
   * The folders, each to be listed by itself: without what lies in folders below it, unless that
   * belongs to it.
   */
  *[Symbol.iterator](): Generator<ImageFolder & { readonly deep: boolean }> {
    for (const { name: bucket, levels, prefixes } of this.#buckets.values()) {
      for (const [prefix, images] of prefixes) {
        yield { bucket, prefix, images, deep: levelsOf(prefix) >= levels };
      }
    }
  }

  /**
   * The folders, each to be listed with all that lies below it: none lies in another, those with
   * the most images come first.
   */
  get tops(): ImageFolder[] {
    const tops: { bucket: string | null; prefix: string; images: number }[] = [];
    for (const { name: bucket, prefixes } of this.#buckets.values()) {
      let last: typeof tops[number] | undefined;
      for (const prefix of [...prefixes.keys()].sort()) {
        const images = prefixes.get(prefix)!;
        if (last && prefix.startsWith(last.prefix)) last.images += images;
        else tops.push(last = { bucket, prefix, images });
      }
    }
    return tops.sort((a, b) => b.images - a.images);
  }
}

/** The first folders of a prefix. */
function cut(prefix: string, levels: number): string {
  if (levelsOf(prefix) <= levels) return prefix;
  return prefix.split("/").slice(0, levels).map((name) => `${name}/`).join("");
}

/** How many folders a prefix names. */
function levelsOf(prefix: string): number {
  return prefix.split("/").length - 1;
}
