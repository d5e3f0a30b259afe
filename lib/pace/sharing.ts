/**
 * @module pace/sharing: how several processes divide one rate: what each tells of itself and reads
 * of the others, now and then, in one document, and the plan that they make of it. The plan says
 * how fast all are together and in which order they start, one after another, evenly; who keeps to
 * it is `pace/shared.ts`.
 *
 * Who has come or gone, and how many requests were refused, makes a new plan; whoever sees it first
 * makes it, for a time at which all will have read it. No clock of another process is waited for:
 * a plan begins at the latest so long after it was seen.
 */

import {
  type CommonRate,
  type Count,
  type CountOfAll,
  firstRate,
  judge,
  MOST_RATE,
  type Verdict,
} from "./judge.ts";
import type { ShareCount } from "./tally.ts";

/** A member looks so long after its start, and then once more, milliseconds: others may have. */
export const FIRST_LOOKS_MS = [2_000, 5_000] as const;
/** Time between two looks of a member later, milliseconds. */
export const BEAT_MS = 15_000;
/** A plan begins so long after it was made, milliseconds: all have looked once by then. */
export const LEAD_MS = 18_000;
/** The same where all have just begun and look again soon. */
const FIRST_LEAD_MS = 6_000;
/** Whoever was not heard of for so long is gone, milliseconds. */
export const GONE_MS = 50_000;
/** What a member knows replaces a guess that is off by this factor. */
const MUCH_OFF = 1.25;
/** Who has looked so often was there before those who have just come. */
const OLD_BEATS = 3;
/** Whoever was alone for so long knows the rate, milliseconds. */
export const ALONE_MS = 4_000;
/** Least rate of all together, requests per second. */
const LEAST_RATE = 0.1;

/** How fast all are together, and who starts when. Rates are requests per second. */
export interface SharePlan extends CommonRate {
  /** Counts plans. */
  readonly version: number;
  /** From when on it is kept to, milliseconds since the epoch by its maker's clock. */
  readonly from: number;
  /** How long after the one before that is, milliseconds, where both were made together. */
  readonly afterMs: number | null;
  /** They start one after another in this order, at least two. */
  readonly members: readonly string[];
  /** Whether it was kept to as soon as it was seen, as the one before was far too fast. */
  readonly hurried: boolean;
}

/** What a member tells of itself. */
export interface ShareMember {
  /** Unique. */
  readonly id: string;
  /** Grows with each look. */
  readonly beat: number;
  /** The rate that it found while it was alone, requests per second. */
  readonly rate: number;
  /** The least rate that was refused then, requests per second; null for none. */
  readonly ceiling: number | null;
  /** Whether that is the rate of all: it was alone long enough, or knows it from before. */
  readonly knows: boolean;
  /** What came of the plan that it keeps to and of the one before, newest first. */
  readonly counts: readonly ShareCount[];
}

/** The document: the members and their plans. */
export interface Sharing {
  /** As they follow each other: the one that is kept to, and those to come; none alone. */
  readonly plans: readonly SharePlan[];
  /** Who is there. */
  readonly members: readonly ShareMember[];
}

/** One member's view. Times are milliseconds of its own clock. */
export class Membership {
  readonly #id: string;
  #beat = 0;
  /** When the others' beats were seen to change. */
  readonly #seen = new Map<string, { readonly beat: number; readonly at: number }>();
  /** When plans begin, by their versions. */
  readonly #begins = new Map<number, { readonly from: number; readonly at: number }>();

  /** Not joined yet. @param id Unique among all members. */
  constructor(id: string) {
    this.#id = id;
  }

  /** When a plan begins, as far as this member knows. */
  begin(plan: SharePlan): number {
    // Of two that were made at the same time only one is written.
    const begin = this.#begins.get(plan.version);
    return begin?.from === plan.from ? begin.at : plan.from;
  }

  /**
   * Looks at what the members have told, and adds what is new.
   *
   * @param found The document; `undefined` where there is none, or it is of long ago.
   * @param own What this member has to tell.
   * @param now Time now.
   * @returns The document to write.
   */
  look(
    found: Sharing | undefined,
    own: Omit<ShareMember, "id" | "beat">,
    now: number,
  ): Sharing {
    const others = (found?.members ?? []).filter((member) => this.#isThere(member, now));
    const me = { ...own, id: this.#id, beat: ++this.#beat };
    return this.#planned(found, [...others, me], now);
  }

  /** Leaves. @returns The document to write. */
  leave(found: Sharing | undefined, now: number): Sharing {
    const others = (found?.members ?? []).filter((member) => this.#isThere(member, now));
    return this.#planned(found, others, now);
  }

  #isThere({ id, beat }: ShareMember, now: number): boolean {
    if (id === this.#id) return false;
    const seen = this.#seen.get(id);
    if (seen?.beat !== beat) this.#seen.set(id, { beat, at: now });
    return seen === undefined || seen.beat !== beat || now - seen.at < GONE_MS;
  }

  #planned(found: Sharing | undefined, members: readonly ShareMember[], now: number): Sharing {
    if (members.length < 2) return { plans: [], members };
    const plans = this.#dated(found?.plans ?? [], now);
    const [plan] = plans;
    if (!plan) return { plans: [this.#first(members, now)], members };
    const last = plans.at(-1)!;
    const isBegun = this.begin(plan) <= now;
    // One that not all can have read yet may still be changed.
    const leadMs = members.every(isNew) ? FIRST_LOOKS_MS[1] : BEAT_MS;
    const isOpen = (plan: SharePlan) => this.begin(plan) - now > leadMs;
    if (isLate(last, members)) {
      const fixed = plans.filter((plan) => !isOpen(plan));
      const next = fixed.length > 0
        ? this.#after(fixed, { ...last, rate: last.held, hurried: false }, members, now)
        : this.#first(members, now, last);
      return { plans: [...fixed, next], members };
    }
    if (plans.length > 1) return { plans, members };
    if (!isBegun) {
      const better = known(plan, members, true);
      return { plans: [better ? this.#dateNext({ ...plan, ...better }) : plan], members };
    }
    return { plans: this.#judged(plan, members, now), members };
  }

  /** Those that are not over, with times at which they begin. */
  #dated(plans: readonly SharePlan[], now: number): readonly SharePlan[] {
    let before: SharePlan | undefined;
    for (const plan of plans) {
      if (this.#begins.get(plan.version)?.from !== plan.from) {
        const at = before && plan.afterMs !== null
          ? this.begin(before) + plan.afterMs
          : Math.min(plan.from, now + LEAD_MS);
        this.#begin(plan, at);
      }
      before = plan;
    }
    return plans.slice(Math.max(0, plans.findLastIndex((plan) => this.begin(plan) <= now)));
  }

  /** The first plan, or the same anew. */
  #first(members: readonly ShareMember[], now: number, before?: SharePlan): SharePlan {
    // What one knew alone may be less by now, as others have come.
    const known = before && !before.guess ? before : together(members);
    const common = firstRate(known.rate, known.ceiling, known.guess);
    const from = now + (members.every(isNew) ? FIRST_LEAD_MS : LEAD_MS);
    const version = before?.version ?? 0;
    const plan = { version, from, afterMs: null, members: idsOf(members), hurried: false };
    return this.#dateNext({ ...plan, ...common });
  }

  /** A plan with these members that follows others, as soon as all have read of it. */
  #after(
    plans: readonly SharePlan[],
    plan: SharePlan,
    members: readonly ShareMember[],
    now: number,
  ): SharePlan {
    const before = plans.at(-1)!;
    const soonest = Math.max(now + LEAD_MS, this.begin(before));
    const from = inStep(before, soonest);
    return this.#dateNext({ ...plan, members: idsOf(members), from, afterMs: null });
  }

  /** What follows from what all have told of the present plan. */
  #judged(
    plan: SharePlan,
    members: readonly ShareMember[],
    now: number,
  ): readonly SharePlan[] {
    const { tried } = plan;
    const counted = tried
      ? countOf(tried.version, members, ({ version }) => version > tried.version)
      : undefined;
    const present = countOf(plan.version, members, ({ version }) => version === plan.version);
    const verdict = known(plan, members, false) ??
      judge(plan, present, counted, now - this.begin(plan));
    if (!verdict) return [plan];
    const { tryMs, hurried = false, ...change } = verdict;
    const next = { ...plan, ...change, hurried };
    if (next.rate === plan.rate) return [{ ...plan, ...change }];
    if (hurried) {
      return [plan, this.#dateNext({ ...next, from: inStep(plan, now), afterMs: null })];
    }
    const there = this.#after([plan], next, members, now);
    if (tryMs === undefined) return [plan, there];
    const { version, rate, held } = there;
    const from = inStep(there, there.from + tryMs);
    const back = { rate: held, tried: { version, rate }, from, afterMs: from - there.from };
    return [plan, there, this.#dateNext({ ...there, ...back })];
  }

  /** Names the plan that is made next. */
  #dateNext(plan: SharePlan): SharePlan {
    const next = { ...plan, version: plan.version + 1 };
    this.#begin(next, next.from);
    return next;
  }

  #begin({ version, from }: SharePlan, at: number): void {
    this.#begins.set(version, { from, at });
  }
}

/** Who has just begun looks again soon. */
function isNew({ beat }: ShareMember): boolean {
  return beat === 1;
}

function idsOf(members: readonly ShareMember[]): readonly string[] {
  return members.map(({ id }) => id).toSorted();
}

/** Whether somebody has come or gone since a plan was made. */
function isLate(plan: SharePlan, members: readonly ShareMember[]): boolean {
  return plan.members.join() !== idsOf(members).join();
}

/** A time at which somebody starts by a plan, so that the next one follows it without a gap. */
function inStep({ from, rate }: SharePlan, soonest: number): number {
  return from + Math.ceil((soonest - from) * rate / 1_000) * 1_000 / rate;
}

/** What members told of a plan. @param has Whether one that keeps to a plan has told all. */
function countOf(
  version: number,
  members: readonly ShareMember[],
  has: (present: ShareCount) => boolean,
): CountOfAll {
  const counts = members.flatMap((member) => member.counts.filter((c) => c.version === version));
  const sum = (of: keyof Count | "taken") => counts.reduce((sum, count) => sum + count[of], 0);
  return {
    ...{ started: sum("started"), refused: sum("refused"), missed: sum("missed") },
    taken: sum("taken"),
    complete: members.every(({ counts: [present] }) => present && has(present)),
  };
}

/** What somebody has found out since a plan was guessed. @param waits Whether it has not begun. */
function known(
  { guess, rate, ceiling }: SharePlan,
  members: readonly ShareMember[],
  waits: boolean,
): Verdict | null {
  if (!guess || ceiling !== null) return null;
  const found = together(members);
  // Less may be the share that one got of all, but for who was there before the others came.
  const before = waits && members.some(({ knows, beat }) => knows && beat >= OLD_BEATS);
  if (found.guess || found.rate < rate && !before) return null;
  const hurried = found.rate > rate * MUCH_OFF || found.rate < rate / MUCH_OFF;
  return { ...firstRate(found.rate, found.ceiling, false), hurried };
}

/** The rate of all, as they find it: one has held it, or it is what all of them got. */
function together(
  members: readonly ShareMember[],
): { readonly rate: number; readonly ceiling: number | null; readonly guess: boolean } {
  // Whoever was alone long enough has found the rate of all, whoever was not a share of it.
  const [found] = members.filter(({ knows, rate }) => knows && rate > 0)
    .toSorted((a, b) => b.rate - a.rate);
  const sum = members.reduce((sum, { rate }) => sum + rate, 0);
  const rate = Math.min(MOST_RATE, Math.max(LEAST_RATE, found?.rate ?? sum));
  const ceiling = found && found.ceiling !== null && found.ceiling > rate ? found.ceiling : null;
  return { rate, ceiling, guess: found === undefined };
}
