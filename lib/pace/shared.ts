/**
 * @module pace/shared: the rate of one process among others that use the same key. While it is
 * alone it searches for itself (`pace/controller.ts`); with others it keeps to the plan that all
 * have made (`pace/sharing.ts`): its starts have their places in time between those of the others,
 * so that all together start as evenly as one would.
 */

import {
  DEFAULT_PAUSE_MS,
  IN_FLIGHT_HEADROOM,
  LATENCY_ANSWERS,
  LEAST_IN_FLIGHT,
  MAX_IN_FLIGHT,
  MAX_PAUSE_MS,
  RateController,
  type RateControllerOptions,
} from "./controller.ts";
import {
  ALONE_MS,
  BEAT_MS,
  Membership,
  type ShareMember,
  type SharePlan,
  type Sharing,
} from "./sharing.ts";
import type { LearntRate, Pacer, RateChange, RequestOutcome, Start } from "./types.ts";

/** A start that is so late takes its place all the same, milliseconds, … */
const LATE_MS = 20;
/** … or by so much of the time between two starts of all. */
const LATE_SHARE = 0.5;
/** Who is in no plan yet looks again after so long, milliseconds. */
const SOON_MS = 1_000;
/** What is left after a minute of what was counted, as a share, is 1 / e. */
const COUNTED_MS = 60_000;
/** So many refusals in a row halve the own share until there is a new plan. */
const IN_A_ROW = 3;

/** A start under a plan, or of its own. */
export interface SharedStart {
  /** When, milliseconds. */
  readonly at: number;
  /** Of the search that it was part of; absent under a plan. */
  readonly own?: { readonly search: RateController; readonly start: Start };
  /** The plan that it counts for; 0 for none, -1 if too early. */
  readonly version: number;
  /** The change of the rate that it shows to be due, for the log. */
  readonly change?: RateChange;
}

/** Options of {@linkcode SharedController}. */
export interface SharedControllerOptions extends Omit<RateControllerOptions, "now"> {
  /** Unique among all who may use the key. */
  readonly id: string;
  /** Time now, milliseconds since the epoch, as others have it, too. */
  readonly now: () => number;
}

/** Paces one process: alone, or as one of several. */
export class SharedController implements Pacer<SharedStart> {
  readonly #options: SharedControllerOptions;
  readonly #membership: Membership;
  #alone: RateController;
  /** Plans as they follow each other, the present one first; empty while alone. */
  #plans: readonly SharePlan[] = [];
  /** The one that the counts are of. */
  #kept: SharePlan | undefined;
  /** When the last place was that was taken in it. */
  #placeAt = -Infinity;
  #pausedUntil = -Infinity;
  #pauseMs = DEFAULT_PAUSE_MS;
  #row = 0;
  #thin = 1;
  #latency = 0;
  #answers = 0;
  #started = 0;
  #refused = 0;
  #countedAt = 0;
  /** Since when this process asks alone, and for how long it did. */
  #aloneAt: number | undefined;
  #aloneMs = 0;

  /** Alone at first. */
  constructor(options: SharedControllerOptions) {
    this.#options = options;
    this.#membership = new Membership(options.id);
    this.#alone = new RateController({ ...options, now: options.now() });
  }

  /** The plan in force; `undefined` while alone. */
  #plan(now: number): SharePlan | undefined {
    return this.#plans.findLast((plan) => this.#membership.begin(plan) <= now);
  }

  /** Whether the rate is divided with others. */
  get isShared(): boolean {
    return this.#plans.length > 0;
  }

  /** The last plan that was made, its members and their rate; `undefined` while alone. */
  get plan(): SharePlan | undefined {
    return this.#plans.at(-1);
  }

  /** Whether nobody else is there, or those who have just come wait until the first plan begins. */
  #goesAlone(now: number): boolean {
    if (!this.isShared) return true;
    return this.#aloneMs >= ALONE_MS && this.#membership.begin(this.#plans[0]) > now;
  }

  /** Own requests per second. */
  get rate(): number {
    const now = this.#options.now();
    if (this.#goesAlone(now)) return this.#alone.rate;
    const plan = this.#plan(now);
    if (!plan) return 0;
    return plan.members.includes(this.#options.id)
      ? plan.rate / plan.members.length / this.#thin
      : 0;
  }

  /** How many requests may be in flight. */
  get inFlightCap(): number {
    if (this.#goesAlone(this.#options.now())) return this.#alone.inFlightCap;
    const rate = Math.max(...this.#plans.map(({ rate, members }) => rate / members.length));
    const littles = Math.ceil(rate * this.#latencyMs / 1_000 * IN_FLIGHT_HEADROOM) + 2;
    const { maxInFlight = MAX_IN_FLIGHT } = this.#options;
    return Math.min(maxInFlight, Math.max(LEAST_IN_FLIGHT, littles));
  }

  get #latencyMs(): number {
    return this.#latency || (this.#alone.snapshot(0).latency_ms ?? 2_000);
  }

  /** Nobody may start before this time, milliseconds. */
  get nextStart(): number {
    const now = this.#options.now();
    if (!this.isShared) return this.#alone.nextStart;
    const place = this.#nextPlace(now);
    return this.#goesAlone(now) ? Math.min(place, this.#alone.nextStart) : place;
  }

  /** When the first own place is that is not over, or not known to be refused. */
  #nextPlace(now: number): number {
    const { id } = this.#options;
    for (const [i, plan] of this.#plans.entries()) {
      const next = this.#plans[i + 1];
      const until = next ? this.#membership.begin(next) : Infinity;
      const index = plan.members.indexOf(id);
      if (index < 0 || now >= until) continue;
      const spacing = 1_000 / plan.rate;
      const period = spacing * plan.members.length * this.#thin;
      const late = Math.max(LATE_MS, spacing * LATE_SHARE);
      const begin = this.#membership.begin(plan);
      const taken = plan.version === this.#kept?.version ? this.#placeAt + period / 2 : begin;
      // Places are counted from one moment of everybody's clock, whenever who has come to know.
      const first = plan.from + index * spacing;
      const from = Math.max(begin, taken, this.#pausedUntil, now - late);
      const at = first + Math.ceil((from - first) / period) * period;
      if (at < until) return at;
    }
    // In no plan yet: there is one soon.
    return now + SOON_MS;
  }

  /** Takes note of a start. */
  started(now: number): SharedStart {
    if (this.#goesAlone(now)) {
      this.#aloneAt ??= now;
      const own = this.#alone.started(now);
      const search = this.#alone;
      return { at: now, own: { search, start: own }, version: 0, change: own.change };
    }
    const place = this.#nextPlace(now);
    const plan = this.#plan(now) ?? this.#plans[0];
    this.#keep(plan, now);
    this.#placeAt = place;
    // Until all keep to it, its refusals are those of the plan before.
    const counts = !plan.hurried || now >= this.#membership.begin(plan) + BEAT_MS;
    if (counts) this.#count(1, 0, now);
    return { at: now, version: counts ? plan.version : -1 };
  }

  /** Takes note of an outcome, once for each start. */
  finished(start: SharedStart, outcome: RequestOutcome, now: number): RateChange | undefined {
    if (start.own) {
      // What was begun alone and ends in company says nothing any more but when to go on.
      const change = start.own.search.finished(start.own.start, outcome, now);
      if (this.#goesAlone(now)) return start.own.search === this.#alone ? change : undefined;
    }
    if (outcome.kind === "clean") {
      this.#answers++;
      this.#latency += (now - start.at - this.#latency) / Math.min(this.#answers, LATENCY_ANSWERS);
      this.#pauseMs = DEFAULT_PAUSE_MS;
      this.#row = 0;
      return;
    }
    const { until } = outcome;
    const named = until !== undefined && until > now ? until : undefined;
    if (outcome.kind === "failed") {
      if (named !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, named);
      return;
    }
    if (start.version === this.#kept?.version) this.#count(0, 1, now);
    if (start.at < this.#pausedUntil) return;
    this.#pausedUntil = named ?? now + this.#pauseMs;
    if (++this.#row >= IN_A_ROW) {
      this.#row = 0;
      this.#thin = Math.min(16, this.#thin * 2);
    }
    if (named === undefined) this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    const pauseMs = this.#pausedUntil - now;
    const reason = `429, the rate is shared; pausing ${(pauseMs / 1_000).toFixed(1)} s`;
    return { at: now, from: this.rate, to: this.rate, reason, pauseMs };
  }

  /** There is no room in flight. */
  blocked(): void {
    if (this.#goesAlone(this.#options.now())) this.#alone.blocked();
  }

  /** What this process tells the others, and makes of what they told. @returns What to write. */
  look(found: Sharing | undefined): Sharing {
    const now = this.#options.now();
    if (this.#goesAlone(now)) this.#aloneMs = now - (this.#aloneAt ?? now);
    return this.#membership.look(found, this.#tell(now), now);
  }

  /** The same as it ends, or has nothing to ask for. */
  leave(found: Sharing | undefined): Sharing {
    return this.#membership.leave(found, this.#options.now());
  }

  /** Keeps to what was written; `undefined` where it left: alone again, as far as it knows. */
  follow(written: Sharing | undefined): void {
    const now = this.#options.now();
    const plans = [written?.plan, written?.next].filter((plan) => plan != null);
    if (this.isShared && plans.length === 0) {
      const learnt = this.snapshot(now);
      this.#alone = new RateController({ ...this.#options, learnt, now });
      this.#kept = undefined;
      this.#thin = 1;
      this.#aloneAt = undefined;
    }
    this.#plans = plans;
  }

  /** Starts per second, where for a while that is all that the program can do. */
  get programLimit(): number | undefined {
    return this.isShared ? undefined : this.#alone.programLimit;
  }

  /** Whether the program starts fewer requests than it may, now. */
  get fallsShort(): boolean {
    return !this.isShared && this.#alone.fallsShort;
  }

  /** Whether a rate was confirmed or refused, or is known from before. */
  get hasLearnt(): boolean {
    return this.isShared || this.#alone.hasLearnt;
  }

  /** What was learnt so far: of the account, not of the own share. */
  snapshot(now: number): LearntRate {
    const plan = this.#plan(now) ?? this.#plans[0];
    if (!plan) return this.#alone.snapshot(now);
    return {
      rate: plan.rate,
      ceiling: plan.ceiling ?? plan.rate * 1.02,
      latency_ms: this.#latencyMs,
      at: now,
    };
  }

  #tell(now: number): Omit<ShareMember, "id" | "beat"> {
    const { learnt } = this.#options;
    const isNew = this.#aloneMs < ALONE_MS;
    // What is found while all begin together is a share of what was known before.
    const rate = isNew && learnt ? learnt.rate : this.#alone.sustained(now);
    // What was never refused, or not held yet, may be far from it.
    const own = { rate, knows: learnt !== undefined || !isNew && this.#alone.isHeld };
    if (!this.#kept) return { ...own, taken: 0, version: 0, started: 0, refused: 0 };
    this.#count(0, 0, now);
    const since = this.#membership.begin(this.#kept) + (this.#kept.hurried ? BEAT_MS : 0);
    const seconds = COUNTED_MS * (1 - Math.exp((since - now) / COUNTED_MS)) / 1_000;
    const [started, refused] = [this.#started, this.#refused];
    const { version } = this.#kept;
    return { ...own, taken: (started - refused) / Math.max(1, seconds), version, started, refused };
  }

  #keep(plan: SharePlan, now: number): void {
    if (plan.version === this.#kept?.version) return;
    this.#kept = plan;
    this.#placeAt = -Infinity;
    this.#thin = 1;
    this.#row = this.#started = this.#refused = 0;
    this.#countedAt = now;
  }

  #count(started: number, refused: number, now: number): void {
    const faded = Math.exp((this.#countedAt - now) / COUNTED_MS);
    this.#started = this.#started * faded + started;
    this.#refused = this.#refused * faded + refused;
    this.#countedAt = now;
  }
}
