import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
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
  const { etag, ...found } = (await responses.find(SHA))!;
  assert.equal(etag, (await store.stat(responses.key(SHA)))!.etag);
  assert.deepEqual(found, {
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
const OTHERS: AnswerEnvelope = {
  ...ENVELOPE,
  received_at: "2026-11-02T00:00:00.000Z",
  paid_by: { dataset: "other", run_id: "other run", row_id: "row-7" },
};

Deno.test("AnswerStore.save() creates and never replaces: the answer that is there is the one to use", async () => {
  const [responses, store] = open();
  assert.equal(await responses.save(ENVELOPE, '{"a": 1}'), undefined);
  const bytes = store.objects.get(responses.key(SHA));
  const other = await responses.save(OTHERS, '{"b": 2}');
  assert.deepEqual([other?.paid_by, other?.body], [ENVELOPE.paid_by, { a: 1 }]);
  assert.equal(store.objects.get(responses.key(SHA)), bytes);
  // Its own answer, of which the reply was lost, is not another one.
  assert.equal(await responses.save(ENVELOPE, '{"a": 1}'), undefined);
});

Deno.test("AnswerStore.save() replaces what can't be used, after a copy, and nothing that came since", async () => {
  const [responses, store] = open();
  const key = responses.key(SHA);
  store.put(key, "torn");
  const { problem, etag } = (await responses.find(SHA))!;
  const instead = (await responses.setAside(SHA, problem!, etag!))!;
  assert.match(
    instead.copy,
    /^responses\/set_aside\/upstage-ocr\/ocr\/[0-9a-f]{64}\.\w+\.json\.gz$/,
  );
  assert.deepEqual(store.objects.get(instead.copy), new TextEncoder().encode("torn"));
  assert.equal(await responses.setAside(SHA, "", "another version"), undefined);
  assert.equal(await responses.save(ENVELOPE, "{}", instead), undefined);
  const { copy, reason } = instead;
  assert.deepEqual((await responses.find(SHA))?.value?.replaces, { copy, reason });
  assert.deepEqual((await responses.save(OTHERS, "{}", instead))?.paid_by, ENVELOPE.paid_by);
  // It was torn between the look and the answer.
  store.put(key, "torn again");
  assert.equal(await responses.save(OTHERS, "{}"), undefined);
  assert.deepEqual((await responses.find(SHA))?.value?.paid_by, OTHERS.paid_by);
  store.objects.delete(key);
  assert.equal(
    await responses.save(ENVELOPE, "{}", instead),
    undefined,
    "it was removed meanwhile",
  );
});

Deno.test("AnswerStore.save() writes as ever where a store has no conditions, or none that hold", async () => {
  for (const kind of ["unsupported", "precondition"] as const) {
    const [responses, store] = open();
    const write = store.write.bind(store);
    store.write = async (key, bytes, options = {}) => {
      if (options.onlyIf !== undefined) throw new StoreError(kind, "no");
      return await write(key, bytes, options);
    };
    assert.equal(await responses.save(ENVELOPE, "{}"), undefined);
    assert.ok((await responses.find(SHA))?.value);
  }
});

Deno.test("AnswerStore.find() unpacks no more than an answer's length, and reads no more either", async () => {
  const [, store] = open();
  const responses = new AnswerStore(store, "upstage-ocr", "ocr", 10_000);
  store.put(responses.key(SHA), new Uint8Array(gzipSync(new Uint8Array(1_000_000))));
  const bomb = (await responses.find(SHA))!;
  assert.deepEqual([bomb.problem, bomb.keep], ["longer than 10000 bytes unpacked", undefined]);
  store.put(responses.key(SHA), new Uint8Array(10_001));
  const long = (await responses.find(SHA))!;
  assert.deepEqual([long.problem, long.keep], ["longer than 10000 bytes", true]);
});

Deno.test("AnswerStore.findReceived() finds an answer that another has taken the place of", async () => {
  const [answers, store] = open();
  await answers.save(ENVELOPE, "{}");
  const { etag } = (await answers.find(SHA))!;
  const instead = await answers.setAside(SHA, "unreadable", etag!);
  await answers.save(OTHERS, "{}", instead);
  const at = (envelope: AnswerEnvelope) => new Date(envelope.received_at);
  const found = async (when: Date) => (await answers.findReceived(SHA, when))?.paid_by;
  assert.deepEqual(await found(at(OTHERS)), OTHERS.paid_by);
  assert.deepEqual(await found(at(ENVELOPE)), ENVELOPE.paid_by);
  assert.equal(await found(new Date(0)), undefined);
  store.put(instead!.copy, "torn");
  assert.equal(await found(at(ENVELOPE)), undefined);
});

/** What happens in an answer's place right before a write to it. */
const EVENTS = ["nothing", "answered", "damaged", "other damage", "gone", "newer", "lost"] as const;

Deno.test("a paid answer is stored, or another one is there to be used, whatever happens in its place meanwhile; no answer is overwritten, and no damage without a copy", async () => {
  const event = fc.constantFrom(...EVENTS);
  await fc.assert(
    fc.asyncProperty(event, event, event, async (first, ...then) => {
      const [answers, store] = open();
      const key = answers.key(SHA);
      const theirs = { ...ENVELOPE, paid_by: { ...ENVELOPE.paid_by, run_id: "theirs" } };
      const [others, made] = open();
      await others.save(theirs, "{}");
      const good = made.objects.get(key)!;
      const text = gunzipSync(good).toString();
      const newer = new Uint8Array(gzipSync(text.replace("response/1", "response/2")));
      const happen = (what: typeof EVENTS[number]) => {
        if (what === "gone") store.objects.delete(key);
        else if (what === "answered") store.put(key, good);
        else if (what === "newer") store.put(key, newer);
        else if (what !== "nothing" && what !== "lost") store.put(key, what);
      };
      happen(first);
      const left = [...then];
      const write = store.write.bind(store);
      store.write = async (at, bytes, options) => {
        if (at !== key) return await write(at, bytes, options);
        const next = left.shift() ?? "nothing";
        happen(next);
        const before = store.objects.get(key);
        if (!before && typeof options?.onlyIf === "object") {
          throw new StoreError("not_found", "as S3 says of a version that is gone");
        }
        const info = await write(at, bytes, options);
        if (before) {
          assert.ok(before !== good && before !== newer, "an answer was overwritten");
          const isCopy = ([name, copy]: [string, Uint8Array]) =>
            name.includes("set_aside") && Buffer.compare(copy, before) === 0;
          assert.ok([...store.objects].some(isCopy), "what was replaced is lost");
        }
        if (next !== "lost") return info;
        throw new StoreError("precondition", "it was there already: an earlier try has written it");
      };
      const found = await answers.find(SHA);
      const instead = found && !found.value && !found.keep
        ? await answers.setAside(SHA, found.problem, found.etag!)
        : undefined;
      const [end] = await Promise.allSettled([answers.save(ENVELOPE, '{"a":1}', instead)]);
      const there = store.objects.get(key);
      if (end.status === "rejected") {
        assert.ok(
          end.reason instanceof StoreError && end.reason.kind === "unsupported",
          end.reason,
        );
        assert.equal(there, newer, "only a later version's answer is in the way");
      } else if (end.value) {
        assert.deepEqual([there, end.value.paid_by.run_id], [good, "theirs"]);
      } else {
        const { value } = (await answers.find(SHA))!;
        assert.deepEqual([value?.paid_by, value?.body], [ENVELOPE.paid_by, { a: 1 }]);
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("AnswerStore.save() ends with what the store says, and believes nothing to be stored that isn't", async () => {
  for (const kind of ["denied", "unavailable", "not_found"] as const) {
    const [answers, store] = open();
    const requests: string[] = [];
    store.before = (operation) => void requests.push(operation);
    assert.equal(
      await answers.save({ ...ENVELOPE, image_sha256: "cd".repeat(32) }, "{}"),
      undefined,
    );
    store.before = (operation) => {
      requests.push(operation);
      throw new StoreError(kind, "no");
    };
    await assert.rejects(answers.save(ENVELOPE, "{}"), { kind });
    assert.deepEqual(requests, ["write", "write"]);
  }
  // One that knows no conditions is written to without, and that is waited for.
  const [answers, store] = open();
  const write = store.write.bind(store);
  store.write = async (key, bytes, options) => {
    if (options?.onlyIf) throw new StoreError("unsupported", "501");
    await new Promise((resolve) => setImmediate(resolve));
    return await write(key, bytes, options);
  };
  assert.equal(await answers.save(ENVELOPE, "{}"), undefined);
  assert.ok(store.objects.has(answers.key(SHA)));
});

Deno.test("AnswerStore.findPaid() finds the latest answer that was paid for a row, be it that others have taken its place", async () => {
  const [answers, store] = open();
  const { paid_by } = ENVELOPE;
  const put = async (hour: number, change: Partial<typeof paid_by>) => {
    const received_at = `2026-11-01T0${hour}:00:00.000Z`;
    const found = await answers.find(SHA);
    const instead = found && await answers.setAside(SHA, "a test", found.etag!);
    await answers.save(
      { ...ENVELOPE, received_at, paid_by: { ...paid_by, ...change } },
      "1",
      instead,
    );
  };
  const hourOf = async () => (await answers.findPaid(SHA, paid_by))?.received_at.slice(11, 13);
  assert.equal(await hourOf(), undefined);
  await put(1, { row_id: "another" });
  assert.equal(await hourOf(), undefined);
  await put(2, {});
  assert.equal(await hourOf(), "02");
  await put(4, { run_id: "a later run" });
  assert.equal(await hourOf(), "04");
  await put(3, {});
  assert.equal(await hourOf(), "03", "what lies there is the last that was stored");
  await put(5, { dataset: "another" });
  assert.equal(await hourOf(), "04");
  await put(6, { row_id: "another" });
  assert.equal(await hourOf(), "04");
  await put(7, {});
  store.before = (operation) => assert.notEqual(operation, "list", "nobody need look for copies");
  assert.equal(await hourOf(), "07");
});
