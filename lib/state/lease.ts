/**
 * @module state/lease: keeps two runs off one data set: an object that its holder renews while it
 * works. Whoever finds it waits until it is released or has not been renewed for its whole time.
 *
 * A holder counts its time from before each renewal was sent, whoever waits from when it saw the
 * renewal, so by the same passing of time the first stops before the second begins. No time stamp
 * of another machine is believed by itself: clocks differ, and are set. A lease is known to have
 * been dead for long only where its age by the store's clock and its own stamp agree. A write that
 * is on its way just then can't be called back; rows come out the same whoever makes them, so it
 * does no harm to the data.
 */

import { type Clock, Stopwatch } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import type { Store, WriteOptions } from "../store/store.ts";
import { type FoundDocument, readDocument, writeDocument } from "./document.ts";
import { type LeaseDocument, leaseDocument } from "./documents.ts";

/** How many times its own length a lease is waited for, unless told otherwise. */
const WAIT_LEASES = 4;
/**
 * A store that refuses to replace a version which still lies there so often, with a pause in
 * between, can't: some compare an ETag with its quotes.
 */
const VAIN_TRIES = 3;
/** How exactly a store tells the age of an object, milliseconds: two times in whole seconds. */
const AGE_TOLERANCE_MS = 2_000;
/** What is said of a store where nothing keeps two runs apart. */
const UNGUARDED = "so nothing keeps a second run off this data set: make sure there is only one";

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
  /** Whether it is tried to take the lease before anybody looks who has it. @default false */
  readonly unknown?: boolean;
  /** Told what people should know. */
  readonly note: (message: string) => void;
  /** Ends the waiting; its reason is thrown. */
  readonly stop: AbortSignal;
}

/** The right to work on a data set. Disposing it gives it up. */
export interface Lease extends AsyncDisposable {
  /** False once the store is known to have no conditional writes: nothing keeps others off then. */
  readonly held: boolean;
  /** Grows with every change of hands. */
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
 * Old S3 servers ignore conditions without a word, or refuse an ETag that is right, and nothing but
 * trying tells: a lease that was taken is taken again on the same condition, which must be refused.
 *
 * @throws {RunError} `conflict` naming the holder, if it is still alive after `waitMs`
 * @throws {StoreError} when the store fails
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const { store, key, clock, ttlMs, waitMs = WAIT_LEASES * ttlMs, note, stop } = options;
  const waited = new Stopwatch(clock);
  let seen: { readonly etag: string; readonly since: Stopwatch } | undefined;
  let tried: { readonly hold: Hold; readonly onlyIf: Condition } | undefined;
  let vain = 0;
  let noted = false;
  let tookMs = 0;
  const timed = async <T>(write: () => Promise<T>): Promise<T> => {
    const took = new Stopwatch(clock);
    try {
      return await write();
    } finally {
      tookMs = took.atLeast;
    }
  };
  const take = async (found: FoundLease | undefined): Promise<Lease | undefined> => {
    const hold = newHold(options, (found?.value?.generation ?? 0) + 1);
    tried = { hold, onlyIf: found ? { etag: found.etag } : "absent" };
    try {
      const { onlyIf } = tried;
      const etag = await timed(() => writeLease(store, key, hold.document, onlyIf));
      return etag === undefined ? undefined : await prove(etag);
    } catch (error) {
      if (error instanceof StoreError && error.kind === "unsupported") {
        return withoutLease(options, tried.onlyIf, "knows no");
      }
      throw error;
    }
  };
  const prove = async (etag: string): Promise<Lease> => {
    const { hold, onlyIf } = tried!;
    const proof = () => writeLease(store, key, hold.document, onlyIf, true);
    const refused = await timed(proof) === undefined;
    return refused
      ? new HeldLease(options, hold, etag, onlyIf !== "absent", tookMs)
      : withoutLease(options, onlyIf, "ignores");
  };
  if (options.unknown) {
    const lease = await take(undefined);
    if (lease) return lease;
  }
  for (;;) {
    stop.throwIfAborted();
    const found = await readDocument(store, key, leaseDocument, { age: true });
    const now = clock.now();
    if (found && tried && isSameHold(found.value, tried.hold.document)) {
      return await prove(found.etag); // it arrived, though it seemed to fail
    }
    if (found && seen?.etag !== found.etag) {
      seen = { etag: found.etag, since: new Stopwatch(clock) };
    }
    const unchangedMs = seen?.since.atLeast ?? 0;
    // One that can't be read may be a newer version's: it is over if unchanged for our own time.
    const over = found?.value
      // An earlier call of this process may have taken it, and its reply been lost.
      ? found.value.holder === options.holder || isOver(found, unchangedMs, now)
      : unchangedMs > ttlMs;
    if (!found || over) {
      // Somebody was faster than the last try, or what it was for can't be had by anybody.
      vain = tried && isSameVersion(tried.onlyIf, found) ? vain + 1 : 0;
      if (vain >= VAIN_TRIES && found) return withoutLease(options, tried!.onlyIf, "refuses all");
      if (vain >= VAIN_TRIES) throw new RunError("again", neverCreated(`${store.url}/${key}`));
      if (vain > 0) await clock.sleep(Math.max(1, ttlMs / 100), stop);
      const lease = await take(found);
      if (lease) return lease;
      continue;
    }
    const who = whoHolds(found, `${store.url}/${key}`, now);
    if (waited.atLeast >= waitMs) {
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

function isSameVersion(onlyIf: Condition, found: FoundLease | undefined): boolean {
  return onlyIf === "absent" ? found === undefined : onlyIf.etag === found?.etag;
}

function isSameHold(found: LeaseDocument | undefined, own: LeaseDocument): boolean {
  return found?.holder === own.holder && found.generation === own.generation;
}

/** The holder for people, with its age, as far as the lease tells. */
function whoHolds({ value: document, ageMs }: FoundLease, url: string, now: number): string {
  if (!document) return `${url} is not in a form that this version reads, but may be in use`;
  const { owner, acquired_at, renewed_at } = document;
  const age = Math.max(0, Math.round((ageMs ?? now - Date.parse(renewed_at)) / 1_000));
  return `${escaped(owner)}, since ${acquired_at}, last sign of life ${age} s ago (${url})`;
}

class HeldLease implements Lease {
  readonly generation: number;
  readonly #options: LeaseOptions;
  readonly #acquired: LeaseDocument;
  readonly #lost = new AbortController();
  readonly lost = this.#lost.signal;
  /** Ends the work below: the lease is lost or given up. */
  readonly #over = new AbortController();
  readonly #working: Promise<unknown>;
  #etag: string;
  /** Runs since the last renewal that succeeded was sent. */
  #renewed: Stopwatch;
  /** Renewals that were sent since, by their time stamps: one may have arrived, its reply lost. */
  readonly #sent = new Map<string, Stopwatch>();
  /** Whether the store is known to refuse the replacing of an outdated version. */
  #proven: boolean;
  #vain = 0;
  #held = true;
  /** How long the store has taken to write it last, milliseconds; and for how long it is at it. */
  #tookMs: number;
  #sending: Stopwatch | undefined;
  /** What the store has refused the last renewal with. */
  #refused: StoreError | undefined;

  constructor(
    options: LeaseOptions,
    acquired: Hold,
    etag: string,
    proven: boolean,
    tookMs: number,
  ) {
    this.#tookMs = tookMs;
    this.#options = options;
    this.#acquired = acquired.document;
    this.#etag = etag;
    this.#proven = proven;
    this.generation = acquired.document.generation;
    this.#renewed = acquired.sent;
    this.#working = Promise.all([this.#renewUntilOver(), this.#watchUntilOver()]);
  }

  get held(): boolean {
    return this.#held;
  }

  check(): void {
    this.lost.throwIfAborted();
    if (this.#over.signal.aborted) throw new Error("the lease was given up before this write");
    if (!this.#held || this.#renewed.atMost < this.#options.ttlMs) return;
    const tookMs = Math.max(this.#tookMs, this.#sending?.atLeast ?? 0);
    this.#lose(this.#refused ? refused(this.#refused) : tooLate(tookMs, this.#options.ttlMs));
    this.lost.throwIfAborted();
  }

  #lose(reason: unknown): void {
    this.#lost.abort(reason);
    this.#over.abort(reason);
  }

  /** The store can't do what a lease needs: the run goes on without. */
  #letGo(does: string): void {
    const { store, note } = this.#options;
    if (this.#held) note(unguarded(store, { etag: this.#etag }, does));
    this.#held = false;
  }

  /** Never rejects. */
  async #renewUntilOver(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    // From when it was sent: a slow store has taken some of its time.
    const next = () => Math.max(0, ttlMs / 3 - this.#renewed.atMost);
    let wait = next();
    try {
      while (this.#held) {
        await clock.sleep(wait, this.#over.signal);
        this.check(); // after a stall, stop instead of coming back to life
        wait = await this.#replace(clock.now(), false) ? next() : ttlMs / 10;
      }
    } catch (error) {
      if (!this.#over.signal.aborted) this.#lose(error);
    }
  }

  /** Says in time that the lease is over, also while a renewal hangs. Never rejects. */
  async #watchUntilOver(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    try {
      while (this.#held) {
        await clock.sleep(Math.max(1, ttlMs - this.#renewed.atMost), this.#over.signal);
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
    const sent = new Stopwatch(this.#options.clock);
    this.#sent.set(document.renewed_at, sent);
    try {
      const onlyIf = { etag: this.#etag };
      this.#sending = sent;
      const etag = await writeLease(store, key, document, onlyIf)
        .finally(() => this.#sending = undefined);
      this.#tookMs = sent.atLeast;
      this.#refused = undefined;
      if (etag !== undefined) {
        this.#etag = etag;
        this.#renewed = sent;
        this.#sent.clear();
        if (!released && !this.#proven) {
          this.#proven = await writeLease(store, key, document, onlyIf, true) === undefined;
          if (!this.#proven) this.#letGo("ignores");
        }
        return true;
      }
      const found = await readDocument(store, key, leaseDocument);
      if (found?.etag === onlyIf.etag && ++this.#vain >= VAIN_TRIES && !released) {
        this.#letGo("refuses all");
      }
      if (found && isSameHold(found.value, this.#acquired)) {
        // An earlier renewal arrived, its reply did not.
        this.#etag = found.etag;
        this.#renewed = this.#sent.get(found.value!.renewed_at) ?? this.#renewed;
        return false;
      }
      const by = found ? `: ${whoHolds(found, `${store.url}/${key}`, now)}` : "";
      throw new RunError("conflict", `another run has taken over this data set${by}; stopping`);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#refused = error.kind === "denied" || error.kind === "credentials" ? error : undefined;
      return false; // until the time is over
    }
  }

  /** Releases it where every replace is refused, so that nobody can have taken it over. */
  async #overwrite(now: number): Promise<void> {
    const { store, key } = this.#options;
    const renewed_at = new Date(now).toISOString();
    await writeDocument(store, key, { ...this.#acquired, renewed_at, released: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over.signal.aborted) return void await this.#working;
    this.#over.abort();
    await this.#working;
    const now = this.#options.clock.now();
    try {
      // Once more where a renewal had arrived, its reply had not, or where the store refuses the very
      // version that is there; in an outage there is no second try.
      for (let tries = 0; tries <= VAIN_TRIES; tries++) {
        if (this.#vain >= VAIN_TRIES) return await this.#overwrite(now);
        const [etag, vain] = [this.#etag, this.#vain];
        if (await this.#replace(now, true)) return;
        if (this.#etag === etag && this.#vain === vain) return;
      }
    } catch {
      // What can't be released runs out by itself.
    }
  }
}

function refused(error: StoreError): RunError {
  return new RunError(
    "store",
    `the lease on this data set can't be renewed: ${error.message}.\n` +
      "What was stored is kept: allow that and run the same command again",
    { cause: error },
  );
}

/** A store that takes this share of the lease's time to write it is too slow for it. */
const SLOW_SHARE = 1 / 5;
/** A lease should last so many times what the store takes to write it. */
const SPARE = 6;

/** @param tookMs What the store has taken to write it last, or takes now. */
function tooLate(tookMs: number, ttlMs: number): RunError {
  const late = "could not renew the lease on this data set in time, so another run may have it";
  if (tookMs < ttlMs * SLOW_SHARE) {
    return new RunError("again", `${late}; run the same command again and it continues`);
  }
  const [took, lasts] = [tookMs, ttlMs].map((ms) => Math.round(ms / 100) / 10);
  const longer = Math.min(3_600, Math.ceil(Math.max(tookMs * SPARE, ttlMs * 2) / 1_000));
  return new RunError(
    "again",
    `${late}: the store has taken ${took} s to write it, and it lasts ${lasts} s.\n` +
      `Raise --lease-seconds to ${longer} and run the same command again: it continues`,
  );
}

/** Without conditional writes nothing can be held, and the run goes on all the same. */
function withoutLease({ store, note }: LeaseOptions, onlyIf: Condition, does: string): Lease {
  note(unguarded(store, onlyIf, does));
  return {
    held: false,
    generation: 0,
    lost: new AbortController().signal,
    check: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function neverCreated(url: string): string {
  return `cannot create ${url}: the store says that it exists, and that it doesn't; run again later`;
}

/** @param does What the store does about such conditions: "ignores", "knows no", "refuses all". */
function unguarded({ url }: Store, onlyIf: Condition, does: string): string {
  const what = onlyIf === "absent"
    ? "conditional creates (If-None-Match: *)"
    : "conditional replaces (If-Match)";
  return `${url} has no conditional writes to rely on (it ${does} ${what}), ${UNGUARDED}`;
}

/** A lease that is about to be taken. */
interface Hold {
  readonly document: LeaseDocument;
  /** Runs since before it was sent. */
  readonly sent: Stopwatch;
}

function newHold({ holder, owner, ttlMs, clock }: LeaseOptions, generation: number): Hold {
  const sent = new Stopwatch(clock);
  const acquired_at = new Date(clock.now()).toISOString();
  const times = { ttl_ms: ttlMs, acquired_at, renewed_at: acquired_at };
  const format = "pseudolabel-lease/1";
  return { document: { format, holder, owner, generation, ...times, released: false }, sent };
}

type Condition = NonNullable<WriteOptions["onlyIf"]>;

/** A lease object that was found; its `value` is missing where it can't be read. */
type FoundLease = FoundDocument<LeaseDocument>;

/**
 * Whether a lease may be taken over: it was released, it was seen unchanged for its whole time, or
 * both the store's clock and this machine's say that it has been over for as long again. Neither is
 * enough: a clock may be wrong, and behind a gateway the two times that make an age may be of two
 * machines.
 */
function isOver(found: FoundLease, unchangedMs: number, now: number): boolean {
  const { released, ttl_ms, renewed_at } = found.value!;
  if (released || unchangedMs > ttl_ms) return true;
  const longAgo = 2 * ttl_ms + AGE_TOLERANCE_MS;
  return (found.ageMs ?? 0) > longAgo && now - Date.parse(renewed_at) > longAgo;
}

/** Writes the lease on a condition. @returns Its ETag; `undefined` if the condition failed. */
async function writeLease(
  store: Store,
  key: string,
  document: LeaseDocument,
  onlyIf: Condition,
  failing = false,
): Promise<string | undefined> {
  try {
    return (await writeDocument(store, key, document, { onlyIf, failing })).etag;
  } catch (error) {
    if (error instanceof StoreError && error.kind === "precondition") return undefined;
    throw error;
  }
}
