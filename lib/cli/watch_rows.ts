/**
 * @module cli/watch_rows: says how far a walk through many rows is: in place on a terminal,
 * elsewhere one JSON line every 30 s. A short walk says nothing.
 */

import type { Clock } from "../base/clock.ts";
import { jsonLine } from "../base/text.ts";
import type { Context } from "./command.ts";

/** Milliseconds between two looks on a terminal, and between two lines elsewhere. */
const TERMINAL_MS = 250;
const LINES_MS = 30_000;

/** Whoever is told how far it is. Disposing it takes the last line off the terminal. */
export interface RowWatch extends Disposable {
  /** So many rows of so many are through. */
  readonly progress: (rows: number, total: number) => void;
}

/** Begins to watch. @param what What is being done, as in `reading labels`. */
export function watchRows(
  what: string,
  { terminal, printError }: Pick<Context, "terminal" | "printError">,
  clock: Clock,
): RowWatch {
  let told = clock.now();
  let drawn = false;
  return {
    progress(rows, total) {
      const now = clock.now();
      if (now - told < (terminal ? TERMINAL_MS : LINES_MS)) return;
      told = now;
      if (terminal) {
        drawn = true;
        const text = `${what}: ${rows} of ${total} rows`;
        printError(`\r\x1b[K${text.slice(0, Math.max(1, terminal.columns() - 2))}`);
      } else {
        const time = new Date(now).toISOString();
        printError(jsonLine({ time, event: "progress", doing: what, done: rows, total }) + "\n");
      }
    },
    [Symbol.dispose]() {
      if (drawn) printError("\r\x1b[K");
    },
  };
}
