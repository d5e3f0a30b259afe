/**
 * @module lease: keeps two runs off one data set: an object that its holder renews while it works.
 * Whoever finds it waits until it is released or has not been renewed for its whole time.
 *
 * A holder counts its time from before each renewal was sent, whoever waits from when it saw the
 * renewal, so by the same passing of time the first stops before the second begins. A write that is
 * on its way just then can't be called back; rows come out the same whoever makes them, so it does
 * no harm to the data.
 */

import type { Clock } from "./clock.ts";
import type { LeaseDocument } from "./documents.ts";
import { RunError, StoreError } from "./errors.ts";
import { isOver, readLease, writeLease } from "./lease_object.ts";
import type { Store } from "./store.ts";
import { probeConditionalWrites } from "./store_probe.ts";

/** How many times its own length a lease is waited for, unless told otherwise. */
const WAIT_LEASES = 4;

/** What {@linkcode acquireLease} works with. */
export interface LeaseOptions {
  /** Where the object lies. */
  readonly store: Store;
  /** Key of the object. */
  readonly key: string;
  /** The holder for people: host and process, or Batch job. */
  readonly owner: string;
  /** The holder for programs: unique per process. */
  readonly holder: string;
  /** Time. */
  readonly clock: Clock;
  /** A holder that has not renewed for so long is taken for dead, milliseconds. */
  readonly ttlMs: number;
  /** How long a living holder is waited for, milliseconds. @default 4 × `ttlMs` */
  readonly waitMs?: number;
  /** Told what people should know. */
  readonly note: (message: string) => void;
  /** Ends the waiting; its reason is thrown. */
  readonly stop: AbortSignal;
}

/** The right to work on a data set. Disposing it gives it up. */
export interface Lease extends AsyncDisposable {
  /** False where the store has no conditional writes: nothing keeps others off then. */
  readonly held: boolean;
  /** Grows with every change of hands. */
  readonly generation: number;
  /** Aborts when the lease is lost. */
  readonly lost: AbortSignal;
  /** Call before every write. @throws {RunError} unless the lease is held right now */
  check(): void;
}

/**
 * Takes the lease, waiting for whoever holds it.
 *
 * @throws {RunError} `conflict` naming the holder, if it is still alive after `waitMs`
 * @throws {StoreError} when the store fails
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const { store, key, holder, clock, ttlMs, note, stop } = options;
  const { waitMs = WAIT_LEASES * ttlMs } = options;
  const supported = await probeConditionalWrites(store, `${key}.probe-${holder}`);
  if (!supported.create || !supported.replace) {
    note(
      `${store.url} has no conditional writes, so nothing keeps a second run off this data set: ` +
        "make sure there is only one",
    );
    return unguarded();
  }
  const begin = clock.now();
  let seen: { readonly etag: string; readonly since: number } | undefined;
  let noted = false;
  for (;;) {
    stop.throwIfAborted();
    const found = await readLease(store, key);
    const now = clock.now();
    if (found && seen?.etag !== found.etag) seen = { etag: found.etag, since: now };
    if (!found || isOver(found, now - seen!.since, now)) {
      const generation = (found?.document?.generation ?? 0) + 1;
      const document = describe(options, generation, now, now);
      const etag = await writeLease(store, key, document, found ? { etag: found.etag } : "absent");
      if (etag !== undefined) return new HeldLease(options, document, etag);
      continue; // somebody was faster: see who
    }
    const { owner, acquired_at, renewed_at } = found.document!;
    const age = `${Math.max(0, Math.round((now - Date.parse(renewed_at)) / 1_000))} s ago`;
    if (now - begin >= waitMs) {
      throw new RunError(
        "conflict",
        `another run is working on this data set: ${owner}, since ${acquired_at}, last sign of ` +
          `life ${age}; let it finish or stop it, then run again`,
      );
    }
    if (!noted) note(`waiting for another run: ${owner}, last sign of life ${age}`);
    noted = true;
    await clock.sleep(Math.max(1, ttlMs / 5), stop);
  }
}

class HeldLease implements Lease {
  readonly held = true;
  readonly generation: number;
  readonly #options: LeaseOptions;
  readonly #acquiredAt: number;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  readonly #renewing: Promise<void>;
  #etag: string;
  /** When the last renewal that succeeded was sent. */
  #renewedAt: number;

  constructor(options: LeaseOptions, document: LeaseDocument, etag: string) {
    this.#options = options;
    this.#etag = etag;
    this.generation = document.generation;
    this.#acquiredAt = this.#renewedAt = Date.parse(document.acquired_at);
    this.#renewing = this.#renewUntilOver();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  check(): void {
    this.#lost.signal.throwIfAborted();
    if (this.#options.clock.now() - this.#renewedAt < this.#options.ttlMs) return;
    this.#lost.abort(
      new RunError(
        "again",
        "could not renew the lease on this data set in time, so another run may have it; " +
          "run the same command again and it continues",
      ),
    );
    this.#lost.signal.throwIfAborted();
  }

  async #renewUntilOver(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    let wait = ttlMs / 3;
    while (!this.#lost.signal.aborted) {
      try {
        await clock.sleep(wait, this.#over.signal);
      } catch {
        return;
      }
      try {
        wait = await this.#renew() ? ttlMs / 3 : ttlMs / 10;
        this.check();
      } catch (error) {
        this.#lost.abort(error);
      }
    }
  }

  /** Tries to renew once. @returns Whether it worked. @throws {RunError} if another has the lease */
  async #renew(): Promise<boolean> {
    const { store, key, holder, clock } = this.#options;
    const now = clock.now();
    const document = describe(this.#options, this.generation, this.#acquiredAt, now);
    try {
      const etag = await writeLease(store, key, document, { etag: this.#etag });
      if (etag !== undefined) {
        this.#etag = etag;
        this.#renewedAt = now;
        return true;
      }
      const found = await readLease(store, key);
      const is = found?.document;
      if (found && is?.holder === holder && is.generation === this.generation) {
        // An earlier renewal arrived, its reply did not.
        this.#etag = found.etag;
        this.#renewedAt = Math.max(this.#renewedAt, Date.parse(is.renewed_at));
        return false;
      }
      const by = is ? `: ${is.owner} has it since ${is.acquired_at}` : "";
      throw new RunError("conflict", `another run has taken over this data set${by}; stopping`);
    } catch (error) {
      if (error instanceof StoreError) return false; // until the time is over
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#renewing;
    if (this.#lost.signal.aborted) return;
    const { store, key, clock } = this.#options;
    const document = describe(this.#options, this.generation, this.#acquiredAt, clock.now());
    // What can't be released runs out by itself.
    await writeLease(store, key, { ...document, released: true }, { etag: this.#etag }).catch(
      () => {},
    );
  }
}

function unguarded(): Lease {
  return {
    held: false,
    generation: 0,
    lost: new AbortController().signal,
    check: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function describe(
  { holder, owner, ttlMs }: LeaseOptions,
  generation: number,
  acquiredAt: number,
  renewedAt: number,
): LeaseDocument {
  return {
    format: "pseudolabel-lease/1",
    holder,
    owner,
    generation,
    ttl_ms: ttlMs,
    acquired_at: new Date(acquiredAt).toISOString(),
    renewed_at: new Date(renewedAt).toISOString(),
    released: false,
  };
}
