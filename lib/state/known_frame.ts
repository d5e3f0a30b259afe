/**
 * @module state/known_frame: what is known of the frame in which a model answers: the stored answer
 * to the probe's picture says it. It is an answer like any other, so it is paid for once.
 */

import { findEngine } from "../engine/engines.ts";
import { probedFrame, probePicture } from "../engine/frame_probe.ts";
import type { Frame, KnownFrame } from "../image/frame.ts";
import type { Store } from "../store/store.ts";
import { AnswerStore } from "./answer_store.ts";

/** What a probe has shown. */
export interface ProbedFrame {
  /** In which frame it answers; `unknown` where the answer doesn't show it. */
  readonly frame: Frame;
  /** The model that answered, as in `ocr-260930`; null where it didn't say. */
  readonly modelVersion: string | null;
}

/**
 * Looks for the answer to the probe.
 *
 * @param model As it was asked for.
 * @returns `undefined` where nobody has probed, or the answer can't be used.
 * @throws {StoreError} if the store fails
 */
export async function findFrame(
  store: Store,
  engineName: string,
  model: string,
  signal?: AbortSignal,
): Promise<ProbedFrame | undefined> {
  const engine = await findEngine(engineName)?.load();
  if (!engine) return undefined;
  const found = await new AnswerStore(store, engineName, model).find(probePicture().sha256, signal);
  if (!found?.value) return undefined;
  const { value } = engine.parse(found.value.body, found.value.picture);
  return value && { frame: probedFrame(value.pages[0]), modelVersion: value.modelVersion };
}

/** What a probe has shown for rows of a model; `undefined` where it was another one, or no one. */
export function frameOfModel(
  probed: ProbedFrame | undefined,
  modelVersion: string | null,
): KnownFrame | undefined {
  if (!probed || probed.frame === "unknown") return undefined;
  return probed.modelVersion === modelVersion ? probed.frame : undefined;
}
