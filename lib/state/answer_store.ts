/**
 * @module state/answer_store: the stored answers, found by image content. Storing one the moment it
 * arrives is what makes paying twice impossible; nothing here decides when to ask.
 *
 * An answer is created, never replaced: where two processes were answered for one image, the first
 * to store its answer has it, and both use that. Only an answer that can't be used gives way, after
 * a copy of it was set aside.
 */

import * as zlib from "node:zlib";
import { StoreError } from "../base/errors.ts";
import { type Parsed, parseJsonAs } from "../base/json.ts";
import { findObject, type Store, type StoredObject, type WriteOptions } from "../store/store.ts";
import { isNewer } from "./document.ts";
import { type PaidBy, type StoredAnswer, storedAnswer } from "./documents.ts";
import { answerKey, answerPrefix, answerSetAside, answersSetAside, setAsideMark } from "./keys.ts";

/** What is known of an answer besides its body. */
export type AnswerEnvelope = Omit<StoredAnswer, "body" | "format" | "engine" | "model">;

/** An answer that was found, or what is wrong with the object that lies in its place. */
export type FoundAnswer = Parsed<StoredAnswer> & {
  /** Version of the object; undefined where it was too long to be read. */
  readonly etag: string | undefined;
  /**
   * Whether it is left alone although it can't be used: a newer version of the program may be able
   * to, or it is too long for a copy.
   */
  readonly keep?: boolean;
};

/** An answer that gave way, and the version of it that a new one may replace. */
export interface SetAside {
  /** Key of the copy. */
  readonly copy: string;
  /** Why it can't be used. */
  readonly reason: string;
  /** Version of the object. */
  readonly etag: string;
}

/** Answers and envelopes are at most so long, in bytes of JSON; the API's own limit is below. */
export const MAX_ANSWER_BYTES = 80 * 1024 * 1024;
/** So often a condition may fail without a reason that is seen; then the store can't do it. */
const VAIN_TRIES = 4;

/** Answers of one engine and model. */
export class AnswerStore {
  readonly #store: Store;
  readonly #engine: string;
  readonly #model: string;
  readonly #maxBytes: number;

  /**
   * Reads nothing yet.
   *
   * @param store The run's store; answers lie below `responses/`.
   * @param maxBytes Longest answer that is read, in bytes, packed and unpacked.
   */
  constructor(store: Store, engine: string, model: string, maxBytes = MAX_ANSWER_BYTES) {
    this.#store = store;
    this.#engine = engine;
    this.#model = model;
    this.#maxBytes = maxBytes;
  }

  /** Key of the answer for an image, whether it exists or not. */
  key(sha256: string): string {
    return answerKey(this.#engine, this.#model, sha256);
  }

  /**
   * Finds the answer for an image; `undefined` if there is none. An object that is there but is no
   * such answer (torn, empty, foreign, a bomb) is a problem in words.
   */
  async find(sha256: string, signal?: AbortSignal): Promise<FoundAnswer | undefined> {
    const options = { signal, maxBytes: this.#maxBytes };
    const object = await findObject(this.#store, this.key(sha256), options).catch((error) => {
      if (error instanceof StoreError && error.kind === "too_large") return error;
      throw error;
    });
    if (object instanceof StoreError) {
      return { problem: `longer than ${this.#maxBytes} bytes`, etag: undefined, keep: true };
    }
    return object && { ...this.#parse(object, sha256), etag: object.etag };
  }

  #parse({ bytes }: StoredObject, sha256: string): Parsed<StoredAnswer> & { keep?: boolean } {
    let text: string;
    try {
      const unpacked = zlib.gunzipSync(bytes, { maxOutputLength: this.#maxBytes });
      text = new TextDecoder().decode(unpacked);
    } catch (error) {
      const bomb = (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
      return { problem: bomb ? `longer than ${this.#maxBytes} bytes unpacked` : "not gzip" };
    }
    const parsed = parseJsonAs(storedAnswer, text);
    if (parsed.problem !== undefined) return { ...parsed, keep: isNewer(text, "response") };
    if (parsed.value.image_sha256 === sha256) return parsed;
    return { problem: "it is the answer for another image" };
  }

  /** Whether any answer of this engine and model is stored; a store that can't say has none. */
  async any(signal?: AbortSignal): Promise<boolean> {
    try {
      const prefix = answerPrefix(this.#engine, this.#model);
      for await (const _ of this.#store.list(prefix, { signal })) return true;
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== "denied") throw error;
    }
    return false;
  }

  /**
   * The answer that arrived at this time, be it that another has taken its place; `undefined` if it
   * is nowhere.
   */
  async findReceived(
    sha256: string,
    receivedAt: Date,
    signal?: AbortSignal,
  ): Promise<StoredAnswer | undefined> {
    const isThat = ({ received_at: at }: StoredAnswer) => Date.parse(at) === receivedAt.getTime();
    const stored = (await this.find(sha256, signal))?.value;
    if (stored && isThat(stored)) return stored; // the copies needn't be looked for
    for await (const copy of this.#copies(sha256, signal)) if (isThat(copy)) return copy;
    return undefined;
  }

  /**
   * The answer that a row has paid for, be it that another has taken its place; of several the
   * latest, `undefined` if there is none.
   */
  async findPaid(
    sha256: string,
    { dataset, row_id: row }: Pick<PaidBy, "dataset" | "row_id">,
    signal?: AbortSignal,
  ): Promise<StoredAnswer | undefined> {
    const isPaid = ({ paid_by: by }: StoredAnswer) => by.dataset === dataset && by.row_id === row;
    const stored = (await this.find(sha256, signal))?.value;
    if (stored && isPaid(stored)) return stored; // the copies needn't be looked for
    let found: StoredAnswer | undefined;
    for await (const copy of this.#copies(sha256, signal)) {
      if (!isPaid(copy)) continue;
      if (found === undefined || copy.received_at > found.received_at) found = copy;
    }
    return found;
  }

  /** Answers for an image that others have taken the place of. */
  async *#copies(sha256: string, signal?: AbortSignal): AsyncIterable<StoredAnswer> {
    const copies = answersSetAside(this.#engine, this.#model, sha256);
    for await (const { key } of this.#store.list(copies, { signal })) {
      const object = await findObject(this.#store, key, { signal, maxBytes: this.#maxBytes });
      const copy = object && this.#parse(object, sha256).value;
      if (copy) yield copy;
    }
  }

  /**
   * Puts a copy of what lies in the place of an answer where it can be looked at; the object itself
   * stays until {@linkcode save} replaces it.
   *
   * @param reason Why it can't be used.
   * @param etag Version that was found so.
   * @returns `undefined` if that version isn't there any more.
   */
  async setAside(sha256: string, reason: string, etag: string): Promise<SetAside | undefined> {
    const copy = answerSetAside(this.#engine, this.#model, sha256, setAsideMark(etag));
    // Not `ifMatch`: some gateways give an ETag that they don't know again.
    const object = await findObject(this.#store, this.key(sha256), { maxBytes: this.#maxBytes });
    if (object?.etag !== etag) return undefined;
    await this.#store.write(copy, object.bytes, { contentType: "application/gzip" });
    return { copy, reason, etag };
  }

  /**
   * Stores an answer unless there is one by now.
   *
   * @param body The API's JSON text, or its UTF-8; it becomes the envelope's `body` as it came,
   *   digit for digit.
   * @param instead The answer that it may replace.
   * @returns The other answer that is there, and is the one to use; `undefined` if this one is
   *   stored.
   */
  async save(
    envelope: AnswerEnvelope,
    body: string | Uint8Array,
    instead?: SetAside,
  ): Promise<StoredAnswer | undefined> {
    const { image_sha256: sha256 } = envelope;
    let replaced = instead;
    for (let vain = 0; vain < VAIN_TRIES; vain++) {
      const onlyIf = replaced ? { etag: replaced.etag } : "absent";
      if (await this.#write(sha256, this.#pack(envelope, body, replaced), onlyIf)) return undefined;
      const found = await this.find(sha256);
      if (!found) {
        replaced = undefined;
        continue;
      }
      if (found.etag === replaced?.etag) continue;
      if (found.value) return isSame(found.value, envelope) ? undefined : found.value;
      if (found.keep || found.etag === undefined) {
        const url = `${this.#store.url}/${this.key(sha256)}`;
        const message = `${url} can't be replaced (${found.problem}); move it away`;
        throw new StoreError("unsupported", message);
      }
      replaced = await this.setAside(sha256, found.problem, found.etag);
    }
    // The store refuses a condition that holds, as some do; then it has none to offer.
    await this.#write(sha256, this.#pack(envelope, body, replaced), undefined);
    return undefined;
  }

  #pack(
    envelope: AnswerEnvelope,
    body: string | Uint8Array,
    instead?: SetAside,
  ): Uint8Array<ArrayBuffer> {
    const head = JSON.stringify({
      format: "pseudolabel-response/1",
      engine: this.#engine,
      model: this.#model,
      ...envelope,
      ...instead && { replaces: { copy: instead.copy, reason: instead.reason } },
    });
    const encoder = new TextEncoder();
    const before = encoder.encode(`${head.slice(0, -1)},"body":`);
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const whole = new Uint8Array(before.length + bytes.length + 1);
    whole.set(before);
    whole.set(bytes, before.length);
    whole[whole.length - 1] = 0x7d; // }
    // At once: an answer takes about 0.1 ms, and twice that as a stream. Level 3 makes it a tenth
    // longer than 6, in half the time.
    const packed = new Uint8Array(zlib.gzipSync(whole, { level: 3 }));
    // The collector sees no hurry in what lies outside of its heap.
    whole.buffer.transfer(0);
    return packed;
  }

  /** @returns Whether it is written; false if the condition failed. */
  async #write(
    sha256: string,
    bytes: Uint8Array<ArrayBuffer>,
    onlyIf: WriteOptions["onlyIf"],
  ): Promise<boolean> {
    const options = { contentType: "application/gzip" };
    try {
      await this.#store.write(this.key(sha256), bytes, { ...options, onlyIf });
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === "precondition") return false;
      // What was to be replaced is gone; S3 says so in these words.
      if (error.kind === "not_found" && typeof onlyIf === "object") return false;
      if (error.kind !== "unsupported" || onlyIf === undefined) throw error;
      await this.#store.write(this.key(sha256), bytes, options);
      return true;
    }
  }
}

/** Whether it is the very answer that was to be stored: the reply to an earlier try was lost. */
function isSame(found: StoredAnswer, own: AnswerEnvelope): boolean {
  const { run_id, row_id } = found.paid_by;
  return found.received_at === own.received_at && found.attempts === own.attempts &&
    run_id === own.paid_by.run_id && row_id === own.paid_by.row_id;
}
