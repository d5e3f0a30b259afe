/**
 * @module pace/limiter: makes everybody wait for a turn: request starts in the order they were
 * asked for, evenly spaced, and no more in flight than there is room for. How fast and how many is
 * decided by `pace/controller.ts` or `pace/concurrency.ts`; this file owns the queue and the waiting.
 *
 * Every attempt takes a turn, a retry too.
 */

import type { Clock } from "../base/clock.ts";
import type { Pacer, RateChange, RequestOutcome, Start } from "./types.ts";

/** So many turns are given in the same millisecond. */
export const MOST_AT_ONCE = 2;

/** The right to send one request now. */
export interface Permit {
  /**
   * Says what became of the request and makes room for the next; calling it again does nothing.
   * Latency is the time from the turn to this call, so call it as soon as the answer is there.
   */
  done(outcome: RequestOutcome): void;
}

/** What {@linkcode Limiter} works with. */
export interface LimiterOptions<S extends { readonly change?: RateChange } = Start> {
  /** Decides how fast and how many. Times are this clock's. */
  readonly controller: Pacer<S>;
  /** Time. */
  readonly clock: Clock;
  /** Told of each change of the rate and each pause, for one log line. @default nobody */
  readonly onChange?: (change: RateChange) => void;
}

interface Waiter {
  readonly grant: (permit: Permit) => void;
  readonly fail: (error: unknown) => void;
}

/** Hands out turns, first come, first served. */
export class Limiter<S extends { readonly change?: RateChange } = Start> {
  readonly #options: LimiterOptions<S>;
  readonly #waiters = new Set<Waiter>();
  #inFlight = 0;
  /** When turns were last given, and how many in that millisecond. */
  #givenAt = -Infinity;
  #given = 0;
  /** The one timer: until when it sleeps, and how to end it early. */
  #timer: { readonly wake: number; readonly cancel: AbortController } | undefined;

  /** Nobody waits at first. @param options What to work with. */
  constructor(options: LimiterOptions<S>) {
    this.#options = options;
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Waits for the next turn.
   *
   * @returns The permit; call its `done` whatever happens, or its room is lost.
   * @throws The signal's reason, if it aborts first; no turn is used up.
   */
  async turn(signal?: AbortSignal): Promise<Permit> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const waiter: Waiter = { grant: resolve, fail: reject };
    const onAbort = () => {
      this.#waiters.delete(waiter);
      if (this.#waiters.size === 0) this.#stopTimer(); // or the process would wait for nothing
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter); // a Set keeps the order, and leaving the middle of it is cheap
    this.#serve();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** What the controller says has changed, without a start or an outcome. */
  changed(): void {
    this.#stopTimer();
    this.#serve();
  }

  /** Lets everybody start whose turn it is, and sees to it that the next one is not forgotten. */
  #serve(): void {
    const { controller, clock } = this.#options;
    for (const waiter of this.#waiters) {
      if (this.#inFlight >= controller.inFlightCap) {
        controller.blocked();
        return this.#stopTimer();
      }
      const now = clock.now();
      const next = controller.nextStart;
      if (next > now) return this.#sleepUntil(next);
      if (now > this.#givenAt) this.#given = 0;
      // After a stall much may be due: those that have their turn are sent first, or all would
      // stand still together at the next one, with turns that are old by then.
      if (this.#given >= MOST_AT_ONCE) return this.#sleepUntil(now + 1);
      this.#givenAt = now;
      this.#given++;
      this.#waiters.delete(waiter);
      waiter.grant(this.#start());
    }
    this.#stopTimer();
  }

  #start(): Permit {
    const { controller, clock, onChange } = this.#options;
    const start = controller.started(clock.now());
    if (start.change) onChange?.(start.change);
    this.#inFlight++;
    let ended = false;
    return {
      done: (outcome) => {
        if (ended) return;
        ended = true;
        this.#inFlight--;
        const change = controller.finished(start, outcome, clock.now());
        this.#serve();
        if (change) onChange?.(change);
      },
    };
  }

  #sleepUntil(wake: number): void {
    const { clock } = this.#options;
    // A timer that rings too early looks again; one that rings too late must be replaced.
    if (this.#timer && this.#timer.wake <= wake) return;
    this.#stopTimer();
    const timer = { wake, cancel: new AbortController() };
    this.#timer = timer;
    clock.sleep(Math.max(0, wake - clock.now()), timer.cancel.signal).then(
      () => {
        if (this.#timer !== timer) return;
        this.#timer = undefined;
        this.#serve();
      },
      (error: unknown) => {
        if (timer.cancel.signal.aborted) return;
        // A clock that fails would leave everybody waiting for ever.
        const waiters = [...this.#waiters];
        this.#waiters.clear();
        for (const { fail } of waiters) fail(error);
      },
    );
  }

  #stopTimer(): void {
    this.#timer?.cancel.abort();
    this.#timer = undefined;
  }
}
