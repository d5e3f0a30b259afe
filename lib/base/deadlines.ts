/**
 * @module base/deadlines: many deadlines that hardly ever come, behind one timer. A request has two
 * to four of them and is over long before; timers of their own took a thirtieth of all CPU.
 */

/** A time by which something should be over. */
interface Deadline {
  readonly at: number;
  readonly late: () => void;
}

/** The timer behind deadlines. */
export interface Alarm {
  /** Milliseconds since some moment, by a clock that nobody sets. */
  now(): number;
  /** Calls `ring` once, after so many milliseconds, or a little before; gives what stops it. */
  start(ms: number, ring: () => void): () => void;
}

const RUNTIME_ALARM: Alarm = {
  now: () => performance.now(),
  start(ms, ring) {
    const timer = setTimeout(ring, ms);
    return () => clearTimeout(timer);
  },
};

/** Deadlines of things that are under way at the same time. */
export class Deadlines {
  readonly #alarm: Alarm;
  readonly #set = new Set<Deadline>();
  #stop: (() => void) | undefined;
  #wake = Infinity;

  /** None is set. @param alarm The timer. @default the runtime's */
  constructor(alarm: Alarm = RUNTIME_ALARM) {
    this.#alarm = alarm;
  }

  /**
   * Sets one.
   *
   * @param ms From now on, from 0.
   * @param late Called once that time is over, unless it was lifted before; must not throw.
   * @returns Lifts it; calling it again, or later, changes nothing.
   */
  set(ms: number, late: () => void): () => void {
    const deadline = { at: this.#alarm.now() + ms, late };
    this.#set.add(deadline);
    this.#wakeBy(deadline.at);
    return () => {
      this.#set.delete(deadline);
      // A timer for nothing would keep the process from ending.
      if (this.#set.size === 0) this.#rest();
    };
  }

  #wakeBy(at: number): void {
    if (at >= this.#wake) return; // it looks then, and sees when to look again
    this.#rest();
    this.#wake = at;
    this.#stop = this.#alarm.start(Math.max(0, at - this.#alarm.now()), () => this.#ring());
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#wake = Infinity;
  }

  #ring(): void {
    this.#rest();
    const now = this.#alarm.now();
    let next = Infinity;
    for (const deadline of this.#set) {
      if (deadline.at > now) {
        next = Math.min(next, deadline.at);
        continue;
      }
      this.#set.delete(deadline);
      deadline.late();
    }
    if (this.#set.size > 0) this.#wakeBy(next);
  }
}
