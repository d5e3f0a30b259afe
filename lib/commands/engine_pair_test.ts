import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { OptionValues } from "../cli/option_values.ts";
import { RunError } from "../base/errors.ts";
import { labelCommand, readPair, settlePair } from "./engine_pair.ts";

const OWN = { engine: "upstage-ocr", model: "ocr" };
const places = {
  ...{ store: new MemoryStore(), checkpointPrefix: "checkpoints/" },
  signal: new AbortController().signal,
};
const flags = (given: Record<string, string>) => new OptionValues(given, {});
const settle = (engines: string, own = OWN) =>
  settlePair(readPair(flags({ engines }), "demo"), own, "demo", places);

function usage(message: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof RunError && error.exit === "usage" && message.test(error.message);
}

Deno.test("--engines without a model means the data set's own, or the engine's", async () => {
  const pinned = { engine: "upstage-ocr", model: "ocr-260930" };
  const named = async (engines: string, own = OWN) =>
    (await settle(engines, own)).map(({ model }) => model);
  assert.deepEqual(await named("upstage-ocr,upstage-ocr:x"), ["ocr", "x"]);
  assert.deepEqual(await named("upstage-ocr:x, upstage-ocr"), ["x", "ocr"]);
  assert.deepEqual(await named("upstage-ocr,upstage-ocr:x", pinned), ["ocr-260930", "x"]);
  // The other one is that of the data set, so this one is the engine's own.
  assert.deepEqual(await named("upstage-ocr,upstage-ocr:ocr-260930", pinned), [
    "ocr",
    "ocr-260930",
  ]);
});

Deno.test("an engine without a model means the one whose answers are stored, if there is one", async () => {
  const store = new MemoryStore();
  const named = async (engines: string) =>
    await settlePair(readPair(flags({ engines }), "demo"), OWN, "demo", { ...places, store });
  const other = async (engines: string) => (await named(engines))[1].model;
  const answer = (model: string) =>
    store.write(`responses/http/${model}/00/${"0".repeat(64)}.json.gz`, new Uint8Array(1));
  const usual = await other("upstage-ocr,http");

  await answer("tesseract-kor");
  assert.equal(await other("upstage-ocr,http"), "tesseract-kor");
  assert.equal(await other("upstage-ocr,http:easyocr"), "easyocr");
  await answer("easyocr");
  const which = /no model of http, and answers of http:easyocr, http:tesseract-kor are stored: say/;
  await assert.rejects(named("upstage-ocr,http"), usage(which));
  await answer(usual);
  assert.equal(await other("upstage-ocr,http"), usual);
});

Deno.test("--engines that name no two engines, or not the data set's, are refused in a sentence", async () => {
  const bad: [string, RegExp][] = [
    ["upstage-ocr", /^--engines must be two engines, as in a,b or a,b:model: it is 'upstage-ocr'/],
    ["upstage-ocr,upstage-ocr:a,upstage-ocr:b", /must be two engines/],
    ["upstage-ocr,tesseract", /^--engines must be of upstage-ocr.*: it has 'tesseract'/],
    ["upstage-ocr,", /it has ''/],
    ["upstage-ocr:../x,upstage-ocr", /^--engines: .* is no name of a model/],
    [
      "upstage-ocr,upstage-ocr:ocr",
      /names upstage-ocr:ocr twice: put another model behind a colon/,
    ],
    ["upstage-ocr:x,upstage-ocr:y", /must have the one .*, upstage-ocr:ocr: its words/],
  ];
  for (const [engines, message] of bad) {
    await assert.rejects(async () => await settle(engines), usage(message), engines);
  }
  assert.throws(
    () => readPair(flags({ engines: "a,b", with: "x" }), "demo"),
    usage(/exclude each other/),
  );
  for (const name of ["demo", "../x"]) {
    assert.throws(() => readPair(flags({ with: name }), "demo"), usage(/name of another data set/));
  }
  await assert.rejects(
    settlePair({ other: "none" }, OWN, "demo", places),
    /there is no run of data set 'none'/,
  );
});

Deno.test("labelCommand() names the input that the labels are of, and the store that was named", () => {
  const { store } = places;
  const other = { engine: "upstage-ocr", model: "x" };
  const given = { ...OWN, input: `${store.url}/data/my.parquet` };
  assert.equal(
    labelCommand(other, given, "demo", store, flags({ store: "./labels" })),
    "run --dataset-name demo_x --input-s3-key data/my.parquet --engine upstage-ocr --model x " +
      "--store ./labels",
  );
  // Made in a folder that lies in a bucket by now.
  assert.equal(
    labelCommand(OWN, { ...other, input: "file:///tmp/demo.parquet" }, "demo", store, flags({})),
    "run --dataset-name demo_ocr --input-s3-key data/processed/demo.parquet --engine upstage-ocr",
  );
});
