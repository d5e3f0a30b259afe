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
export const NO_LANES: LaneSet = { has: () => false };

interface State {
  /** Pages that wait on it. */
  waiting: number;
  /** Aborted with the reason when it is closed. */
  readonly closed: AbortController;
  /** Aborted when pages that wait on it should look for another; then there is a new one. */
  moved: AbortController;
}

/** A pause from which on pages that wait look for another lane, milliseconds. */
const LONG_PAUSE_MS = 1_000;

/** All lanes of an engine. */
export class Lanes {
  readonly #lanes: readonly Lane[];
  readonly #states: ReadonlyMap<Lane, State>;
  readonly #note: (message: string) => void;
  readonly #instead: string | undefined;
  /** Why the last one was closed. */
  #ended = "";

  /**
   * All are open at first.
   *
   * @param lanes One at least.
   * @param note Told when one is closed.
   * @param instead What takes a page over that none of them serves; then the run goes on without
   *   any. @default nothing does
   */
  constructor(
    lanes: readonly Lane[],
    note: (message: string) => void = () => {},
    instead?: string,
  ) {
    this.#lanes = lanes;
    this.#note = note;
    this.#instead = instead;
    this.#states = new Map(
      lanes.map((lane) => [
        lane,
        { waiting: 0, closed: new AbortController(), moved: new AbortController() },
      ]),
    );
  }

  /** Whether the run ends with it, as there is no other, and nothing instead. */
  get single(): boolean {
    return this.#lanes.length === 1 && !this.expendable;
  }

  /** Whether something else takes pages over that none of them serves. */
  get expendable(): boolean {
    return this.#instead !== undefined;
  }

  /**
   * Why a page should not wait for any of them, as something else takes it over; `undefined` while
   * it should.
   *
   * @param fresh As in {@linkcode choose}.
   * @param avoid As in {@linkcode choose}: where a page has failed it does not go back to while
   *   others are down. @default it has failed on none
   * @param patient Whether the page waits for one that is down, as nothing else has taken it over.
   */
  unavailable(fresh: boolean, avoid: LaneSet = NO_LANES, patient = false): string | undefined {
    if (!this.expendable) return undefined;
    const { open } = this;
    if (open.length === 0) return this.#ended;
    if (patient) return undefined;
    const serves = this.#allowed(avoid).some(({ health }) =>
      !health.holds || fresh && health.wantsProbe
    );
    return serves ? undefined : "it fails on every page just now";
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
    const state = this.#states.get(lane)!;
    if (state.waiting === 0 || this.open.length < 2) return;
    if ((lane.pause?.() ?? 0) < LONG_PAUSE_MS) return;
    const { moved } = state;
    state.moved = new AbortController();
    moved.abort();
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
   * @param avoid Lanes on which the page has failed, as long as there are others.
   * @returns `undefined` if none is open.
   */
  choose(fresh: boolean, avoid: LaneSet): Lane | undefined {
    const from = this.#allowed(avoid);
    if (from.length <= 1) return from[0];
    const probed = fresh && from.find(({ health }) => health.wantsProbe);
    if (probed) return probed;
    const wait = (lane: Lane) =>
      // What stands still may do so for minutes.
      (lane.health.holds ? 1e9 : 0) + (lane.pause?.() ?? 0) / 1_000 +
      (this.#states.get(lane)!.waiting + 1) / (lane.rate() ?? 1);
    return from.reduce((best, lane) => wait(lane) < wait(best) ? lane : best);
  }

  #allowed(avoid: LaneSet): readonly Lane[] {
    const { open } = this;
    const others = open.filter((lane) => !avoid.has(lane));
    return others.length > 0 ? others : open;
  }

  /**
   * Whether there is an open lane, besides this one and those, that doesn't stand still.
   *
   * @param patient As in {@linkcode unavailable}.
   */
  elsewhere(here: Lane, avoid: LaneSet, patient = false): boolean {
    return this.expendable && !patient ||
      this.open.some((lane) => lane !== here && !avoid.has(lane) && !lane.health.holds);
  }

  /** Whether there is an open lane other than these. */
  isLeft(avoid: LaneSet): boolean {
    return this.open.some((lane) => !avoid.has(lane));
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
   * @returns Whether the run goes on: others are open, or something takes over.
   */
  close(lane: Lane, reason: RunError): boolean {
    const { closed } = this.#states.get(lane)!;
    if (closed.signal.aborted) return true;
    if (this.open.length === 1 && !this.expendable) return false;
    closed.abort(reason);
    this.#ended = reason.message;
    const left = this.open.map(({ name }) => name).join(", ") || this.#instead;
    this.#note(`${lane.name} is not used any more: ${reason.message} (going on with ${left})`);
    return true;
  }

  /**
   * Whether a lane that has failed for too long may go on being probed: others are asked meanwhile,
   * or something takes over.
   */
  mayRecover(lane: Lane): boolean {
    return this.expendable ||
      this.open.some((other) => other !== lane && !other.health.holds);
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
