/**
 * @module store/patient: waits out an outage of the store. An operation that fails for good while
 * nothing else gets an answer either means that the store is down: everybody waits then, one of
 * them asks now and then, and all go on once there is an answer, whatever it is. An object that
 * fails while the store answers for others is that object's trouble. A store that refuses what it
 * allowed before is waited for as well, for a shorter time.
 *
 * One {@linkcode Patience} is shared by all that use the stores of a run, and counts each store by
 * its URL. Commands that somebody waits for wait only for a store that has answered before: a wrong
 * address is said at once.
 */

import { Buffer } from "node:buffer";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { followSignals } from "../base/halt.ts";
import { minutes } from "../base/figures.ts";
import type { ObjectInfo, ReadOptions, Store, StoredObject } from "./store.ts";

/** First wait between two looks whether an outage is over, milliseconds; it doubles each time. */
const FIRST_LOOK_MS = 1_000;
/** Longest wait between two looks, milliseconds. */
const LAST_LOOK_MS = 10_000;
/**
 * An object that could not be read so often, each time with all its retries, while the store
 * answered for others, is not worth holding up its row any longer.
 */
const VAIN_READS = 3;
/** "Answered for others" means so many answers for one other operation that failed meanwhile. */
const ANSWERS_PER_FAILURE = 3;

/**
 * So long it is waited for what the store allowed before and refuses now, milliseconds: while
 * credentials are exchanged or a policy is replaced. Who has lost a right has to give it back.
 */
const REFUSED_MS = 120_000;
/** That many folders are known at most to have been read. */
const MOST_FOLDERS = 100;

/** What waiting means for a run. */
const NO_PAGE = "no page is asked for meanwhile";

/** What {@linkcode Patience} works with. */
export interface PatienceOptions {
  /** Longest outage that is waited for, milliseconds, at least 0. */
  readonly maxOutageMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Ends all waiting. */
  readonly giveUp: AbortSignal;
  /** Told what people should know. */
  readonly note: (message: string) => void;
  /**
   * Whether it is waited also for a store that has not answered yet, as for a job that nobody
   * watches, unless its very name is unknown. @default a wrong address is said at once
   */
  readonly fromTheStart?: boolean;
  /** What the waiting means, for the note. @default "no page is asked for meanwhile" */
  readonly meanwhile?: string;
  /**
   * Told since when a store is down or can't be written, milliseconds since the epoch, and which
   * it is; `undefined` when neither is so of any.
   */
  readonly onChange?: (since: number | undefined, what: Trouble) => void;
}

/** A store is gone, can't be written, or refuses what it allowed before. */
export type Trouble = "down" | "unwritable" | "refused";

interface Outage {
  readonly since: number;
  /** What the store said, or didn't. */
  readonly error: StoreError;
  nextLook: number;
  waitMs: number;
  looking: boolean;
  /** Resolves when the look that is under way is over. */
  looked: PromiseWithResolvers<void>;
  /** The last look was answered: operations are let through, and one that succeeds ends it. */
  open: boolean;
}

/** Nothing can be written to a store, which answers otherwise, or it refuses what it allowed. */
interface Unwritable {
  readonly since: number;
  readonly error: StoreError;
  /** Which of both. */
  readonly what: Exclude<Trouble, "down">;
  /** So long it is waited for, milliseconds. */
  readonly mostMs: number;
  /** Operations that wait. */
  waiting: number;
  /** That took too long, and is not waited for any more. */
  over: boolean;
}

/** What is known of one store. */
interface Health {
  /** Asks the store for anything, past all waiting. */
  readonly look: (signal: AbortSignal) => Promise<unknown>;
  /** Operations that got an answer, a refusal among them; looks don't count. */
  answers: number;
  /** Operations that got none, with all their retries. */
  failures: number;
  outage: Outage | undefined;
  /** Whether anything was written. */
  written: boolean;
  /** Folders at the top in which something was written. */
  readonly writtenIn: Set<string>;
  /** Reads a byte of what was read last in such a folder; the latest one last. */
  readonly readIn: Map<string, (signal: AbortSignal) => Promise<unknown>>;
  unwritable?: Unwritable;
  /** Reads a byte of what was read last. */
  readAgain?: (signal: AbortSignal) => Promise<unknown>;
  /** Such a read that is under way: whether it succeeds. */
  reading?: Promise<boolean>;
}

/** Waits for stores that are down. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #stores = new Map<string, Health>();

  /** All stores are up at first. */
  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Whether a store is down just now, or can't be written. */
  get down(): boolean {
    return [...this.#stores.values()].some(({ outage, unwritable }) =>
      outage?.open === false || unwritable
    );
  }

  /**
   * Waits until the stores answer, and can be written.
   *
   * @throws {StoreError} `unavailable` if that takes too long; the signal's reason if it aborts
   */
  async up(signal?: AbortSignal): Promise<void> {
    for (const health of this.#stores.values()) {
      await this.#wait(health, signal);
      if (this.#isOver(health)) throw tooLong(health.outage!, health.outage!.error);
      for (let unwritable; (unwritable = health.unwritable);) {
        const late = this.#isLate(unwritable.since, unwritable.mostMs);
        if (unwritable.over || late) throw tooLongUnwritable(unwritable);
        await this.#pause(FIRST_LOOK_MS, signal);
      }
    }
  }

  /**
   * The same store, whose operations wait while it is down, and are tried again. An upload in parts
   * is not tried again, as its parts are gone; it only waits before it begins.
   *
   * Where an outage lasts too long, or the waiting was given up, each operation is tried once more
   * and may end as `unavailable`; an object that can't be read while others can ends as `refused`.
   */
  wrap(store: Store): Store {
    const health = this.#healthOf(store);
    const run = <T>(
      signal: AbortSignal | undefined,
      operation: () => Promise<T>,
      kind?: "reads" | "once",
      key?: string,
    ) => this.#run(health, signal, operation, kind, key);
    const wrote = <T>(key: string, result: T) => {
      health.written = true;
      health.writtenIn.add(folderOf(key));
      return result;
    };
    return {
      url: store.url,
      read(key, options = {}): Promise<StoredObject> {
        const once = admitOnce(options);
        const read = async () => {
          const object = await store.read(key, once());
          if (object.bytes.length > 0) {
            const range = { start: 0, end: 1 };
            health.readAgain = (signal) => store.read(key, { range, signal });
            remember(health, folderOf(key), health.readAgain);
          }
          return object;
        };
        return run(options.signal, read, "reads", key);
      },
      stat: (key, options) => run(options?.signal, () => store.stat(key, options), "reads", key),
      write(key, bytes, options = {}): Promise<ObjectInfo> {
        // So that a later try knows an earlier one whose reply was lost.
        const id = options.onlyIf && (options.id ?? crypto.randomUUID());
        const write = () =>
          store.write(key, bytes, { ...options, id }).then((info) => wrote(key, info));
        return run(options.signal, write, undefined, key);
      },
      writeParts: (key, parts, options) =>
        run(
          options?.signal,
          () => store.writeParts(key, parts, options).then((info) => wrote(key, info)),
          "once",
        ),
      remove: (key, options) => run(options?.signal, () => store.remove(key, options)),
      removeAll: (keys, options) => run(options?.signal, () => store.removeAll(keys, options)),
      async *list(prefix, options) {
        // From the start after a failure; what was given before is left out. That is known by the
        // last key alone, as stores list by the bytes of keys: a set of a million would be too
        // long. One that doesn't can't be taken up again.
        let [last, begin, ordered] = ["", "", true];
        let listing: AsyncIterator<ObjectInfo> | undefined;
        for (;;) {
          const step = async () => {
            listing ??= store.list(prefix, options)[Symbol.asyncIterator]();
            try {
              return await listing.next();
            } catch (error) {
              [listing, begin] = [undefined, last];
              throw error;
            }
          };
          const next = await run(options?.signal, step, ordered ? undefined : "once");
          if (next.done) return;
          const { key } = next.value;
          if (begin !== "" && compareBytes(key, begin) <= 0) continue;
          if (last !== "" && compareBytes(key, last) <= 0) ordered = false;
          else last = key;
          yield next.value;
        }
      },
    };
  }

  /**
   * Work of several operations, which may be repeated as a whole: tried again like one of them.
   *
   * @param store What it works on.
   */
  repeat<T>(
    store: Store,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#run(this.#healthOf(store), signal, work);
  }

  #healthOf(store: Store): Health {
    let health = this.#stores.get(store.url);
    if (!health) {
      // Any answer will do, also that there is no such object.
      const look = (signal: AbortSignal) => store.stat("is-the-store-up", { signal });
      health = {
        ...{ look, answers: 0, failures: 0, outage: undefined, written: false },
        ...{ writtenIn: new Set(), readIn: new Map() },
      };
      this.#stores.set(store.url, health);
    }
    return health;
  }

  async #run<T>(
    health: Health,
    signal: AbortSignal | undefined,
    operation: () => Promise<T>,
    kind?: "reads" | "once",
    key?: string,
  ): Promise<T> {
    const { clock, random, maxOutageMs, note } = this.#options;
    let firstFailure: number | undefined;
    let vain = 0;
    let { answers, failures } = health;
    for (let tries = 1;; tries++) {
      await this.#wait(health, signal);
      let error: StoreError;
      try {
        const result = await operation();
        this.#answered(health);
        return result;
      } catch (reason) {
        if (!(reason instanceof StoreError)) throw reason;
        if (reason.kind !== "unavailable") {
          this.#answered(health);
          const waits = maxOutageMs > 0 && kind !== "once" &&
            (reason.kind === "unwritable" && health.written ||
              await this.#isRevoked(health, reason, kind, key, signal));
          if (!waits) throw reason;
          return await this.#onceWritable(health, reason, signal, operation);
        }
        error = reason;
      }
      health.failures++;
      if (kind === "once" || health.answers === 0 && !this.#waitsAtFirst(error)) throw error;
      firstFailure ??= clock.now();
      const open = health.outage?.open === true;
      const others = health.answers - answers;
      // A first failure while all is silent begins an outage, and shows nothing else yet.
      const readAgain = kind === "reads" && (open || others > 0) ? health.readAgain : undefined;
      const answered = others + (open && !readAgain ? 1 : 0);
      const othersFailed = health.failures - failures - 1;
      ({ answers, failures } = health);
      let up = answered > ANSWERS_PER_FAILURE * othersFailed;
      // Several objects that fail for ever are each other's only company; an outage of all reads
      // looks the same. What could be read before tells them apart.
      const proven = !up && readAgain !== undefined && await this.#readsAgain(health, signal);
      const silent = !up && !proven && readAgain !== undefined && health.answers === answers;
      up ||= proven;
      if (up) vain++;
      const late = this.#isLate(firstFailure);
      // Once is not enough: it may be gone the next moment.
      if (kind === "reads" && (vain >= VAIN_READS || up && late && vain > 1)) {
        this.#answered(health);
        const message = `${error.message}; the store answers for other objects`;
        throw new StoreError("refused", message, { cause: error });
      }
      if (!proven && (answered === 0 || silent || health.outage)) {
        this.#failed(health, error);
        if (this.#isOver(health)) throw tooLong(health.outage!, error);
        continue;
      }
      if (late) throw error;
      if (tries === 2 && kind !== "reads") {
        note(`${error.message}: tried again for up to ${minutes(maxOutageMs)}`);
      }
      const left = firstFailure + maxOutageMs - clock.now();
      await this.#pause(Math.min(left, backoffMs(tries, random)), signal);
    }
  }

  /** Whether a store that has not answered yet may be there all the same. */
  #waitsAtFirst({ message }: StoreError): boolean {
    // What is not worth a second try, a region that is none, will not pass.
    return this.#options.fromTheStart === true &&
      !/\bENOTFOUND\b|gave up after 1 attempts/.test(message);
  }

  /**
   * Whether the store refuses what it allowed before, and not this object alone: a write in a folder
   * in which others were written, or a read where what was read there last, or anywhere if nothing
   * was, is refused as well.
   */
  async #isRevoked(
    health: Health,
    error: StoreError,
    kind: "reads" | undefined,
    key: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (!isRefusal(error) || key === undefined) return false;
    const folder = folderOf(key);
    if (kind !== "reads") return health.writtenIn.has(folder);
    const readAgain = health.readIn.get(folder) ?? health.readAgain;
    if (!readAgain) return false;
    using halt = followSignals(this.#options.giveUp, ...signal ? [signal] : []);
    const revoked = await readAgain(halt.signal).then(() => false, isRefusal);
    signal?.throwIfAborted();
    return revoked;
  }

  /** Tries an operation again and again until the store can take it, or allows it. */
  async #onceWritable<T>(
    health: Health,
    error: StoreError,
    signal: AbortSignal | undefined,
    operation: () => Promise<T>,
  ): Promise<T> {
    const { clock, random, note, maxOutageMs, meanwhile = NO_PAGE } = this.#options;
    const since = clock.now();
    const refused = isRefusal(error);
    const mostMs = refused ? Math.min(maxOutageMs, REFUSED_MS) : maxOutageMs;
    if (!health.unwritable) {
      const what = refused ? "refused" : "unwritable";
      health.unwritable = { since, error, what, mostMs, waiting: 0, over: false };
      this.#tellChange();
      const wait = `waiting for that for up to ${minutes(mostMs)}`;
      const trouble = refused
        ? "the store refuses what it allowed before"
        : "nothing can be stored";
      note(`${trouble} (${error.message}): ${wait}; ${meanwhile}`);
    }
    const { unwritable } = health;
    unwritable.waiting++;
    let written = false;
    try {
      for (let waitMs = FIRST_LOOK_MS;; waitMs = Math.min(LAST_LOOK_MS, waitMs * 2)) {
        // Each has a time of its own: small ones may find room time and again.
        unwritable.over ||= this.#isLate(since, mostMs);
        if (unwritable.over) throw tooLongUnwritable(unwritable);
        await this.#pause(waitMs * (0.5 + random() / 2), signal);
        try {
          const result = await operation();
          written = true;
          return result;
        } catch (reason) {
          if (!(reason instanceof StoreError)) throw reason;
          const passes = refused ? isRefusal(reason) : reason.kind === "unwritable";
          if (!passes && reason.kind !== "unavailable") throw reason;
        }
      }
    } finally {
      if (written) unwritable.over = false;
      if (--unwritable.waiting === 0 && !unwritable.over) {
        health.unwritable = undefined;
        const seconds = Math.round((clock.now() - unwritable.since) / 1_000);
        const again = unwritable.what === "refused" ? "allows it again" : "can be written again";
        if (written) note(`the store ${again} after ${seconds} s: going on`);
        this.#tellChange();
      }
    }
  }

  /** Whether what has lasted since then is not waited for any more. */
  #isLate(since: number, mostMs = this.#options.maxOutageMs): boolean {
    const { clock, giveUp } = this.#options;
    return giveUp.aborted || clock.now() - since >= mostMs;
  }

  /** Whether what was read last can be read now; asked once for all who want to know. */
  async #readsAgain(health: Health, signal: AbortSignal | undefined): Promise<boolean> {
    const { readAgain } = health;
    if (!readAgain) return false;
    health.reading ??= (async () => {
      using halt = followSignals(this.#options.giveUp);
      return await readAgain(halt.signal).then(() => true, () => false);
    })().finally(() => health.reading = undefined);
    let read = false;
    await this.#unlessAborted(signal, async () => void (read = await health.reading!));
    if (read) this.#answered(health);
    return read;
  }

  /** Any answer shows that the store is up. */
  #answered(health: Health): void {
    health.answers++;
    const { outage } = health;
    if (!outage) return;
    health.outage = undefined;
    const seconds = Math.round((this.#options.clock.now() - outage.since) / 1_000);
    this.#options.note(`the store answers again after ${seconds} s: going on`);
    this.#tellChange();
  }

  #failed(health: Health, error: StoreError): void {
    const { clock, note, maxOutageMs, random } = this.#options;
    const { meanwhile = NO_PAGE } = this.#options;
    const now = clock.now();
    if (health.outage) {
      if (health.outage.open) postpone(health.outage, now);
      return;
    }
    const nextLook = now + random() * FIRST_LOOK_MS;
    const waitMs = FIRST_LOOK_MS;
    const looked = Promise.withResolvers<void>();
    health.outage = { since: now, error, nextLook, waitMs, looking: false, looked, open: false };
    if (maxOutageMs > 0) {
      note(
        `the store fails (${error.message}): waiting for it for up to ${minutes(maxOutageMs)}; ` +
          meanwhile,
      );
    }
    this.#tellChange();
  }

  #tellChange(): void {
    const all = [...this.#stores.values()];
    const down = all.flatMap(({ outage }) => outage?.since ?? []);
    const others = all.flatMap(({ unwritable }) => unwritable ?? []);
    const since = down.length > 0 ? down : others.map(({ since }) => since);
    const first = since.length === 0 ? undefined : Math.min(...since);
    this.#options.onChange?.(first, down.length > 0 ? "down" : others[0]?.what ?? "unwritable");
  }

  /** Waits while the store is down, and looks now and then whether it still is. */
  async #wait(health: Health, signal: AbortSignal | undefined): Promise<void> {
    const { clock, giveUp } = this.#options;
    for (let outage; (outage = health.outage) && !outage.open && !this.#isOver(health);) {
      signal?.throwIfAborted();
      if (outage.looking) {
        await this.#unlessAborted(signal, () => outage.looked.promise);
        continue;
      }
      if (clock.now() < outage.nextLook) {
        await this.#pause(outage.nextLook - clock.now(), signal);
        continue;
      }
      outage.looking = true;
      try {
        using halt = followSignals(giveUp, ...signal ? [signal] : []);
        await health.look(halt.signal);
        outage.open = true;
      } catch (error) {
        outage.open = error instanceof StoreError && error.kind !== "unavailable";
        if (!outage.open) postpone(outage, clock.now());
      } finally {
        outage.looking = false;
        outage.looked.resolve();
        outage.looked = Promise.withResolvers();
      }
    }
  }

  /** Whether a store is down that is not waited for any more. */
  #isOver({ outage }: Health): boolean {
    return outage !== undefined && !outage.open && this.#isLate(outage.since);
  }

  /** Sleeps; a given-up sleep is over at once. @throws The signal's reason if it aborts */
  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#unlessAborted(signal, (either) => this.#options.clock.sleep(ms, either));
  }

  /** Waits; a given-up wait is over at once. @throws The signal's reason if it aborts */
  async #unlessAborted(
    signal: AbortSignal | undefined,
    wait: (either: AbortSignal) => Promise<void>,
  ): Promise<void> {
    using halt = followSignals(this.#options.giveUp, ...signal ? [signal] : []);
    const aborted = Promise.withResolvers<void>();
    halt.signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    if (!halt.signal.aborted) {
      await Promise.race([wait(halt.signal).catch(() => {}), aborted.promise]);
    }
    signal?.throwIfAborted();
  }
}

function tooLong({ since }: Outage, error: StoreError): StoreError {
  const message = `${error.message}; the store is down since ${time(since)}`;
  return new StoreError("unavailable", message, { cause: error });
}

function tooLongUnwritable({ since, error, what }: Unwritable): StoreError {
  if (what === "refused") {
    // Of no single object: a row must not fail by it.
    return new StoreError(
      "credentials",
      `${error.message}; allowed before and refused since ${
        time(since)
      }. What was stored is kept: ` +
        "allow it again and run the same command",
      { cause: error },
    );
  }
  const message = `${error.message}; the store can't be written since ${time(since)}`;
  return new StoreError("unavailable", message, { cause: error });
}

/** Whether the store says that somebody may not do that, or is nobody it knows. */
function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && (error.kind === "denied" || error.kind === "credentials");
}

/** The folder at the top that a key lies in; empty for none. */
function folderOf(key: string): string {
  return key.slice(0, key.indexOf("/") + 1);
}

function remember({ readIn }: Health, folder: string, read: NonNullable<Health["readAgain"]>) {
  readIn.delete(folder);
  readIn.set(folder, read);
  if (readIn.size > MOST_FOLDERS) readIn.delete(readIn.keys().next().value!);
}

/** Below 0 where `a` comes before `b` by its bytes in UTF-8. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The next look is later, and the one after that later still. */
function postpone(outage: Outage, now: number): void {
  outage.open = false;
  outage.waitMs = Math.min(LAST_LOOK_MS, outage.waitMs * 2);
  outage.nextLook = now + outage.waitMs;
}

/** The options of each try of a read: who admits is asked once. */
function admitOnce(options: ReadOptions): () => ReadOptions {
  const { admit } = options;
  if (!admit) return () => options;
  let admitted = false;
  return () =>
    admitted ? { ...options, admit: undefined } : {
      ...options,
      admit(size) {
        admitted = true;
        return admit(size);
      },
    };
}

/** `14:07:31 UTC`. @param ms Milliseconds since the epoch. */
function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}
