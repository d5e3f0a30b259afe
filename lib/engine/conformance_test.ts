import { engineConformance } from "../../dev/doubles/ocr/engine_conformance.ts";
import { scriptedOwn } from "../../dev/doubles/ocr/own_server_scripted.ts";
import { startScriptedTextract } from "../../dev/doubles/ocr/aws_textract_scripted.ts";
import {
  startScriptedVision,
  startScriptedVisionByAccount,
} from "../../dev/doubles/ocr/google_vision_scripted.ts";
import { startScriptedUpstage } from "../../dev/doubles/ocr/upstage_scripted.ts";
import { scriptedParse } from "../../dev/doubles/ocr/upstage_parse_scripted.ts";
import type { StartScripted } from "../../dev/doubles/ocr/scripted.ts";
import type { EngineTraits } from "../../dev/doubles/ocr/engine_conformance.ts";
import assert from "node:assert/strict";
import { ENGINE_NAMES, findEngine } from "./engines.ts";

/** The server that stands for each engine, and in what the engine differs from others. */
const SERVERS: Readonly<Record<string, readonly [StartScripted, EngineTraits?]>> = {
  "upstage-ocr": [startScriptedUpstage],
  "upstage-parse": [scriptedParse(), { confident: false }],
  "upstage-parse-async": [scriptedParse(), { confident: false }],
  "http": [scriptedOwn("liteparse")],
  "aws-textract": [startScriptedTextract],
  "google-vision": [startScriptedVision],
};

Deno.test("every engine is held to the contract", () => {
  assert.deepEqual(Object.keys(SERVERS).sort(), [...ENGINE_NAMES].sort());
});

engineConformance(
  { ...findEngine("google-vision")!, name: "google-vision by a service account" },
  startScriptedVisionByAccount,
);

for (const [name, [start, traits]] of Object.entries(SERVERS)) {
  engineConformance(findEngine(name)!, start, traits);
}

engineConformance(findEngine("upstage-parse-async")!, scriptedParse("looking"), {
  ...{ confident: false, title: "upstage-parse-async, looking for an answer," },
});
for (const format of ["doctr", "paddlex"] as const) {
  engineConformance({ ...findEngine("http")!, name: `http (${format})` }, scriptedOwn(format));
}
