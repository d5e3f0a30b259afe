import assert from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { StoreError } from "../base/errors.ts";
import { type AnswerEnvelope, AnswerStore } from "./answer_store.ts";

const SHA = "ab".repeat(32);

const ENVELOPE: AnswerEnvelope = {
  image_sha256: SHA,
  image_bytes: 200,
  media_type: "image/png",
  attempts: 2,
  received_at: "2026-11-01T00:00:00.000Z",
  paid_by: { dataset: "demo", run_id: "run", row_id: "row-1" },
};

function open(): [AnswerStore, MemoryStore] {
  const store = new MemoryStore();
  return [new AnswerStore(store, "upstage-ocr", "ocr"), store];
}

function storedText(store: MemoryStore, key: string): string {
  return gunzipSync(store.objects.get(key)!).toString("utf8");
}

Deno.test("AnswerStore.find() gives what save() stored", async () => {
  const [responses, store] = open();
  assert.equal(await responses.find(SHA), undefined);
  await responses.save(ENVELOPE, '{"pages": ["한글 \\u0000"]}');
  assert.deepEqual(await responses.find(SHA), {
    value: {
      format: "pseudolabel-response/1",
      engine: "upstage-ocr",
      model: "ocr",
      ...ENVELOPE,
      body: { pages: ["한글 \u0000"] },
    },
  });
  assert.deepEqual(store.writes, [`responses/upstage-ocr/ocr/ab/${SHA}.json.gz`]);
  assert.deepEqual(store.writes, [responses.key(SHA)]);
});

Deno.test("AnswerStore.save() keeps the body digit for digit, also where JSON.parse would not", async () => {
  const bodies = [
    "0.10000000000000001",
    '{"big": 1e400, "id": 12345678901234567890, "zero": -0, "x": 1.50}',
    '{"a": 1, "a": 2, "__proto__": {"x": 1}}',
    ' [ "\\ud800", "\\u00e9", "é" ]\r\n',
  ];
  for (const body of bodies) {
    const [responses, store] = open();
    await responses.save(ENVELOPE, body);
    const text = storedText(store, responses.key(SHA));
    assert.ok(text.endsWith(`,"body":${body}}`), text);
    const { body: parsed, ...head } = JSON.parse(text);
    assert.deepEqual(parsed, JSON.parse(body));
    assert.equal(head.received_at, ENVELOPE.received_at);
  }
});

Deno.test("AnswerStore keeps any JSON document", async () => {
  await fc.assert(
    fc.asyncProperty(fc.json(), async (body) => {
      const [responses, store] = open();
      await responses.save(ENVELOPE, body);
      assert.ok(storedText(store, responses.key(SHA)).endsWith(`,"body":${body}}`));
      assert.deepEqual((await responses.find(SHA))?.value?.body, JSON.parse(body));
    }),
    { numRuns: 50 },
  );
});

Deno.test("AnswerStore.find() says what is wrong with an object that is no such answer", async () => {
  const [responses, store] = open();
  await responses.save(ENVELOPE, "{}");
  const good = storedText(store, responses.key(SHA));
  const whole = store.objects.get(responses.key(SHA))!;
  const packed = (text: string) => new Uint8Array(gzipSync(text));
  const cases: [bytes: Uint8Array<ArrayBuffer>, problem: RegExp][] = [
    [new Uint8Array(), /^not gzip$/],
    [new TextEncoder().encode(good), /^not gzip$/],
    [whole.slice(0, -9), /^not gzip$/],
    [packed(good.slice(0, -1)), /^not JSON: /],
    [packed("[]"), /^document: /],
    [packed(good.replace("response/1", "response/2")), /^format: /],
    [packed(good.replace('"attempts":2', '"attempts":-2')), /^attempts: /],
    [packed(good.replace(SHA, "cd".repeat(32))), /another image/],
  ];
  for (const [bytes, problem] of cases) {
    store.put(responses.key(SHA), bytes);
    const found = await responses.find(SHA);
    assert.equal(found?.value, undefined);
    assert.match(found!.problem!, problem);
  }
});

Deno.test("AnswerStore.find() never takes a store that fails for an answer that is missing", async () => {
  const [responses, store] = open();
  for (const kind of ["denied", "no_bucket", "unavailable", "credentials"] as const) {
    store.before = () => {
      throw new StoreError(kind, "it failed");
    };
    await assert.rejects(responses.find(SHA), { kind });
  }
  const reason = new Error("stop");
  await assert.rejects(responses.find(SHA, AbortSignal.abort(reason)), (error) => error === reason);
});

Deno.test("AnswerStore keeps models and engines apart", async () => {
  const [responses, store] = open();
  await responses.save(ENVELOPE, "{}");
  for (const [engine, model] of [["upstage-ocr", "ocr-260930"], ["other", "ocr"]]) {
    assert.equal(await new AnswerStore(store, engine, model).find(SHA), undefined);
  }
});

Deno.test("AnswerStore.any() finds an answer of this model, whatever the image; no rights are none", async () => {
  const [answers, store] = open();
  await new AnswerStore(store, "upstage-ocr", "ocr-2").save(ENVELOPE, "{}");
  assert.equal(await answers.any(), false);
  await answers.save(ENVELOPE, "{}");
  assert.equal(await answers.any(), true);
  for (const [kind, outcome] of [["denied", false], ["unavailable", undefined]] as const) {
    store.before = (operation) => {
      if (operation === "list") throw new StoreError(kind, "list");
    };
    if (outcome === undefined) await assert.rejects(answers.any(), { kind });
    else assert.equal(await answers.any(), outcome);
  }
});
