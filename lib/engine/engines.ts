/**
 * @module engine/engines: the engines by name.
 */

import type { Engine } from "./engine.ts";
import { upstageOcr } from "./upstage_ocr.ts";

const ENGINES: readonly Engine[] = [upstageOcr];

/** Names that {@linkcode findEngine} knows. */
export const ENGINE_NAMES: readonly string[] = ENGINES.map((engine) => engine.name);

/** The engine of that name; `undefined` if there is none. */
export function findEngine(name: string): Engine | undefined {
  return ENGINES.find((engine) => engine.name === name);
}
