/**
 * @module cli/reporter: what a watching person or log sees while a run goes on: a bar on a terminal,
 * one JSON line per event elsewhere. Reads the tally; changes nothing.
 */

import type { Clock } from "../base/clock.ts";
import type { Tally, Watcher } from "../label/tally.ts";

/** Time between two progress lines, milliseconds. */
export const PROGRESS_INTERVAL_MS = 30_000;
/** Time between two pictures of the bar, milliseconds. */
const BAR_INTERVAL_MS = 250;

/** A value of a log line. */
export type Facts = Readonly<Record<string, unknown>>;

/** Shows a run. */
export interface Reporter extends Watcher, Disposable {
  /** The run is over, well or not. */
  end(facts: Facts): void;
}

/** What a reporter needs. */
export interface ReporterOptions {
  /** Counters to show. */
  readonly tally: Tally;
  /** Writes text as it is. */
  readonly write: (text: string) => void;
  /** Time. */
  readonly clock: Clock;
}

/** Progress as numbers: rows, pages, rate in rows per second over the last minute, ETA in seconds. */
function progress(tally: Tally, rate: RateMeter, clock: Clock): {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly pages_billed: number;
  readonly answers_reused: number;
  readonly requests: number;
  readonly throttled: number;
  readonly rows_per_s: number;
  readonly eta_s: number | null;
  readonly store_down_since?: string;
} {
  rate.observe(clock.now(), tally.done);
  const perSecond = rate.perSecond;
  return {
    done: tally.done,
    total: tally.total,
    failed: tally.rows.failed,
    pages_billed: tally.billedPages,
    answers_reused: tally.reused,
    requests: tally.requests,
    throttled: tally.throttled,
    rows_per_s: Math.round(perSecond * 100) / 100,
    eta_s: perSecond > 0 ? Math.round((tally.total - tally.done) / perSecond) : null,
    ...(tally.storeDownSince === undefined
      ? {}
      : { store_down_since: new Date(tally.storeDownSince).toISOString() }),
  };
}

/** One JSON object a line: `start`, `progress` every 30 s, `note`, `failure`, `end`. */
export function jsonReporter({ tally, write, clock }: ReporterOptions): Reporter {
  const rate = new RateMeter();
  let timer: ReturnType<typeof setInterval> | undefined;
  const line = (event: string, facts: Facts) => {
    const time = new Date(clock.now()).toISOString();
    write(JSON.stringify({ time, event, ...facts }) + "\n");
  };
  return {
    start(facts) {
      line("start", facts);
      rate.observe(clock.now(), tally.done);
      timer = setInterval(
        () => line("progress", progress(tally, rate, clock)),
        PROGRESS_INTERVAL_MS,
      );
    },
    note: (message, facts) => line("note", { message, ...facts }),
    failure: ({ row, id, imagePath, code, message }) =>
      line("failure", { row, id, image_path: imagePath, code, message }),
    end: (facts) => line("end", { ...progress(tally, rate, clock), ...facts }),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** A bar that is drawn over itself; notes and failures scroll by above it. */
export function barReporter(
  { tally, write, clock, columns }: ReporterOptions & { readonly columns: () => number },
): Reporter {
  const rate = new RateMeter();
  let timer: ReturnType<typeof setInterval> | undefined;
  const clear = "\r\x1b[K";
  const draw = () => write(clear + renderBar(progress(tally, rate, clock), columns()));
  const above = (text: string) => {
    // Ids and messages come from outside; a control character in one must not reach the terminal.
    // deno-lint-ignore no-control-regex
    const plain = text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
    write(`${timer === undefined ? "" : clear}${plain}\n`);
    if (timer !== undefined) draw();
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    start() {
      rate.observe(clock.now(), tally.done);
      timer = setInterval(draw, BAR_INTERVAL_MS);
      draw();
    },
    note: (message) => above(message),
    failure: ({ row, id, code, message }) =>
      above(`row ${row} (${id}) failed: ${code}: ${message}`),
    end() {
      if (timer === undefined) return;
      draw();
      write("\n");
      stop();
    },
    [Symbol.dispose]: stop,
  };
}

/**
 * The bar as one line of at most `columns` characters: figures first, the bar takes what is left.
 */
export function renderBar(
  now: {
    readonly done: number;
    readonly total: number;
    readonly failed: number;
    readonly pages_billed: number;
    readonly rows_per_s: number;
    readonly eta_s: number | null;
    readonly store_down_since?: string;
  },
  columns: number,
): string {
  const share = now.total > 0 ? now.done / now.total : 1;
  const paused = now.store_down_since?.slice(11, 19);
  const eta = paused !== undefined
    ? `paused: the store is down since ${paused} UTC`
    : now.done >= now.total
    ? "done"
    : `ETA ${duration(now.eta_s)}`;
  const figures = ` ${now.done}/${now.total} (${Math.floor(share * 100)} %)` +
    ` · ${now.rows_per_s.toFixed(1)} rows/s · ${eta}` +
    ` · ${now.failed} failed · ${now.pages_billed} pages billed`;
  const room = Math.min(40, columns - 1 - figures.length);
  if (room < 5) return figures.slice(1, Math.max(1, columns));
  const full = Math.floor(share * room);
  return "█".repeat(full) + "░".repeat(room - full) + figures;
}

/** `4 s`, `3 min 05 s`, `9 h 15 min`; `unknown` for null. @param seconds At least 0. */
export function duration(seconds: number | null): string {
  if (seconds === null) return "unknown";
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3_600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

/** Rate of a growing count over the last `windowMs`, for people. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { readonly time: number; readonly count: number }[] = [];

  /** Knows no rate yet. @param windowMs Length of the window, milliseconds. */
  constructor(windowMs = 60_000) {
    this.#windowMs = windowMs;
  }

  /** Notes that the count was `count` at `time` (ms); more than 10 notes a second are thinned out. */
  observe(time: number, count: number): void {
    const last = this.#samples.at(-1);
    if (last && time - last.time < 100) return;
    this.#samples.push({ time, count });
    // One sample from before the window stays, so that the window is always covered.
    while (this.#samples.length > 2 && this.#samples[1].time <= time - this.#windowMs) {
      this.#samples.shift();
    }
  }

  /** Counts per second between the oldest and the newest note; 0 while that is unknown. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.time <= first.time) return 0;
    return (last.count - first.count) / ((last.time - first.time) / 1_000);
  }
}
