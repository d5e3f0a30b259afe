import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { Answers, type Obtained } from "./obtain.ts";
import type { Answered, Asker, Ending } from "./ask.ts";
import type { ImageFile } from "../engine/engine.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { Tally } from "./tally.ts";

function image(name: string): ImageFile {
  const bytes = fakeImage(name);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes, sha256, mediaType: { type: "image/png", extension: "png" } };
}

function answerFor({ bytes }: ImageFile): Answered {
  return answerOf(pageBody(readFake(bytes)));
}

function answerOf(body: unknown): Answered {
  return { kind: "answered", text: JSON.stringify(body), body, read: upstageOcr.parse(body) };
}

const PAYER = { dataset: "demo", run_id: "run" };

/** {@linkcode Answers} over a store in memory, with an asker that does as `ask` says. */
class Bench {
  readonly store: MemoryStore;
  readonly clock = new VirtualClock();
  readonly tally = new Tally();
  readonly halt = new AbortController();
  readonly answers: Answers;
  /** Hashes of the images that were asked for. */
  readonly asked: string[] = [];

  constructor(
    ask: (image: ImageFile, ending: Ending<unknown>) => unknown = (image, ending) =>
      ending.answered(answerFor(image), 1),
    store = new MemoryStore(),
    payer = PAYER,
  ) {
    this.store = store;
    const { clock, tally, halt } = this;
    const asker: Pick<Asker, "ask"> = {
      ask: async <T>(image: ImageFile, ending: Ending<T>) => {
        this.asked.push(image.sha256);
        await Promise.resolve();
        return await ask(image, ending as Ending<unknown>) as T;
      },
    };
    const responses = new AnswerStore(store, "upstage-ocr", "ocr");
    this.answers = new Answers({
      engine: upstageOcr,
      asker,
      responses,
      payer,
      tally,
      clock,
      halt,
    });
  }

  obtain(name: string, rowId = `row of ${name}`): Promise<Obtained> {
    return this.answers.obtain(image(name), rowId);
  }
}

Deno.test("Answers.obtain() asks once and finds the stored answer from then on", async () => {
  const bench = new Bench((image, ending) => ending.answered(answerFor(image), 3));
  const first = await bench.obtain("a");
  const words = readFake(fakeImage("a")).words.map((word) => word.text);
  assert.deepEqual(first.answer?.pages[0].words.map((word) => word.text), words);
  assert.equal(first.answer?.modelVersion, "ocr-260930");
  assert.deepEqual([first.attempts, first.billedPages], [3, 1]);
  assert.deepEqual(first.at, new Date(bench.clock.now()));
  assert.deepEqual(first.paidBy, { ...PAYER, row_id: "row of a" });
  assert.deepEqual(bench.store.writes, [first.responseKey]);
  assert.equal(bench.tally.reused, 0);

  const other = { dataset: "other", run_id: "later" };
  const later = new Bench(() => assert.fail("asked again"), bench.store, other);
  await later.clock.run(later.clock.sleep(3_600_000));
  // The very same, so that a row made anew equals the row made first.
  assert.deepEqual(await later.obtain("a", "another row"), first);
  assert.equal(later.tally.reused, 1);
});

Deno.test("Answers.obtain() asks once for equal images that are in flight at one time", async () => {
  const bench = new Bench();
  const names = ["a", "a", "b", "a"];
  const results = await Promise.all(names.map((name, i) => bench.obtain(name, `row-${i}`)));
  assert.deepEqual(bench.asked, [image("a").sha256, image("b").sha256]);
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

Deno.test("Answers.obtain() shares a failure of equal images, and asks again for a later one", async () => {
  const bench = new Bench((_image, ending) => ending.failed("api_unavailable", "HTTP 503", 4));
  const [first, second] = await Promise.all([bench.obtain("a"), bench.obtain("a")]);
  assert.deepEqual(first.failure, { code: "api_unavailable", message: "HTTP 503" });
  assert.deepEqual(second, first);
  assert.deepEqual([first.attempts, first.billedPages, first.paidBy], [4, null, null]);
  assert.deepEqual([first.responseKey, bench.store.writes], [null, []]);
  assert.deepEqual([bench.asked.length, bench.tally.reused], [1, 0]);
  await bench.obtain("a");
  assert.equal(bench.asked.length, 2);
});

Deno.test("Answers.obtain() stores the answer before anybody sees it", async () => {
  const bench = new Bench();
  const storing = Promise.withResolvers<void>();
  const stored = Promise.withResolvers<void>();
  bench.store.before = async (operation) => {
    if (operation !== "write") return;
    storing.resolve();
    await stored.promise;
  };
  let seen = false;
  const twins = [1, 2].map(() => bench.obtain("a").finally(() => seen = true));
  await storing.promise;
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(seen, false);
  stored.resolve();
  const [{ responseKey }] = await Promise.all(twins);
  assert.ok(bench.store.objects.has(responseKey!));
});

Deno.test("Answers.obtain() keeps an unreadable answer, as it was paid, and never asks for it again", async () => {
  const unreadable = answerOf({ pages: [], numBilledPages: 2 });
  const bench = new Bench((_image, ending) => ending.answered(unreadable, 2));
  const obtained = await bench.obtain("a");
  assert.equal(obtained.failure?.code, "invalid_answer");
  assert.match(obtained.failure.message, /^pages: /);
  assert.deepEqual([obtained.attempts, obtained.billedPages], [2, 2]);
  assert.deepEqual(bench.store.writes, [obtained.responseKey]);
  assert.deepEqual(await bench.obtain("a"), obtained);
  assert.deepEqual([bench.asked.length, bench.tally.reused], [1, 0]);
});

Deno.test("Answers.obtain() fails a page whose stored answer is damaged, without paying again", async () => {
  const bench = new Bench();
  const { responseKey } = await bench.obtain("a");
  bench.store.put(responseKey!, "damaged");
  const damaged = await bench.obtain("a");
  assert.equal(damaged.failure?.code, "response_unreadable");
  assert.ok(damaged.failure.message.includes(responseKey!), damaged.failure.message);
  assert.deepEqual([damaged.attempts, damaged.responseKey, bench.asked.length], [
    0,
    responseKey,
    1,
  ]);
});

Deno.test("Answers.obtain() ends the run when a paid answer can't be stored", async () => {
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

Deno.test("Answers.obtain() stores an answer that arrives while the run is being stopped", async () => {
  const bench: Bench = new Bench((image, ending) => {
    bench.halt.abort(new RunError("again", "stopped"));
    return ending.answered(answerFor(image), 1);
  });
  const { responseKey } = await bench.obtain("a");
  assert.deepEqual(bench.store.writes, [responseKey]);
});

Deno.test("Answers.obtain() asks nothing when stored answers can't be read for sure", async () => {
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

Deno.test("Answers.obtain() passes on what ends the run, and then keeps nothing under way", async () => {
  const refused = new RunError("api", "HTTP 401");
  const bench: Bench = new Bench((image, ending) => {
    if (bench.asked.length === 1) throw refused;
    return ending.answered(answerFor(image), 1);
  });
  await assert.rejects(bench.obtain("a"), (error) => error === refused);
  assert.ok((await bench.obtain("a")).answer);
});
