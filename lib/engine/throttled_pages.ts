/**
 * @module engine/throttled_pages: tells a page that is answered 429 whenever it is asked for from an
 * account that is asked too fast. A rate limit hits whoever comes; a page that it hits time after
 * time, while those that come in between are answered, is hit for its own sake. How often that must
 * happen follows from how often others are hit: a limit must never fail a page.
 *
 * A 429 costs nothing, an answer a page. So where nothing but such pages is left, few answers of a
 * page that is known to work, asked for on behalf of all of them, stand against many 429s of each.
 *
 * `engine/health.ts` tells it what happens, `label/ask.ts` acts on what it says.
 */

import type { Clock } from "../base/clock.ts";

/**
 * From so many times in a row on the limiter isn't told any more, and the page waits longer, if a
 * limit does that to so few pages by what it does to others.
 */
const SUSPICIOUS = { times: 2, byChance: 1 / 64 };
/** The same where hardly anybody else is throttled meanwhile: a limit would hit others, too. */
const LONELY = { times: 2, byChance: 0.01 };
/** The page is failed in the same way. */
const GUILTY = { times: 5, byChance: 1e-6 };
/** The same with a code that has spoken of a page before. */
const KNOWN = { times: 3, byChance: 0.05 };
/** The same where a page that is known to work was answered so often, right before a 429 each time. */
const PROVEN = { proofs: 3, byChance: 1.1e-4 };
/**
 * What a page and others meet is compared piece by piece, as limits change: a piece is done once so
 * many others were answered in it, or the page was throttled so often for each that was.
 */
const PIECE = { worked: 7, times: 20 };
/** 429s of a page that follow each other in less of that time count as one: one cause. */
const APART_SHARE = 1 / 24;
/** The page that works is asked for at most once in so much of the time that a page is given … */
const DOUBT_SHARE = 0.25;
/** … twice as much each time that it is throttled, too, up to so many times … */
const MOST_DOUBLED = 4;
/** … or in so many such times while there are pages that the last answer has shown nothing of yet. */
const UNSPENT_TIMES = 2;
/** Longest wait of a page before it is asked for again, milliseconds, unless little is to be waited. */
const LONGEST_WAIT_MS = 6_000;

/** What is to be made of a page's 429. */
export interface Throttled {
  /** Whether it shows nothing of the account, so that nobody else is to be held back. */
  readonly alone: boolean;
  /** Whether that is so in spite of a page that works: it was answered time after time. */
  readonly proven: boolean;
  /** How long the page should wait beyond its turn, milliseconds. */
  readonly waitMs: number;
  /** Whether a page that is known to work would show what others don't. */
  readonly doubtful: boolean;
  /** Why the page is to be given up, in words; absent while it isn't. */
  readonly own?: string;
}

/** A lane, as far as it tells whom it throttles. */
export interface ThrottledOn {
  /** The latest request that has started. */
  readonly latest: number;
  /** Whether a request that started after that one was answered or rejected. */
  workedSince(number: number): boolean;
}

/** What all others have met on a lane. */
interface Lane {
  /** Requests that were answered or rejected. */
  worked: number;
  /** 429s of pages that were answered in the end: what those mean that are not is in question. */
  throttled: number;
  /** All 429s, whatever they mean. */
  all: number;
}

/** What a page has met on a lane. */
interface OnLane {
  /** How often it was throttled. */
  hits: number;
  /** The same, not counting those between which nothing else was answered. */
  times: number;
  /** The latest request that had started the last time. */
  number: number;
  /** The chance of what came in pieces that are done, and of what came in this one. */
  past: number;
  chance: number;
  /** 429s in this piece, the last one when, milliseconds, and answers of others, … */
  tries: number;
  at: number;
  worked: number;
  /** … and what they had met before it. */
  before: Readonly<Lane>;
  /** What they had met when it began. */
  readonly first: Readonly<Lane>;
  /** Times right after a page that is known to work was answered. */
  proofs: number;
  /** Whether that has happened since the last time. */
  proven: boolean;
}

interface Page {
  readonly since: number;
  readonly on: Map<ThrottledOn, OnLane>;
  /** The API's word, where it is none for a rate. */
  code: string | undefined;
}

/** Pages of an engine that are being throttled, on whichever lane. */
export class ThrottledPages {
  readonly #clock: Clock;
  readonly #leastMs: number;
  readonly #lanes = new Map<ThrottledOn, Lane>();
  readonly #pages = new Map<string, Page>();
  /** Codes that were found to speak of a page. */
  readonly #codes = new Set<string>();
  #doubtedAt = -Infinity;
  /** How often the page that works was throttled since it was answered. */
  #inVain = 0;

  /**
   * None is throttled at first.
   *
   * @param clock Time.
   * @param leastMs No page is given up sooner after its first 429, milliseconds.
   */
  constructor(clock: Clock, leastMs: number) {
    this.#clock = clock;
    this.#leastMs = leastMs;
  }

  /** Pages that were throttled and not answered since. */
  get size(): number {
    return this.#pages.size;
  }

  /** A page was answered or rejected. @param control Whether it is the one known to work. */
  worked(on: ThrottledOn, page: string, control: boolean): void {
    this.#lane(on).worked++;
    const passed = this.#pages.get(page);
    // It has passed, as a limit does.
    if (passed?.code !== undefined) this.#codes.delete(passed.code);
    this.#pages.delete(page);
    for (const [lane, { hits }] of passed?.on ?? []) {
      this.#lane(lane).throttled += hits;
      this.#disprove(lane); // some limit is at work
    }
    if (!control) return;
    this.#inVain = 0;
    for (const throttled of this.#pages.values()) {
      const met = throttled.on.get(on);
      if (met) met.proven = true;
    }
  }

  /** The page that is known to work was throttled, too: nothing is proven. */
  controlThrottled(on: ThrottledOn): void {
    const lane = this.#lane(on);
    lane.throttled++;
    lane.all++;
    this.#inVain++;
    this.#disprove(on);
  }

  /** A page is through, whatever came of it. */
  leave(page: string): void {
    this.#pages.delete(page);
  }

  /**
   * A page was throttled.
   *
   * @param code The API's word for it, where it is none for a rate.
   * @param ends Whether the run would end if it were not the page.
   */
  throttled(on: ThrottledOn, name: string, code: string | undefined, ends = false): Throttled {
    const now = this.#clock.now();
    const page = this.#pages.get(name) ?? { since: now, on: new Map(), code };
    this.#pages.set(name, page);
    page.code = code;
    this.#meet(page, on, now);
    const met = [...page.on.values()];
    const sum = (count: (met: OnLane) => number) => met.reduce((sum, met) => sum + count(met), 0);
    const [hits, times] = [sum(({ hits }) => hits), sum(({ times }) => times)];
    const chance = met.reduce((all, { past, chance }) => all * past * chance, 1);
    const is = (kind: typeof GUILTY) => times >= kind.times && chance <= kind.byChance;
    const known = code !== undefined && this.#codes.has(code);
    const proofs = sum(({ proofs }) => proofs);
    const isProven = proofs >= PROVEN.proofs && chance <= PROVEN.byChance;
    const lonely = times >= LONELY.times && this.#shareOfOthers(page) ** times <= LONELY.byChance;
    const alone = known || lonely || is(SUSPICIOUS) || proofs > 0;
    const long = now - page.since >= this.#leastMs;
    const own = known && is(KNOWN) || long && (is(GUILTY) || isProven);
    if (own && code !== undefined) this.#codes.add(code);
    const wants = proofs < PROVEN.proofs || page.on.get(on)!.worked === 0;
    const doubtful = !own && wants && (long || ends || known && hits >= KNOWN.times) &&
      this.#mayDoubt(now);
    const seconds = Math.round((now - page.since) / 1_000);
    return {
      alone,
      proven: proofs >= PROVEN.proofs - 1,
      doubtful,
      waitMs: alone
        ? Math.min(LONGEST_WAIT_MS, this.#leastMs / 2, 1_000 * 2 ** Math.min(5, hits - 1))
        : 0,
      ...own && {
        own: `whenever it was asked for, for ${seconds} s, while other pages were answered`,
      },
    };
  }

  #lane(on: ThrottledOn): Lane {
    const lane = this.#lanes.get(on) ?? { worked: 0, throttled: 0, all: 0 };
    this.#lanes.set(on, lane);
    return lane;
  }

  /** How many of the others' requests are throttled, where a page is, by Laplace's rule. */
  #shareOfOthers({ on }: Page): number {
    let [others, worked] = [0, 0];
    for (const [lane, { hits, first }] of on) {
      const now = this.#lane(lane);
      others += now.all - first.all - (hits - 1);
      worked += now.worked - first.worked;
    }
    return (others + 1) / (worked + others + 2);
  }

  #disprove(on: ThrottledOn): void {
    for (const page of this.#pages.values()) {
      const met = page.on.get(on);
      if (met) [met.proofs, met.proven] = [0, false];
    }
  }

  #meet({ on }: Page, by: ThrottledOn, now: number): void {
    const lane = this.#lane(by);
    lane.all++;
    const met = on.get(by);
    if (!met) {
      // That it was throttled once is why it is looked at: it counts for nothing.
      const none = {
        hits: 1,
        times: 1,
        past: 1,
        chance: 1,
        tries: 0,
        worked: 0,
        proofs: 0,
        proven: false,
      };
      const [first, before] = [{ ...lane }, { ...lane }];
      on.set(by, { ...none, at: now, number: by.latest, first, before });
      return;
    }
    const shows = by.workedSince(met.number);
    met.hits++;
    if (shows) met.times++;
    if (met.proven) met.proofs++;
    [met.number, met.proven] = [by.latest, false];
    if (!shows && now - met.at < this.#leastMs * APART_SHARE) return;
    met.at = now;
    met.tries++;
    const throttled = lane.throttled - met.before.throttled;
    const worked = lane.worked - met.before.worked;
    met.worked = worked;
    met.chance = chanceOf(met.tries, throttled, worked);
    if (worked < PIECE.worked && !(worked > 0 && met.tries >= PIECE.times * worked)) return;
    [met.past, met.chance] = [met.past * met.chance, 1];
    [met.tries, met.worked, met.before] = [0, 0, { ...lane }];
  }

  /** Whether it is worth a page: one look shows it for all, so all are to make use of the last. */
  #mayDoubt(now: number): boolean {
    const unspent = this.#pages.values().some(({ on }) => on.values().some(({ proven }) => proven));
    const longer = 2 ** Math.min(MOST_DOUBLED, this.#inVain);
    const pause = this.#leastMs * (unspent ? UNSPENT_TIMES : DOUBT_SHARE * longer);
    if (now - this.#doubtedAt < pause) return false;
    this.#doubtedAt = now;
    return true;
  }
}

/**
 * How often a limit that hits whoever comes would hit a page all these times, and let others pass
 * as often as it did: by Fisher's exact test. Of many others only some came when the page did.
 */
function chanceOf(tries: number, throttled: number, worked: number): number {
  let chance = 1;
  for (let n = 1; n <= tries; n++) {
    chance *= Math.max(1 / (PIECE.worked + 1), (throttled + n) / (throttled + worked + n));
  }
  return chance;
}
