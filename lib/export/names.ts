/**
 * @module export/names: what the files of a page are called. Ids may hold anything; file names may
 * not: readers split at tabs, commas and blanks, and folders of some machines know no case.
 */

import { SeenTexts } from "../base/seen.ts";

const LONGEST = 80;
/** Ids that come from file names end so; the files of an export have endings of their own. */
const IMAGE_ENDING = /(?<=.)\.(jpe?g|png|bmp|tiff?|webp|gif|heic)$/i;
/** Names that some systems keep for themselves. */
const TAKEN = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Gives names; the same pages in the same order get the same ones. */
export class PageNames {
  readonly #seen = new SeenTexts();

  /**
   * The name of a page: its id, without an image's ending, where that is plain and no other page's,
   * else what is plain of it, and its position.
   *
   * @param index Position in the data set, from 0.
   */
  next(id: string, index: number): string {
    const own = id.replace(IMAGE_ENDING, "");
    const plain = own.normalize("NFKD").replace(/[^A-Za-z0-9._-]+/g, "_")
      .replace(/^[._-]+|[._-]+$/g, "").slice(0, LONGEST).replace(/[._-]+$/, "");
    if (plain === own && plain !== "" && !TAKEN.test(own) && this.#seen.add(own.toLowerCase())) {
      return own;
    }
    const base = plain === "" || TAKEN.test(plain) ? "page" : plain;
    for (let tries = 0;; tries++) {
      const name = `${base}-${index}${"x".repeat(tries)}`;
      if (this.#seen.add(name.toLowerCase())) return name;
    }
  }
}
