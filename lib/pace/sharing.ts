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
/** A plan is judged after so long, milliseconds, and so many starts. */
const JUDGED_MS = 12_000;
const JUDGED_STARTS = 20;
/** More refusals than this share, and than one or two, mean a rate that is too high. */
const TOO_MANY = 0.012;
const LEAST_REFUSED = 3;
/** Then it falls by so much of the share's square: refusals cause others, … */
const SMALL_FALL = 2.2;
/** … but where this share or more is refused, it is far too high, and … */
const MUCH = 0.3;
const LARGE_FALL = 0.8;
/** … by so much at least and at most. */
const LEAST_FALL = 0.025;
const LARGEST_FALL = 0.7;
/** The least rate that was refused is taken to be so far above it at least. */
const LEAST_GAP = 1.02;
/** Fewer refusals than this share mean that there may be room. */
const FEW = 0.004;
/** A rate that was not refused yet is tried after so long, milliseconds, … */
const RISE_MS = 15_000;
/** … one that was after so long, and as many requests as this. */
const PROBE_MS = 150_000;
const PROBE_REQUESTS = 800;
/** There is little between a rate and one that was refused if they are so close. */
const SETTLED_RATIO = 1.035;
/** First step up, as a share, growth with each that nobody refuses, and its largest. */
const STEP = 0.02;
const STEP_GROWTH = 1.5;
/** The first one where no rate was ever refused, as a share. */
const FIRST_STEP = 0.06;
/** The same where nobody knew what the rate may be. */
const GUESS_STEP = 0.25;
/** What a member knows replaces a guess that is off by this factor. */
const MUCH_OFF = 1.25;
/** Who has looked so often was there before those who have just come. */
const OLD_BEATS = 3;
const LARGEST_STEP = 0.5;
/** Whoever was alone for so long knows the rate, milliseconds. */
export const ALONE_MS = 4_000;
/** Least rate of all together, requests per second. */
const LEAST_RATE = 0.1;
/** Highest rate of all together, requests per second. */
export const MOST_RATE = 1_000;
/** A rate that is not used is raised no further: at most this times what was started. */
const AHEAD = 1.25;

/** How fast all are together, and who starts when. Rates are requests per second. */
export interface SharePlan {
  /** Counts plans. */
  readonly version: number;
  /** Of all members together. */
  readonly rate: number;
  /** From when on it is kept to, milliseconds since the epoch by its maker's clock. */
  readonly from: number;
  /** They start one after another in this order, at least two. */
  readonly members: readonly string[];
  /** The least rate that was refused; null for none. */
  readonly ceiling: number | null;
  /** By which share the rate rises next. */
  readonly step: number;
  /** Whether nobody knew the rate, and it was not refused since. */
  readonly guess: boolean;
  /** Whether it was kept to as soon as it was seen, as the one before was far too fast. */
  readonly hurried: boolean;
}

type Judgement = Pick<SharePlan, "rate" | "ceiling" | "step" | "hurried" | "guess">;

/** What a member tells of itself. */
export interface ShareMember {
  /** Unique. */
  readonly id: string;
  /** Grows with each look. */
  readonly beat: number;
  /** The rate that it found while it was alone, requests per second. */
  readonly rate: number;
  /** Whether that is the rate of all: it was alone long enough, or knows it from before. */
  readonly knows: boolean;
  /** Its starts under the plan that were taken, per second. */
  readonly taken: number;
  /** The plan that it keeps to; 0 for none. */
  readonly version: number;
  /** Requests under it of the last minute or so, and how many of them were refused. */
  readonly started: number;
  /** Of these. */
  readonly refused: number;
}

/** The document: the members and their plans. */
export interface Sharing {
  /** The plan that is kept to, or was until `next` began; null while there is only one member. */
  readonly plan: SharePlan | null;
  /** The one that is to follow. */
  readonly next: SharePlan | null;
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
  readonly #begins = new Map<number, number>();

  /** Not joined yet. @param id Unique among all members. */
  constructor(id: string) {
    this.#id = id;
  }

  /** When a plan begins, as far as this member knows. */
  begin(plan: SharePlan): number {
    return this.#begins.get(plan.version) ?? plan.from;
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
    let [plan, next] = [found?.plan ?? null, found?.next ?? null];
    if (members.length < 2) return { plan: null, next: null, members };
    if (next && this.#isBegun(next, now)) [plan, next] = [next, null];
    if (plan) this.#isBegun(plan, now);
    // One that not all can have read yet may still be changed.
    const leadMs = plan ? BEAT_MS : FIRST_LOOKS_MS[1];
    const isNew = next !== null && next.from - now > leadMs && isLate(next, members);
    const better = next && !plan && known(next, members, true);
    if (better) next = this.#noted({ ...next!, ...better, version: next!.version + 1 });
    if (!next || isNew) next = this.#newPlan(plan, next, members, now);
    return { plan, next, members };
  }

  #isBegun(plan: SharePlan, now: number): boolean {
    let begin = this.#begins.get(plan.version);
    if (begin === undefined) {
      begin = Math.min(plan.from, now + LEAD_MS);
      this.#begins.set(plan.version, begin);
    }
    return begin <= now;
  }

  #newPlan(
    plan: SharePlan | null,
    pending: SharePlan | null,
    members: readonly ShareMember[],
    now: number,
  ): SharePlan | null {
    const ids = members.map(({ id }) => id).toSorted();
    const version = (pending ?? plan)?.version ?? 0;
    if (!plan) {
      const { rate, guess } = together(members);
      const step = guess ? GUESS_STEP : FIRST_STEP;
      const first = { rate, guess, members: ids, ceiling: null, step, hurried: false };
      // Who has just begun looks again soon.
      const from = now + (members.every(({ beat }) => beat === 1) ? FIRST_LEAD_MS : LEAD_MS);
      return this.#noted({ ...first, version: version + 1, from });
    }
    const judged = known(plan, members, false) ?? judge(plan, members, now - this.begin(plan));
    if (!judged && !isLate(plan, members)) return pending;
    const soonest = judged?.hurried ? now : now + LEAD_MS;
    return this.#noted({
      ...{ ...plan, hurried: false, ...judged },
      ...{ version: version + 1, members: ids, from: inStep(plan, soonest) },
    });
  }

  #noted(plan: SharePlan): SharePlan {
    this.#begins.set(plan.version, plan.from);
    return plan;
  }
}

/** Whether somebody has come or gone since a plan was made. */
function isLate(plan: SharePlan, members: readonly ShareMember[]): boolean {
  return plan.members.join() !== members.map(({ id }) => id).toSorted().join();
}

/** A time at which somebody starts by a plan, so that the next one follows it without a gap. */
function inStep({ from, rate }: SharePlan, soonest: number): number {
  return from + Math.ceil((soonest - from) * rate / 1_000) * 1_000 / rate;
}

/** What somebody has found out since a plan was guessed. @param waits Whether it has not begun. */
function known(
  { guess, rate, ceiling }: SharePlan,
  members: readonly ShareMember[],
  waits: boolean,
): Judgement | null {
  if (!guess || ceiling !== null) return null;
  const found = together(members);
  // Less may be the share that one got of all, but for who was there before the others came.
  const before = waits && members.some(({ knows, beat }) => knows && beat >= OLD_BEATS);
  const isOff = found.rate > rate * MUCH_OFF || before && found.rate < rate / MUCH_OFF;
  if (found.guess || !isOff) return null;
  return { rate: found.rate, ceiling, step: FIRST_STEP, hurried: true, guess: false };
}

/** The rate of all, as they find it: one has held it, or it is what all of them got. */
function together(
  members: readonly ShareMember[],
): { readonly rate: number; readonly guess: boolean } {
  // Whoever was alone long enough has found the rate of all, whoever was not a share of it.
  const found = Math.max(...members.map(({ knows, rate }) => knows ? rate : 0));
  const sum = members.reduce((sum, { rate }) => sum + rate, 0);
  const rate = Math.min(MOST_RATE, Math.max(LEAST_RATE, found || sum));
  return { rate, guess: found === 0 };
}

/** What the starts of all show of a plan's rate; null for nothing new. */
function judge(
  { version, rate, ceiling, step, guess }: SharePlan,
  members: readonly ShareMember[],
  ageMs: number,
): Judgement | null {
  const keeping = members.filter((member) => member.version === version);
  const sum = (of: "started" | "refused" | "taken") =>
    keeping.reduce((sum, member) => sum + member[of], 0);
  const [started, refused] = [sum("started"), sum("refused")];
  if (ageMs < JUDGED_MS || started < JUDGED_STARTS) return null;
  const share = refused / started;
  if (share > TOO_MANY && refused >= LEAST_REFUSED) {
    const hurried = share >= MUCH;
    const part = hurried ? share * LARGE_FALL : share ** 2 * SMALL_FALL;
    const lower = rate * (1 - Math.min(LARGEST_FALL, Math.max(LEAST_FALL, part)));
    const middle = rate * (1 - share / 2);
    const above = Math.max(middle, lower * LEAST_GAP);
    return { rate: lower, ceiling: above, step: STEP, hurried, guess: false };
  }
  if (keeping.length < members.length || share > FEW) return null;
  // Below a rate that was refused the middle is next, until there is little between them.
  const settled = ceiling !== null && ceiling <= rate * SETTLED_RATIO;
  const next = ceiling === null || settled ? rate * (1 + step) : Math.sqrt(rate * ceiling);
  const waitMs = settled ? Math.max(PROBE_MS, PROBE_REQUESTS / rate * 1_000) : RISE_MS;
  const higher = Math.min(next, sum("taken") * AHEAD, MOST_RATE);
  if (ageMs < waitMs || higher <= rate) return null;
  if (ceiling !== null && !settled) {
    return { rate: higher, ceiling, step, hurried: false, guess: false };
  }
  const larger = Math.min(LARGEST_STEP, step * STEP_GROWTH);
  return { rate: higher, ceiling: null, step: larger, hurried: false, guess };
}
