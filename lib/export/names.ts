/**
 * @module export/names: what the files of a page are called. Ids may hold anything; file names may
 * not: readers split at tabs, commas and blanks, and folders of some machines know no case.
 */

import { SeenTexts } from "../base/seen.ts";

const LONGEST = 80;
/** Names that some systems keep for themselves. */
const TAKEN = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Gives names; the same pages in the same order get the same ones. */
export class PageNames {
  readonly #seen = new SeenTexts();

  /**
   * The name of a page: its id where that is plain and no other page's, else what is plain of it,
   * and its position.
   *
   * @param index Position in the data set, from 0.
   */
  next(id: string, index: number): string {
    const plain = id.normalize("NFKD").replace(/[^A-Za-z0-9._-]+/g, "_")
      .replace(/^[._-]+|[._-]+$/g, "").slice(0, LONGEST).replace(/[._-]+$/, "");
    if (plain === id && plain !== "" && !TAKEN.test(id) && this.#seen.add(id.toLowerCase())) {
      return id;
    }
    const base = plain === "" || TAKEN.test(plain) ? "page" : plain;
    for (let tries = 0;; tries++) {
      const name = `${base}-${index}${"x".repeat(tries)}`;
      if (this.#seen.add(name.toLowerCase())) return name;
    }
  }
}
