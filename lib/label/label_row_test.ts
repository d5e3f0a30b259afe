import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { jpegHeader } from "../../dev/testing/images.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { imageFile, labelingOver } from "../../dev/testing/labeling.ts";
import { fakeImage, inputRow, readFake } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { Budget } from "../base/budget.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { Outcome } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { AnswerStore, MAX_ANSWER_BYTES } from "../state/answer_store.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { KnownPage } from "./known_page.ts";
import { Lanes } from "./lanes.ts";
import { type Labeling, labelRow, obtain } from "./label_row.ts";
import type { Obtained } from "./output_row.ts";
import { restoreRow } from "./restore_row.ts";
import { Tally } from "./tally.ts";

function answerOf(body: unknown): Outcome {
  return { kind: "answered", text: JSON.stringify(body), body };
}

const RETRYABLE: Outcome = { kind: "retryable", message: "HTTP 503" };
const PAYER = { dataset: "demo", run_id: "run" };

/** What a request is answered with. @param n Which request it is, from 0. */
type Reply = (bytes: Uint8Array<ArrayBuffer>, n: number) => Outcome | Promise<Outcome>;

function readAll(bytes: Uint8Array<ArrayBuffer>): Outcome {
  return answerOf(pageBody(readFake(bytes)));
}

/** A {@linkcode Labeling} over a store in memory, with an API that answers as `reply` says. */
class Bench {
  readonly store: MemoryStore;
  readonly clock = new VirtualClock();
  readonly tally = new Tally();
  readonly notes: string[] = [];
  readonly halt = new AbortController();
  readonly memory = new Budget(1_000);
  readonly labeling: Labeling;
  /** Hashes of the images that were asked for. */
  readonly asked: string[] = [];

  constructor(reply: Reply = readAll, store = new MemoryStore(), payer = PAYER, instead?: string) {
    this.store = store;
    const { clock, tally, halt } = this;
    this.labeling = labelingOver(store, this.notes, this.memory, {
      ...{ payer, tally, clock, halt },
      lanes: new Lanes(
        [{
          name: "the key",
          connection: {
            send: async (image) => {
              const bytes = image.bytes.slice();
              this.asked.push(createHash("sha256").update(bytes).digest("hex"));
              return await reply(bytes, this.asked.length - 1);
            },
          },
          limiter: { turn: () => Promise.resolve({ done: () => {} }) },
          rate: () => 1,
          health: new Health({
            ...{ model: "ocr", advice: "", maxOutageMs: 600_000, clock },
            note: () => {},
          }),
        }],
        () => {},
        instead === undefined
          ? undefined
          : { next: () => instead, any: () => instead, downSince: () => undefined },
      ),
    });
  }

  obtain(name: string, rowId = `row of ${name}`): Promise<Obtained> {
    return this.clock.run(obtain(imageFile(name), rowId, this.labeling));
  }
}

Deno.test("obtain() asks once and finds the stored answer from then on", async () => {
  const bench = new Bench((bytes, n) => n < 2 ? RETRYABLE : readAll(bytes));
  const first = await bench.obtain("a");
  const words = readFake(fakeImage("a")).words.map((word) => word.text);
  assert.deepEqual(first.answer?.pages[0].words.map((word) => word.text), words);
  assert.equal(first.answer?.modelVersion, "ocr-260930");
  assert.deepEqual([first.attempts, first.billedPages], [3, 1]);
  assert.deepEqual(first.at, new Date(bench.clock.now()));
  assert.deepEqual(first.paidBy, { ...PAYER, row_id: "row of a" });
  assert.deepEqual(bench.store.writes, [first.answerKey]);
  assert.equal(bench.tally.reused, 0);

  const other = { dataset: "other", run_id: "later" };
  const later = new Bench(() => assert.fail("asked again"), bench.store, other);
  await later.clock.run(later.clock.sleep(3_600_000));
  // The very same, so that a row made anew equals the row made first.
  assert.deepEqual(await later.obtain("a", "another row"), first);
  assert.equal(later.tally.reused, 1);
});

Deno.test("obtain() asks once for equal images that are in flight at one time", async () => {
  const bench = new Bench();
  const names = ["a", "a", "b", "a"];
  const results = await Promise.all(names.map((name, i) => bench.obtain(name, `row-${i}`)));
  assert.deepEqual(bench.asked.sort(), [imageFile("a").sha256, imageFile("b").sha256].sort());
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[3], results[0]);
  assert.deepEqual(results.map(({ paidBy }) => paidBy?.row_id), [
    "row-0",
    "row-0",
    "row-2",
    "row-0",
  ]);
  assert.equal(bench.tally.reused, 2);
});

Deno.test("obtain() shares a failure of equal images, and asks again for a later one", async () => {
  const bench = new Bench(() => RETRYABLE);
  const [first, second] = await Promise.all([bench.obtain("a"), bench.obtain("a")]);
  assert.deepEqual(first.failure, { code: "api_unavailable", message: "HTTP 503" });
  assert.deepEqual(second, first);
  assert.deepEqual([first.attempts, first.billedPages, first.paidBy], [4, null, null]);
  assert.deepEqual([first.answerKey, bench.store.writes], [null, []]);
  assert.deepEqual([bench.asked.length, bench.tally.reused], [4, 0]);
  await bench.obtain("a");
  assert.equal(bench.asked.length, 8);
});

Deno.test("obtain() stores the answer before anybody sees it", async () => {
  const bench = new Bench();
  const storing = Promise.withResolvers<void>();
  const stored = Promise.withResolvers<void>();
  bench.store.before = async (operation) => {
    if (operation !== "write") return;
    storing.resolve();
    await stored.promise;
  };
  let seen = false;
  const twins = [1, 2].map(() =>
    obtain(imageFile("a"), "row", bench.labeling).finally(() => seen = true)
  );
  await storing.promise;
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(seen, false);
  assert.equal(bench.labeling.unsaved.used, 1, "it holds the place of an answer to be stored");
  stored.resolve();
  const [{ answerKey }] = await Promise.all(twins);
  assert.ok(bench.store.objects.has(answerKey!));
  assert.equal(bench.labeling.unsaved.used, 0);
});

Deno.test("obtain() keeps an unreadable answer, as it was paid, and never asks for it again", async () => {
  const bench = new Bench(() => answerOf({ pages: [], numBilledPages: 2 }));
  const obtained = await bench.obtain("a");
  assert.equal(obtained.failure?.code, "invalid_answer");
  assert.match(obtained.failure.message, /^pages: /);
  assert.deepEqual([obtained.attempts, obtained.billedPages], [1, 2]);
  assert.deepEqual(bench.store.writes, [obtained.answerKey]);
  const asked = bench.asked.length;
  assert.deepEqual(await bench.obtain("a"), obtained);
  assert.deepEqual([bench.asked.length, bench.tally.reused], [asked, 0]);
});

Deno.test("obtain() asks again for a stored answer that is torn, empty or foreign, and keeps a copy", async () => {
  const whole = new Bench();
  const { answerKey } = await whole.obtain("b");
  const foreign = whole.store.objects.get(answerKey!)!;
  const bomb = new Uint8Array(gzipSync(new Uint8Array(MAX_ANSWER_BYTES + 1)));
  for (const damage of [foreign.slice(0, 50), new Uint8Array(), foreign, bomb]) {
    const bench = new Bench();
    const first = await bench.obtain("a");
    bench.store.put(first.answerKey!, damage);
    const again = await bench.obtain("a", "another row");
    assert.deepEqual(again.answer, first.answer);
    assert.deepEqual([again.paidBy?.row_id, again.answerKey], ["another row", first.answerKey]);
    assert.deepEqual([bench.asked.length, bench.tally.paidAgain, bench.tally.reused], [2, 1, 0]);
    const copies = [...bench.store.objects].filter(([key]) => key.includes("set_aside"));
    assert.equal(copies.length, 1);
    const [copy, bytes] = copies[0];
    assert.deepEqual(bytes, damage);
    assert.equal(bench.notes.length, 1);
    assert.ok(bench.notes[0].includes(first.answerKey!) && bench.notes[0].includes(copy));
    const stored = await bench.labeling.answers.find(imageFile("a").sha256);
    assert.equal(stored?.value?.replaces?.copy, copy);
    // From now on it is an answer like any other.
    assert.deepEqual(await bench.obtain("a"), again);
    assert.equal(bench.asked.length, 2);
  }
});

Deno.test("obtain() leaves a newer version's answer alone, unless the user says otherwise", async () => {
  const bench = new Bench();
  const { answerKey } = await bench.obtain("a");
  const text = gunzipSync(bench.store.objects.get(answerKey!)!).toString();
  const newer = new Uint8Array(gzipSync(text.replace("response/1", "response/2")));
  bench.store.put(answerKey!, newer);
  const left = await bench.obtain("a");
  assert.equal(left.failure?.code, "response_unreadable");
  assert.ok(left.failure.message.includes(answerKey!), left.failure.message);
  assert.deepEqual([left.attempts, left.answerKey, bench.asked.length], [0, answerKey, 1]);
  assert.deepEqual(bench.store.objects.get(answerKey!), newer);
  const labeling = { ...bench.labeling, askAgain: new Set(["response_unreadable"]) };
  const again = await bench.clock.run(obtain(imageFile("a"), "row", labeling));
  assert.ok(again.answer);
  assert.equal(bench.asked.length, 2);
});

Deno.test("obtain() asks again for an unreadable answer where its code is named, once", async () => {
  let readable = false;
  const bench = new Bench((bytes) => readable ? readAll(bytes) : answerOf({ pages: [] }));
  const first = await bench.obtain("a");
  const asked = bench.asked.length;
  const again = (codes: string[]) => {
    const labeling = {
      ...{ ...bench.labeling, askAgain: new Set(codes), askedInVain: new Set<string>() },
    };
    return { labeling, obtain: () => bench.clock.run(obtain(imageFile("a"), "row", labeling)) };
  };
  assert.deepEqual(await again(["api_rejected"]).obtain(), first);
  assert.equal(bench.asked.length, asked);
  const vain = again(["invalid_answer"]);
  assert.equal((await vain.obtain()).failure?.code, "invalid_answer");
  const then = bench.asked.length;
  assert.ok(then > asked);
  assert.equal((await vain.obtain()).failure?.code, "invalid_answer");
  assert.equal(bench.asked.length, then, "it was asked for again in the same run");
  readable = true;
  const { answer, paidBy } = await again(["invalid_answer"]).obtain();
  assert.ok(answer);
  assert.equal(paidBy?.row_id, "row");
});

Deno.test("obtain() uses the answer that another run has stored first, and counts its own as paid again", async () => {
  const other = new Bench();
  const { answerKey } = await other.obtain("a", "their row");
  const theirs = other.store.objects.get(answerKey!)!;
  const bench: Bench = new Bench((bytes) => {
    bench.store.put(answerKey!, theirs);
    return readAll(bytes);
  });
  const obtained = await bench.obtain("a", "our row");
  assert.equal(obtained.paidBy?.row_id, "their row");
  assert.deepEqual(bench.store.objects.get(answerKey!), theirs);
  assert.deepEqual([bench.tally.paidAgain, bench.notes.length], [1, 1]);
});

Deno.test("obtain() ends the run when a paid answer can't be stored", async () => {
  const bench = new Bench();
  const cause = new StoreError("denied", "403 s3://memory/x");
  bench.store.before = (operation) => {
    if (operation === "write") throw cause;
  };
  const [first, twin] = await Promise.allSettled([bench.obtain("a"), bench.obtain("a")]);
  const { reason } = bench.halt.signal;
  assert.ok(reason instanceof RunError && reason.exit === "store" && reason.cause === cause);
  assert.match(reason.message, /cannot store .*responses\/.*403/);
  for (const result of [first, twin]) {
    assert.ok(result.status === "rejected" && result.reason === reason);
  }
});

Deno.test("obtain() stores an answer that arrives while the run is being stopped", async () => {
  const bench: Bench = new Bench((bytes) => {
    bench.halt.abort(new RunError("again", "stopped"));
    return readAll(bytes);
  });
  const { answerKey } = await bench.obtain("a");
  assert.deepEqual(bench.store.writes, [answerKey]);
});

Deno.test("obtain() claims no image whose answer is stored, and asks for none that was answered before the claim was given", async () => {
  const store = new MemoryStore();
  await new Bench(readAll, store).obtain("a");
  const bench = new Bench(() => assert.fail("asked"), store);
  const labelingWith = (take: Labeling["claims"]["take"]) => ({
    ...bench.labeling,
    claims: { take },
  });
  const stored = labelingWith(() => assert.fail("claimed"));
  assert.ok((await bench.clock.run(obtain(imageFile("a"), "row", stored))).answer);
  const meanwhile = labelingWith(async (sha256, look) => {
    await new Bench(readAll, store).obtain("b", "their row");
    assert.ok(await look());
    return bench.labeling.claims.take(sha256, look); // it holds, as nobody else is at work by now
  });
  const { answer, paidBy } = await bench.clock.run(obtain(imageFile("b"), "row", meanwhile));
  assert.ok(answer);
  assert.equal(paidBy?.row_id, "their row");
});

Deno.test("obtain() asks nobody for what is to be made of stored answers alone", async () => {
  const bench = new Bench(() => assert.fail("asked"));
  const labeling = { ...bench.labeling, onlyStored: true };
  const { failure, attempts } = await bench.clock.run(obtain(imageFile("a"), "row", labeling));
  assert.deepEqual([failure?.message, attempts], ["it was not asked for", 0]);
});

Deno.test("obtain() leaves an answer alone that is another unusable one at every look", async () => {
  const bench = new Bench();
  const { answerKey } = await bench.obtain("a");
  let reads = 0;
  bench.store.before = (operation, key) => {
    if (operation !== "read" || key !== answerKey) return;
    assert.ok(++reads < 30, "looked at without end");
    bench.store.put(answerKey!, `damage ${reads}`);
  };
  const { failure } = await bench.obtain("a");
  assert.equal(failure?.code, "response_unreadable");
  assert.match(failure.message, /another one at every look/);
  assert.equal(bench.asked.length, 1);
});

Deno.test("a stored answer shows that the model works, and what page to ask for to see it", async () => {
  const store = new MemoryStore();
  await new Bench(readAll, store).obtain("a");
  const known = () =>
    new KnownPage({ async *rows() {}, images: {}, engine: upstageOcr, note: () => {} });
  const bench = new Bench(undefined, store);
  const labeling = { ...bench.labeling, known: known() };
  await bench.clock.run(obtain(imageFile("a"), "row", labeling));
  const page = await labeling.known.find(bench.halt.signal);
  assert.equal(page?.sha256, imageFile("a").sha256);
  const { health } = bench.labeling.lanes.open[0];
  for (let n = 0; n < 6; n++) {
    const pass = { probes: undefined };
    health.begin(pass);
    assert.equal(health.judge({ kind: "rejected", message: "no" }, `page ${n}`, pass), undefined);
  }
  // A file of two pages costs two each time.
  const two = new Bench((bytes) => answerOf({ ...pageBody(readFake(bytes)), numBilledPages: 2 }));
  await two.obtain("a");
  const later = { ...two.labeling, known: known() };
  await two.clock.run(obtain(imageFile("a"), "row", later));
  assert.equal(await later.known.find(two.halt.signal), undefined);
});

Deno.test("whether answers can be read is judged before they are used, paid ones apart from stored ones; what ends an engine ends no run that has another", async () => {
  for (const stored of [false, true]) {
    for (const instead of [undefined, "the other"]) {
      const store = new MemoryStore();
      if (stored) await new Bench(readAll, store).obtain("a");
      const bench = new Bench(readAll, store, PAYER, instead);
      const judged: unknown[] = [];
      const ending = new RunError("api", "they can't be read");
      const readableGuard = {
        async judge(read: { problem?: string }, key: string, paid: boolean) {
          judged.push([read.problem, key, paid]);
          await bench.clock.sleep(1_000);
          throw ending;
        },
      };
      const labeling = { ...bench.labeling, readableGuard };
      const obtaining = bench.clock.run(obtain(imageFile("a"), "row", labeling));
      const [end] = await Promise.allSettled([obtaining]);
      const key = labeling.answers.key(imageFile("a").sha256);
      assert.deepEqual(judged, [[undefined, key, !stored]]);
      if (instead) {
        assert.ok(end.status === "fulfilled" && end.value.answer);
        assert.equal(labeling.lanes.open.length, 0, "it is asked for more");
      } else assert.ok(end.status === "rejected" && end.reason === ending);
      assert.ok(store.objects.has(key), "it is paid for");
    }
  }
  // What is no finding about answers is nobody's end but the run's.
  const bench = new Bench(readAll, undefined, PAYER, "the other");
  const stop = new Error("stopped");
  const readableGuard = { judge: () => Promise.reject(stop) };
  const obtaining = obtain(imageFile("a"), "row", { ...bench.labeling, readableGuard });
  await assert.rejects(bench.clock.run(obtaining), (error) => error === stop);
  assert.equal(bench.labeling.lanes.open.length, 1);
});

Deno.test("a long answer, which is packed while it is stored, is read like any other, as text and off its bytes", async () => {
  const words = Array.from({ length: 3_000 }, (_, n) => {
    return { text: `word ${n}`, confidence: 0.5, vertices: CORNERS };
  });
  const text = JSON.stringify(pageBody({ ...readFake(fakeImage("a")), words }));
  const utf8 = new TextEncoder().encode(text);
  assert.ok(text.length > 1 << 18);
  const whole = { kind: "answered", text, body: JSON.parse(text) } as const;
  const replies: (() => Outcome)[] = [
    () => ({ ...whole }),
    () => ({ ...whole, utf8: utf8.slice() }),
    () => ({ kind: "answered", utf8: utf8.slice(), body: upstageOcr.scan!(utf8)! }),
  ];
  for (const reply of replies) {
    const bench = new Bench(reply);
    const first = await bench.obtain("a");
    const read = first.answer!.pages[0].words;
    assert.deepEqual(read.map((word) => word.text), words.map((word) => word.text));
    assert.deepEqual((await bench.obtain("a")).answer!.pages[0].words, read);
    assert.equal(bench.asked.length, 1);
  }
});

Deno.test("obtain() asks nothing when stored answers can't be read for sure", async () => {
  const bench = new Bench();
  bench.store.before = (operation) => {
    if (operation === "read") throw new StoreError("unavailable", "503");
  };
  await assert.rejects(bench.obtain("a"), { name: "StoreError", kind: "unavailable" });
  const halted = new Bench();
  const stop = new RunError("again", "stopped");
  halted.halt.abort(stop);
  await assert.rejects(halted.obtain("a"), (error) => error === stop);
  assert.deepEqual([bench.asked, halted.asked], [[], []]);
});

Deno.test("obtain() passes on what ends the run, and then keeps nothing under way", async () => {
  const bench = new Bench(() => ({ kind: "refused", message: "HTTP 401" }));
  await assert.rejects(bench.obtain("a"), (error: RunError) => error.exit === "api");
  assert.equal(bench.labeling.underWay.size, 0);
  assert.equal(bench.labeling.unsaved.used, 0);
});

Deno.test("labelRow() holds the image while its answer is under way, and no longer", async () => {
  const bytes = fakeImage("x", 300);
  const bench: Bench = new Bench((asked) => {
    assert.deepEqual(asked, bytes);
    assert.equal(bench.memory.used, 300);
    return readAll(asked);
  });
  bench.store.put("images/0.png", bytes.slice());
  const { output, paidBy } = await labelRow(inputRow(0), bench.labeling);
  assert.deepEqual(output.texts, readFake(bytes).words.map((word) => word.text));
  assert.deepEqual(paidBy, { ...PAYER, row_id: "row-0" });
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  assert.deepEqual([output.metadata.image_sha256, output.metadata.image_bytes], [sha256, 300]);
  assert.equal(bench.memory.used, 0);

  const ends = new Bench(() => ({ kind: "refused", message: "HTTP 401" }));
  ends.store.put("images/0.png", bytes.slice());
  await assert.rejects(labelRow(inputRow(0), ends.labeling), /refuses this run/);
  assert.equal(ends.memory.used, 0);
});

Deno.test("a row says how its picture was read, the same of a new answer, a stored one and one that an earlier version stored", async () => {
  const words = [{ text: "a", confidence: 1, vertices: CORNERS }];
  const read = { ...readFake(fakeImage("a")), width: 30, height: 40, words };
  for (const [orientation, frame] of [[6, "upright"], [3, "unknown"], [1, "upright"]] as const) {
    const [width, height] = orientation === 6 ? [40, 30] : [30, 40];
    const bench = new Bench(() => answerOf(pageBody(read)));
    await bench.store.write("images/0.png", jpegHeader(width, height, { orientation }));
    const label = async () => (await labelRow(inputRow(0), bench.labeling)).output;
    const first = await label();
    assert.deepEqual([first.metadata.frame, first.metadata.image_orientation], [
      frame,
      orientation,
    ]);
    assert.deepEqual(await label(), first);
    const key = first.metadata.response_key!;
    const { bytes } = await bench.store.read(key);
    const { picture, ...earlier } = JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
    assert.deepEqual(picture, { width, height, orientation });
    await bench.store.write(key, new Uint8Array(gzipSync(JSON.stringify(earlier))));
    assert.deepEqual(await label(), first);
    const { engine, answers, halt } = bench.labeling;
    const restored = await restoreRow(inputRow(0), first, [{ engine, answers }], halt.signal);
    assert.deepEqual("output" in restored && restored.output, first);
    assert.equal(bench.asked.length, 1);
  }
});

const CORNERS = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }];

Deno.test("labelRow() asks nobody for an image that can't be had", async () => {
  const bench = new Bench(() => assert.fail("asked"));
  const { output, paidBy } = await labelRow(inputRow(0), bench.labeling);
  assert.deepEqual([output.metadata.error_code, paidBy], ["image_not_found", null]);
});

/** Four rows at once of an engine that is down at first, while the other one rejects everything. */
async function labelWhileDown(reply: Reply) {
  const bench = new Bench(reply, undefined, undefined, "the other");
  const { clock, tally } = bench;
  const other = new Bench(() => ({ kind: "rejected", message: "HTTP 422" }), bench.store);
  const answers = new AnswerStore(bench.store, "upstage-ocr", "other");
  const fallback = { ...other.labeling, clock, tally, model: "other", answers };
  const rows = [0, 1, 2, 3].map((index) => inputRow(index));
  for (const row of rows) await bench.store.write(row.image_path, fakeImage(row.id));
  const asked = [bench.labeling, fallback];
  const labeling = { ...bench.labeling, fallbacks: [fallback], asked, maxOutageMs: 600_000 };
  const labelled = await clock.run(Promise.all(rows.map((row) => labelRow(row, labeling))));
  assert.equal(new Set(other.asked).size, other.asked.length, "rejected once is enough");
  return labelled.map(({ output: { metadata } }) => metadata);
}

Deno.test("labelRow() waits for an engine that is down where the others read nothing", async () => {
  const found = await labelWhileDown((bytes, n) => n < 6 ? RETRYABLE : readAll(bytes));
  for (const { status, error_message, response_key } of found) {
    assert.notEqual(status, "failed", error_message!);
    assert.match(response_key!, /upstage-ocr\/ocr\//);
  }
});

Deno.test("labelRow() waits only as long as the run has patience: then the page has failed", async () => {
  for (const { error_code, error_message } of await labelWhileDown(() => RETRYABLE)) {
    assert.equal(error_code, "api_unavailable");
    assert.match(error_message!, /fails on every page.*HTTP 422/);
  }
});

/** What an engine makes of a page. */
const MAKES = {
  words: readAll,
  nothing: (bytes: Uint8Array<ArrayBuffer>) =>
    answerOf(pageBody({ ...readFake(bytes), words: [], text: "" })),
  nonsense: () => answerOf({ pages: [], numBilledPages: 1 }),
  rejection: (_: Uint8Array<ArrayBuffer>, n: number): Outcome => {
    return { kind: "rejected", message: `no ${n}` };
  },
};
type Made = keyof typeof MAKES;

/** Engines `ocr`, `m1`, … that are asked one after another, over one store, for the first row. */
class Several {
  readonly store = new MemoryStore();
  readonly benches: Bench[];
  readonly labeling: Labeling;

  constructor(made: readonly Made[], given: Partial<Labeling> = {}) {
    this.store.put("images/0.png", fakeImage("a"));
    this.benches = made.map((of) => new Bench(MAKES[of], this.store));
    const [own, ...others] = this.benches.map(({ labeling }, n): Labeling => {
      const model = n === 0 ? "ocr" : `m${n}`;
      const answers = new AnswerStore(this.store, "upstage-ocr", model);
      const { clock, tally, halt } = this.benches[0];
      return { ...labeling, ...{ clock, tally, halt, model, answers } };
    });
    this.labeling = { ...own, fallbacks: others, asked: [own, ...others], ...given };
  }

  label() {
    return this.benches[0].clock.run(labelRow(inputRow(0), this.labeling));
  }

  /** Which engines were asked, from 0. */
  get asked(): number[] {
    return this.benches.flatMap(({ asked }, n) => asked.map(() => n));
  }
}

const some = fc.constantFrom(...Object.keys(MAKES) as Made[]);

Deno.test("a row is the first engine's that finds words, else the first's that reads it, else says why each did not; none is asked needlessly, and what the others cost is known", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(some, { minLength: 1, maxLength: 3 }), async (made) => {
      const several = new Several(made);
      const { output: { metadata }, paidBy, others } = await several.label();
      const withWords = made.indexOf("words");
      const asked = withWords < 0 ? made : made.slice(0, withWords + 1);
      assert.deepEqual(several.asked, asked.map((_, n) => n));
      const by = withWords < 0 ? made.indexOf("nothing") : withWords;
      const first = made[0] === "nonsense" ? 0 : by;
      const shown = by < 0 ? first : by;
      const key = shown < 0
        ? null
        : several.labeling.asked![shown].answers.key(metadata.image_sha256!);
      assert.equal(metadata.response_key, key);
      assert.equal(metadata.status, by < 0 ? "failed" : made[by] === "words" ? "ok" : "empty");
      const paid = asked.flatMap((of, n) => of === "rejection" || n === shown ? [] : [n]);
      assert.deepEqual(
        (others ?? []).map(({ model }) => model),
        paid.map((n) => n ? `m${n}` : "ocr"),
      );
      assert.equal(paidBy === null, shown < 0);
      if (by >= 0) return;
      const message = metadata.error_message!;
      const parts = message.split("; upstage-ocr: ").length;
      assert.equal(parts, made[0] === "nonsense" ? 1 : made.length, message);
    }),
    { numRuns: 60, examples: [[["rejection", "nothing", "words"]]] },
  );
});

Deno.test("a row for which this run has paid another engine before stays that engine's, and nothing else does", async () => {
  const own = { ...PAYER, row_id: "row-0" };
  const table: [Made, typeof own, boolean, boolean][] = [
    ["words", own, true, true],
    ["words", own, false, false],
    ["words", { ...own, run_id: "another" }, true, false],
    ["words", { ...own, dataset: "another" }, true, false],
    ["words", { ...own, row_id: "another" }, true, false],
    ["nothing", own, true, false],
  ];
  for (const [found, { row_id, ...payer }, resumed, stays] of table) {
    const several = new Several(["words", found], { resumed });
    const earlier = { ...several.labeling.fallbacks![0], payer };
    const { clock } = several.benches[0];
    await clock.run(obtain(imageFile("a"), row_id, earlier));
    const { output, others } = await several.label();
    const told = JSON.stringify([found, row_id, payer, resumed]);
    assert.deepEqual(several.asked, stays ? [1] : [0, 1], told);
    assert.match(output.metadata.response_key!, stays ? /\/m1\// : /\/ocr\//, told);
    assert.equal(several.labeling.tally.reused, stays ? 1 : 0);
    // What it has paid for in vain is known all the same, where it may have paid for anything.
    const paid = resumed && !stays && payer.run_id === PAYER.run_id && payer.dataset === "demo";
    assert.equal(others!.length, paid && row_id === "row-0" ? 1 : 0, told);
  }
});

Deno.test("of several engines that may have been paid before for a row it is the one that was paid for it and has read words", async () => {
  const own = { ...PAYER, row_id: "row-0" };
  const elses = { ...own, run_id: "another" };
  for (const [made, payer] of [["words", elses], ["nothing", own]] as const) {
    const several = new Several(["words", made, "words"], { resumed: true });
    const { clock } = several.benches[0];
    for (const [n, { row_id, ...payee }] of [payer, own].entries()) {
      const earlier = { ...several.labeling.fallbacks![n], payer: payee };
      await clock.run(obtain(imageFile("a"), row_id, earlier));
    }
    const { output } = await several.label();
    assert.match(output.metadata.response_key!, /\/m2\//);
    assert.deepEqual(several.asked, [1, 2]);
  }
});

Deno.test("an image that can't be had is a failed row, however many engines there are", async () => {
  const several = new Several(["words", "words"]);
  several.store.objects.delete("images/0.png");
  const { output } = await several.label();
  assert.deepEqual([output.metadata.error_code, several.asked], ["image_not_found", []]);
});

Deno.test("a row that its own engine has read costs no look for others' answers, in a run that has just begun", async () => {
  const several = new Several(["words", "words"]);
  const reads: string[] = [];
  several.store.before = (operation, key) => {
    if (operation === "read") reads.push(key);
  };
  await several.label();
  assert.ok(!reads.some((key) => key.includes("/m1/")), reads.join());
});
