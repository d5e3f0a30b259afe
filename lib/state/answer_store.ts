/**
 * @module state/answer_store: the stored answers, found by image content. Storing one the moment it arrives
 * is what makes paying twice impossible; nothing here decides when to ask.
 */

import * as zlib from "node:zlib";
import { StoreError } from "../base/errors.ts";
import { findObject, type Store } from "../store/store.ts";
import { answerKey, answerPrefix } from "./keys.ts";
import { type StoredAnswer, storedAnswer } from "./documents.ts";
import { type Parsed, parseJsonAs } from "../base/json.ts";

/** What is known of an answer besides its body. */
export type AnswerEnvelope = Omit<StoredAnswer, "body" | "format" | "engine" | "model">;

/** Answers of one engine and model. */
export class AnswerStore {
  readonly #store: Store;
  readonly #engine: string;
  readonly #model: string;

  /** Reads nothing yet. @param store The run's store; answers lie below `responses/`. */
  constructor(store: Store, engine: string, model: string) {
    this.#store = store;
    this.#engine = engine;
    this.#model = model;
  }

  /** Key of the answer for an image, whether it exists or not. */
  key(sha256: string): string {
    return answerKey(this.#engine, this.#model, sha256);
  }

  /**
   * Finds the answer for an image; `undefined` if there is none. An object that is there but is no
   * such answer is a problem in words: paying again silently is not this program's decision.
   */
  async find(sha256: string, signal?: AbortSignal): Promise<Parsed<StoredAnswer> | undefined> {
    const object = await findObject(this.#store, this.key(sha256), { signal });
    if (!object) return undefined;
    let text: string;
    try {
      text = new TextDecoder().decode(zlib.gunzipSync(object.bytes));
    } catch {
      return { problem: "not gzip" };
    }
    const parsed = parseJsonAs(storedAnswer, text);
    if (parsed.value && parsed.value.image_sha256 !== sha256) {
      return { problem: "it is the answer for another image" };
    }
    return parsed;
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
   * Stores an answer.
   *
   * @param body The API's JSON text; it becomes the envelope's `body` as it came, digit for digit.
   */
  async save(envelope: AnswerEnvelope, body: string): Promise<void> {
    const head = JSON.stringify({
      format: "pseudolabel-response/1",
      engine: this.#engine,
      model: this.#model,
      ...envelope,
    });
    const text = `${head.slice(0, -1)},"body":${body}}`;
    // At once: an answer takes about 0.1 ms, and twice that as a stream.
    const bytes = new Uint8Array(zlib.gzipSync(text));
    await this.#store.write(this.key(envelope.image_sha256), bytes, {
      contentType: "application/gzip",
    });
  }
}
