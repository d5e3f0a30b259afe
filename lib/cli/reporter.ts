/**
 * @module cli/reporter: what a watching person or log sees while a run goes on: a bar on a terminal,
 * one JSON line per event elsewhere. Reads the tally; changes nothing.
 */

import type { Clock } from "../base/clock.ts";
import { escaped, jsonLine, oneLine } from "../base/text.ts";
import type { Tally, Watcher } from "../label/tally.ts";

/** Time between two progress lines, milliseconds. */
const PROGRESS_INTERVAL_MS = 30_000;
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
  /** Price of a page in US dollars; 0 where nothing is paid. @default 0 */
  readonly pricePerPage?: number;
  /** Writes text as it is. */
  readonly write: (text: string) => void;
  /** Time. */
  readonly clock: Clock;
}

/** How far a run is, in numbers. */
export interface Progress {
  /** Rows done, by this process or before. */
  readonly done: number;
  /** Rows of the data set. */
  readonly total: number;
  /** Rows that failed in this process. */
  readonly failed: number;
  /** Pages that this process was billed. */
  readonly pages_billed: number;
  /** The same in US dollars. */
  readonly cost: number;
  /** Rows whose answer was already there. */
  readonly answers_reused: number;
  /** Requests sent. */
  readonly requests: number;
  /** Requests answered 429. */
  readonly throttled: number;
  /** Rows per second over the last minute. */
  readonly rows_per_s: number;
  /** Seconds since the start. */
  readonly elapsed_s: number;
  /** Seconds left; null while that is unknown. */
  readonly eta_s: number | null;
  /** Why no request starts just now, and since when (milliseconds since the epoch). */
  readonly paused?: Tally["paused"];
  /** What is still under way, once the process was asked to stop. */
  readonly stopping?: { readonly inFlight: number; readonly unsaved: number };
}

/** Takes the counters from time to time, and makes rates of them. */
class ProgressMeter {
  readonly #options: ReporterOptions;
  readonly #rate = new RateMeter();
  readonly #left = new TimeLeft();
  #started: number | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  read(): Progress {
    const { tally, clock, pricePerPage = 0 } = this.#options;
    const now = clock.now();
    this.#started ??= now;
    this.#rate.observe(now, tally.done);
    this.#left.observe(now, tally.done, tally.asked);
    const { inFlight, unsaved, paused } = tally;
    const left = paused ? null : this.#left.seconds(tally.total - tally.done);
    return {
      done: tally.done,
      total: tally.total,
      failed: tally.rows.failed,
      pages_billed: tally.billedPages,
      cost: Math.round(tally.billedPages * pricePerPage * 1e6) / 1e6,
      answers_reused: tally.reused,
      requests: tally.requests,
      throttled: tally.throttled,
      rows_per_s: Math.round(this.#rate.perSecond * 100) / 100,
      elapsed_s: Math.round((now - this.#started) / 1_000),
      eta_s: left === null ? null : Math.round(left),
      ...(paused ? { paused } : {}),
      ...(tally.stopping ? { stopping: { inFlight, unsaved } } : {}),
    };
  }
}

/** The same for a log: times as text. */
function logged({ paused, stopping: _, ...now }: Progress): Facts {
  return paused
    ? { ...now, paused: paused.what, paused_since: new Date(paused.since).toISOString() }
    : now;
}

/** One JSON object a line: `start`, `progress` every 30 s, `note`, `failure`, `end`. */
export function jsonReporter(options: ReporterOptions): Reporter {
  const { write, clock } = options;
  const meter = new ProgressMeter(options);
  let timer: ReturnType<typeof setInterval> | undefined;
  const line = (event: string, facts: Facts) => {
    const time = new Date(clock.now()).toISOString();
    write(jsonLine({ time, event, ...facts }) + "\n");
  };
  return {
    start(facts) {
      line("start", facts);
      meter.read();
      timer = setInterval(() => line("progress", logged(meter.read())), PROGRESS_INTERVAL_MS);
    },
    note: (message, facts) => line("note", { message, ...facts }),
    failure: ({ row, id, imagePath, code, message }) =>
      line("failure", { row, id: short(id), image_path: short(imagePath), code, message }),
    end: (facts) => line("end", { ...logged(meter.read()), ...facts }),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Ids and paths may be as long as they like, a log line may not. */
function short(text: string): string {
  return text.length > 1_100 ? escaped(text, 1_100) : text;
}

/** A bar that is drawn over itself; notes and failures scroll by above it. */
export function barReporter(
  options: ReporterOptions & { readonly columns: () => number },
): Reporter {
  const { write, columns } = options;
  const meter = new ProgressMeter(options);
  let timer: ReturnType<typeof setInterval> | undefined;
  const clear = "\r\x1b[K";
  // The terminal writes ^C behind it, which must not begin another line.
  const draw = () => write(clear + renderBar(meter.read(), columns() - 2));
  // What comes from outside is one line without orders to the terminal.
  const above = (text: string) => {
    write(`${timer === undefined ? "" : clear}${escaped(text, 2_000)}\n`);
    if (timer !== undefined) draw();
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    start() {
      meter.read();
      timer = setInterval(draw, BAR_INTERVAL_MS);
      draw();
    },
    note: (message) => above(message),
    failure: ({ row, id, code, message }) =>
      above(`row ${row} (${escaped(id)}) failed: ${code}: ${oneLine(message, 1_500)}`),
    end() {
      if (timer === undefined) return;
      draw();
      write("\n");
      stop();
    },
    [Symbol.dispose]: stop,
  };
}

/** Columns of the bar itself, by the columns that there are. */
const BAR_WIDTHS: readonly (readonly [from: number, width: number])[] = [
  [150, 40],
  [100, 20],
  [76, 12],
  [40, 10],
  [0, 0],
];

/** A shorter bar shows nothing. */
const LEAST_BAR = 5;

/**
 * The bar as one line of fewer than `columns` characters. What finds no room is left out whole, the
 * least important first; no word is cut.
 */
export function renderBar(now: Progress, columns: number): string {
  const share = now.total > 0 ? now.done / now.total : 1;
  const bar = (room: number) => {
    const width = Math.min(BAR_WIDTHS.find(([from]) => columns >= from)?.[1] ?? 0, room);
    const full = Math.floor(share * width);
    return width < LEAST_BAR ? "" : "█".repeat(full) + "░".repeat(width - full);
  };
  // In their order on the line, with the order in which they get their room.
  const parts: [rank: number, text: (room: number) => string][] = [
    [3, bar],
    [0, () => `${Math.floor(share * 100)} %`],
    [2, () => `${now.done}/${now.total}`],
    [1, () => state(now)],
    [6, () => now.done < now.total ? `${now.rows_per_s.toFixed(1)} rows/s` : ""],
    [5, () => now.cost > 0 ? `$${now.cost.toFixed(2)}` : ""],
    [4, () => now.failed > 0 ? `${now.failed} failed` : ""],
    [7, () => now.throttled > 0 ? `${now.throttled} throttled` : ""],
    [8, () => now.answers_reused > 0 ? `${now.answers_reused} reused` : ""],
    [9, () => `${clockTime(now.elapsed_s)} elapsed`],
  ];
  let line = "";
  const taken: (readonly [rank: number, text: string])[] = [];
  for (const rank of parts.keys()) {
    const at = parts.findIndex((part) => part[0] === rank);
    const text = parts[at][1](columns - 2 - line.length);
    if (text === "") continue;
    const place = (part: (typeof taken)[number]) => parts.findIndex(([rank]) => rank === part[0]);
    const longer = [...taken, [rank, text] as const].toSorted((a, b) => place(a) - place(b));
    if (join(longer).length >= columns) continue;
    line = join(longer);
    taken.push([rank, text]);
  }
  return line;
}

/** Bar, share and count belong together, what follows is set apart. */
function join(parts: readonly (readonly [rank: number, text: string])[]): string {
  return parts.map(([rank, text], n) =>
    n === 0 ? text : ([0, 2].includes(rank) ? " " : " · ") + text
  ).join("");
}

/** What is going on: how long it will take, or why it doesn't go on. */
function state({ done, total, eta_s, paused, stopping }: Progress): string {
  if (done >= total) return "done";
  if (stopping) {
    const { inFlight, unsaved } = stopping;
    const waits = [inFlight > 0 && `${inFlight} in flight`, unsaved > 0 && `${unsaved} to store`];
    return ["stopping", waits.filter(Boolean).join(", ")].filter(Boolean).join(": ");
  }
  if (paused) {
    const since = new Date(paused.since);
    const two = (n: number) => String(n).padStart(2, "0");
    const time = `${two(since.getHours())}:${two(since.getMinutes())}`;
    return `paused: ${oneLine(paused.what, 60)} since ${time}`;
  }
  return `ETA ${eta_s === null ? "unknown" : clockTime(eta_s)}`;
}

/** `0:04`, `3:05`, `9:15:00`. @param seconds Whole, at least 0. */
function clockTime(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
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

/** Rows over which it is seen how many of them have to be asked for. */
const SHARE_ROWS = 40;
/** The rate of answers is taken over so long, milliseconds. */
const LEFT_WINDOW_MS = 60_000;

/**
 * How long the rest takes. Rows whose answer is there already are done in no time, so they say
 * nothing about the rest: what counts is how fast answers come, and how many of the latest rows had
 * to be asked for.
 */
export class TimeLeft {
  #samples: { readonly time: number; readonly done: number; readonly asked: number }[] = [];

  /** Notes that `done` rows were done and `asked` pages were through with the API at `time` (ms). */
  observe(time: number, done: number, asked: number): void {
    const last = this.#samples.at(-1);
    if (last && time - last.time < 100) return;
    this.#samples.push({ time, done, asked });
    while (this.#samples.length > 2 && this.#samples[1].time <= time - LEFT_WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Seconds for so many more rows; null while nothing moves. */
  seconds(rows: number): number | null {
    const samples = this.#samples;
    const last = samples.at(-1);
    if (rows <= 0) return 0;
    if (!last) return null;
    const from = samples.findLast(({ done }) => last.done - done >= SHARE_ROWS) ?? samples[0];
    const done = last.done - from.done;
    const share = done > 0 ? Math.min(1, (last.asked - from.asked) / done) : 1;
    if (share > 0) {
      const begin = samples.find((_, n) => samples[n + 1]?.asked > samples[n].asked);
      if (!begin) return null;
      return rows * share * (last.time - begin.time) / 1_000 / (last.asked - begin.asked);
    }
    return rows * (last.time - samples[0].time) / 1_000 / (last.done - samples[0].done);
  }
}
