/**
 * @module label/labeling: puts together what rows are labelled with: images within a memory budget,
 * answers that are found or asked for, turns, limits and the API's health.
 */

import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Manifest } from "../state/documents.ts";
import type { Connection, Engine } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { ImageLoader } from "./images.ts";
import { type ImageSource } from "../dataset/image_location.ts";
import { type CheckpointKeys, rateKey } from "../state/keys.ts";
import type { Labeling } from "./label_row.ts";
import { openPace } from "./pace.ts";
import { Remarks } from "./remarks.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { Claims } from "../state/claims.ts";
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
  /** Whether it was begun before. */
  readonly resumed: boolean;
  /** Rows that are going to be labelled. */
  readonly rowsToLabel: number;
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
  /** The engine, ready to be asked. */
  readonly connection: Connection;
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
  /** A name for this process. */
  readonly newRunId: string;
  /** Who runs this, for people. */
  readonly owner: string;
  /** Whether the store has conditional writes, as far as the lease has shown. */
  readonly conditional: boolean;
  /** Call it before what only the holder of the lease may do. @throws {RunError} if it isn't held */
  readonly check: () => void;
}

/** Gets ready to label. @throws {StoreError} if what was spent so far can't be read */
export async function openLabeling(
  options: LabelingOptions,
): Promise<Labeling & AsyncDisposable> {
  const { settings, manifest, engine, store, guarded, keys, tally, note, clock, random } = options;
  const { connection } = options;
  const { dataset, run_id, model } = manifest;
  const { maxPages, limit, maxOutageMs, maxRetries } = settings;
  const spending = await SpendGuard.open({
    store: guarded,
    key: keys.spending,
    runId: run_id,
    maxPages,
    limit,
    likely: options.rowsToLabel,
    isNew: !options.resumed,
  });
  const key = rateKey(engine.name, model);
  const pace = await openPace({ settings, engine, store, key, note, clock, random });
  const claims = new Claims({
    ...{ store, keys, engine: engine.name, model, owner: options.owner, clock, note },
    holder: options.newRunId,
    leaseMs: settings.leaseMs,
    conditional: options.conditional,
    stop: options.halt.signal,
  });
  const remarks = new Remarks(note);
  const { retryFailed } = settings;
  return {
    ...{ claims, remarks, askedInVain: new Set<string>() },
    // Only where the user names the code: an answer that can't be read has been paid for.
    askAgain: new Set(retryFailed && retryFailed.codes !== "all" ? retryFailed.codes : []),
    ...{ engine, model, tally, clock, random, maxRetries },
    images: new ImageLoader(options.images, new Budget(settings.memoryBudget), engine),
    answers: new AnswerStore(store, engine.name, model),
    payer: { dataset, run_id },
    underWay: new Map(),
    connection: {
      // After a stall another run may be at work: what it asks for must not be asked for again.
      async send(image, model, signal) {
        options.check();
        return await connection.send(image, model, signal);
      },
    },
    limiter: pace.limiter,
    unsaved: pace.unsaved,
    rows: pace.rows,
    spending,
    health: new Health({ model, advice: connection.advice, maxOutageMs, clock, note }),
    halt: options.halt,
    giveUp: options.giveUp,
    async [Symbol.asyncDispose]() {
      remarks.end();
      await claims[Symbol.asyncDispose]();
      await spending[Symbol.asyncDispose]();
      await pace[Symbol.asyncDispose]();
    },
  };
}
