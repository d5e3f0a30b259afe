/**
 * @module cli/reporter: what a watching person or log sees while a run goes on: a bar on a
 * terminal, one JSON line per event elsewhere. Reads the tally; changes nothing.
 */

import type { Clock } from "../base/clock.ts";
import { escaped, jsonLine, oneLine } from "../base/text.ts";
import { type Progress, ProgressMeter } from "../label/progress.ts";
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
    end(facts) {
      clearInterval(timer); // what the process does after it is no progress
      line("end", { ...logged(meter.read()), ...facts });
    },
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
