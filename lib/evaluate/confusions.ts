/**
 * @module evaluate/confusions: which characters one engine reads where the other reads others: `0`
 * and `O`, a comma and a full stop, Hangul that looks alike. Pure.
 */

/** Different confusions that are told apart; what comes later is not counted. */
const MOST = 20_000;
/** Longer texts are not looked into, code points. */
const LONGEST = 200;
/** Less alike texts are no misreadings of each other. */
const LEAST_LIKENESS = 0.5;

/** How often what was read instead of what. */
export interface Confusion {
  /** What the first reads; empty for nothing. */
  readonly a: string;
  /** What the second reads there. */
  readonly b: string;
  /** How often. */
  readonly count: number;
}

/** Counts them. */
export class Confusions {
  readonly #counts = new Map<string, number>();

  /**
   * Takes two readings of a word into account. @param likeness Of the two, 0 to 1.
   */
  add(a: string, b: string, likeness: number): void {
    if (likeness >= 1 || likeness < LEAST_LIKENESS) return;
    const [one, other] = [a, b].map((text) => Array.from(text.replaceAll(" ", "")));
    if (one.length > LONGEST || other.length > LONGEST) return;
    for (const [x, y] of differences(one, other)) {
      const name = `${x}\n${y}`;
      const known = this.#counts.get(name);
      if (known !== undefined || this.#counts.size < MOST) this.#counts.set(name, (known ?? 0) + 1);
    }
  }

  /** The most frequent first. */
  most(count: number): Confusion[] {
    return Array.from(this.#counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
      .slice(0, count).map(([name, count]) => {
        const [a, b] = name.split("\n");
        return { a, b, count };
      });
  }
}

/** Single characters that differ, on a way of least edits that replaces rather than adds. */
function differences(a: readonly string[], b: readonly string[]): [string, string][] {
  const width = b.length + 1;
  const cost = new Uint16Array((a.length + 1) * width);
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      const at = i * width + j;
      if (i === 0 || j === 0) cost[at] = i + j;
      else {
        const pair = cost[at - width - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
        cost[at] = Math.min(pair, cost[at - width] + 1, cost[at - 1] + 1);
      }
    }
  }
  const found: [string, string][] = [];
  let [i, j] = [a.length, b.length];
  while (i > 0 || j > 0) {
    const at = i * width + j;
    const same = i > 0 && j > 0 && a[i - 1] === b[j - 1];
    if (i > 0 && j > 0 && cost[at] === cost[at - width - 1] + (same ? 0 : 1)) {
      if (!same) found.push([a[i - 1], b[j - 1]]);
      [i, j] = [i - 1, j - 1];
    } else if (i > 0 && cost[at] === cost[at - width] + 1) found.push([a[--i], ""]);
    else found.push(["", b[--j]]);
  }
  return found;
}
