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
import { Tally } from "./tally.ts";
import type { LearntRate, Pacer, RateChange, RequestOutcome, Start } from "./types.ts";

/** A start that is so late takes its place all the same, milliseconds, … */
const LATE_MS = 20;
/** … or by so much of the time between two starts of all. */
const LATE_SHARE = 0.5;
/** Who is in no plan yet looks again after so long, milliseconds. */
const SOON_MS = 1_000;
/** So many refusals in a row halve the own share, … */
const IN_A_ROW = 3;
const THINNEST = 16;
/** … and so many answers in a row double it, as a new plan gives back all. */
const CLEAN_IN_A_ROW = 8;

/** A start under a plan, or of its own. */
export interface SharedStart {
  /** When, milliseconds. */
  readonly at: number;
  /** Of the search that it was part of; absent under a plan. */
  readonly own?: { readonly search: RateController; readonly start: Start };
  /** Counts it; absent where it counts for no plan. */
  readonly tally?: Tally;
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
  /** The one that is kept to. */
  #kept: SharePlan | undefined;
  /** When the last place was that was taken in it. */
  #placeAt = -Infinity;
  #pausedUntil = -Infinity;
  #pauseMs = DEFAULT_PAUSE_MS;
  /** Refusals in a row, and answers. */
  #row = 0;
  #cleanRow = 0;
  #thin = 1;
  #latency = 0;
  #answers = 0;
  /** What came of the plan that is kept to, and of the one before. */
  #tallies: readonly Tally[] = [];
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
      return { at: now, own: { search, start: own }, change: own.change };
    }
    const place = this.#nextPlace(now);
    const plan = this.#plan(now) ?? this.#plans[0];
    this.#keep(plan, now);
    this.#placeAt = place;
    // Until all keep to it, its refusals are those of the plan before.
    const counts = !plan.hurried || now >= this.#membership.begin(plan) + BEAT_MS;
    const tally = counts ? this.#tallies[0] : undefined;
    tally?.add({ started: 1 }, now);
    return { at: now, tally };
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
      if (++this.#cleanRow >= CLEAN_IN_A_ROW) {
        this.#cleanRow = 0;
        this.#thin = Math.max(1, this.#thin / 2);
      }
      return;
    }
    const { until } = outcome;
    const named = until !== undefined && until > now ? until : undefined;
    if (outcome.kind === "failed") {
      if (named !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, named);
      return;
    }
    start.tally?.add({ refused: 1 }, now);
    if (start.at < this.#pausedUntil) return;
    this.#pausedUntil = named ?? now + this.#pauseMs;
    start.tally?.add({ missed: (this.#pausedUntil - now) / 1_000 * this.rate }, now);
    this.#cleanRow = 0;
    if (++this.#row >= IN_A_ROW) {
      this.#row = 0;
      this.#thin = Math.min(THINNEST, this.#thin * 2);
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
    const plans = written?.plans ?? [];
    if (this.isShared && plans.length === 0) {
      const learnt = this.snapshot(now);
      this.#alone = new RateController({ ...this.#options, learnt, now });
      this.#kept = undefined;
      this.#tallies = [];
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
      rate: plan.held,
      ceiling: plan.ceiling ?? plan.held * 1.02,
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
    const knows = learnt !== undefined || !isNew && this.#alone.isHeld;
    const ceiling = (isNew ? learnt?.ceiling : this.#alone.snapshot(now).ceiling) ?? null;
    return { rate, knows, ceiling, counts: this.#tallies.map((tally) => tally.told(now)) };
  }

  #keep(plan: SharePlan, now: number): void {
    if (plan.version === this.#kept?.version) return;
    const [before] = this.#tallies;
    before?.end(now);
    const since = this.#membership.begin(plan) + (plan.hurried ? BEAT_MS : 0);
    this.#tallies = [new Tally(plan.version, since), ...before ? [before] : []];
    this.#kept = plan;
    this.#placeAt = -Infinity;
    this.#thin = 1;
    this.#row = this.#cleanRow = 0;
  }
}
