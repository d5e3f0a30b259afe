/**
 * @module label/pace: the limiter as a run uses it: it starts from the settings or from what was
 * learnt before, keeps the room for rows and unsaved answers in step with it, and stores what it
 * learns.
 */

import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Engine } from "../engine/engine.ts";
import { readLearntRate, writeLearntRate } from "../state/learnt_rate.ts";
import { SharedRate } from "../state/shared_rate.ts";
import { ConcurrencyController } from "../pace/concurrency.ts";
import { Limiter } from "../pace/limiter.ts";
import { MAX_IN_FLIGHT } from "../pace/controller.ts";
import { SharedController } from "../pace/shared.ts";
import type { LearntRate, RateChange } from "../pace/types.ts";
import type { Settings } from "../base/settings.ts";
import type { Store } from "../store/store.ts";
import { Group } from "./group.ts";

/** Rows in progress beyond those that wait for the API: images fetched ahead, answers looked up. */
export const ROWS_AHEAD = 16;
/** Paid answers that may wait to be stored, per request that may be in flight. */
const UNSAVED_PER_REQUEST = 2;
/** Pages that may be asked for before any answer could be read: none may, and all would be paid. */
const UNPROVEN = 8;
/** An unknown account is approached at this share of the engine's documented rate. */
const FIRST_SHARE = 2 / 3;
/** The rate of an engine that documents none, where a spacing makes it count. */
const UNDOCUMENTED = 3;
/** No request is closer to the one before at first, milliseconds. */
const FIRST_SPACING_MS = 100;
/** Whoever learnt something so short a while ago may be at work still, milliseconds. */
const RECENT_MS = 120_000;
/** What was learnt is stored at most so often, milliseconds. */
const STORE_INTERVAL_MS = 60_000;

/** A rate that is further from the one that was told last is news. */
const NEWS_FACTOR = 1.25;
/** So is a pause that is as long, milliseconds. */
const NEWS_PAUSE_MS = 5_000;
/** Time between two pieces of news, milliseconds. */
const NEWS_INTERVAL_MS = 30_000;

/** Answers that were reused, per request, from which on few requests don't mean a slow program. */
const MOST_REUSED = 0.25;

/** What {@linkcode openPace} works with. */
export interface PaceOptions {
  /** Rate, concurrency and spacing, as far as the user gave them. */
  readonly settings: Pick<Settings, "rate" | "concurrency" | "requestDelayMs">;
  /** Whose documented rate is approached. */
  readonly engine: Pick<Engine, "documentedRate">;
  /** Where it is kept what was learnt. */
  readonly store: Store;
  /** Its key. */
  readonly key: string;
  /** Who is asked, if there may be several. */
  readonly server?: string;
  /** Who else may use the keys, and how they are told of it. @default nobody, as far as known */
  readonly sharing?: {
    /** Keys of the objects that they share, one for each lane, as far as there are any. */
    readonly keys: readonly (string | undefined)[];
    /** This process, unique among all. */
    readonly id: string;
    /** Whether others are at work in the store, as far as known. @default nobody */
    readonly isCompany?: () => boolean;
  };
  /** Lanes that share what the user allows, and each learn for themselves. @default 1 */
  readonly lanes?: number;
  /** Requests that other engines may have in flight for the same rows. @default none */
  readonly besides?: () => number;
  /** Told after each request, when more or fewer may be in flight. @default nobody */
  readonly onFit?: () => void;
  /** Pages that may be worked on besides those in flight, at that rate. @default none */
  readonly waiting?: (rate: number) => number;
  /** Whether requests are few by nature, so that few don't mean a slow program. @default false */
  readonly sparse?: boolean;
  /** Rows that needed no request as there was an answer. @default none */
  readonly reused?: () => number;
  /** Whether answers can be read, as far as known. @default they can */
  readonly proven?: () => boolean;
  /** Told of what becomes of the rate, and once if the program can't keep up with it. */
  readonly note: (message: string, facts: Record<string, unknown>) => void;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
}

/** Turns of one lane. */
export interface LanePace {
  /** Hands out turns. */
  readonly limiter: Pick<Limiter, "turn">;
  /** Requests per second that are allowed just now; null where only their number is. */
  readonly rate: () => number | null;
  /** For how long nobody may start, milliseconds. */
  readonly pause: () => number;
}

/** Turns, and the room that goes with them. Disposing it stores what was learnt. */
export interface Pace extends AsyncDisposable {
  /** Each with a limit of its own. */
  readonly lanes: readonly [LanePace, ...LanePace[]];
  /** Requests per second that are allowed just now, on all lanes together; likewise. */
  readonly rate: () => number | null;
  /** Pages that may be in flight just now, those whose answers take their time included. */
  readonly inFlightCap: () => number;
  /** Makes as much room for rows as all that is asked for them may have in flight just now. */
  readonly fitRows: () => void;
  /** Room for rows in progress. */
  readonly rows: Budget;
  /** Room for pages that are paid for and would be lost with the process. */
  readonly unsaved: Budget;
  /** Room for all pages that are paid for and whose answers are not stored yet. */
  readonly waiting: Budget;
}

/**
 * Starts from the user's figures, else from what was learnt, else gently. What the user allows is
 * for all lanes together; what was learnt is of one key, and so of each lane.
 */
export async function openPace(options: PaceOptions): Promise<Pace> {
  const { settings, engine, store, key, server, clock } = options;
  const { rate, requestDelayMs } = settings;
  const auto = rate === undefined && requestDelayMs === undefined;
  const learnt = auto ? await readLearntRate(store, key, server) : undefined;
  const paced = engine.documentedRate === null && auto
    ? paceByNumber(options, learnt)
    : paceByRate(options, engine.documentedRate ?? UNDOCUMENTED, learnt);
  const { controllers } = paced;
  // Where somebody has learnt something a short while ago, somebody may be at work now.
  const isRecent = (learnt?.ageMs ?? Infinity) < RECENT_MS;
  const cap = () => controllers.reduce((sum, { inFlightCap }) => sum + inFlightCap, 0);
  const { besides = () => 0 } = options;
  const waiting = () => options.waiting?.(paced.rate() ?? 0) ?? 0;
  const rowsRoom = () => cap() + waiting() + besides() + ROWS_AHEAD;
  const rows = new Budget(rowsRoom());
  const proven = options.proven ?? (() => true);
  // Where pages take their time, as many again wait for their answers.
  const unproven = options.waiting ? UNPROVEN / 2 : UNPROVEN;
  const known = (room: number) => proven() ? room : Math.min(unproven, room);
  const unsavedRoom = () => known(cap() * UNSAVED_PER_REQUEST);
  const waitingRoom = () => known(cap() * UNSAVED_PER_REQUEST + waiting());
  const unsaved = new Budget(unsavedRoom());
  const waitingPages = new Budget(waitingRoom());
  let stored = clock.now();
  const save = async () => {
    const learned = controllers.find(({ hasLearnt }) => hasLearnt);
    if (auto && learned) await writeLearntRate(store, key, learned.snapshot(clock.now()), server);
  };
  const fitRows = () => rows.resize(rowsRoom());
  const fit = () => {
    paced.afterEach();
    fitRows();
    options.onFit?.();
    unsaved.resize(unsavedRoom());
    waitingPages.resize(waitingRoom());
    if (clock.now() - stored < STORE_INTERVAL_MS) return;
    stored = clock.now();
    save().catch(() => {}); // beside the requests; it is only advice
  };
  const lanes = paced.lanes.map(({ limiter, rate, pause, group }): LanePace => ({
    rate,
    pause,
    limiter: {
      async turn(signal) {
        await group?.asks(isRecent || (options.sharing?.isCompany?.() ?? false));
        const permit = await limiter.turn(signal);
        return {
          done(outcome) {
            permit.done(outcome);
            fit();
          },
        };
      },
    },
  }));
  return {
    lanes: lanes as unknown as Pace["lanes"],
    rate: paced.rate,
    inFlightCap: () => cap() + waiting(),
    fitRows,
    rows,
    unsaved,
    waiting: waitingPages,
    async [Symbol.asyncDispose]() {
      await Promise.all(paced.lanes.map(({ group }) => group?.[Symbol.asyncDispose]()));
      await save();
    },
  };
}

/** A way of pacing, wired to whoever is told of it. */
interface Paced {
  /** One of each lane. */
  readonly controllers: readonly {
    readonly inFlightCap: number;
    readonly hasLearnt: boolean;
    snapshot(now: number): LearntRate;
  }[];
  readonly lanes: readonly (LanePace & { readonly group?: Group })[];
  readonly rate: () => number | null;
  /** Called after each request. */
  readonly afterEach: () => void;
}

/** A rate is looked for, unless the user gives one. */
function paceByRate(
  { settings, lanes: count = 1, note, clock, random, reused, sparse, sharing, store }: PaceOptions,
  documentedRate: number,
  learnt: LearntRate | undefined,
): Paced {
  const { rate, requestDelayMs, concurrency } = settings;
  const spacingMs = requestDelayMs === undefined ? undefined : requestDelayMs * count;
  const controllers = Array.from({ length: count }, () =>
    new SharedController({
      rate: rate === undefined ? firstRate(spacingMs, documentedRate) : rate / count,
      fixed: rate !== undefined,
      minSpacingMs: spacingMs,
      maxInFlight: Math.ceil((concurrency ?? MAX_IN_FLIGHT) / count),
      learnt,
      random,
      id: sharing?.id ?? "",
      now: () => clock.now(),
    }));
  // What the user fixes is nobody's to divide.
  const mayShare = rate === undefined && requestDelayMs === undefined;
  const allowed = () => controllers.reduce((sum, { rate }) => sum + rate, 0);
  const slowness = new Slowness(together(controllers), reused ?? (() => 0));
  const lanes = controllers.map((controller, n): Paced["lanes"][number] => {
    const news = new RateNews(controller.rate);
    const onChange = (change: RateChange) => {
      const message = news.tell(change);
      const facts = { rate_from: change.from, rate_to: change.to };
      if (message) note(`${ofLane(n, count)}${message}`, facts);
    };
    const limiter = new Limiter({ controller, clock, onChange });
    const key = mayShare ? sharing?.keys[n] : undefined;
    const told = (message: string) => note(`${ofLane(n, count)}${message}`, {});
    return {
      rate: () => controller.rate,
      pause: () => Math.max(0, controller.nextStart - clock.now()),
      limiter,
      group: key === undefined
        ? undefined
        : new Group({ controller, limiter, shared: new SharedRate(store, key), clock, note: told }),
    };
  });
  return {
    ...{ controllers, lanes },
    rate: allowed,
    afterEach() {
      const slow = sparse ? undefined : slowness.tell();
      if (slow) note(slow.message, { rate_started: slow.rate, rate_allowed: allowed() });
    },
  };
}

/** The number in flight is looked for, unless the user gives one. */
function paceByNumber(
  { settings: { concurrency }, lanes: count = 1, note, clock, random }: PaceOptions,
  learnt: LearntRate | undefined,
): Paced {
  const fixed = concurrency === undefined ? undefined : Math.ceil(concurrency / count);
  const controllers = Array.from(
    { length: count },
    () => new ConcurrencyController({ fixed, learnt, random, now: clock.now() }),
  );
  const lanes = controllers.map((controller, n): LanePace => {
    const news = new NumberNews(controller.inFlightCap);
    const onChange = (change: RateChange) => {
      const message = news.tell(change);
      const facts = { in_flight_from: change.from, in_flight_to: change.to };
      if (message) note(`${ofLane(n, count)}${message}`, facts);
    };
    return {
      rate: () => null,
      pause: () => Math.max(0, controller.nextStart - clock.now()),
      limiter: new Limiter({ controller, clock, onChange }),
    };
  });
  return { controllers, lanes, rate: () => null, afterEach() {} };
}

function ofLane(n: number, count: number): string {
  return count > 1 ? `key ${n + 1}: ` : "";
}

/** Whether the program falls short of what all lanes allow. */
function together(
  controllers: readonly SharedController[],
): Pick<SharedController, "programLimit" | "fallsShort"> {
  return {
    get programLimit() {
      const limits = controllers.map(({ programLimit }) => programLimit);
      if (limits.includes(undefined)) return undefined;
      return limits.reduce<number>((sum, limit) => sum + limit!, 0);
    },
    get fallsShort() {
      return controllers.every(({ fallsShort }) => fallsShort);
    },
  };
}

/**
 * Says in plain words what becomes of the rate, and only what is worth it: the search goes a little
 * up and down all day.
 */
export class RateNews {
  #told: number;
  #at = -Infinity;

  /** Nobody was told of a change yet. @param rate The first rate, requests per second. */
  constructor(rate: number) {
    this.#told = rate;
  }

  /** What people should know of a change; `undefined` for nothing. */
  tell({ at, from, to, pauseMs = 0 }: RateChange): string | undefined {
    const far = Math.abs(Math.log(to / this.#told)) >= Math.log(NEWS_FACTOR);
    if (!far && pauseMs < NEWS_PAUSE_MS || at - this.#at < NEWS_INTERVAL_MS) return;
    this.#at = at;
    this.#told = to;
    const rate = `${to.toFixed(1)} requests/s`;
    if (pauseMs >= NEWS_PAUSE_MS) {
      const wait = `the API asks to slow down (429): waiting ${Math.ceil(pauseMs / 1_000)} s`;
      return from === to ? wait : `${wait}, then ${rate}`;
    }
    return to < from
      ? pauseMs > 0
        ? `slower, as the API asks (429): ${rate}`
        : `slower, as no more is really started: ${rate}`
      : `faster, as all goes well: ${rate}`;
  }
}

/** The same of how many requests are in flight, where that is what is looked for. */
export class NumberNews {
  #told: number;
  #at = -Infinity;

  /** Nobody was told of a change yet. @param inFlight The first number. */
  constructor(inFlight: number) {
    this.#told = inFlight;
  }

  /** What people should know of a change; `undefined` for nothing. */
  tell({ at, from, to, reason, pauseMs = 0 }: RateChange): string | undefined {
    const far = Math.max(to, this.#told) >= 2 * Math.min(to, this.#told);
    const waits = pauseMs >= NEWS_PAUSE_MS;
    if (!far && !waits || at - this.#at < NEWS_INTERVAL_MS) return;
    this.#at = at;
    this.#told = to;
    const wait = `the server asks to slow down: waiting ${Math.ceil(pauseMs / 1_000)} s`;
    if (waits) return from === to ? wait : `${wait}, then ${to} pages at once`;
    return `${to} pages at once: ${reason}`;
  }
}

/** Says once that the program, and not the API, is what limits the run. */
export class Slowness {
  readonly #controller: Pick<SharedController, "programLimit" | "fallsShort">;
  readonly #reused: () => number;
  #requests = 0;
  /** Answers that were reused before the program began to fall short. */
  #reusedBefore = 0;
  #told = false;

  /** Nothing was told. @param reused Rows that needed no request so far. */
  constructor(
    controller: Pick<SharedController, "programLimit" | "fallsShort">,
    reused: () => number,
  ) {
    this.#controller = controller;
    this.#reused = reused;
  }

  /** Call it after each request. @returns What people should know; `undefined` for nothing. */
  tell(): { readonly message: string; readonly rate: number } | undefined {
    if (this.#told) return;
    this.#requests++;
    const { programLimit: rate, fallsShort } = this.#controller;
    if (!fallsShort) {
      this.#requests = 0;
      this.#reusedBefore = this.#reused();
    }
    if (rate === undefined) return;
    // Rows that need no request make requests few, however fast the program is.
    if (this.#reused() - this.#reusedBefore > this.#requests * MOST_REUSED) return;
    this.#told = true;
    return {
      rate,
      message: `the program, not the API, is the limit: ${rate.toFixed(1)} requests/s; ` +
        "more CPU, or a bucket that is nearer, would make it faster",
    };
  }
}

/** With a spacing of the user's, as fast as that; else gently, as the account is unknown. */
function firstRate(requestDelayMs: number | undefined, documentedRate: number): number {
  if (requestDelayMs !== undefined) return 1_000 / Math.max(1, requestDelayMs);
  return Math.min(1_000 / FIRST_SPACING_MS, documentedRate * FIRST_SHARE);
}
