/**
 * @module label/open: puts together what labels rows: images within a memory budget, answers that are
 * found or asked for, slots, turns, limits and the API's health.
 */

import { Answers } from "./obtain.ts";
import { ApiClient } from "../engine/client.ts";
import type { ApiKey } from "../engine/api_key.ts";
import { Asker } from "./ask.ts";
import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Manifest } from "../state/documents.ts";
import type { Engine } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { ImageLoader } from "./images.ts";
import { type ImageSource } from "../dataset/image_location.ts";
import type { InputRow } from "../dataset/row.ts";
import { type CheckpointKeys, rateKey } from "../state/keys.ts";
import { type Labeled, Labeler } from "./label_row.ts";
import { openPace } from "./pace.ts";
import { AnswerStore } from "../state/answer_store.ts";
import type { Settings } from "../base/settings.ts";
import { SpendGuard } from "../state/spending.ts";
import type { Store } from "../store/store.ts";
import type { Tally } from "./tally.ts";

/** What labeling works with. */
export interface LabelingOptions {
  /** Limits and retries. */
  readonly settings: Settings;
  /** The run. */
  readonly manifest: Manifest;
  /** How to ask. */
  readonly engine: Engine;
  /** Where answers go, whoever holds the lease: what is paid for is kept. */
  readonly store: Store;
  /** Where state of the run goes, while the lease is held. */
  readonly guarded: Store;
  /** Names of the state. */
  readonly keys: CheckpointKeys;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Address and key of the API. */
  readonly api: { readonly baseUrl: string; readonly key: ApiKey };
  /** Counts what happens. */
  readonly tally: Tally;
  /** Told what people should know. */
  readonly note: (message: string, facts?: Record<string, unknown>) => void;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Aborted by what ends the run. */
  readonly halt: AbortController;
  /** Requests in flight are given up once it aborts. */
  readonly giveUp: AbortSignal;
}

/** Labels rows; disposing it gives back what was reserved and not spent. */
export interface Labeling extends AsyncDisposable {
  /** Labels a row. */
  readonly make: (row: InputRow) => Promise<Labeled>;
  /** Room for rows in progress. */
  readonly rows: Budget;
}

/** Gets ready to label. @throws {StoreError} if what was spent so far can't be read */
export async function openLabeling(options: LabelingOptions): Promise<Labeling> {
  const { settings, manifest, engine, store, guarded, keys, tally, clock, halt } = options;
  const spending = await SpendGuard.open({
    store: guarded,
    key: keys.spending,
    runId: manifest.run_id,
    maxPages: settings.maxPages,
    limit: settings.limit,
  });
  const health = new Health({
    model: manifest.model,
    maxOutageMs: settings.maxOutageMs,
    clock,
    note: options.note,
  });
  const pace = await openPace({
    settings,
    engine,
    store,
    key: rateKey(engine.name, manifest.model),
    note: options.note,
    clock,
    random: options.random,
  });
  const asker = new Asker({
    engine,
    model: manifest.model,
    api: new ApiClient({ ...options.api, clock, note: options.note }),
    limiter: pace.limiter,
    unsaved: pace.unsaved,
    spending,
    health,
    maxRetries: settings.maxRetries,
    tally,
    clock,
    random: options.random,
    halt,
    giveUp: options.giveUp,
  });
  const answers = new Answers({
    engine,
    payer: { dataset: manifest.dataset, run_id: manifest.run_id },
    asker,
    responses: new AnswerStore(store, engine.name, manifest.model),
    tally,
    clock,
    halt,
  });
  const images = new ImageLoader(options.images, new Budget(settings.memoryBudget));
  const labeler = new Labeler(engine.name, images, answers, clock.now);
  return {
    make: (row) => labeler.label(row, halt.signal),
    rows: pace.rows,
    async [Symbol.asyncDispose]() {
      await spending[Symbol.asyncDispose]();
      await pace[Symbol.asyncDispose]();
    },
  };
}
