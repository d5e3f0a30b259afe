import assert from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Bench, BUCKET, openBench, OUTPUT, readAll, rows } from "../../dev/doubles/stage.ts";
import { type Answer, pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { fakeImage, queryRows, readFake } from "../../dev/testing/fixtures.ts";
import { TEST_API_KEY } from "../../dev/testing/program.ts";

// deno-lint-ignore no-explicit-any -- the tests change answers on purpose
type Loose = any;

/** An API whose every answer is changed in the same way. */
function drifting(change: (body: Loose) => void): (document: { bytes: Uint8Array }) => Answer {
  return ({ bytes }) => {
    const body = structuredClone(pageBody(readFake(bytes)));
    change(body);
    return { kind: "http", status: 200, body: JSON.stringify(body) };
  };
}

function eachWord(body: Loose, change: (word: Loose) => void): void {
  for (const page of body.pages) for (const word of page.words) change(word);
}

/** Keys of the stored answers. */
function answerKeys(bench: Bench): string[] {
  return [...bench.s3.objects.get(BUCKET)!.keys()]
    .filter((key) => /^responses\/(?!set_aside)/.test(key)).sort();
}

async function stored(bench: Bench, key: string): Promise<Loose> {
  return JSON.parse(gunzipSync((await bench.store.read(key)).bytes).toString());
}

async function output(bench: Bench): Promise<Loose[]> {
  const { bytes } = await bench.store.read(OUTPUT);
  const columns = "id, texts, polygons, metadata.status AS status, metadata.error_code AS code, " +
    "metadata.word_confidences AS confidences";
  return await queryRows(bytes, `SELECT ${columns} FROM parquet_file`);
}

async function assertSound(bench: Bench): Promise<void> {
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
}

Deno.test("answers that drift a little are read, paid once, kept as they came, and noted once with a count", async () => {
  const drifts: [change: (body: Loose) => void, note: RegExp][] = [
    [
      (body) => body.pages[0].confidence = 1.0000001,
      /confidence above 1 taken for 1: 6 times/,
    ],
    [
      (body) => eachWord(body, (word) => delete word.boundingBox.vertices[0].x),
      /missing x or y taken for 0: [1-6] times/,
    ],
    [(body) => body.novelty = { a: 1 }, /unknown field 'novelty' of the answer: 6 times/],
    [(body) => delete body.numBilledPages, /numBilledPages missing.*: 6 times/],
    [(body) => body.numBilledPages = 1e15, /numBilledPages missing or out of range.*: 6 times/],
    [
      (body) =>
        eachWord(body, (word) => {
          for (const vertex of word.boundingBox.vertices) vertex.x = `${vertex.x}`;
        }),
      /numbers written as text: [1-6] times/,
    ],
    [(body) => body.pages[0].width = "300", /numbers written as text: 6 times/],
    [
      (body) => eachWord(body, (word) => delete word.text),
      /missing text of a word taken for none: [1-6] times/,
    ],
    [
      // As a null slice of Go is written.
      ({ pages }) => pages[0].words = pages[0].words.length === 0 ? null : pages[0].words,
      /words missing on a page without text: [1-6] times/,
    ],
    [(body) => body.numBilledPages = "1", /numBilledPages missing or out of range.*: 6 times/],
  ];
  for (const [change, note] of drifts) {
    await using bench = await openBench(rows(6), drifting(change));
    const ended = await bench.run();
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual([bench.api.billedPages, bench.api.requests], [6, 6]);
    const notes = ended.events.filter(({ event }) => event === "note").map((e) => `${e.message}`);
    assert.equal(notes.length, 1, notes.join("\n"));
    assert.match(notes[0], note);
    const [first] = answerKeys(bench);
    const { body } = await stored(bench, first);
    const asIs = structuredClone(pageBody(readFake(fakeImage("row-0")))) as Loose;
    change(asIs);
    const keys = (value: Loose) => Object.keys(value).sort();
    assert.deepEqual(keys(body), keys(asIs));
    await assertSound(bench);
  }
});

Deno.test("verify takes what a run has written, whatever numbers and texts the API sends", async () => {
  const changes: ((body: Loose) => void)[] = [
    (body) => eachWord(body, (word) => word.boundingBox.vertices[0].x = -0),
    (body) => eachWord(body, (word) => word.text = "a\ud800"),
    (body) => eachWord(body, (word) => word.boundingBox.vertices[1].x = 5_000),
    (body) => eachWord(body, (word) => word.boundingBox.vertices[1].y = -77.5),
    (body) => body.pages[0].width = 0.3,
    (body) => body.modelVersion = "\udc00",
  ];
  for (const change of changes) {
    const api = drifting(change);
    await using bench = await openBench(rows(6), (document) => {
      const answer = api(document);
      // JSON.stringify() writes no -0.
      return answer.kind === "http"
        ? { ...answer, body: String(answer.body).replace(/"x":0,/, '"x":-0,') }
        : answer;
    });
    const ended = await bench.run();
    assert.equal(ended.code, 0, ended.stderr);
    await assertSound(bench);
    const { bytes } = await bench.store.read(OUTPUT);
    assert.equal((await bench.run(["rebuild"])).code, 0);
    assert.deepEqual((await bench.store.read(OUTPUT)).bytes, bytes);
  }
});

Deno.test("a size out of all range is one page's unreadable answer, also when the run is taken up again", async () => {
  await using bench = await openBench(rows(8), ({ bytes }) => {
    const third = new TextDecoder().decode(bytes).includes("row-3");
    return third ? drifting((body) => body.pages[0].width = 1e300)({ bytes }) : readAll({ bytes });
  });
  const first = await bench.run();
  assert.equal(first.code, 6, first.stderr);
  const failure = first.events.find(({ event }) => event === "failure");
  assert.deepEqual([failure?.id, failure?.code], ["row-3", "invalid_answer"]);
  const paid = bench.api.billedPages;
  assert.equal((await bench.run(["--fresh"])).code, 6);
  assert.equal(bench.api.billedPages, paid);
  await assertSound(bench);
});

Deno.test("stored answers that are torn, empty or foreign are set aside by name and paid for again, once", async () => {
  await using bench = await openBench(rows(8));
  assert.equal((await bench.run()).code, 0);
  const before = await output(bench);
  const keys = answerKeys(bench);
  const whole = await Promise.all(keys.map(async (key) => (await bench.store.read(key)).bytes));
  const bomb = new Uint8Array(gzipSync(new Uint8Array(150_000_000)));
  const damage = [whole[0].slice(0, 40), new Uint8Array(), whole[7], bomb];
  for (const [i, bytes] of damage.entries()) await bench.store.write(keys[i], bytes);
  assert.equal((await bench.run(["verify"])).code, 9);
  const rebuild = await bench.run(["rebuild"]);
  assert.equal(rebuild.code, 9, rebuild.stderr);
  assert.match(rebuild.stderr, /damaged: .*--fresh/);

  const again = await bench.run(["--fresh"]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages, 12);
  assert.equal(again.events.at(-1)!.pages_paid_again, 4);
  const notes = again.events.filter(({ event }) => event === "note").map((e) => `${e.message}`);
  assert.equal(notes.filter((note) => /set_aside.*paid again/.test(note)).length, 3);
  assert.ok(notes.some((note) => /paid for again: 4 times/.test(note)), notes.join("\n"));
  for (const [i, bytes] of damage.entries()) {
    const { replaces, paid_by } = await stored(bench, keys[i]);
    assert.deepEqual((await bench.store.read(replaces.copy)).bytes, bytes);
    assert.ok(replaces.reason.length > 0 && paid_by.row_id.startsWith("row-"));
  }
  assert.deepEqual(await output(bench), before);
  await assertSound(bench);
  // Nothing is left to be paid.
  assert.equal((await bench.run(["--fresh"])).code, 0);
  assert.equal(bench.api.billedPages, 12);
});

Deno.test("an error under status 200 is not kept, whatever its form: --retry-failed asks again", async () => {
  const errors = [
    { code: "internal_error", message: "oh no" },
    { error: { type: "overloaded" }, pages: [] },
    { errors: [{ code: "internal_error", message: "oh no" }] },
    { Message: "Endpoint request timed out" },
  ];
  let broken = true;
  await using bench = await openBench(rows(8), ({ bytes }) => {
    const row = Number(/row-(\d)/.exec(new TextDecoder().decode(bytes))![1]);
    const error = row % 2 ? errors[(row - 1) / 2] : undefined;
    return broken && error
      ? { kind: "http", status: 200, body: JSON.stringify(error) }
      : readAll({ bytes });
  });
  const first = await bench.run(["--max-retries", "1"]);
  assert.equal(first.code, 6, first.stderr);
  const failures = first.events.filter(({ event }) => event === "failure");
  assert.deepEqual(failures.map(({ code }) => code), Array(4).fill("api_error"));
  const said = failures.map(({ message }) => message).join("\n");
  for (const text of ["internal_error: oh no", "overloaded", "Endpoint request timed out"]) {
    assert.ok(said.includes(text), said);
  }
  assert.equal(answerKeys(bench).length, 4);
  broken = false;
  const retried = await bench.run(["--retry-failed", "--only-code", "api_error"]);
  assert.equal(retried.code, 0, retried.stderr);
  assert.equal(answerKeys(bench).length, 8);
  await assertSound(bench);
});

Deno.test("an unreadable answer is asked for again only where its code is named; once it can be read, rebuild reads it", async () => {
  let readable = false;
  const missing = drifting((body) => body.pages[0].words = "none");
  await using bench = await openBench(rows(8), ({ bytes }) => {
    const third = new TextDecoder().decode(bytes).includes("row-3");
    return third && !readable ? missing({ bytes }) : readAll({ bytes });
  });
  assert.equal((await bench.run()).code, 6);
  const paid = bench.api.billedPages;
  readable = true;
  assert.equal((await bench.run(["--retry-failed"])).code, 6);
  assert.equal(bench.api.billedPages, paid, "paid again although nobody said so");

  const key = await keyOf(bench, "row-3");
  const unread = await bench.store.read(key);
  // A parser that has learnt to read it gives what this one reads in this.
  const envelope = await stored(bench, key);
  envelope.body = pageBody(readFake(fakeImage("row-3")));
  await bench.store.write(key, new Uint8Array(gzipSync(JSON.stringify(envelope))));
  assert.equal((await bench.run(["rebuild"])).code, 0);
  assert.equal((await output(bench))[3].code, null);
  assert.equal(bench.api.billedPages, paid);

  await bench.store.write(key, unread.bytes);
  assert.equal((await bench.run(["rebuild"])).code, 6);
  const again = await bench.run(["--retry-failed", "--only-code", "invalid_answer"]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages, paid + 1);
  const { replaces } = await stored(bench, key);
  assert.match(replaces.reason, /^invalid_answer: /);
  assert.deepEqual((await bench.store.read(replaces.copy)).bytes, unread.bytes);
});

async function keyOf(bench: Bench, id: string): Promise<string> {
  for (const key of answerKeys(bench)) {
    if ((await stored(bench, key)).paid_by.row_id === id) return key;
  }
  throw new Error(`no answer was paid for ${id}`);
}

Deno.test("a key that the server echoes inside a good answer reaches no object", async () => {
  await using bench = await openBench(
    rows(4),
    drifting((body) => {
      body.echo = { authorization: `Bearer ${TEST_API_KEY}` };
      body.pages[0].words.push({
        id: 9,
        text: TEST_API_KEY,
        confidence: 0.5,
        boundingBox: { vertices: [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }] },
      });
    }),
  );
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  for (const key of answerKeys(bench)) {
    const text = JSON.stringify(await stored(bench, key));
    assert.ok(text.includes("Bearer [key]") && !text.includes(TEST_API_KEY));
  }
  for (const row of await output(bench)) assert.equal(row.texts.at(-1), "[key]");
});

Deno.test("of answers that can't be read few are paid, however fast the API may be asked", async () => {
  const arrived = Promise.withResolvers<void>();
  await using bench = await openBench(rows(60), async ({ index }) => {
    if (index === 7) arrived.resolve();
    await arrived.promise; // as many as may are on their way before the first is answered
    const body = '{"pages":[{"width":10,"height":10,"words":"none"}],"numBilledPages":1}';
    return { kind: "http", status: 200, headers: { "content-type": "application/json" }, body };
  });
  const ended = await bench.run(["--request-delay-ms", "auto", "--concurrency", "auto"]);
  assert.equal(ended.code, 5, ended.stderr);
  assert.ok(bench.api.requests <= 16, `${bench.api.requests} pages were paid`);
});
