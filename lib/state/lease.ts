/**
 * @module state/lease: keeps two runs off one data set: an object that its holder renews while it works.
 * Whoever finds it waits until it is released or has not been renewed for its whole time.
 *
 * A holder counts its time from before each renewal was sent, whoever waits from when it saw the
 * renewal, so by the same passing of time the first stops before the second begins. A write that is
 * on its way just then can't be called back; rows come out the same whoever makes them, so it does
 * no harm to the data.
 */

import type { Clock } from "../base/clock.ts";
import type { LeaseDocument } from "./documents.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { type FoundLease, isOver, readLease, writeLease } from "./lease_object.ts";
import type { Store } from "../store/store.ts";
import { probeConditionalWrites } from "../store/conditional_writes.ts";

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
  /** Grows with every change of hands; 0 where nothing is held. */
  readonly generation: number;
  /**
   * Aborts when the lease is lost, with a {@linkcode RunError}: `conflict` if another took it,
   * `again` if it could not be renewed for its whole time.
   */
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
  const { store, key, holder, clock, ttlMs, waitMs = WAIT_LEASES * ttlMs, note, stop } = options;
  const probeKey = `${key}.probe-${holder}`;
  const supported = await probeConditionalWrites(store, probeKey, { signal: stop });
  if (!supported.create || !supported.replace) {
    note(
      `${store.url} has no conditional writes, so nothing keeps a second run off this data set: ` +
        "make sure there is only one",
    );
    return unguarded();
  }
  const begin = clock.now();
  let seen: { readonly etag: string; readonly since: number } | undefined;
  let tried: LeaseDocument | undefined;
  let noted = false;
  for (;;) {
    stop.throwIfAborted();
    const found = await readLease(store, key);
    const now = clock.now();
    if (found && tried && isSameHold(found.document, tried)) {
      return new HeldLease(options, tried, found.etag); // it arrived, though it seemed to fail
    }
    if (found && seen?.etag !== found.etag) seen = { etag: found.etag, since: now };
    const unchangedMs = now - (seen?.since ?? now);
    // One that can't be read may be a newer version's: it is over if unchanged for our own time.
    const over = found?.document ? isOver(found.document, unchangedMs, now) : unchangedMs > ttlMs;
    if (!found || over) {
      tried = describe(options, (found?.document?.generation ?? 0) + 1, now);
      const etag = await writeLease(store, key, tried, found ? { etag: found.etag } : "absent");
      if (etag !== undefined) return new HeldLease(options, tried, etag);
      continue; // somebody was faster: see who
    }
    const who = whoHolds(found, `${store.url}/${key}`, now);
    if (now - begin >= waitMs) {
      throw new RunError(
        "conflict",
        `another run is working on this data set: ${who}; let it finish or stop it, then run again`,
      );
    }
    if (!noted) note(`waiting for another run: ${who}`);
    noted = true;
    await clock.sleep(Math.max(1, ttlMs / 5), stop);
  }
}

function isSameHold(found: LeaseDocument | undefined, own: LeaseDocument): boolean {
  return found?.holder === own.holder && found.generation === own.generation;
}

/** The holder for people, with its age, as far as the lease tells. */
function whoHolds({ document }: FoundLease, url: string, now: number): string {
  if (!document) return `${url} is not in a form that this version reads, but may be in use`;
  const { owner, acquired_at, renewed_at } = document;
  const age = Math.max(0, Math.round((now - Date.parse(renewed_at)) / 1_000));
  return `${owner}, since ${acquired_at}, last sign of life ${age} s ago (${url})`;
}

class HeldLease implements Lease {
  readonly held = true;
  readonly generation: number;
  readonly #options: LeaseOptions;
  readonly #acquired: LeaseDocument;
  readonly #lost = new AbortController();
  readonly lost = this.#lost.signal;
  /** Ends the work below: the lease is lost or given up. */
  readonly #over = new AbortController();
  readonly #working: Promise<unknown>;
  #etag: string;
  /** When the last renewal that succeeded was sent. */
  #renewedAt: number;

  constructor(options: LeaseOptions, acquired: LeaseDocument, etag: string) {
    this.#options = options;
    this.#acquired = acquired;
    this.#etag = etag;
    this.generation = acquired.generation;
    this.#renewedAt = Date.parse(acquired.renewed_at);
    this.#working = Promise.all([this.#renewUntilOver(), this.#watchUntilOver()]);
  }

  check(): void {
    this.lost.throwIfAborted();
    if (this.#over.signal.aborted) throw new Error("the lease was given up before this write");
    if (this.#options.clock.now() - this.#renewedAt < this.#options.ttlMs) return;
    this.#lose(
      new RunError(
        "again",
        "could not renew the lease on this data set in time, so another run may have it; " +
          "run the same command again and it continues",
      ),
    );
    this.lost.throwIfAborted();
  }

  #lose(reason: unknown): void {
    this.#lost.abort(reason);
    this.#over.abort(reason);
  }

  /** Never rejects. */
  async #renewUntilOver(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    let wait = ttlMs / 3;
    try {
      for (;;) {
        await clock.sleep(wait, this.#over.signal);
        this.check(); // after a stall, stop instead of coming back to life
        wait = await this.#replace(clock.now(), false) ? ttlMs / 3 : ttlMs / 10;
      }
    } catch (error) {
      if (!this.#over.signal.aborted) this.#lose(error);
    }
  }

  /** Says in time that the lease is over, also while a renewal hangs. Never rejects. */
  async #watchUntilOver(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    try {
      for (;;) {
        await clock.sleep(this.#renewedAt + ttlMs - clock.now(), this.#over.signal);
        this.check();
      }
    } catch {
      // given up, or check() has said that it is lost
    }
  }

  /** Tries to write it anew. @returns Whether it worked @throws {RunError} if another has it */
  async #replace(now: number, released: boolean): Promise<boolean> {
    const { store, key } = this.#options;
    const document = { ...this.#acquired, renewed_at: new Date(now).toISOString(), released };
    try {
      const etag = await writeLease(store, key, document, { etag: this.#etag });
      if (etag !== undefined) {
        this.#etag = etag;
        this.#renewedAt = now;
        return true;
      }
      const found = await readLease(store, key);
      if (found && isSameHold(found.document, this.#acquired)) {
        // An earlier renewal arrived, its reply did not.
        this.#etag = found.etag;
        this.#renewedAt = Math.max(this.#renewedAt, Date.parse(found.document!.renewed_at));
        return false;
      }
      const by = found ? `: ${whoHolds(found, `${store.url}/${key}`, now)}` : "";
      throw new RunError("conflict", `another run has taken over this data set${by}; stopping`);
    } catch (error) {
      if (error instanceof StoreError) return false; // until the time is over
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over.signal.aborted) return void await this.#working;
    this.#over.abort();
    await this.#working;
    const now = this.#options.clock.now();
    const etag = this.#etag;
    try {
      if (await this.#replace(now, true)) return;
      // A renewal had arrived, its reply had not; in an outage there is no second try.
      if (this.#etag !== etag) await this.#replace(now, true);
    } catch {
      // What can't be released runs out by itself.
    }
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

function describe(options: LeaseOptions, generation: number, now: number): LeaseDocument {
  const { holder, owner, ttlMs: ttl_ms } = options;
  const acquired_at = new Date(now).toISOString();
  const times = { ttl_ms, acquired_at, renewed_at: acquired_at };
  return { format: "pseudolabel-lease/1", holder, owner, generation, ...times, released: false };
}
