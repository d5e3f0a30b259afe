import { engineConformance } from "../../dev/doubles/ocr/engine_conformance.ts";
import { startScriptedUpstage } from "../../dev/doubles/ocr/upstage_scripted.ts";
import type { StartScripted } from "../../dev/doubles/ocr/scripted.ts";
import type { EngineTraits } from "../../dev/doubles/ocr/engine_conformance.ts";
import assert from "node:assert/strict";
import { ENGINE_NAMES, findEngine } from "./engines.ts";

/** The server that stands for each engine, and in what the engine differs from others. */
const SERVERS: Readonly<Record<string, readonly [StartScripted, EngineTraits?]>> = {
  "upstage-ocr": [startScriptedUpstage],
};

Deno.test("every engine is held to the contract", () => {
  assert.deepEqual(Object.keys(SERVERS).sort(), [...ENGINE_NAMES].sort());
});

for (const [name, [start, traits]] of Object.entries(SERVERS)) {
  engineConformance(findEngine(name)!, start, traits);
}
