/**
 * @module engine/throttled_pages: tells a page that is answered 429 whenever it is asked for from an
 * account that is asked too fast. A rate limit hits whoever comes; a page that it hits time after
 * time, while those that come in between are answered, is hit for its own sake. How often that must
 * happen follows from how often others are hit: a limit must never fail a page.
 *
 * `engine/health.ts` tells it what happens, `label/ask.ts` acts on what it says.
 */

import type { Clock } from "../base/clock.ts";

/**
 * From so many times in a row on the limiter isn't told any more, and the page waits longer, if a
 * limit does that to so few pages by what it does to others.
 */
const SUSPICIOUS = { times: 2, byChance: 0.01 };
/** The page is failed in the same way. */
const GUILTY = { times: 5, byChance: 1e-6 };
/** The same with a code that has spoken of a page before. */
const TIMES_KNOWN = 3;
/** So often in a row it may be throttled right after a page that is known to work is answered. */
const PROOFS = 3;
/** That page is asked for at most once in so much of the time that a page is given at least. */
const DOUBT_SHARE = 0.25;
/** Longest wait of a page before it is asked for again, milliseconds, unless little is to be waited. */
const LONGEST_WAIT_MS = 30_000;

/** What is to be made of a page's 429. */
export interface Throttled {
  /** Whether it shows nothing of the account, so that nobody else is to be held back. */
  readonly alone: boolean;
  /** How long the page should wait beyond its turn, milliseconds. */
  readonly waitMs: number;
  /** Whether a page that is known to work would show what others don't. */
  readonly doubtful: boolean;
  /** Why the page is to be given up, in words; absent while it isn't. */
  readonly own?: string;
}

interface Page {
  /** In a row, not counting those between which nothing else was answered. */
  times: number;
  readonly since: number;
  /** The latest request that had started by then. */
  number: number;
  /** What others had met when it began. */
  readonly worked: number;
  readonly throttled: number;
  /** How often it was throttled. */
  hits: number;
  /** Times right after a page that is known to work was answered. */
  proofs: number;
  /** Whether that has happened since the last time. */
  proven: boolean;
  /** The API's word, where it is none for a rate. */
  code: string | undefined;
}

/** Pages of one lane that are being throttled. */
export class ThrottledPages {
  readonly #clock: Clock;
  readonly #leastMs: number;
  readonly #pages = new Map<string, Page>();
  /** Codes that were found to speak of a page. */
  readonly #codes = new Set<string>();
  #worked = 0;
  #throttled = 0;
  #doubtedAt = -Infinity;

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

  /** A page was answered or rejected. @param control Whether it is the one known to work. */
  worked(page: string, control: boolean): void {
    this.#worked++;
    const code = this.#pages.get(page)?.code;
    if (code !== undefined) this.#codes.delete(code); // it has passed, as a limit does
    this.#pages.delete(page);
    if (!control) return;
    for (const throttled of this.#pages.values()) throttled.proven = true;
  }

  /** The page that is known to work was throttled, too: nothing is proven. */
  controlThrottled(): void {
    this.#throttled++;
    for (const page of this.#pages.values()) [page.proofs, page.proven] = [0, false];
  }

  /** A page is through, whatever came of it. */
  leave(page: string): void {
    this.#pages.delete(page);
  }

  /**
   * A page was throttled.
   *
   * @param latest The latest request that has started.
   * @param workedSince Whether a request that started after that one was answered or rejected.
   */
  throttled(
    name: string,
    code: string | undefined,
    latest: number,
    workedSince: (number: number) => boolean,
  ): Throttled {
    const now = this.#clock.now();
    let page = this.#pages.get(name);
    if (!page) {
      const [worked, throttled] = [this.#worked, this.#throttled];
      page = {
        ...{ times: 1, since: now, number: latest, worked, throttled },
        ...{ hits: 0, proofs: 0, proven: false, code },
      };
      this.#pages.set(name, page);
    } else {
      if (workedSince(page.number)) page.times++;
      if (page.proven) page.proofs++;
      [page.number, page.proven, page.code] = [latest, false, code];
    }
    const { times, since, proofs } = page;
    this.#throttled++;
    page.hits++;
    const others = this.#throttled - page.throttled - page.hits;
    // Laplace's rule: of few others little is known.
    const share = (others + 1) / (this.#worked - page.worked + others + 2);
    const is = (kind: typeof GUILTY) => times >= kind.times && share ** times <= kind.byChance;
    const known = code !== undefined && this.#codes.has(code);
    const suspicious = is(SUSPICIOUS);
    const alone = known || suspicious || proofs > 0 && share < 0.5;
    const long = now - since >= this.#leastMs;
    const enough = known && times >= TIMES_KNOWN || long && (proofs >= PROOFS || is(GUILTY));
    const own = suspicious && enough;
    if (own && code !== undefined) this.#codes.add(code);
    // One look at it shows it for all of them, and costs a page.
    const doubtful = !own && (long || known && page.hits >= TIMES_KNOWN) &&
      now - this.#doubtedAt >= this.#leastMs * DOUBT_SHARE;
    if (doubtful) this.#doubtedAt = now;
    const seconds = Math.round((now - since) / 1_000);
    return {
      alone,
      doubtful,
      waitMs: alone
        ? Math.min(LONGEST_WAIT_MS, this.#leastMs / 2, 1_000 * 2 ** Math.min(5, page.hits - 1))
        : 0,
      ...own && {
        own: `whenever it was asked for, for ${seconds} s, while other pages were answered`,
      },
    };
  }
}
