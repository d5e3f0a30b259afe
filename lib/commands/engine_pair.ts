/**
 * @module commands/engine_pair: which two engines are meant by a command line, and how pages that
 * one of them has not read are labelled with it.
 */

import { RunError } from "../base/errors.ts";
import { shown } from "../base/text.ts";
import { type OptionValues, usageError } from "../cli/option_values.ts";
import { OPTIONS } from "../cli/options.ts";
import { ENGINE_NAMES, findEngine } from "../engine/engines.ts";
import { engineText } from "../state/agreement.ts";
import { type EngineModel, storedEngines } from "../state/engine_answers.ts";
import { CheckpointKeys, defaultInputKey, isSafeName } from "../state/keys.ts";
import { readManifest } from "../state/manifest.ts";
import type { Store } from "../store/store.ts";
import { PAIR_FLAGS } from "./pair_flags.ts";

/** What the user said. */
export interface PairWishes {
  /** As `--engines` names them; the model is missing where none was named. */
  readonly engines?: readonly [WishedEngine, WishedEngine];
  /** The data set that `--with` names. */
  readonly other?: string;
}

/** An engine as it is named. */
export interface WishedEngine {
  /** Name of the engine. */
  readonly engine: string;
  /** The model; absent where none was named. */
  readonly model?: string;
}

/** By which engine a data set was labelled, and of which input. */
export interface LabelledBy extends EngineModel {
  /** URL of the input, where it is known. */
  readonly input?: string;
}

/** Reads what was said. @throws {RunError} `usage` for what names no two engines */
export function readPair(values: OptionValues, dataset: string): PairWishes {
  const given = values.given(PAIR_FLAGS.engines)?.[0];
  const other = values.given(PAIR_FLAGS.with)?.[0];
  if (given !== undefined && other !== undefined) {
    throw usageError("--engines and --with exclude each other");
  }
  if (other !== undefined) {
    if (isSafeName(other) && other !== dataset) return { other };
    throw usageError(`--with must be the name of another data set: it is ${shown(other)}`);
  }
  if (given === undefined) return {};
  const named = given.split(",").map((each) => wished(each.trim()));
  if (named.length !== 2) {
    throw usageError(
      `--engines must be two engines, as in a,b or a,b:model: it is ${shown(given)}`,
    );
  }
  return { engines: [named[0], named[1]] };
}

function wished(text: string): WishedEngine {
  const at = text.indexOf(":");
  const [engine, model] = at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
  if (!findEngine(engine)) {
    throw usageError(
      `--engines must be of ${ENGINE_NAMES.join(", ")}, a model behind a colon: it has ${
        shown(text)
      }`,
    );
  }
  if (model === undefined) return { engine };
  if (isSafeName(model)) return { engine, model };
  throw usageError(`--engines: ${shown(model)} is no name of a model`);
}

/**
 * The two engines, that of the data set first where `--with` was given.
 *
 * @param own By which the data set was labelled.
 * @throws {RunError} `usage` if they are one, or neither is that of the data set
 */
export async function settlePair(
  { engines, other }: PairWishes,
  own: LabelledBy,
  dataset: string,
  { store, checkpointPrefix, signal }: {
    readonly store: Store;
    readonly checkpointPrefix: string;
    readonly signal: AbortSignal;
  },
): Promise<readonly [EngineModel, EngineModel]> {
  if (other !== undefined) {
    const manifest = await readManifest(
      store,
      new CheckpointKeys(checkpointPrefix, other).manifest,
    );
    if (!manifest) {
      throw new RunError("conflict", `there is no run of data set '${other}' in ${store.url}`);
    }
    return distinct([own, manifest], own, `both data sets were labelled with ${engineText(own)}`);
  }
  if (!engines) {
    const inputKey = inputKeyOf(own, dataset, store);
    const stored = await storedEngines(store, signal);
    const others = stored.filter((each) => engineText(each) !== engineText(own));
    const found = others.length > 0
      ? `: '${dataset}' was labelled with ${engineText(own)}, and answers of ${
        others.map(engineText).join(", ")
      } are stored, so say --engines ${engineText(own)},${engineText(others[0])}`
      : `: '${dataset}' was labelled with ${engineText(own)}, and no answers of another engine ` +
        `are stored: label the same input with one first (run --dataset-name ${dataset}_OTHER ` +
        `--input-s3-key ${inputKey} --engine OTHER), then say --with ${dataset}_OTHER`;
    throw usageError(`--engines is required, or --with${found}`);
  }
  // Who names the engine of the data set means the model of the data set, unless that is the other.
  const exact = await Promise.all(
    engines.map(async ({ engine, model }, i): Promise<EngineModel> => {
      if (model !== undefined) return { engine, model };
      const isOther = engineText({ model: "", ...engines[1 - i] }) === engineText(own);
      if (engine === own.engine && !isOther) return { engine, model: own.model };
      return { engine, model: await storedModel(engine, own, store, signal) };
    }),
  );
  return distinct(
    [exact[0], exact[1]],
    own,
    `--engines names ${engineText(exact[0])} twice: put another model behind a colon`,
  );
}

/**
 * The model of an engine that was named without one: its own, unless only answers of another are
 * stored, as of servers whose model goes by what they read with.
 *
 * @throws {RunError} `usage` if there are several others
 */
async function storedModel(
  engine: string,
  own: EngineModel,
  store: Store,
  signal: AbortSignal,
): Promise<string> {
  const usual = findEngine(engine)!.defaultModel;
  const stored = (await storedEngines(store, signal)).filter((each) =>
    each.engine === engine && engineText(each) !== engineText(own)
  );
  if (stored.length === 0 || stored.some(({ model }) => model === usual)) return usual;
  if (stored.length === 1) return stored[0].model;
  throw usageError(
    `--engines names no model of ${engine}, and answers of ${stored.map(engineText).join(", ")} ` +
      "are stored: say which",
  );
}

function distinct(
  pair: readonly [EngineModel, EngineModel],
  own: EngineModel,
  same: string,
): readonly [EngineModel, EngineModel] {
  const [a, b] = pair.map(({ engine, model }): EngineModel => ({ engine, model }));
  if (engineText(a) === engineText(b)) throw usageError(same);
  if (![a, b].some((each) => engineText(each) === engineText(own))) {
    throw usageError(
      `--engines must have the one that the data set was labelled with, ${engineText(own)}: its ` +
        "words are what the other one is held against",
    );
  }
  return [a, b];
}

/**
 * The command that labels all pages with an engine, so that its answers are stored; what it has
 * answered before isn't paid for again.
 *
 * @param own By which the data set was labelled.
 */
export function labelCommand(
  { engine, model }: EngineModel,
  own: LabelledBy,
  dataset: string,
  store: Store,
  values: OptionValues,
): string {
  const usual = findEngine(engine)!.defaultModel;
  const called = engine === own.engine ? model : engine;
  const place = [OPTIONS.store, OPTIONS.s3Bucket].flatMap((spec) => {
    const [value, from] = values.given(spec) ?? [];
    return from === `--${spec.flag}` ? [`${from} ${value}`] : [];
  });
  return [
    `run --dataset-name ${`${dataset}_${called}`.slice(0, 128)}`,
    `--input-s3-key ${inputKeyOf(own, dataset, store)} --engine ${engine}`,
    ...model === usual ? [] : [`--model ${model}`],
    ...place,
  ].join(" ");
}

/** A folder may have been moved, or uploaded, since. */
function inputKeyOf({ input }: LabelledBy, dataset: string, { url }: Store): string {
  return input?.startsWith(`${url}/`) ? input.slice(url.length + 1) : defaultInputKey(dataset);
}
