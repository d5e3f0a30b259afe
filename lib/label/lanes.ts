/**
 * @module label/lanes: the ways to ask an engine: one for each of its keys, each with a limit and a
 * health of its own. Pages take the lane on which their turn comes first; one on which no page gets
 * through any more is closed while others are open, and only the last ends the run.
 */

import type { RunError } from "../base/errors.ts";
import type { Connection } from "../engine/engine.ts";
import type { Health } from "../engine/health.ts";
import type { Limiter } from "../pace/limiter.ts";

/** One way to ask. */
export interface Lane {
  /** For people, as in `key 2 of 3`. */
  readonly name: string;
  /** Sends requests. */
  readonly connection: Pick<Connection, "send" | "collect">;
  /** When a request may start, and how many may be in flight. */
  readonly limiter: Pick<Limiter, "turn">;
  /** When it may be looked for a page that was accepted. Absent where none is. */
  readonly polls?: Pick<Limiter, "turn">;
  /** Requests per second that are allowed just now, above 0; null where only their number is. */
  readonly rate: () => number | null;
  /** For how long nobody may start on it, milliseconds. @default nothing holds them back */
  readonly pause?: () => number;
  /** Tells a failing page from a failing API. */
  readonly health: Health;
}

/** Some lanes. */
export interface LaneSet {
  /** Whether it is one of them. */
  has(lane: Lane): boolean;
}

/** None of them. */
const NO_LANES: LaneSet = { has: () => false };

/** Lanes that a page has tried. */
export interface Tried {
  /** Those that refused it: it does not take them again as long as there are others. */
  readonly refusing: LaneSet;
  /** Those where it failed in any way: it takes others first where that is no long wait. */
  readonly failed: LaneSet;
}

/** A page that has tried none. */
export const NONE_TRIED: Tried = { refusing: NO_LANES, failed: NO_LANES };

interface State {
  /** Pages that wait on it. */
  waiting: number;
  /** Aborted with the reason when it is closed. */
  readonly closed: AbortController;
  /** Aborted when pages that wait on it should look for another; then there is a new one. */
  moved: AbortController;
}

/** The other engines of a run, as the lanes of one see them. */
export interface Others {
  /** Names of those that a page passes on to that this one doesn't serve; undefined if none is. */
  next(): string | undefined;
  /** Names of all that are still asked; undefined if none is. */
  any(): string | undefined;
  /** Since when all of them are down, milliseconds since the epoch; undefined while one is up. */
  downSince(): number | undefined;
}

/** A run of one engine. */
export const NO_OTHERS: Others = {
  next: () => undefined,
  any: () => undefined,
  downSince: () => undefined,
};

/** So much longer a page waits for a lane on which it has not failed, seconds. */
const OTHER_FIRST_S = 5;
/** A pause from which on pages that wait look for another lane, milliseconds. */
const LONG_PAUSE_MS = 1_000;

/** All lanes of an engine. */
export class Lanes {
  readonly #lanes: readonly Lane[];
  readonly #states: ReadonlyMap<Lane, State>;
  readonly #note: (message: string) => void;
  readonly #others: Others;
  /** Why the last one was closed. */
  #ended = "";
  /** Since when it was down when people were told that it is not waited for any more. */
  #givenUp: number | undefined;

  /**
   * All are open at first.
   *
   * @param lanes One at least.
   * @param note Told when one is closed.
   * @param others The run's other engines; while there are any, it goes on without this one.
   *   @default there is none
   */
  constructor(
    lanes: readonly Lane[],
    note: (message: string) => void = () => {},
    others: Others = NO_OTHERS,
  ) {
    this.#lanes = lanes;
    this.#note = note;
    this.#others = others;
    this.#states = new Map(
      lanes.map((lane) => [
        lane,
        { waiting: 0, closed: new AbortController(), moved: new AbortController() },
      ]),
    );
  }

  /** Whether the run ends with it, as there is no other, and no other engine. */
  get single(): boolean {
    return this.#lanes.length === 1 && !this.spared;
  }

  /** Whether the run goes on without any of them, as other engines are asked. */
  get spared(): boolean {
    return this.#others.any() !== undefined;
  }

  /** Whether any of them has answered or rejected a page in this process. */
  get haveWorked(): boolean {
    return this.#lanes.some(({ health }) => health.hasWorked);
  }

  /** Since when all that are open are down, milliseconds since the epoch; else undefined. */
  get downSince(): number | undefined {
    const since = this.open.flatMap(({ health }) => health.downSince ?? []);
    return since.length > 0 && since.length === this.open.length ? Math.max(...since) : undefined;
  }

  /** Whether all that are open were seen to be down for longer than the run has patience. */
  get exhausted(): boolean {
    const { open } = this;
    return open.length > 0 && open.every(({ health }) => health.exhausted);
  }

  /** Whether pages that these don't serve go elsewhere instead of waiting. */
  get #passesOn(): boolean {
    return this.#others.next() !== undefined || this.spared && this.exhausted;
  }

  /**
   * Why a page should not wait for any of them: another engine takes it over, or has made of it
   * what it keeps; `undefined` while it should.
   *
   * @param fresh As in {@linkcode choose}.
   * @param tried As in {@linkcode choose}. @default none
   * @param patient Whether the page waits for one that is down, as nothing else has taken it over.
   */
  unavailable(fresh: boolean, tried: Tried = NONE_TRIED, patient = false): string | undefined {
    const { open } = this;
    if (open.length === 0) return this.#ended;
    if (patient || !this.#passesOn) return undefined;
    const serves = this.#allowed(tried).some(({ health }) =>
      !health.holds || fresh && health.wantsProbe
    );
    if (serves) return undefined;
    if (this.exhausted) this.#tellExhausted();
    return "it fails on every page just now";
  }

  /** Whether it is being found out now whether one that was down answers again. */
  get isProbed(): boolean {
    return this.open.some(({ health }) => health.isProbed);
  }

  /** Those that are open. */
  get open(): readonly Lane[] {
    return this.#lanes.filter((lane) => this.isOpen(lane));
  }

  /** Whether pages may take it. */
  isOpen(lane: Lane): boolean {
    return !this.#states.get(lane)!.closed.signal.aborted;
  }

  /** Aborted once a lane is closed. */
  closed(lane: Lane): AbortSignal {
    return this.#states.get(lane)!.closed.signal;
  }

  /** Aborted once pages that wait on a lane should choose anew. */
  moved(lane: Lane): AbortSignal {
    return this.#states.get(lane)!.moved.signal;
  }

  /**
   * A lane has been asked to slow down. Where it stands still for a while, pages that wait on it
   * choose anew: their places are needed, and others may be free.
   */
  paused(lane: Lane): void {
    if (this.open.length > 1 && (lane.pause?.() ?? 0) >= LONG_PAUSE_MS) this.#move(lane);
  }

  /** A lane that stood still goes on: pages that wait on others choose anew. */
  recovered(lane: Lane): void {
    for (const other of this.open) if (other !== lane) this.#move(other);
  }

  #move(lane: Lane): void {
    const state = this.#states.get(lane)!;
    if (state.waiting === 0) return;
    const { moved } = state;
    state.moved = new AbortController();
    moved.abort();
  }

  /** Whether it is time to find out whether one of the others answers again. */
  wantsProbe(here: Lane): boolean {
    return this.open.some((lane) => lane !== here && lane.health.wantsProbe);
  }

  /** Whether all that are open stand still. */
  get standStill(): boolean {
    return this.open.every(({ health }) => health.holds);
  }

  /**
   * The lane on which a page is likely to have its turn first.
   *
   * @param fresh Whether the page has not failed before: such a one finds out first whether an API
   *   that failed answers again.
   * @param tried Those that the page has been sent on.
   * @returns `undefined` if none is open.
   */
  choose(fresh: boolean, tried: Tried): Lane | undefined {
    const from = this.#allowed(tried);
    if (from.length <= 1) return from[0];
    const probed = fresh && from.find(({ health }) => health.wantsProbe);
    if (probed) return probed;
    const wait = (lane: Lane) =>
      // What stands still may do so for minutes.
      (lane.health.holds ? 1e9 : 0) + (tried.failed.has(lane) ? OTHER_FIRST_S : 0) +
      (lane.pause?.() ?? 0) / 1_000 +
      (this.#states.get(lane)!.waiting + 1) / (lane.rate() ?? 1);
    return from.reduce((best, lane) => wait(lane) < wait(best) ? lane : best);
  }

  #allowed({ refusing }: Tried): readonly Lane[] {
    const { open } = this;
    const others = open.filter((lane) => !refusing.has(lane) && !isDoubted(lane));
    return others.length > 0 ? others : open;
  }

  /**
   * Whether there is an open lane, besides this one, that a page may take and that doesn't stand
   * still.
   *
   * @param patient As in {@linkcode unavailable}.
   */
  elsewhere(here: Lane, { refusing }: Tried, patient = false): boolean {
    return this.#passesOn && !patient ||
      this.open.some((lane) =>
        lane !== here && (!refusing.has(lane) || isDoubted(here)) && !lane.health.holds
      );
  }

  /** Whether there is an open lane other than these that a page may be tried on. */
  isLeft(tried: LaneSet): boolean {
    return this.open.some((lane) => !tried.has(lane) && !isDoubted(lane));
  }

  /** A page waits on a lane until this is disposed. */
  waitOn(lane: Lane): Disposable {
    const state = this.#states.get(lane)!;
    state.waiting++;
    return { [Symbol.dispose]: () => void state.waiting-- };
  }

  /**
   * No page gets through on a lane any more, for this reason.
   *
   * @returns Whether the run goes on: others are open, or other engines are asked.
   */
  close(lane: Lane, reason: RunError): boolean {
    const { closed } = this.#states.get(lane)!;
    if (closed.signal.aborted) return true;
    if (this.open.length === 1 && !this.spared) return false;
    const why = typeof reason.cause === "string" ? reason.cause : reason.message;
    closed.abort(reason);
    this.#ended = why;
    const left = this.open.map(({ name }) => name).join(", ") || this.#others.any();
    this.#note(`${lane.name} is not used any more: ${why} (going on with ${left})`);
    return true;
  }

  /**
   * Whether a lane that has failed for too long may go on being probed: others are asked meanwhile,
   * be it that they are down, too, but not for so long.
   */
  mayRecover(lane: Lane): boolean {
    if (this.open.some((other) => other !== lane && !other.health.holds)) return true;
    if (!this.spared) return false;
    const [own, downSince] = [this.downSince, this.#others.downSince()];
    if (downSince === undefined || own === undefined) return true;
    return !lane.health.outOfPatience(Math.max(own, downSince));
  }

  /** Says once in an outage that nobody waits any more. */
  #tellExhausted(): void {
    const since = this.downSince;
    if (this.#givenUp === since) return;
    this.#givenUp = since;
    const [next, any] = [this.#others.next(), this.#others.any()];
    this.#note(
      "it is not waited for any more, only asked now and then: until it answers again " +
        (next === undefined ? `pages keep what ${any} made of them` : `pages go to ${next}`),
    );
  }

  /** No page gets through on any of them, for this reason. @returns As {@linkcode close} */
  closeAll(reason: RunError): boolean {
    return this.open.every((lane) => this.close(lane, reason));
  }

  /** Pages of this engine are known to be answered. */
  knows(): void {
    for (const { health } of this.#lanes) health.knows();
  }

  /** A page begins to be asked for; {@linkcode leave} follows. */
  enter(): void {
    for (const { health } of this.#lanes) health.enter();
  }

  /** A page is through, whatever came of it. */
  leave(page: string): void {
    for (const { health } of this.#lanes) health.leave(page);
  }
}

/**
 * Whether nothing starts on a lane until it is known whether its key is refused: pages that have
 * failed elsewhere don't wait for that, as nothing they do would tell.
 */
function isDoubted({ health }: Lane): boolean {
  return health.holds && !health.outage;
}
