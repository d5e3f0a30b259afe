/**
 * @module evaluate/agree_words: how far two engines agree on the words of a page. Words in one
 * place are one to one; where one engine has joined what the other has cut, words are held against
 * their parts. Neither engine is the truth: exchanging them exchanges the results, and the order of
 * words means nothing. Pure.
 */

import { area, boundingBox, type Box, intersectionArea, type Points } from "../geometry/polygon.ts";
import { BoxIndex } from "./boxes.ts";
import { IOU } from "./match.ts";
import { inReadingOrder } from "./segments.ts";
import { shareText } from "./share_text.ts";
import { editDistance, folded, lengthOf } from "./text.ts";

/** A word as an engine has read it. */
export interface ReadWord {
  /** As it was read. */
  readonly text: string;
  /** Convex, in pixels that both engines' words are in; undefined for one that lies nowhere. */
  readonly points: Points | undefined;
}

/** What another engine says of a word. */
export interface WordAgreement {
  /** 1 − edits / greater length, 0 to 1; 0 where the other engine has nothing there. */
  readonly agreement: number;
  /** What the other engine has read there (NFC, blanks folded); null for nothing. */
  readonly other: string | null;
}

/** How far two engines agree on a page. */
export interface WordsAgreement {
  /** By word of the first. */
  readonly a: readonly WordAgreement[];
  /** By word of the second. */
  readonly b: readonly WordAgreement[];
  /**
   * Mean over the words of both, each counted by its characters, 0 to 1: so it is the same whether
   * an engine gives words or lines. 1 where neither has read anything.
   */
  readonly agreement: number;
}

/** A word belongs to the one of the other engine that holds most of it, if at least this share. */
const HELD_SHARE = 0.5;
/** Pages with more overlapping boxes are no pages of text: a third of a second of work. */
const MAX_PAIRS = 200_000;

/** A word on its way. */
interface Placed {
  /** Of both engines in one row: those of the second come behind those of the first. */
  readonly at: number;
  readonly points: Points;
  readonly area: number;
  readonly box: Box;
  readonly text: string;
}

/** Two words that overlap. */
interface Pair {
  readonly a: Placed;
  readonly b: Placed;
  /** Square pixels. */
  readonly shared: number;
  readonly iou: number;
}

/**
 * Compares the words of a page. Texts are compared after NFC and without blanks; case counts.
 *
 * @returns `undefined` where boxes overlap beyond all measure
 */
export function agreeOnWords(
  a: readonly ReadWord[],
  b: readonly ReadWord[],
): WordsAgreement | undefined {
  const words = [...a, ...b].map(({ text, points }) => {
    const shown = folded(text, "exact");
    return { shown, characters: Array.from(shown.replaceAll(" ", "")), points };
  });
  const pairs = overlaps(
    words.map(({ shown, points }, at) => points && placed(at, points, shown)),
    a.length,
  );
  if (!pairs) return undefined;
  const found = words.map((): WordAgreement => ({ agreement: 0, other: null }));
  for (const group of groupsOf(pairs, words.length)) {
    group.sort(comparePlaced); // so that chance decides nothing
    const own = group.filter(({ at }) => at < a.length);
    const others = group.filter(({ at }) => at >= a.length);
    const piece = group[group.length - 1].points;
    const [one, other] = [own, others].map((side) =>
      inReadingOrder(side.map((_, i) => i), side, piece).map((i) => side[i].at)
    );
    hold(one, other, words, found);
    hold(other, one, words, found);
  }
  let [sum, weight] = [0, 0];
  found.forEach(({ agreement }, at) => {
    const length = Math.max(1, words[at].characters.length);
    sum += agreement * length;
    weight += length;
  });
  return {
    a: found.slice(0, a.length),
    b: found.slice(a.length),
    agreement: weight > 0 ? Math.min(1, sum / weight) : 1,
  };
}

/** How alike two texts are, 0 to 1. @param a Without blanks, like `b`. */
export function likeness(a: string, b: string): number {
  if (a === b) return 1;
  return 1 - editDistance(a, b) / Math.max(lengthOf(a), lengthOf(b));
}

function placed(at: number, points: Points, text: string): Placed {
  return { at, points, area: area(points), box: boundingBox(points), text };
}

/** A total order in which positions mean nothing; equal ones are the same word twice. */
function comparePlaced(one: Placed, other: Placed): number {
  if (one.area !== other.area) return one.area - other.area;
  for (let i = 0; i < 4; i++) if (one.box[i] !== other.box[i]) return one.box[i] - other.box[i];
  if (one.text !== other.text) return one.text < other.text ? -1 : 1;
  const [a, b] = [String(one.points), String(other.points)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function overlaps(all: readonly (Placed | undefined)[], firstOfB: number): Pair[] | undefined {
  const there = all.filter((word) => word !== undefined);
  const own = there.filter(({ at }) => at < firstOfB);
  const others = there.filter(({ at }) => at >= firstOfB);
  const index = new BoxIndex(others);
  const pairs: Pair[] = [];
  let looked = 0;
  for (const a of own) {
    const near = index.near(a.points);
    looked += near.length;
    if (looked > MAX_PAIRS) return undefined;
    for (const i of near) {
      const b = others[i];
      // In one order whichever comes first, so that rounding is the same both ways.
      const [first, second] = comparePlaced(a, b) <= 0 ? [a, b] : [b, a];
      const shared = intersectionArea(first.points, second.points);
      if (shared <= 0) continue;
      pairs.push({ a, b, shared, iou: shared / (first.area + second.area - shared) });
    }
  }
  return pairs;
}

/** Words that belong together: at least one of each engine. */
function groupsOf(pairs: readonly Pair[], words: number): Placed[][] {
  const leader = Array.from({ length: words }, (_, at) => at);
  const leaderOf = (at: number): number => {
    while (leader[at] !== at) at = leader[at] = leader[leader[at]];
    return at;
  };
  const taken = new Set<number>();
  const joined: Pair[] = [];
  const join = (pair: Pair) => {
    joined.push(pair);
    taken.add(pair.a.at).add(pair.b.at);
    leader[leaderOf(pair.a.at)] = leaderOf(pair.b.at);
  };
  // First what lies in one place, one to one, the closest first.
  const close = pairs.filter(({ iou }) => iou > IOU).sort((x, y) => y.iou - x.iou || tie(x, y));
  for (const pair of close) if (!taken.has(pair.a.at) && !taken.has(pair.b.at)) join(pair);
  // Then what lies in something larger, be it matched already: "I understand" and "understand".
  const holders = new Map<number, Pair>();
  for (const pair of pairs) {
    for (const { at, area } of [pair.a, pair.b]) {
      if (taken.has(at) || pair.shared < area * HELD_SHARE) continue;
      const best = holders.get(at);
      if (
        !best || pair.shared > best.shared || pair.shared === best.shared && tie(pair, best) < 0
      ) {
        holders.set(at, pair);
      }
    }
  }
  for (const pair of holders.values()) join(pair);
  const groups = new Map<number, Map<number, Placed>>();
  for (const { a, b } of joined) {
    const of = leaderOf(a.at);
    let group = groups.get(of);
    if (!group) groups.set(of, group = new Map());
    group.set(a.at, a).set(b.at, b);
  }
  return Array.from(groups.values(), (group) => [...group.values()]);
}

/** Which of two equal overlaps comes first: exchanging the engines changes nothing. */
function tie(x: Pair, y: Pair): number {
  const order = ({ a, b }: Pair) => comparePlaced(a, b) <= 0 ? [a, b] : [b, a];
  const [[x1, x2], [y1, y2]] = [order(x), order(y)];
  return comparePlaced(x1, y1) || comparePlaced(x2, y2);
}

interface FoldedWord {
  /** As it is shown. */
  readonly shown: string;
  /** Without blanks. */
  readonly characters: readonly string[];
}

/** Holds each of some words against its part of what the other engine has read in their place. */
function hold(
  own: readonly number[],
  others: readonly number[],
  words: readonly FoldedWord[],
  found: WordAgreement[],
): void {
  const other = others.map((at) => words[at].shown).filter((text) => text !== "").join(" ");
  if (own.length === 1) {
    const text = others.flatMap((at) => words[at].characters).join("");
    const agreement = likeness(words[own[0]].characters.join(""), text);
    found[own[0]] = { agreement, other };
    return;
  }
  const text: string[] = [];
  const begins: boolean[] = [];
  for (const part of other.split(" ")) {
    for (const [i, character] of Array.from(part).entries()) {
      text.push(character);
      begins.push(i === 0);
    }
  }
  const ends = shareText(own.map((at) => words[at].characters), text, begins);
  if (!ends) {
    const whole = likeness(
      own.flatMap((at) => words[at].characters).join(""),
      text.join(""),
    );
    for (const at of own) found[at] = { agreement: whole, other };
    return;
  }
  own.forEach((at, i) => {
    const [from, end] = [i === 0 ? 0 : ends[i - 1], ends[i]];
    if (from === end) return; // nothing was read in its place
    const part = text.slice(from, end);
    const shown = part.map((each, n) => n > 0 && begins[from + n] ? ` ${each}` : each).join("");
    const agreement = likeness(words[at].characters.join(""), part.join(""));
    found[at] = { agreement, other: shown };
  });
}
