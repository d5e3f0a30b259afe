/**
 * @module label/pace: the limiter as a run uses it: it starts from the settings or from what was learnt
 * before, keeps the room for rows and unsaved answers in step with it, and stores what it learns.
 */

import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Engine } from "../engine/engine.ts";
import { readLearntRate, writeLearntRate } from "../state/learnt_rate.ts";
import { Limiter } from "../pace/limiter.ts";
import { MAX_IN_FLIGHT, RateController } from "../pace/controller.ts";
import type { RateChange } from "../pace/types.ts";
import type { Settings } from "../base/settings.ts";
import type { Store } from "../store/store.ts";

/** Rows in progress beyond those that wait for the API: images fetched ahead, answers looked up. */
export const ROWS_AHEAD = 16;
/** Paid answers that may wait to be stored, per request that may be in flight. */
const UNSAVED_PER_REQUEST = 2;
/** An unknown account is approached at this share of the engine's documented rate. */
const FIRST_SHARE = 2 / 3;
/** No request is closer to the one before at first, milliseconds. */
const FIRST_SPACING_MS = 100;
/** What was learnt is stored at most so often, milliseconds. */
const STORE_INTERVAL_MS = 60_000;

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
  /** Told of every change of the rate. */
  readonly note: (message: string, facts: Record<string, unknown>) => void;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
}

/** Turns, and the room that goes with them. Disposing it stores what was learnt. */
export interface Pace extends AsyncDisposable {
  /** Hands out turns. */
  readonly limiter: Pick<Limiter, "turn">;
  /** Room for rows in progress. */
  readonly rows: Budget;
  /** Room for paid answers that are not stored yet. */
  readonly unsaved: Budget;
}

/** Starts from the user's figures, else from what was learnt, else gently. */
export async function openPace(options: PaceOptions): Promise<Pace> {
  const { settings, engine, store, key, note, clock, random } = options;
  const { rate, requestDelayMs } = settings;
  const auto = rate === undefined && requestDelayMs === undefined;
  const learnt = auto ? await readLearntRate(store, key) : undefined;
  const controller = new RateController({
    rate: rate ?? firstRate(requestDelayMs, engine.documentedRate),
    fixed: rate !== undefined,
    minSpacingMs: requestDelayMs,
    maxInFlight: settings.concurrency ?? MAX_IN_FLIGHT,
    learnt,
    random,
    now: clock.now(),
  });
  const onChange = ({ from, to, reason }: RateChange) => {
    const figures = from === to
      ? `rate ${from.toFixed(2)}`
      : `rate ${from.toFixed(2)} → ${to.toFixed(2)}`;
    note(`${figures} requests/s: ${reason}`, { rate_from: from, rate_to: to });
  };
  const limiter = new Limiter({ controller, clock, onChange });
  const rows = new Budget(controller.inFlightCap + ROWS_AHEAD);
  const unsaved = new Budget(controller.inFlightCap * UNSAVED_PER_REQUEST);
  let stored = clock.now();
  const save = async () => {
    if (auto && controller.hasLearnt) {
      await writeLearntRate(store, key, controller.snapshot(clock.now()));
    }
  };
  const fit = () => {
    rows.resize(controller.inFlightCap + ROWS_AHEAD);
    unsaved.resize(controller.inFlightCap * UNSAVED_PER_REQUEST);
    if (clock.now() - stored < STORE_INTERVAL_MS) return;
    stored = clock.now();
    save().catch(() => {}); // beside the requests; it is only advice
  };
  return {
    rows,
    unsaved,
    limiter: {
      async turn(signal) {
        const permit = await limiter.turn(signal);
        return {
          done(outcome) {
            permit.done(outcome);
            fit();
          },
        };
      },
    },
    [Symbol.asyncDispose]: save,
  };
}

/** With a spacing of the user's, as fast as that; else the gentle figures for an unknown account. */
function firstRate(requestDelayMs: number | undefined, documentedRate: number): number {
  if (requestDelayMs !== undefined) return 1_000 / Math.max(1, requestDelayMs);
  return Math.min(1_000 / FIRST_SPACING_MS, documentedRate * FIRST_SHARE);
}
