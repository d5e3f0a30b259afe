/**
 * @module label/labeling_options: what labelling a run's rows works with, whatever engines it asks.
 */

import type { Clock } from "../base/clock.ts";
import type { Settings } from "../base/settings.ts";
import { type ImageSource } from "../dataset/image_location.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { Connection, Engine } from "../engine/engine.ts";
import type { CheckpointFooter, Manifest } from "../state/documents.ts";
import type { CheckpointKeys } from "../state/keys.ts";
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

/** Another engine, ready to be asked. */
export interface FallbackEngine {
  /** How to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** Ready to be asked. */
  readonly connection: Connection;
}

/** What labeling works with. */
export interface LabelingOptions {
  /** Limits and retries. */
  readonly settings: Settings;
  /** The run. */
  readonly manifest: Manifest;
  /** Whether it was begun before. */
  readonly resumed: boolean;
  /** What the run was billed as far as its finished batches tell, US dollars at listed prices. */
  readonly billedBefore: { readonly pages: number; readonly dollars: number };
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
  /** Engines for pages that it fails on, or finds empty, in order. @default none */
  readonly fallbacks?: readonly FallbackEngine[];
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
