/**
 * @module label/group: a lane among others that use the same key: it looks now and then who else is
 * there (`state/shared_rate.ts`) and has the limiter keep to what all have agreed upon
 * (`pace/shared.ts`). Who asks for nothing takes no part.
 */

import type { Clock } from "../base/clock.ts";
import type { Limiter } from "../pace/limiter.ts";
import type { SharedController, SharedStart } from "../pace/shared.ts";
import { BEAT_MS, FIRST_LOOKS_MS } from "../pace/sharing.ts";
import type { SharedRate } from "../state/shared_rate.ts";

/** Who has asked for nothing in so many looks leaves. */
const IDLE_LOOKS = 2;
/** Nobody waits longer than this for the store, milliseconds. */
const PATIENCE_MS = 2_000;

/** What {@linkcode Group} works with. */
export interface GroupOptions {
  /** Paces the lane. */
  readonly controller: SharedController;
  /** Its queue. */
  readonly limiter: Limiter<SharedStart>;
  /** What the others tell. */
  readonly shared: SharedRate;
  /** Time. */
  readonly clock: Clock;
  /** Told when others come or all are gone. */
  readonly note: (message: string) => void;
}

/** Takes part while pages are asked for. Disposing it leaves. */
export class Group implements AsyncDisposable {
  readonly #options: GroupOptions;
  readonly #over = new AbortController();
  #taking: Promise<void> | undefined;
  #first: Promise<void> | undefined;
  #asked = 0;
  #told = 1;
  /** Whether others were ever there. */
  #met = false;

  /** Takes no part yet. */
  constructor(options: GroupOptions) {
    this.#options = options;
  }

  /**
   * A page is going to be asked for.
   *
   * @param wait Whether to look who is there before that, where nobody has looked yet.
   */
  async asks(wait: boolean): Promise<void> {
    this.#asked++;
    if (this.#over.signal.aborted) return;
    if ((wait || this.#met) && !this.#first) this.#first = this.#patiently(this.#look());
    this.#taking ??= this.#takePart().finally(() => this.#taking = undefined);
    await this.#first;
  }

  /** Leaves. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#taking;
  }

  /** Never rejects. */
  async #takePart(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#over;
    let looked = false;
    let idle = 0;
    for (let n = 0;; n++) {
      const wait = FIRST_LOOKS_MS[n] ?? BEAT_MS; // most short runs are over before the first
      const asked = this.#asked;
      if (!await clock.sleep(wait, signal).then(() => true, () => false)) break;
      idle = this.#asked > asked || this.#options.limiter.waiting > 0 ? 0 : idle + 1;
      if (idle >= IDLE_LOOKS) break;
      looked = true;
      // One that hangs holds up neither the end nor anybody's turn.
      await this.#patiently(this.#look());
    }
    looked ||= this.#first !== undefined;
    this.#first = undefined;
    if (looked) await this.#leave();
  }

  async #look(): Promise<void> {
    const { controller, limiter, shared } = this.#options;
    // A store that can't be asked leaves everything as it is.
    const written = await shared.exchange((found) => controller.look(found)).catch(() => undefined);
    if (!written || this.#over.signal.aborted) return;
    this.#met ||= written.members.length > 1;
    controller.follow(written);
    limiter.changed();
    this.#tell(written.members.length);
  }

  async #leave(): Promise<void> {
    const { controller, limiter, shared } = this.#options;
    const left = shared.exchange((found) => controller.leave(found)).catch(() => {});
    await this.#patiently(left);
    controller.follow(undefined);
    limiter.changed();
  }

  /** Never rejects if the work doesn't. */
  async #patiently(work: Promise<unknown>): Promise<void> {
    const over = new AbortController();
    const late = this.#options.clock.sleep(PATIENCE_MS, over.signal).catch(() => {});
    await Promise.race([work, late]);
    over.abort();
  }

  #tell(members: number): void {
    const before = this.#told;
    this.#told = members;
    if (members === before) return;
    const { note, controller } = this.#options;
    if (members === 1) return note("nobody else uses the key any more");
    const rate = controller.plan?.rate.toFixed(1);
    note(
      `${members} processes use the key, this one among them: they share ${rate} requests/s, ` +
        "one after another",
    );
  }
}
