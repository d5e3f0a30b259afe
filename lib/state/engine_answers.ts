/**
 * @module state/engine_answers: what an engine has read on an image, by its stored answer: whoever
 * paid for it, for whatever data set. Nothing is asked for.
 */

import type { AnswerPage, Engine, Picture } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import type { Store } from "../store/store.ts";
import { AnswerStore } from "./answer_store.ts";
import { findFrame, type KnownFrame } from "./known_frame.ts";
import { ANSWERS } from "./keys.ts";

/** An engine and what it was asked for. */
export interface EngineModel {
  /** Name of the engine. */
  readonly engine: string;
  /** The model, as it was asked for. */
  readonly model: string;
}

/** A page as an engine has read it. */
export interface PageRead {
  /** Its words. */
  readonly page: AnswerPage;
  /** The model that really answered; null where it didn't say. */
  readonly modelVersion: string | null;
  /** The image's header, where it is kept with the answer. */
  readonly picture?: Picture;
  /** There is one. */
  readonly lost?: undefined;
}

/** A page as an engine has read it, or why there is none. */
export type ReadPage = PageRead | {
  readonly page?: undefined;
  readonly lost: "no_answer" | "unreadable";
};

/** Longer answers are no answers for one page, bytes, packed and unpacked. */
const MAX_BYTES = 16 << 20;

/** Answers of one engine and model. */
export class EngineAnswers implements EngineModel {
  /** Name of the engine. */
  readonly engine: string;
  /** The model, as it was asked for. */
  readonly model: string;
  readonly #store: Store;
  readonly #answers: AnswerStore;
  readonly #engine: Pick<Engine, "parse">;

  /** Reads nothing yet. */
  constructor(store: Store, { engine, model }: EngineModel, reader: Pick<Engine, "parse">) {
    [this.engine, this.model] = [engine, model];
    [this.#store, this.#engine] = [store, reader];
    this.#answers = new AnswerStore(store, engine, model, MAX_BYTES);
  }

  /** Loads the engine; reads no answer yet. @throws {RangeError} if there is no such engine */
  static async open(store: Store, name: EngineModel): Promise<EngineAnswers> {
    const engine = await findEngine(name.engine)?.load();
    if (!engine) throw new RangeError(`Cannot read answers as there is no engine ${name.engine}`);
    return new EngineAnswers(store, name, engine);
  }

  /** Key of the answer for an image, whether it exists or not. */
  key(sha256: string): string {
    return this.#answers.key(sha256);
  }

  /** Whether any answer is stored. */
  async any(signal: AbortSignal): Promise<boolean> {
    return await this.#answers.any(signal);
  }

  /** What was read on an image. @throws {StoreError} if the store fails */
  async read(sha256: string, signal: AbortSignal): Promise<ReadPage> {
    const found = await this.#answers.find(sha256, signal);
    if (!found) return { lost: "no_answer" };
    const { value: stored } = found;
    const answer = stored && this.#engine.parse(stored.body, stored.picture).value;
    // A row describes one image, as in `label/output_row.ts`.
    if (answer?.pages.length !== 1) return { lost: "unreadable" };
    const { pages: [page], modelVersion } = answer;
    return { page, modelVersion, ...stored?.picture && { picture: stored.picture } };
  }

  /** What a probe has shown of the model. @throws {StoreError} if the store fails */
  async frame(signal: AbortSignal): Promise<KnownFrame | undefined> {
    return await findFrame(this.#store, this.engine, this.model, signal);
  }
}

/** Engines and models of which answers are stored; none where the store doesn't say. */
export async function storedEngines(store: Store, signal: AbortSignal): Promise<EngineModel[]> {
  const below = async (prefix: string) => {
    const names: string[] = [];
    for await (const { key } of store.list(prefix, { signal, shallow: true, etag: false })) {
      if (key.endsWith("/")) names.push(key.slice(prefix.length, -1));
    }
    return names.sort();
  };
  const found: EngineModel[] = [];
  for (const engine of await below(ANSWERS)) {
    if (!findEngine(engine)) continue;
    for (const model of await below(`${ANSWERS}${engine}/`)) found.push({ engine, model });
  }
  return found;
}
