/**
 * @module testing/open_labeling: what a run labels its rows with, opened as a run opens it, over a
 * store in memory and a clock whose time passes at once.
 */

import type { Connection, Engine } from "../../lib/engine/engine.ts";
import { upstageOcr } from "../../lib/engine/upstage_ocr.ts";
import { openLabeling } from "../../lib/label/labeling.ts";
import type { Labeling } from "../../lib/label/label_row.ts";
import type { LabelingOptions } from "../../lib/label/labeling_options.ts";
import { Tally } from "../../lib/label/tally.ts";
import { CheckpointKeys } from "../../lib/state/keys.ts";
import { Patience } from "../../lib/store/patient.ts";
import { manifestOf } from "./manifest.ts";
import { MemoryStore } from "./memory_store.ts";
import { settingsOf } from "./settings.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** A fallback of an opened labeling. */
export interface OtherEngine {
  /** @default `upstage-ocr` */
  readonly engine?: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** How to ask it. */
  readonly connection: Connection;
}

/** What is to be known of a labeling that was opened. */
export interface OpenedLabeling extends AsyncDisposable {
  /** What rows are labelled with. */
  readonly labeling: Labeling;
  /** Everything lies here. */
  readonly store: MemoryStore;
  /** Time. */
  readonly clock: VirtualClock;
  /** What it counted. */
  readonly tally: Tally;
  /** What people were told. */
  readonly notes: string[];
  /** Ends the run. */
  readonly halt: AbortController;
}

/**
 * Opens it for a run of the data set `demo` that has just begun, with the lease held.
 *
 * @param connection How to ask the run's own engine.
 * @param given What the test cares for.
 */
export async function labelingOf(
  connection: Connection,
  { args = "", others = [], ...given }:
    & { readonly args?: string; readonly others?: readonly OtherEngine[] }
    & Partial<Omit<LabelingOptions, "fallbacks" | "settings" | "store" | "clock">>
    & { readonly store?: MemoryStore; readonly clock?: VirtualClock } = {},
): Promise<OpenedLabeling> {
  const { store = new MemoryStore(), clock = new VirtualClock() } = given;
  const { tally = new Tally(), halt = new AbortController() } = given;
  const notes: string[] = [];
  const random = () => 0.5;
  const giveUp = new AbortController().signal;
  const fallbacks = others.map(({ engine = upstageOcr, ...other }) => ({ engine, ...other }));
  const named = fallbacks.map(({ engine: { name: engine }, model }) => ({ engine, model }));
  const labeling = await openLabeling({
    settings: settingsOf(`--dataset-name demo ${args}`.trim().split(/\s+/)),
    manifest: manifestOf(named.length > 0 ? { fallbacks: named } : {}),
    resumed: false,
    billedBefore: { pages: 0, dollars: 0 },
    rowsToLabel: 100,
    engine: upstageOcr,
    leased: store,
    keys: new CheckpointKeys("checkpoints/", "demo"),
    images: { local: store },
    note: (message) => notes.push(message),
    ...{ done: [], earlier: [] },
    async *sampleImages() {},
    patience: new Patience({ maxOutageMs: 0, clock, random, note: () => {}, giveUp }),
    ...{ newRunId: "process-1", owner: "a test", conditional: true, check: () => {} },
    ...given,
    ...{ store, clock, tally, halt, random, giveUp, connection, fallbacks },
  });
  return {
    ...{ labeling, store, clock, tally, notes, halt },
    [Symbol.asyncDispose]: () => labeling[Symbol.asyncDispose](),
  };
}
