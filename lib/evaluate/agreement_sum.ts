/**
 * @module evaluate/agreement_sum: how far two engines agree on all pages together, and where they
 * agree least. What nothing was counted for is null.
 */

import type { AgreementState } from "../dataset/agreement_rows.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { AgreementDocument } from "../state/documents.ts";
import type { ReadWord, WordsAgreement } from "./agree_words.ts";
import { Confusions } from "./confusions.ts";
import { folded } from "./text.ts";

/** A row that was looked at. */
export interface LookedAt {
  /** Of the output. */
  readonly row: ScannedRow;
  /** Which of the two has read it; undefined for neither, or where it failed. */
  readonly own?: "a" | "b";
  /** Whether it could be compared. */
  readonly state: AgreementState;
  /** If so, what was found: `a` are the words of the row, `b` those of the other engine. */
  readonly found?: WordsAgreement;
  /** The words, as they were compared. */
  readonly words?: { readonly own: readonly ReadWord[]; readonly other: readonly ReadWord[] };
}

/** The figures, without what they are of. */
export type AgreementFigures =
  & Pick<AgreementDocument, "pages" | "words" | "confusions" | "least">
  & Readonly<Record<"a" | "b", Omit<AgreementDocument["a"], "engine" | "model">>>;

/** Levels of a word's agreement that are counted. */
const LEVELS = [1, 0.95, 0.9, 0.8, 0.7, 0.5];
/** Pages, readings of each, and confusions that are named. */
const PAGES = 20;
const READINGS = 20;
const CONFUSIONS = 20;
/** Characters of a text. */
const TEXT = 200;

type LeastPage = AgreementDocument["least"][number];

/** Adds up pages. */
export class AgreementSum {
  readonly #sides = {
    a: { rows: 0, missing: 0, words: 0, equal: 0, alone: 0 },
    b: { rows: 0, missing: 0, words: 0, equal: 0, alone: 0 },
  };
  readonly #notCompared = new Map<AgreementState, number>();
  readonly #confusions = new Confusions();
  readonly #levels = LEVELS.map(() => 0);
  #compared = 0;
  #identical = 0;
  #agreement = 0;
  #words = 0;
  #wordAgreement = 0;
  #least: LeastPage[] = [];

  /** Takes a page into account. */
  add({ row, own, state, found, words }: LookedAt): void {
    if (own !== undefined && state === "no_answer") this.#sides[own === "a" ? "b" : "a"].missing++;
    if (own === undefined || !found || !words) {
      this.#notCompared.set(state, (this.#notCompared.get(state) ?? 0) + 1);
      return;
    }
    this.#compared++;
    this.#agreement += found.agreement;
    const all = [...found.a, ...found.b];
    if (all.every(({ agreement }) => agreement === 1)) this.#identical++;
    this.#sides[own].rows++;
    const [mine, other] = own === "a"
      ? [this.#sides.a, this.#sides.b]
      : [this.#sides.b, this.#sides.a];
    for (const [side, of] of [[mine, found.a], [other, found.b]] as const) {
      side.words += of.length;
      for (const { agreement, other } of of) {
        if (agreement === 1) side.equal++;
        if (other === null) side.alone++;
      }
    }
    for (const { agreement } of found.a) {
      this.#words++;
      this.#wordAgreement += agreement;
      LEVELS.forEach((level, i) => {
        if (agreement >= level) this.#levels[i]++;
      });
    }
    const turn = (one: string | null, two: string | null) =>
      own === "a" ? { a: one, b: two } : { a: two, b: one };
    const readings: LeastPage["readings"] = [];
    const collect = this.#isAmongLeast(found.agreement);
    found.a.forEach(({ agreement, other }, i) => {
      if (agreement === 1) return;
      const text = folded(words.own[i].text, "exact");
      if (other !== null) {
        const { a, b } = turn(text, other);
        this.#confusions.add(a!, b!, agreement);
      }
      if (collect && readings.length < READINGS) {
        readings.push(turn(cut(text), other === null ? null : cut(other)));
      }
    });
    if (!collect) return;
    found.b.forEach(({ other }, i) => {
      if (other !== null || readings.length >= READINGS) return;
      readings.push(turn(null, cut(folded(words.other[i].text, "exact"))));
    });
    const [mineCount, otherCount] = [found.a.length, found.b.length];
    this.#keep({
      ...{ row: row.index, id: cut(row.id), agreement: found.agreement },
      a_words: own === "a" ? mineCount : otherCount,
      b_words: own === "a" ? otherCount : mineCount,
      readings,
    });
  }

  #isAmongLeast(agreement: number): boolean {
    if (agreement >= 1) return false;
    return this.#least.length < PAGES || agreement < this.#least[PAGES - 1].agreement;
  }

  #keep(page: LeastPage): void {
    this.#least.push(page);
    this.#least.sort((a, b) => a.agreement - b.agreement || a.row - b.row);
    this.#least.length = Math.min(this.#least.length, PAGES);
  }

  /** The figures. */
  get figures(): AgreementFigures {
    const mean = (sum: number, of: number) => of > 0 ? sum / of : null;
    return {
      a: { ...this.#sides.a },
      b: { ...this.#sides.b },
      pages: {
        compared: this.#compared,
        identical: this.#identical,
        agreement: mean(this.#agreement, this.#compared),
        not_compared: Object.fromEntries([...this.#notCompared].sort(([a], [b]) => a < b ? -1 : 1)),
      },
      words: {
        compared: this.#words,
        agreement: mean(this.#wordAgreement, this.#words),
        levels: LEVELS.map((agreement, i) => ({ agreement, words: this.#levels[i] })),
      },
      confusions: this.#confusions.most(CONFUSIONS),
      least: this.#least,
    };
  }
}

function cut(text: string): string {
  return text.length > TEXT ? `${text.slice(0, TEXT - 1).toWellFormed()}…` : text;
}
