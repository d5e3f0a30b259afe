/**
 * @module cli/progress: what a watching person or log sees of work that takes long and is no run:
 * one line that is drawn over itself on a terminal, one JSON line every 30 s elsewhere.
 */

import type { Clock } from "../base/clock.ts";
import { escaped, jsonLine } from "../base/text.ts";

/** Time between two progress lines, milliseconds. */
const LOG_INTERVAL_MS = 30_000;
/** Time between two pictures on a terminal, milliseconds. */
const DRAW_INTERVAL_MS = 250;

/** Shows how far something is. Disposing it ends that. */
export interface Progress extends Disposable {
  /** What people should know, whatever goes on. */
  note(message: string): void;
  /** It is over; a log gets a last line. */
  end(facts: Readonly<Record<string, unknown>>): void;
}

/** What {@linkcode openProgress} works with. */
export interface ProgressOptions {
  /** The terminal that standard error is; absent where it is something else. */
  readonly terminal?: { readonly columns: () => number };
  /** Writes to standard error. */
  readonly write: (text: string) => void;
  /** Time. */
  readonly clock: Clock;
  /** How far it is, in words: parts by their importance, the last ones are left out first. */
  readonly words: () => readonly string[];
  /** How far it is, for a log. */
  readonly facts: () => Readonly<Record<string, unknown>>;
}

/** Shows progress from now on. */
export function openProgress(options: ProgressOptions): Progress {
  const { terminal, write, clock, words, facts } = options;
  const clear = "\r\x1b[K";
  const line = (event: string, more: Readonly<Record<string, unknown>>) =>
    write(jsonLine({ time: new Date(clock.now()).toISOString(), event, ...more }) + "\n");
  const draw = () => write(clear + fitted(words(), terminal!.columns() - 2));
  let timer: ReturnType<typeof setInterval> | undefined = terminal
    ? setInterval(draw, DRAW_INTERVAL_MS)
    : setInterval(() => line("progress", facts()), LOG_INTERVAL_MS);
  const stop = () => {
    if (timer !== undefined && terminal) write(clear);
    clearInterval(timer);
    timer = undefined;
  };
  return {
    note(message) {
      if (!terminal) return line("note", { message });
      write(`${clear}${escaped(message, 2_000)}\n`);
      if (timer !== undefined) draw();
    },
    end(more) {
      stop();
      if (!terminal) line("end", { ...facts(), ...more });
    },
    [Symbol.dispose]: stop,
  };
}

/** As many parts as fit into so many columns, at least the first. */
function fitted(parts: readonly string[], columns: number): string {
  let text = parts[0] ?? "";
  for (const part of parts.slice(1)) {
    if (`${text} · ${part}`.length > columns) break;
    text = `${text} · ${part}`;
  }
  return text.slice(0, Math.max(0, columns));
}
