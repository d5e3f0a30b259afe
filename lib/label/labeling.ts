/**
 * @module label/labeling: puts together what rows are labelled with: images within a memory budget,
 * answers that are found or asked for, turns, limits and the API's health.
 */

import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { CheckpointFooter, Manifest } from "../state/documents.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { Connection, Engine } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { askKnownPage } from "./ask.ts";
import { ImageGuard } from "./image_guard.ts";
import { ImageLoader } from "./images.ts";
import { type ImageSource } from "../dataset/image_location.ts";
import { type CheckpointKeys, rateKey } from "../state/keys.ts";
import { KnownPage } from "./known_page.ts";
import { type Lane, Lanes } from "./lanes.ts";
import type { Labeling } from "./label_row.ts";
import type { Limiter } from "../pace/limiter.ts";
import { openPace } from "./pace.ts";
import { ReadableGuard } from "./readable_guard.ts";
import { Remarks } from "./remarks.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { Claims } from "../state/claims.ts";
import type { Settings } from "../base/settings.ts";
import { SpendingLimit } from "../state/spending.ts";
import type { Patience } from "../store/patient.ts";
import type { Store } from "../store/store.ts";
import type { Tally } from "./tally.ts";

/** A batch that is done, be it of an earlier input. */
export interface DoneBatch {
  /** What it holds. */
  readonly footer: CheckpointFooter;
  /** Its rows, read when they are asked for. */
  readonly rows: () => AsyncIterable<OutputRow>;
}

/** What labeling works with. */
export interface LabelingOptions {
  /** Limits and retries. */
  readonly settings: Settings;
  /** The run. */
  readonly manifest: Manifest;
  /** Whether it was begun before. */
  readonly resumed: boolean;
  /** Pages that the run was billed as far as its finished batches tell. */
  readonly billedBefore: number;
  /** The batches that are done. */
  readonly done: readonly DoneBatch[];
  /** Batches of earlier inputs, from which rows are taken over. */
  readonly earlier: readonly DoneBatch[];
  /** Paths of some images that the run is going to read, from all over it. */
  readonly sampleImages: () => AsyncIterable<string>;
  /** Rows that are going to be labelled. */
  readonly rowsToLabel: number;
  /** How to ask. */
  readonly engine: Engine;
  /** Where answers go, whoever holds the lease: what is paid for is kept. */
  readonly store: Store;
  /** Where state of the run goes, while the lease is held. */
  readonly leased: Store;
  /** Knows whether the stores are up; while they aren't, nothing is asked. */
  readonly patience: Pick<Patience, "up" | "down">;
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
  /**
   * Call it before what only the holder of the lease may do.
   *
   * @throws {RunError} if it isn't held
   */
  readonly check: () => void;
}

/**
 * Gets ready to label.
 *
 * @throws {RunError} `conflict` if what was spent so far is not in a form that this version reads
 * @throws {StoreError} if the store fails
 */
export async function openLabeling(
  options: LabelingOptions,
): Promise<Labeling & AsyncDisposable> {
  const { settings, manifest, engine, store, leased, keys, tally, note, clock, random } = options;
  const { connection } = options;
  const { dataset, run_id, model } = manifest;
  const { maxPages, limit, maxOutageMs, maxRetries, noGuard } = settings;
  const spending = await SpendingLimit.open({
    store: leased,
    key: keys.spending,
    runId: run_id,
    maxPages,
    limit,
    likely: options.rowsToLabel,
    isNew: !options.resumed,
    billed: options.billedBefore,
    earlierRuns: manifest.inputs?.map(({ run_id }) => run_id),
    note,
  });
  const key = rateKey(engine.name, model);
  let readableGuard: ReadableGuard | undefined = undefined as ReadableGuard | undefined;
  const connections = [connection, ...connection.further ?? []];
  const pace = await openPace({
    ...{ settings, engine, store, key, note, clock, random },
    server: connection.server,
    lanes: connections.length,
    reused: () => tally.reused,
    proven: () => readableGuard?.satisfied ?? false,
  });
  tally.rate = pace.rate;
  // What earlier processes of the run have shown.
  const { done, earlier } = options;
  const answered = [...done, ...earlier].filter(({ footer: { counts } }) =>
    counts.ok + counts.empty > 0
  );
  const readable = answered.length > 0;
  const imagesRead = done.some(({ footer: { counts: { rows, failures } } }) =>
    rows > (failures.image_not_found ?? 0) + (failures.image_denied ?? 0)
  );
  const answers = new AnswerStore(store, engine.name, model);
  const everAnswered = () => answers.any(options.halt.signal);
  /** Since when each lane is down. */
  const downSince: (number | undefined)[] = connections.map(() => undefined);
  const lanes = new Lanes(
    connections.map((connection, n): Lane => {
      const name = connections.length > 1 ? `key ${n + 1} of ${connections.length}` : "the key";
      const health = new Health({
        ...{ model, advice: connection.advice, maxOutageMs, clock, everAnswered, noGuard },
        // A model that the server names can't be what is wrong.
        ...engine.findModel && { request: connection.advice },
        note: (message) => note(connections.length > 1 ? `${name}: ${message}` : message),
        down(since) {
          downSince[n] = since;
          // While another is up, requests start.
          const all = lanes.open.every((lane) => lane.health.outage);
          const first = Math.min(...downSince.flatMap((since) => since ?? []));
          tally.paused = all ? { what: "the API is down", since: first } : undefined;
        },
      });
      const { limiter, rate } = pace.lanes[n];
      return { name, connection, health, limiter: whileUp(limiter, options.patience), rate };
    }),
    note,
  );
  if (readable) lanes.knows();
  const known = new KnownPage({
    images: options.images,
    engine,
    note,
    async *rows() {
      for (const { rows } of answered) yield* rows();
    },
  });
  const claims = new Claims({
    ...{ store, keys, engine: engine.name, model, owner: options.owner, clock, note },
    holder: options.newRunId,
    leaseMs: settings.leaseMs,
    conditional: options.conditional,
    stop: options.halt.signal,
  });
  const remarks = new Remarks(note);
  const { retryFailed } = settings;
  readableGuard = new ReadableGuard({
    noGuard,
    known: readable,
    async readsKnownPage() {
      const sent = await askKnownPage(labeling);
      if (sent?.kind !== "answered") return undefined;
      return engine.parse(sent.body, (await known.find(options.halt.signal))?.picture).problem ===
        undefined;
    },
  });
  const labeling: Labeling = {
    ...{ engine, model, lanes, tally, clock, random, maxRetries, answers, known },
    ...{ claims, remarks, askedInVain: new Set<string>() },
    // Only where the user names the code: an answer that can't be read has been paid for.
    askAgain: new Set(retryFailed && retryFailed.codes !== "all" ? retryFailed.codes : []),
    images: new ImageLoader(options.images, new Budget(settings.memoryBudget), engine),
    imageGuard: new ImageGuard({
      known: noGuard || imagesRead,
      sample: options.sampleImages,
      images: options.images,
    }),
    readableGuard,
    payer: { dataset, run_id },
    underWay: new Map(),
    // After a stall another run may be at work: what it asks for must not be asked for again.
    check: options.check,
    unsaved: pace.unsaved,
    rows: pace.rows,
    spending,
    halt: options.halt,
    giveUp: options.giveUp,
  };
  return {
    ...labeling,
    async [Symbol.asyncDispose]() {
      remarks.end();
      await claims[Symbol.asyncDispose]();
      await spending[Symbol.asyncDispose]();
      await pace[Symbol.asyncDispose]();
    },
  };
}

/** Turns that are given only while the store is up: what is paid must be stored. */
function whileUp(
  limiter: Pick<Limiter, "turn">,
  patience: LabelingOptions["patience"],
): Pick<Limiter, "turn"> {
  return {
    async turn(signal) {
      for (;;) {
        if (patience.down) await patience.up(signal);
        const permit = await limiter.turn(signal);
        if (!patience.down) return permit;
        permit.done({ kind: "failed" }); // the outage began while this one waited for its turn
      }
    },
  };
}
