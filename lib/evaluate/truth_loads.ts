/**
 * @module evaluate/truth_loads: the pages of a truth in the order of the labels. Where the truth is
 * a table whose rows stand in another order, each page by itself would take a new start in the
 * file: so many are read in one go, in the table's order, and wait packed for their turn.
 */

import { pack, type Packed } from "../base/packed.ts";
import type { Pairs } from "./pairs.ts";
import type { Truth, TruthPage } from "./truth.ts";

/** Pairs by which it is told whether the orders agree. */
const LOOK = 2_000;
/** Of so many steps one may go back. */
const BACK = 20;
/** Memory of packed pages, bytes, and how many at first, when nobody knows how long they are. */
const MEMORY = 64 << 20;
const FIRST = 2_000;

/** Reads pages of the truth pair by pair. */
export class TruthLoads {
  readonly #truth: Truth;
  readonly #pairs: Pairs;
  #held = new Map<number, Packed<TruthPage>>();
  /** The pair at which to look again. */
  #until = 0;
  /** Bytes of a packed page; 0 where nothing is known. */
  #mean = 0;

  /** Reads nothing yet. @param pairs In whose order pages will be asked for; some may be left out. */
  constructor(truth: Truth, pairs: Pairs) {
    [this.#truth, this.#pairs] = [truth, pairs];
  }

  /** The page of a pair. @throws as {@linkcode Truth.page} does */
  async page(pair: number): Promise<TruthPage> {
    if (pair >= this.#until) await this.#look(pair);
    const at = this.#pairs.truth(pair);
    const held = this.#held.get(at);
    if (!held) return await this.#truth.page(at);
    this.#held.delete(at);
    return held.unpack();
  }

  async #look(pair: number): Promise<void> {
    const pairs = this.#pairs;
    this.#held.clear();
    this.#until = Math.min(pairs.length, pair + LOOK);
    let back = 0;
    for (let at = pair + 1; at < this.#until; at++) {
      if (pairs.truth(at) < pairs.truth(at - 1)) back++;
    }
    if (!this.#truth.ordered || back * BACK < this.#until - pair) return;
    const many = this.#mean > 0 ? Math.max(LOOK, Math.floor(MEMORY / this.#mean)) : FIRST;
    this.#until = Math.min(pairs.length, pair + many);
    const wanted = Int32Array.from(
      { length: this.#until - pair },
      (_, i) => pairs.truth(pair + i),
    ).sort();
    let bytes = 0;
    for (const at of wanted) {
      const page = pack(await this.#truth.page(at));
      this.#held.set(at, page);
      bytes += page.byteLength + PAGE_BYTES;
    }
    this.#mean = bytes / wanted.length;
  }
}

/** What a packed page takes beside its bytes. */
const PAGE_BYTES = 200;
