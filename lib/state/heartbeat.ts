/**
 * @module state/heartbeat: tells whoever looks from outside how far a process is: an object that it
 * writes every 15 s while it works, and once more when it ends. It is news and nothing else: no
 * page waits for it, no run ends because of it, and where it can't be written nobody is told.
 */

import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import { writeDocument } from "./document.ts";
import type { HeartbeatDocument } from "./documents.ts";

/** Time between two heartbeats, milliseconds. */
export const BEAT_MS = 15_000;
/** The first one comes so long after the start, milliseconds: most short runs are over by then. */
const FIRST_BEAT_MS = 2_000;
/**
 * The last one may take so long, milliseconds, as a process that is asked to stop has little time.
 */
const LAST_BEAT_MS = 2_000;

/** What {@linkcode Heartbeat} works with. */
export interface HeartbeatOptions {
  /** The store itself: one that waits out an outage would tell old news. */
  readonly store: Store;
  /** Key of the object. */
  readonly key: string;
  /** Time. */
  readonly clock: Clock;
  /** Throws where the lease is lost: another process tells its own news then. */
  readonly check: () => void;
  /** The news of this moment. */
  readonly read: () => Omit<HeartbeatDocument, "format" | "ended">;
}

/** Beats until it is ended. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #over = new AbortController();
  readonly #beating: Promise<void>;
  /** What was told last, whether it could be written or not. */
  last: HeartbeatDocument | undefined;

  /** Begins. */
  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#beating = this.#beatUntilOver();
  }

  /**
   * Writes how the process has ended; never rejects, and takes {@linkcode LAST_BEAT_MS} twice at
   * most.
   *
   * @param exit The exit code.
   * @param reason In words, for people; empty where all is well.
   */
  async end(exit: number, reason: string): Promise<void> {
    const { clock } = this.#options;
    this.#over.abort();
    // An earlier one that arrived later than the last would say that the process goes on.
    const settled = await this.#within(clock, this.#beating.then(() => true));
    if (!settled) return;
    const timeout = new AbortController();
    await this.#within(clock, this.#beat({ exit, reason }, timeout.signal));
    timeout.abort();
  }

  async #within(clock: Clock, work: Promise<unknown>): Promise<unknown> {
    const over = new AbortController();
    const patience = clock.sleep(LAST_BEAT_MS, over.signal).catch(() => {});
    return await Promise.race([work, patience]).finally(() => over.abort());
  }

  /** Never rejects. One that hangs holds up only the next. */
  async #beatUntilOver(): Promise<void> {
    const { clock } = this.#options;
    for (let wait = FIRST_BEAT_MS;; wait = BEAT_MS) {
      const slept = await clock.sleep(wait, this.#over.signal).then(() => true, () => false);
      if (!slept) return;
      await this.#beat(null);
    }
  }

  async #beat(ended: HeartbeatDocument["ended"], signal?: AbortSignal): Promise<void> {
    const { store, key, check, read } = this.#options;
    try {
      check();
      const document = { format: "pseudolabel-heartbeat/1" as const, ...read(), ended };
      this.last = document;
      await writeDocument(store, key, document, { oneLine: true, signal });
    } catch {
      // The next one may arrive; whoever looks knows how old the last one is.
    }
  }
}
