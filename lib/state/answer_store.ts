/**
 * @module state/answer_store: the stored answers, found by image content. Storing one the moment it arrives
 * is what makes paying twice impossible; nothing here decides when to ask.
 */

import * as zlib from "node:zlib";
import { findObject, type Store } from "../store/store.ts";
import { answerKey } from "./keys.ts";
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

  /**
   * Stores an answer.
   *
   * @param body The API's JSON text; it becomes the envelope's `body` as it came, digit for digit.
   */
  save(envelope: AnswerEnvelope, body: string): Promise<void> {
    const head = JSON.stringify({
      format: "pseudolabel-response/1",
      engine: this.#engine,
      model: this.#model,
      ...envelope,
    });
    const text = `${head.slice(0, -1)},"body":${body}}`;
    // At once: an answer takes about 0.1 ms, and twice that as a stream. No text is held while the
    // bytes are on their way, as an async function would do.
    const bytes = new Uint8Array(zlib.gzipSync(text));
    return this.#write(envelope.image_sha256, bytes);
  }

  async #write(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#store.write(this.key(sha256), bytes, { contentType: "application/gzip" });
  }
}
