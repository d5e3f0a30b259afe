/**
 * @module state/claims: keeps two runs that are at work in one store at one time from paying for an
 * image that both have. Before it asks, a process makes known that it is asking: a small object
 * with an end, the claim, which it takes back when the answer is stored.
 *
 * Claims are made only while another run is at work, so a run that is alone pays nothing for them:
 * it looks once who else holds a lease (a listing of the data sets, and a look at the lease of
 * each), and now and then whether somebody has come since (one small object). Whoever comes later
 * finds the lease of the first, leaves word, and gives it time to find that and to claim what it is
 * asking for.
 *
 * It is a courtesy, not a lock: where it fails an image may be paid twice, but answers are created
 * and never replaced (`state/answer_store.ts`), so nothing else goes wrong.
 */

import type { Clock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import type { Store, WriteOptions } from "../store/store.ts";
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
/** A run looks at least so often whether somebody else has come, milliseconds. */
const LOOK_MS = 10_000;
/** While others are at work it looks so often whether they still are, milliseconds. */
const REGROUP_MS = 60_000;
/** Clocks of two machines may differ by so much; one that differs more is not waited for. */
const CLOCK_MARGIN_MS = 600_000;
/** First and longest wait between two looks at another's claim, milliseconds. */
const POLL_MS = [200, 2_000] as const;
/** The end waits so long for claims to be removed, milliseconds. */
const END_MS = 2_000;
/** Objects that are looked at, or claimed, at once. */
const AT_ONCE = 16;
/** So often a claim that is over may be in the way; then the store can't replace it. */
const VAIN_TRIES = 3;
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
  /** Time. */
  readonly clock: Clock;
  /** Told when another run is met. */
  readonly note: (message: string) => void;
  /** Ends all waiting; its reason is thrown. */
  readonly stop: AbortSignal;
}

interface Held {
  readonly sha256: string;
  /**
   * When the claim was written last, milliseconds since the epoch; undefined while there is none.
   */
  renewedAt?: number;
  etag?: string;
}

/** The claims of one process. */
export class Claims implements AsyncDisposable {
  readonly #options: ClaimsOptions;
  /** What this process is asking for. */
  readonly #held = new Map<string, Held>();
  /** Leases of others as they were last seen, by key. */
  readonly #leases = new Map<string, { readonly etag: string; readonly since: number }>();
  readonly #over = new AbortController();
  readonly #removing = new Set<Promise<unknown>>();
  #opening: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #together = false;
  #lookedAt = 0;
  #openedAt = 0;
  #met: string | undefined;
  #off = false;

  /** Nothing is looked at before the first image is to be asked for. */
  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /**
   * Makes known that an image is going to be asked for, and waits while somebody else is asking.
   *
   * @param sha256 Of the image; of equal images only one at a time.
   * @param look Looks whether the answer is there; then nothing is claimed.
   * @returns The claim; disposing it lets others ask.
   * @throws The reason of `stop`; {@linkcode StoreError} when the store fails
   */
  async take(sha256: string, look: () => Promise<boolean>): Promise<Disposable> {
    await (this.#opening ??= this.#open());
    const held: Held = { sha256 };
    this.#held.set(sha256, held);
    try {
      if (this.#together && this.#active) await this.#claim(held, look);
    } catch (error) {
      this.#release(held);
      throw error;
    }
    return { [Symbol.dispose]: () => this.#release(held) };
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

  get #active(): boolean {
    return !this.#off && this.#options.conditional;
  }

  async #open(): Promise<void> {
    const { clock, store, leaseMs, note, stop, engine, model } = this.#options;
    this.#openedAt = this.#lookedAt = clock.now();
    if (!this.#active) return;
    const others = await this.#others();
    if (others.length > 0 && !this.#off) {
      // The other may be asking without a claim until it has found this.
      await this.#tolerate(() => writeDocument(store, meetingKey(engine, model), this.#meeting()));
      const wait = Math.min(leaseMs, 1.5 * LOOK_MS);
      note(
        `${others[0]} is at work in this store, too: waiting ${
          Math.ceil(wait / 1_000)
        } s until it ` +
          "knows of this run, so that images of both are paid once",
      );
      this.#together = true;
      await clock.sleep(wait, stop);
    }
    this.#watching = this.#watch();
  }

  #meeting(): MeetingDocument {
    const { holder, owner, clock } = this.#options;
    const at = new Date(clock.now()).toISOString();
    return { format: "pseudolabel-meeting/1", holder, owner, at };
  }

  /** Looks now and then who else is there, and renews claims that last. Never rejects. */
  async #watch(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const signal = this.#over.signal;
    while (!signal.aborted && this.#active) {
      try {
        await clock.sleep(Math.min(leaseMs / 3, LOOK_MS), signal);
        if (this.#together) await this.#renew();
        if (this.#together ? clock.now() - this.#lookedAt > REGROUP_MS : await this.#isMet()) {
          await this.#regroup();
        }
      } catch (error) {
        // A store that fails is the matter of whoever needs it; the next look comes.
        if (!(error instanceof StoreError) && !signal.aborted) return;
      }
    }
  }

  /** Whether somebody has left word since the last look, or may have. */
  async #isMet(): Promise<boolean> {
    const { store, engine, model, holder } = this.#options;
    const found = await readDocument(store, meetingKey(engine, model), meetingDocument);
    if (!found || found.etag === this.#met) return false;
    this.#met = found.etag;
    if (!found.value || found.value.holder === holder) return false;
    return Date.parse(found.value.at) > this.#openedAt - CLOCK_MARGIN_MS;
  }

  /** Looks who else is there, and makes known what is being asked for if anybody is. */
  async #regroup(): Promise<void> {
    const { clock, note } = this.#options;
    this.#lookedAt = clock.now();
    const others = await this.#others();
    if (others.length > 0 && !this.#together) {
      note(`${others[0]} has come to work in this store, too: images of both are paid once`);
    }
    this.#together = others.length > 0;
    if (!this.#together) return;
    await forEachConcurrent([...this.#held.values()], AT_ONCE, async (held) => {
      if (held.renewedAt === undefined) await this.#create(held);
    });
  }

  /** Who else holds a lease of a data set, in words. */
  async #others(): Promise<string[]> {
    const { store, keys, engine, model, clock } = this.#options;
    const others: string[] = [];
    const look = async ({ key }: { key: string }) => {
      const other = new CheckpointKeys(keys.prefix, key.slice(keys.prefix.length, -1));
      if (!key.endsWith("/") || other.root === keys.root) return;
      const found = await readDocument(store, other.lease, leaseDocument);
      if (!found?.value || found.value.released) return;
      const { owner, ttl_ms, renewed_at } = found.value;
      const now = clock.now();
      const seen = this.#leases.get(other.lease);
      if (seen?.etag !== found.etag) {
        this.#leases.set(other.lease, { etag: found.etag, since: now });
      } else if (now - seen.since > ttl_ms) return;
      if (now - Date.parse(renewed_at) > 2 * ttl_ms + CLOCK_MARGIN_MS) return;
      // What another model has answered is no answer here.
      const run = (await readDocument(store, other.manifest, manifest))?.value;
      if (run && (run.engine !== engine || run.model !== model)) return;
      others.push(`${owner} (${store.url}/${other.lease})`);
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

  /** Claims an image, or finds that it need not be asked for. */
  async #claim(held: Held, look: () => Promise<boolean>): Promise<void> {
    for (let round = 0; round < ROUNDS && this.#active; round++) {
      this.#options.stop.throwIfAborted();
      if (!await this.#create(held)) await this.#waitFor(held);
      // Whoever asked just before has stored its answer by now, if there is one.
      if (await look() || held.renewedAt !== undefined) return;
    }
  }

  /** Waits until another's claim is gone, or takes it over when it is over. */
  async #waitFor(held: Held): Promise<void> {
    const { clock, store, keys, engine, model, holder, stop } = this.#options;
    const key = claimKey(engine, model, held.sha256);
    let seen: { readonly etag: string; readonly since: number } | undefined;
    let vain = 0;
    let [wait, longest]: [number, number] = [...POLL_MS];
    for (;;) {
      const found = await readDocument(store, key, claimDocument);
      if (!found || !this.#active) return;
      const now = clock.now();
      if (found.value?.holder === holder) { // it arrived, though it seemed to fail
        [held.etag, held.renewedAt] = [found.etag, now];
        return;
      }
      if (seen?.etag !== found.etag) seen = { etag: found.etag, since: now };
      const { ttl_ms = CLAIM_MS, renewed_at } = found.value ?? {};
      const stamp = renewed_at === undefined ? now : Date.parse(renewed_at);
      // Who held our lease before us works no more, or must not.
      const ours = found.value?.lease === keys.lease;
      if (ours || now - seen.since > ttl_ms || now - stamp > ttl_ms + CLOCK_MARGIN_MS) {
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
    const { clock } = this.#options;
    const now = clock.now();
    const etag = await this.#write(held, instead === undefined ? "absent" : { etag: instead });
    if (etag === undefined) return false;
    held.etag = etag;
    held.renewedAt = now;
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
    const { clock } = this.#options;
    for (const held of [...this.#held.values()]) {
      if (held.renewedAt === undefined || clock.now() - held.renewedAt < CLAIM_MS / 3) continue;
      const now = clock.now();
      const etag = await this.#write(held, { etag: held.etag! });
      if (etag === undefined) continue;
      held.etag = etag;
      held.renewedAt = now;
    }
  }

  /** Nobody waits for the removal but the end; what can't be removed runs out by itself. */
  #release(held: Held): void {
    const { store, engine, model, clock } = this.#options;
    if (this.#held.get(held.sha256) === held) this.#held.delete(held.sha256);
    const { renewedAt } = held;
    held.renewedAt = undefined;
    // One that was not renewed in time may be another's by now.
    if (renewedAt === undefined || clock.now() - renewedAt > CLAIM_MS / 2) return;
    const removing: Promise<unknown> = store.remove(claimKey(engine, model, held.sha256))
      .catch(() => {}).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
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
