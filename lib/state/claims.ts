/**
 * @module state/claims: keeps two runs that are at work in one store at one time from paying for an
 * image that both have. Before it asks, a process makes known that it is asking: a small object
 * with an end, the claim, which it takes back when the answer is stored.
 *
 * Claims are made only while another run is at work, so a run that is alone pays nothing for them:
 * it looks once who else holds a lease (a listing of the data sets, and a look at the lease of
 * each), and now and then whether somebody has come since (one small object). Whoever comes later
 * finds the lease of the first, leaves word, and begins when the first has claimed what it is asking
 * for and put its name to the word, or had time to.
 *
 * Between the look for an answer and a request, or two requests for one page, minutes may pass: a
 * turn, an outage, a pause of the API, a machine that stands still. So right before each request it
 * is asked whether the claim still holds ({@linkcode Claim.held}), which costs nothing; only where
 * that is in doubt the claim is renewed, or the image claimed anew and its answer looked for again
 * ({@linkcode Claim.confirm}).
 *
 * No clock of another machine is believed by itself, as in `state/lease.ts`.
 *
 * It is a courtesy, not a lock: where it fails an image may be paid twice, but answers are created
 * and never replaced (`state/answer_store.ts`), so nothing else goes wrong.
 */

import { type Clock, Stopwatch } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { findObject, type Store, type WriteOptions } from "../store/store.ts";
import { readDocument, writeDocument } from "./document.ts";
import {
  type ClaimDocument,
  claimDocument,
  leaseDocument,
  manifest,
  type MeetingDocument,
  meetingDocument,
} from "./documents.ts";
import { CheckpointKeys, claimKey, meetingKey } from "./keys.ts";

/**
 * A claim that stands still for so long is over, milliseconds. A page takes seconds, at most
 * minutes.
 */
export const CLAIM_MS = 60_000;
/** A claim that was not renewed for so long may be over before a request arrives, milliseconds. */
const DOUBT_MS = CLAIM_MS * 0.75;
/** A run looks at least so often whether somebody else has come, milliseconds. */
const LOOK_MS = 10_000;
/** Whoever comes gives the others so long to find its word, milliseconds, or as long as a lease. */
const WORD_MS = 15_000;
/** So often it gives that time anew to those that seem to stand still. */
const PATIENCE = 4;
/** A store that takes so long to answer may have kept others from finding a word, milliseconds. */
const SLOW_MS = 2_000;
/** After this share of that time without a look, a run looks before it asks for anything. */
const LOOKED = 0.8;
/** While others are at work it looks so often whether they still are, milliseconds. */
const REGROUP_MS = 60_000;
/** Where the store tells no ages, clocks are taken to differ by no more, milliseconds. */
const CLOCK_MARGIN_MS = 600_000;
/** How exactly a store tells the age of an object, milliseconds: two times in whole seconds. */
const AGE_TOLERANCE_MS = 2_000;
/** First and longest wait between two looks at another's claim, milliseconds. */
const POLL_MS = [200, 2_000] as const;
/** The end waits so long for claims to be removed, milliseconds. */
const END_MS = 2_000;
/** Objects that are looked at, or claimed, at once. */
const AT_ONCE = 16;
/** So often a claim that is over may be in the way; then the store can't replace it. */
const VAIN_TRIES = 3;
/** So often a page waits for a look at who else is there; a store may be too slow for all. */
const DOUBTS = 3;
/** So often somebody else may have asked in vain; then the page is asked for without a claim. */
const ROUNDS = 20;

/** What {@linkcode Claims} works with. */
export interface ClaimsOptions {
  /** The run's store. */
  readonly store: Store;
  /** Names of the run's state. */
  readonly keys: CheckpointKeys;
  /** Claims are for its answers. */
  readonly engine: string;
  /** Claims are for its answers. */
  readonly model: string;
  /** The process, for programs; unique. */
  readonly holder: string;
  /** The process, for people. */
  readonly owner: string;
  /** How long the own lease lasts without being renewed, milliseconds. */
  readonly leaseMs: number;
  /** Whether the store has conditional writes, so that a claim is one's own. */
  readonly conditional: boolean;
  /**
   * Throws unless the run's lease is held: whoever else has it takes over what this process claimed.
   */
  readonly check: () => void;
  /** Time. */
  readonly clock: Clock;
  /** Told when another run is met. */
  readonly note: (message: string) => void;
  /** Ends all waiting; its reason is thrown. */
  readonly stop: AbortSignal;
}

/** Leave to ask for an image. Disposing it lets others ask. */
export interface Claim extends Disposable {
  /**
   * Whether, as far as this process knows, nobody else may have asked for the image since its
   * answer was looked for. To be asked right before each request.
   */
  readonly held: boolean;
  /**
   * Makes sure of {@linkcode held}, which may take long where somebody else is asking: call it
   * where nobody waits for what the caller holds.
   *
   * @returns Whether the image is still to be asked for; false if its answer is there now.
   * @throws The reason of `stop`; {@linkcode StoreError} when the store fails
   */
  confirm(): Promise<boolean>;
}

interface Held {
  readonly sha256: string;
  /** Looks whether the answer is there. */
  readonly look: () => Promise<boolean>;
  /** The claim as it was written last, and for how long; undefined while there is none. */
  written?: { readonly etag: string; readonly since: Stopwatch };
  /** Whether the answer was looked for under this claim. */
  looked: boolean;
  /** Whether others may have come, been answered and gone since the answer was looked for. */
  missed: boolean;
  /** Others have asked so often in vain that it is asked for without a claim. */
  unclaimed: boolean;
  /** So often it was looked whether others have come, because that was in doubt. */
  doubts: number;
}

/** Another run that is at work. */
interface Other {
  /** In words. */
  readonly name: string;
  /** Its lease: key, version and length in milliseconds. */
  readonly lease: string;
  readonly etag: string;
  readonly leaseMs: number;
}

/** The claims of one process. */
export class Claims implements AsyncDisposable {
  readonly #options: ClaimsOptions;
  /** What this process is asking for. */
  readonly #held = new Map<string, Held>();
  /** Leases of others as they were last seen, by key. */
  readonly #leases = new Map<string, { readonly etag: string; readonly since: Stopwatch }>();
  readonly #over = new AbortController();
  readonly #removing = new Set<Promise<unknown>>();
  #opening: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #together = false;
  /** Since the last look for others began that came to an end. */
  #looked: Stopwatch;
  /** Since the last look at the leases of others began. */
  #grouped: Stopwatch;
  #opened: Stopwatch;
  /** A word that was left before that. */
  #oldWord: string | undefined;
  #off = false;

  /** Nothing is looked at before the first image is to be asked for. */
  constructor(options: ClaimsOptions) {
    this.#options = options;
    this.#looked = this.#grouped = this.#opened = new Stopwatch(options.clock);
  }

  /**
   * Makes known that an image is going to be asked for, and waits while somebody else is asking.
   *
   * @param sha256 Of the image; of equal images only one at a time.
   * @param look Looks whether the answer is there; then nothing is claimed. Called where others
   *   may have been at work since the caller has looked.
   * @throws The reason of `stop`; {@linkcode StoreError} when the store fails
   */
  async take(sha256: string, look: () => Promise<boolean>): Promise<Claim> {
    const waited = new Stopwatch(this.#options.clock);
    await (this.#opening ??= this.#open());
    const held: Held = {
      ...{ sha256, look, looked: false, missed: false, unclaimed: false, doubts: 0 },
    };
    this.#held.set(sha256, held);
    try {
      if (this.#together && this.#active) await this.#claim(held);
      // Meanwhile somebody may have come, been answered and gone.
      else if (waited.atMost > SLOW_MS) await look();
    } catch (error) {
      this.#release(held);
      throw error;
    }
    const isHeld = () => this.#isHeld(held);
    return {
      get held() {
        return isHeld();
      },
      confirm: () => this.#confirm(held),
      [Symbol.dispose]: () => this.#release(held),
    };
  }

  #isHeld({ written, looked, missed, unclaimed, doubts }: Held): boolean {
    if (!this.#active || unclaimed) return true;
    // Whoever has come since the last look may be asking by now.
    if (!this.#together) {
      const lately = this.#looked.atMost < LOOKED * wordMs(this.#options.leaseMs);
      return !missed && (lately || doubts > DOUBTS);
    }
    return written !== undefined && looked && written.since.atMost < DOUBT_MS;
  }

  async #confirm(held: Held): Promise<boolean> {
    const { stop } = this.#options;
    while (!this.#isHeld(held)) {
      stop.throwIfAborted();
      if (!this.#together && held.missed) {
        held.missed = false;
        if (await held.look()) return false;
        continue;
      }
      if (!this.#together) {
        held.doubts++;
        await this.#tolerate(() => this.#lookAround());
        continue;
      }
      // One that can be renewed was nobody else's meanwhile.
      const stale = held.written && held.written.since.atMost >= DOUBT_MS;
      if (stale && await this.#renewOne(held)) continue;
      if (await this.#claim(held)) return false;
    }
    return true;
  }

  /** Gives up what is claimed. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    for (const held of [...this.#held.values()]) this.#release(held);
    const ended = Promise.all([this.#opening?.catch(() => {}), this.#watching, ...this.#removing]);
    // A store that doesn't answer must not hold up the end.
    const patience = new AbortController();
    const late = this.#options.clock.sleep(END_MS, patience.signal).catch(() => {});
    await Promise.race([ended, late]);
    patience.abort();
  }

  /** Whether others were at work in the store when somebody last looked. */
  get together(): boolean {
    return this.#together;
  }

  get #active(): boolean {
    return !this.#off && this.#options.conditional;
  }

  async #open(): Promise<void> {
    const { clock, store, note, engine, model } = this.#options;
    this.#opened = this.#looked = this.#grouped = new Stopwatch(clock);
    if (!this.#active) return;
    const others = await this.#others();
    if (others.length > 0 && !this.#off) {
      // The other may be asking without a claim until it has found this.
      await this.#tolerate(() => writeDocument(store, meetingKey(engine, model), this.#meeting()));
      if (!this.#active) return;
      const wait = Math.max(...others.map(({ leaseMs }) => wordMs(leaseMs)));
      note(
        `${others[0].name} is at work in this store, too: waiting ${
          Math.ceil(wait / 1_000)
        } s at most until it knows of this run, so that images of both are paid once`,
      );
      this.#together = true;
      await this.#tolerate(() => this.#waitUntilKnown(others, wait));
    }
    this.#watching = this.#watch();
  }

  /**
   * Waits until all others know that they are not alone, or have had the time to find out. Who may
   * have stood still meanwhile, as its lease did, or may not have reached the store, gets it anew.
   */
  async #waitUntilKnown(others: readonly Other[], waitMs: number): Promise<void> {
    const { clock, stop } = this.#options;
    for (let round = 0; round < PATIENCE && this.#active; round++) {
      const waited = new Stopwatch(clock);
      let [pause, longest]: [number, number] = [...POLL_MS];
      let slow = false;
      while (!slow && waited.atLeast < waitMs) {
        await clock.sleep(Math.min(pause, waitMs - waited.atLeast), stop);
        pause = Math.min(longest, pause * 1.5);
        const asked = new Stopwatch(clock);
        const knowing = new Set((await this.#readWord())?.known_by);
        if (others.every(({ lease }) => knowing.has(lease))) return;
        slow = asked.atMost > SLOW_MS;
      }
      const then = new Map(others.map(({ lease, etag }) => [lease, etag]));
      others = await this.#others();
      const isStill = ({ lease, etag, leaseMs }: Other) =>
        then.get(lease) === etag && leaseMs / 3 < waitMs;
      if (!slow && !others.some(isStill)) return;
    }
  }

  #meeting(): MeetingDocument {
    const { holder, owner, clock, keys } = this.#options;
    const at = new Date(clock.now()).toISOString();
    return { format: "pseudolabel-meeting/1", holder, owner, at, known_by: [keys.lease] };
  }

  /** Looks now and then who else is there, and renews claims that last. Never rejects. */
  async #watch(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const signal = this.#over.signal;
    while (!signal.aborted && this.#active) {
      try {
        await clock.sleep(Math.min(leaseMs / 3, LOOK_MS), signal);
        if (this.#together) await this.#renew();
        await this.#lookAround();
      } catch (error) {
        // A store that fails is the matter of whoever needs it; the next look comes.
        if (!(error instanceof StoreError) && !signal.aborted) return;
      }
    }
  }

  /** Looks whether anybody has come or gone, if it is time to. All who want to know share one. */
  async #lookAround(): Promise<void> {
    await (this.#looking ??= (async () => {
      const since = new Stopwatch(this.#options.clock);
      const isDue = this.#together && this.#grouped.atMost > REGROUP_MS;
      await this.#readWord(() => this.#together ? Promise.resolve() : this.#regroup());
      if (isDue) await this.#regroup();
      this.#looked = since;
    })().finally(() => this.#looking = undefined));
  }

  /**
   * Reads the last word that was left, and puts the own name to it where that is news; where that
   * fails it is news at the next look, too.
   *
   * @param heed What is to be done before.
   */
  async #readWord(heed?: () => Promise<void>): Promise<MeetingDocument | undefined> {
    const { store, engine, model, holder, keys } = this.#options;
    const key = meetingKey(engine, model);
    const found = await readDocument(store, key, meetingDocument);
    if (!found?.value) return undefined;
    const { value, etag } = found;
    const { known_by = [], at: renewed_at } = value;
    const isNews = value.holder !== holder && !known_by.includes(keys.lease);
    if (!isNews || etag === this.#oldWord) return value;
    if (await this.#isLongOver(key, { ttl_ms: this.#opened.atMost, renewed_at }, etag)) {
      this.#oldWord = etag; // from before this process looked who is there
      return value;
    }
    await heed?.();
    const known = { ...value, known_by: [...known_by, keys.lease] };
    try {
      await writeDocument(store, key, known, { onlyIf: { etag } });
      return known;
    } catch (error) {
      // Somebody has been faster, and the next look finds what that was.
      if (error instanceof StoreError && error.kind === "precondition") return value;
      throw error;
    }
  }

  /** Looks who else is there, and makes known what is being asked for if anybody is. */
  async #regroup(): Promise<void> {
    const { clock, note } = this.#options;
    this.#grouped = new Stopwatch(clock);
    const others = await this.#others();
    if (others.length > 0 && !this.#together) {
      note(`${others[0].name} has come to work in this store, too: images of both are paid once`);
    }
    this.#together = others.length > 0;
    if (!this.#together) {
      for (const held of this.#held.values()) held.missed = !held.written || !held.looked;
      return;
    }
    await forEachConcurrent([...this.#held.values()], AT_ONCE, async (held) => {
      if (!held.written) await this.#create(held);
    });
  }

  /** Who else holds a lease of a data set. */
  async #others(): Promise<Other[]> {
    const { store, keys, engine, model, clock } = this.#options;
    const others: Other[] = [];
    const look = async ({ key }: { key: string }) => {
      const other = new CheckpointKeys(keys.prefix, key.slice(keys.prefix.length, -1));
      if (!key.endsWith("/") || other.root === keys.root) return;
      const found = await readDocument(store, other.lease, leaseDocument);
      if (!found?.value || found.value.released) return;
      const { owner, ttl_ms } = found.value;
      const seen = this.#leases.get(other.lease);
      if (seen?.etag !== found.etag) {
        this.#leases.set(other.lease, { etag: found.etag, since: new Stopwatch(clock) });
      } else if (seen.since.atLeast > ttl_ms) return;
      if (await this.#isLongOver(other.lease, found.value, found.etag)) return;
      // What another model has answered is no answer here.
      const run = (await readDocument(store, other.manifest, manifest))?.value;
      const asked = run && [run, ...run.fallbacks ?? []];
      if (asked?.every((other) => other.engine !== engine || other.model !== model)) return;
      const name = `${owner} (${store.url}/${other.lease})`;
      others.push({ name, lease: other.lease, etag: found.etag, leaseMs: ttl_ms });
    };
    const lookIfAllowed = (folder: { key: string }) =>
      look(folder).catch((error) => {
        // One that can't be read for good is nobody that could be asked to wait.
        const passing = error instanceof StoreError && error.kind !== "unavailable";
        if (!passing) throw error;
      });
    await this.#tolerate(() =>
      forEachConcurrent(store.list(keys.prefix, { shallow: true }), AT_ONCE, lookIfAllowed)
    );
    return others;
  }

  /**
   * Whether a version of a lease or claim is long over although it was not seen to stand still: the
   * store's clock and this machine's say so both. Neither is enough, as clocks may be wrong. Where
   * the store tells no ages, a wide margin must do.
   */
  async #isLongOver(
    key: string,
    { ttl_ms, renewed_at }: { readonly ttl_ms: number; readonly renewed_at: string },
    etag: string,
  ): Promise<boolean> {
    const { clock, store } = this.#options;
    const byStamp = clock.now() - Date.parse(renewed_at);
    const longAgo = 2 * ttl_ms + AGE_TOLERANCE_MS;
    if (byStamp <= longAgo) return false;
    const found = await findObject(store, key, { age: true });
    if (found?.etag !== etag) return false;
    return found.ageMs === undefined ? byStamp > longAgo + CLOCK_MARGIN_MS : found.ageMs > longAgo;
  }

  /** Claims an image, or finds that its answer is there. @returns Whether it is */
  async #claim(held: Held): Promise<boolean> {
    for (let round = 0; round < ROUNDS && this.#active; round++) {
      this.#options.stop.throwIfAborted();
      if (!held.written && !await this.#create(held)) await this.#waitFor(held);
      // Whoever asked just before has stored its answer by now, if there is one.
      const { written } = held;
      if (await held.look()) return true;
      if (written && held.written) {
        held.looked = true;
        return false;
      }
    }
    held.unclaimed = true;
    return false;
  }

  /** Waits until another's claim is gone, or takes it over when it is over. */
  async #waitFor(held: Held): Promise<void> {
    const { clock, store, keys, engine, model, holder, stop } = this.#options;
    const key = claimKey(engine, model, held.sha256);
    let seen: { readonly etag: string; readonly since: Stopwatch } | undefined;
    let vain = 0;
    let [wait, longest]: [number, number] = [...POLL_MS];
    for (;;) {
      const found = await readDocument(store, key, claimDocument);
      if (!found || !this.#active) return;
      if (seen?.etag !== found.etag) seen = { etag: found.etag, since: new Stopwatch(clock) };
      const { value } = found;
      if (value?.holder === holder) { // it arrived, though it seemed to fail
        held.written = { etag: found.etag, since: seen.since };
        return;
      }
      // Who held our lease before us works no more, or must not.
      const ours = value?.lease === keys.lease;
      const over = ours || seen.since.atLeast > (value?.ttl_ms ?? CLAIM_MS) ||
        value && await this.#isLongOver(key, value, found.etag);
      if (over) {
        if (await this.#create(held, found.etag)) return;
        if (++vain >= VAIN_TRIES) return await store.remove(key); // it can't be replaced here
      }
      await clock.sleep(wait, stop);
      wait = Math.min(longest, wait * 1.5);
    }
  }

  /**
   * Writes a claim, if there is none, or instead of the given version.
   *
   * @returns Whether it is there
   */
  async #create(held: Held, instead?: string): Promise<boolean> {
    const since = new Stopwatch(this.#options.clock);
    const etag = await this.#write(held, instead === undefined ? "absent" : { etag: instead });
    if (etag === undefined) return false;
    held.written = { etag, since };
    held.looked = false;
    if (this.#held.get(held.sha256) !== held) this.#release(held); // it was given up meanwhile
    return true;
  }

  async #write(held: Held, onlyIf: WriteOptions["onlyIf"]): Promise<string | undefined> {
    const { store, keys, engine, model, holder, owner, clock } = this.#options;
    const document: ClaimDocument = {
      format: "pseudolabel-claim/1",
      lease: keys.lease,
      holder,
      owner,
      ttl_ms: CLAIM_MS,
      renewed_at: new Date(clock.now()).toISOString(),
    };
    const key = claimKey(engine, model, held.sha256);
    try {
      const write = () => writeDocument(store, key, document, { onlyIf, oneLine: true });
      return (await this.#tolerate(write))?.etag;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const lost = error.kind === "precondition" || error.kind === "not_found";
      if (lost) return undefined;
      throw error;
    }
  }

  /** Renews what has been claimed for some time, as for a page that is tried again and again. */
  async #renew(): Promise<void> {
    await forEachConcurrent([...this.#held.values()], AT_ONCE, async (held) => {
      if (held.written && held.written.since.atMost >= CLAIM_MS / 3) await this.#renewOne(held);
    });
  }

  /** Renews a claim, or finds that it is lost. @returns Whether it was there all the time */
  async #renewOne(held: Held): Promise<boolean> {
    const { store, engine, model, holder, clock } = this.#options;
    const { written } = held;
    if (!written) return false;
    const since = new Stopwatch(clock);
    const etag = await this.#write(held, { etag: written.etag });
    if (held.written !== written) return held.written !== undefined; // somebody else has seen to it
    if (etag !== undefined) {
      held.written = { etag, since };
      return true;
    }
    // An earlier renewal may have arrived, its reply not.
    const found = await readDocument(store, claimKey(engine, model, held.sha256), claimDocument);
    // Where nothing has changed the store can't replace: it is claimed as if anew.
    const isOwn = found?.value?.holder === holder && found.etag !== written.etag;
    if (held.written === written) {
      held.written = isOwn ? { etag: found!.etag, since: written.since } : undefined;
    }
    return isOwn;
  }

  /** Nobody waits for the removal but the end; what can't be removed runs out by itself. */
  #release(held: Held): void {
    const { store, engine, model } = this.#options;
    if (this.#held.get(held.sha256) === held) this.#held.delete(held.sha256);
    const { written } = held;
    held.written = undefined;
    // One that was not renewed in time may be another's by now, and so may all without the lease.
    if (!written || written.since.atMost > CLAIM_MS / 2 || !this.#holdsLease) return;
    const removing: Promise<unknown> = store.remove(claimKey(engine, model, held.sha256))
      .catch(() => {}).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
  }

  get #holdsLease(): boolean {
    try {
      this.#options.check();
      return true;
    } catch {
      return false;
    }
  }

  /** Goes on without claims where the store doesn't allow them. */
  async #tolerate<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { note } = this.#options;
    try {
      return await work();
    } catch (error) {
      const refused = error instanceof StoreError &&
        (error.kind === "denied" || error.kind === "unsupported");
      if (!refused) throw error;
      if (!this.#off) {
        note(
          `can't see or tell which images other runs in this store are asking for (${error.message}); ` +
            "images that another run has, too, may be paid twice",
        );
      }
      this.#off = true;
      return undefined;
    }
  }
}

/** How long whoever finds a lease of that length waits until its holder has found its word. */
function wordMs(leaseMs: number): number {
  return Math.min(leaseMs, WORD_MS);
}
