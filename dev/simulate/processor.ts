/**
 * @module simulate/processor: the CPU of a process that gets only a share of one: it works for a
 * while, then stands still for 50 to 500 ms, in which no timer rings and nothing is sent or read.
 */

/** A CPU; times are milliseconds. */
export interface Processor {
  /** Does a piece of work that is ready at `ready`, after those before it: when it is done. */
  done(ready: number, costMs: number): number;
}

/** How a process is starved. */
export interface Starvation {
  /** Share of a core that it gets, in (0, 1). */
  readonly share: number;
  /** How long it stands still at a time, from and to, milliseconds. @default [50, 500] */
  readonly stallMs?: readonly [number, number];
  /** CPU time of a start: what is between the turn and the request's last byte, milliseconds. */
  readonly startMs: number;
  /** CPU time of an answer: reading, storing, encoding it, milliseconds. */
  readonly answerMs: number;
}

/** A CPU that is there all the time and costs nothing. */
export const idleProcessor: Processor = { done: (ready) => ready };

/** A CPU that stands still now and then; how long and when depends on `random` only. */
export function starvedProcessor(
  { share, stallMs = [50, 500] }: Starvation,
  random: () => number,
  begin: number,
): Processor {
  const [least, most] = stallMs;
  const stall = () => least + random() * (most - least);
  let free = begin;
  let worksUntil = begin + stall() * share / (1 - share);
  return {
    done(ready, costMs) {
      free = Math.max(free, ready);
      for (let left = costMs;;) {
        if (free < worksUntil) {
          const piece = Math.min(left, worksUntil - free);
          free += piece;
          left -= piece;
          if (left <= 0) return free;
        } else {
          const length = stall();
          free = Math.max(free, worksUntil + length);
          worksUntil += length + length * share / (1 - share);
        }
      }
    },
  };
}
