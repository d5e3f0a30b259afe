/**
 * @module pace/starts: the starts that were really made: how many there were in a second, and what
 * they show of the rate in force. A rate that nobody has started at is no rate that was taken.
 */

/** Starts are remembered for so long, milliseconds: a second before one that is refused quickly. */
const KEPT_MS = 5_000;
/** A refusal is expected within so long while none was seen, milliseconds. */
const FIRST_GRACE_MS = 200;
/** The same at least, later; milliseconds. */
const LEAST_GRACE_MS = 150;
/** A refusal may take so many times as long as the slowest of late. */
const GRACE_HEADROOM = 2;
/** What a slow refusal leaves behind at each quicker one, as a share. */
const GRACE_MEMORY = 0.8;
/** A start that is later is a sign of a process that stands still or has too much to do; ms. */
const LATE_MS = 20;
/** One that is so much later was held up by a stall, milliseconds; … */
const STALL_MS = 50;
/** … what others it held up arrives together for so long, milliseconds. */
const STALL_EFFECT_MS = 2_000;
/** Refusals may wait to be read then, for so long, milliseconds, … */
const BLIND_MS = 50;
/** … and so many times as long as the start was late. */
const BLIND_FACTOR = 2;
/** The average is taken over about so long, milliseconds, the latest starts counting most. */
const AVERAGE_MS = 20_000;
/** Of which so much must have passed, as a share: a few starts are no average. */
const LEAST_SEEN = 0.1;

/** What the starts at the present rate show. */
export interface Evidence {
  /** Starts. */
  readonly starts: number;
  /** Those that the server has taken: answered, or not refused where a refusal would be here. */
  readonly taken: number;
  /** Those of them that came in a second which was full. */
  readonly full: number;
  /** Since when that rate is in force, milliseconds. */
  readonly spanMs: number;
}

/** Keeps the latest starts, and counts those at the present rate. Times are milliseconds. */
export class StartLog {
  #latest: { readonly at: number; readonly full: boolean }[] = [];
  /** Index of the oldest one that is remembered. */
  #first = 0;
  /** Those before `#latest`. */
  #forgotten = 0;
  #since: number;
  #firstAt: number | undefined;
  #starts = 0;
  #full = 0;
  #answered = 0;
  #fullAnswered = 0;
  #failed = 0;
  #refusalMs = 0;
  #blindUntil = 0;
  /** When a start was later than a timer ever is. */
  #stalledAt = -Infinity;
  /** Starts that were not refused, each fading with time, as of `#weighedAt`. */
  #weight = 0;
  #weighedAt: number;
  readonly #begin: number;

  /** Nothing has started yet. @param now Time now. */
  constructor(now: number) {
    this.#since = this.#weighedAt = this.#begin = now;
  }

  /** Begins to count anew, as another rate or another try is in force. */
  restart(now: number): void {
    this.#since = now;
    this.#firstAt = undefined;
    this.#starts =
      this.#full =
      this.#answered =
      this.#fullAnswered =
      this.#failed =
        0;
  }

  /**
   * A request starts.
   *
   * @param full Whether there were as many in the last second as the rate allows.
   * @param lateMs By how much later it starts than it might have, milliseconds.
   * @returns Its number.
   */
  started(now: number, full: boolean, lateMs: number): number {
    this.#latest.push({ at: now, full });
    this.#weigh(1, now);
    this.#firstAt ??= now;
    this.#starts++;
    if (full) this.#full++;
    if (lateMs > STALL_MS) this.#stalledAt = now;
    if (lateMs > LATE_MS) {
      this.#blindUntil = Math.max(this.#blindUntil, now + BLIND_MS + BLIND_FACTOR * lateMs);
    }
    while (this.#latest[this.#first].at <= now - KEPT_MS) this.#first++;
    if (this.#first > 1_000) {
      this.#latest = this.#latest.slice(this.#first);
      this.#forgotten += this.#first;
      this.#first = 0;
    }
    return this.#next - 1;
  }

  /** A request of the present count was answered. @param full Whether its second was full. */
  answered(full: boolean): void {
    this.#answered++;
    if (full) this.#fullAnswered++;
  }

  /** A request of the present count came to nothing that says anything about a quota. */
  failed(): void {
    this.#failed++;
  }

  /** A request was refused after so long, milliseconds. */
  refused(afterMs: number, now: number): void {
    this.#weigh(-1, now);
    const faded = GRACE_MEMORY * this.#refusalMs + (1 - GRACE_MEMORY) * afterMs;
    this.#refusalMs = Math.max(afterMs, faded);
  }

  /** Another request of the same burst was refused. */
  refusedToo(now: number): void {
    this.#weigh(-1, now);
  }

  /** Whether the process stood still shortly before a start. */
  stalled(at: number): boolean {
    return at - this.#stalledAt <= STALL_EFFECT_MS;
  }

  /** Within this time a refusal would be here, milliseconds. */
  get graceMs(): number {
    if (this.#refusalMs === 0) return FIRST_GRACE_MS;
    return Math.max(LEAST_GRACE_MS, GRACE_HEADROOM * this.#refusalMs);
  }

  /**
   * When the first start of the present count will have shown that it is taken; `undefined` where
   * none has started, or one has since.
   */
  get proofAt(): number | undefined {
    if (this.#firstAt === undefined) return undefined;
    const at = this.#firstAt + this.graceMs;
    return this.last(1)! < at ? at : undefined;
  }

  /** Starts within the second before one. @param number Its number, or that of the next one. */
  secondBefore(number: number, at: number): number {
    const last = Math.min(number - this.#forgotten, this.#latest.length) - 1;
    let i = last;
    while (i >= this.#first && this.#latest[i].at > at - 1_000) i--;
    return Math.max(0, last - i);
  }

  /** Starts per second at the present count before one of them. */
  achieved(number: number, at: number): number {
    const later = this.#next - number;
    return Math.max(0, this.#starts - later) / Math.max(1, at - this.#since) * 1_000;
  }

  /** Starts per second that were not refused, over the last half minute or so. */
  average(now: number): number {
    const seen = 1 - Math.exp((this.#begin - now) / AVERAGE_MS);
    return this.#faded(now) / (AVERAGE_MS / 1_000 * Math.max(seen, LEAST_SEEN));
  }

  /** When the start was made that has `n - 1` later ones; `undefined` where that is long ago. */
  last(n: number): number | undefined {
    const index = this.#latest.length - n;
    return index >= this.#first ? this.#latest[index].at : undefined;
  }

  /** What the starts since `restart()` show. */
  evidence(now: number): Evidence {
    let [taken, full] = [this.#answered, this.#fullAnswered];
    if (now >= this.#blindUntil) {
      const young = this.#youngerThan(now - this.graceMs);
      taken = Math.max(taken, this.#starts - young.starts - this.#failed);
      full = Math.max(full, this.#full - young.full - this.#failed);
    }
    return { starts: this.#starts, taken, full, spanMs: now - this.#since };
  }

  /** Starts of the second that ended when a refusal would be here by now. */
  takenSecond(now: number): number {
    const quiet = now - this.graceMs;
    return this.secondBefore(this.#next - this.#youngerThan(quiet).all, quiet);
  }

  #weigh(by: number, now: number): void {
    this.#weight = this.#faded(now) + by;
    this.#weighedAt = now;
  }

  #faded(now: number): number {
    return this.#weight * Math.exp((this.#weighedAt - now) / AVERAGE_MS);
  }

  get #next(): number {
    return this.#forgotten + this.#latest.length;
  }

  #youngerThan(time: number) {
    let [all, full] = [0, 0];
    for (let i = this.#latest.length - 1; i >= this.#first && this.#latest[i].at > time; i--) {
      all++;
      if (this.#latest[i].full) full++;
    }
    return { all, starts: Math.min(all, this.#starts), full: Math.min(full, this.#full) };
  }
}
