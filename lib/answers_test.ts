import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { fakeImage, readFake } from "../dev/fixtures.ts";
import { MemoryStore } from "../dev/memory_store.ts";
import { pageBody } from "../dev/upstage_server_answer.ts";
import { VirtualClock } from "../dev/virtual_clock.ts";
import { Answers, type Obtained } from "./answers.ts";
import type { Outcome } from "./api_client.ts";
import { Budget } from "./budget.ts";
import type { ImageFile } from "./engine.ts";
import { upstageOcr } from "./engine_upstage_ocr.ts";
import { RunError, StoreError } from "./errors.ts";
import { Pacer } from "./pacer.ts";
import { ResponseStore } from "./responses.ts";
import { Tally } from "./tally.ts";

function image(name: string): ImageFile {
  const bytes = fakeImage(name);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes, sha256, mediaType: { type: "image/png", extension: "png" } };
}

function images(n: number): ImageFile[] {
  return Array.from({ length: n }, (_, i) => image(`page ${i}`));
}

/** What the API answers for an image that all goes well for. */
function answered({ bytes }: { bytes: Uint8Array<ArrayBuffer> }): Outcome {
  const body = pageBody(readFake(bytes));
  return { kind: "answered", text: JSON.stringify(body), body };
}

const UNREADABLE: Outcome = { kind: "answered", text: '{"pages":[]}', body: { pages: [] } };
const RETRYABLE: Outcome = { kind: "retryable", message: "HTTP 503" };
const REJECTED: Outcome = { kind: "rejected", message: "HTTP 422" };
const REFUSED: Outcome = { kind: "refused", message: "HTTP 401" };

interface Request {
  /** Which request this is, from 0. */
  readonly index: number;
  /** When it started, milliseconds after the bench was made. */
  readonly time: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly model: unknown;
  /** Gives the request up. */
  readonly signal: AbortSignal;
}

/** Everything around {@linkcode Answers}, with an API that answers as `reply` says. */
class Bench {
  readonly clock = new VirtualClock();
  readonly begin = this.clock.now();
  readonly store: MemoryStore;
  readonly tally = new Tally();
  readonly halt = new AbortController();
  readonly giveUp = new AbortController();
  readonly requests: Request[] = [];
  inFlight = 0;
  maxInFlight = 0;
  readonly #reply: (request: Request) => Outcome | Promise<Outcome>;
  readonly answers: Answers;

  constructor(
    reply: (request: Request) => Outcome | Promise<Outcome>,
    { maxRetries = 3, slots = 3, spacingMs = 0, store = new MemoryStore() } = {},
  ) {
    this.#reply = reply;
    this.store = store;
    const { clock, tally, halt, giveUp } = this;
    this.answers = new Answers({
      engine: upstageOcr,
      model: "ocr",
      api: { post: (_path, form, signal) => this.#post(form, signal) },
      responses: new ResponseStore(store, "upstage-ocr", "ocr"),
      pacer: new Pacer(clock, spacingMs),
      slots: new Budget(slots),
      maxRetries,
      tally,
      clock,
      random: () => 0.5,
      halt,
      giveUp: giveUp.signal,
    });
  }

  async #post(form: FormData, signal: AbortSignal): Promise<Outcome> {
    const index = this.requests.length;
    const time = this.clock.now() - this.begin;
    const request = { index, time, bytes: new Uint8Array(), model: form.get("model"), signal };
    this.requests.push(request);
    this.maxInFlight = Math.max(this.maxInFlight, ++this.inFlight);
    try {
      const document = form.get("document") as File;
      request.bytes = new Uint8Array(await document.arrayBuffer());
      return await this.#reply(request);
    } finally {
      this.inFlight--;
    }
  }

  obtain(image: ImageFile): Promise<Obtained> {
    return this.clock.run(this.answers.obtain(image));
  }

  /** All at once; the results in order. */
  obtainAll(images: ImageFile[]): Promise<PromiseSettledResult<Obtained>[]> {
    return this.clock.run(Promise.allSettled(images.map((image) => this.answers.obtain(image))));
  }
}

async function failure(work: Promise<unknown>): Promise<RunError> {
  const error = await work.then(() => undefined, (error) => error);
  assert.ok(error instanceof RunError, `expected a RunError, got ${error}`);
  return error;
}

Deno.test("Answers.obtain() asks once and finds the stored answer from then on", async () => {
  const bench: Bench = new Bench(answered);
  const first = await bench.obtain(image("a"));
  const words = readFake(fakeImage("a")).words.map((word) => word.text);
  assert.deepEqual(first.answer?.pages[0].words.map((word) => word.text), words);
  assert.equal(first.answer?.modelVersion, "ocr-260930");
  assert.equal(first.attempts, 1);
  assert.deepEqual(bench.store.writes, [first.responseKey]);
  assert.deepEqual([bench.requests[0].model, bench.requests[0].bytes], ["ocr", fakeImage("a")]);
  assert.deepEqual([bench.tally.billedPages, bench.tally.reused], [1, 0]);

  const later = new Bench(() => assert.fail("asked again"), { store: bench.store });
  await later.clock.run(later.clock.sleep(3_600_000));
  // The very same, so that a row made anew equals the row made first.
  assert.deepEqual(await later.obtain(image("a")), first);
  assert.deepEqual([later.tally.billedPages, later.tally.reused], [0, 1]);
});

Deno.test("Answers.obtain() asks once for equal images that are in flight at one time", async () => {
  const bench: Bench = new Bench(answered);
  const results = await bench.obtainAll([image("a"), image("a"), image("b"), image("a")]);
  assert.equal(bench.requests.length, 2);
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[3], results[0]);
  assert.notDeepEqual(results[2], results[0]);
  assert.deepEqual([bench.tally.billedPages, bench.tally.reused], [2, 2]);
});

Deno.test("Answers.obtain() stores the answer before anybody sees it", async () => {
  const bench: Bench = new Bench(answered);
  const storing = Promise.withResolvers<void>();
  const stored = Promise.withResolvers<void>();
  bench.store.before = async (operation) => {
    if (operation !== "write") return;
    storing.resolve();
    await stored.promise;
  };
  let seen = false;
  const twins = [image("a"), image("a")].map((twin) =>
    bench.answers.obtain(twin).finally(() => seen = true)
  );
  await storing.promise;
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(seen, false);
  stored.resolve();
  const [{ responseKey }] = await Promise.all(twins);
  assert.ok(bench.store.objects.has(responseKey!));
});

Deno.test("Answers.obtain() tries a page 1 + maxRetries times, with growing pauses", async () => {
  for (const maxRetries of [0, 1, 4]) {
    const bench: Bench = new Bench(() => RETRYABLE, { maxRetries });
    const { failure, attempts, responseKey }: Obtained = await bench.obtain(image("a"));
    assert.deepEqual(failure, { code: "api_unavailable", message: "HTTP 503" });
    assert.deepEqual([attempts, bench.requests.length], [maxRetries + 1, maxRetries + 1]);
    assert.equal(responseKey, null);
    assert.deepEqual(bench.store.writes, []);
    // Half of 1, 2, 4, 8 s, as `random` says 0.5.
    const starts = [0, 500, 1_500, 3_500, 7_500].slice(0, maxRetries + 1);
    assert.deepEqual(bench.requests.map((request) => request.time), starts);
    assert.equal(bench.tally.retries, maxRetries);
    assert.equal(bench.tally.finishedByAttempt[maxRetries + 1], 1);
  }
});

Deno.test("Answers.obtain() counts the attempts that an answer took and keeps the number", async () => {
  const bench: Bench = new Bench((request) => request.index < 2 ? RETRYABLE : answered(request));
  const { answer, attempts } = await bench.obtain(image("a"));
  assert.ok(answer);
  assert.equal(attempts, 3);
  assert.equal((await bench.obtain(image("a"))).attempts, 3);
  assert.equal(bench.requests.length, 3);
});

Deno.test("Answers.obtain() fails a rejected page at once and asks for others", async () => {
  const bench: Bench = new Bench((request) => request.index === 0 ? REJECTED : answered(request));
  const { failure, attempts } = await bench.obtain(image("a"));
  assert.deepEqual(failure, { code: "api_rejected", message: "HTTP 422" });
  assert.equal(attempts, 1);
  assert.ok((await bench.obtain(image("b"))).answer);
});

Deno.test("Answers.obtain() never uses up attempts by being throttled, which holds back everybody", async () => {
  const bench: Bench = new Bench((request) => {
    if (request.time >= 60_000) return answered(request);
    const until = bench.clock.now() + 5_000;
    return { kind: "throttled", until, message: "HTTP 429" };
  }, { maxRetries: 0, slots: 2 });
  const results = await bench.obtainAll(images(6));
  for (const result of results) {
    assert.ok(result.status === "fulfilled" && result.value.answer);
    assert.equal(result.value.attempts, 1);
  }
  const { requests, tally } = bench;
  assert.equal(tally.throttled, requests.length - 6);
  assert.deepEqual([tally.requests, tally.retries], [requests.length, 0]);
  // Nobody starts between a 429 and the time it named: the two slots ask at 0, 5, 10, … s.
  const starts = new Set(requests.map(({ time }) => time));
  assert.deepEqual([...starts], Array.from({ length: 13 }, (_, i) => i * 5_000));
  assert.ok(requests.length <= 2 * 12 + 6);
});

Deno.test("Answers.obtain() ends the run after ten minutes of nothing but 429, to be run again", async () => {
  const bench: Bench = new Bench(() => {
    return { kind: "throttled", until: bench.clock.now() + 1_000, message: "HTTP 429" };
  });
  const error = await failure(bench.obtain(image("a")));
  assert.equal(error.exit, "again");
  assert.match(error.message, /10 minutes .*HTTP 429/);
  assert.equal(bench.clock.now() - bench.begin, 600_000);
  assert.equal(bench.halt.signal.reason, error);
});

Deno.test("Answers.obtain() takes one answer in ten minutes of 429 for a sign of life", async () => {
  const bench: Bench = new Bench((request) => {
    if (request.index % 500 === 499) return answered(request);
    return { kind: "throttled", until: bench.clock.now() + 1_000, message: "HTTP 429" };
  }, { slots: 1 });
  const results = await bench.obtainAll(images(3));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
  assert.ok(bench.clock.now() - bench.begin > 2 * 600_000);
});

Deno.test("Answers.obtain() asks once more for an unreadable answer, then keeps it as it is", async () => {
  const bench: Bench = new Bench(() => UNREADABLE);
  const obtained = await bench.obtain(image("a"));
  assert.equal(obtained.failure?.code, "invalid_answer");
  assert.match(obtained.failure!.message, /^pages: /);
  assert.deepEqual([bench.requests.length, obtained.attempts], [2, 2]);
  assert.deepEqual(bench.store.writes, [obtained.responseKey]);
  // Found again, it is neither paid for anew nor counted as of use.
  assert.deepEqual(await bench.obtain(image("a")), obtained);
  assert.deepEqual([bench.requests.length, bench.tally.reused], [2, 0]);

  const patient = new Bench((request) => request.index === 0 ? UNREADABLE : answered(request));
  assert.ok((await patient.obtain(image("a"))).answer);
  const hasty = new Bench(() => UNREADABLE, { maxRetries: 0 });
  assert.equal((await hasty.obtain(image("a"))).failure?.code, "invalid_answer");
  assert.deepEqual([hasty.requests.length, hasty.store.writes.length], [1, 1]);
});

Deno.test("Answers.obtain() fails a page whose stored answer is damaged, without paying again", async () => {
  const bench: Bench = new Bench(answered);
  const { responseKey } = await bench.obtain(image("a"));
  bench.store.put(responseKey!, "damaged");
  const { failure, attempts, ...rest } = await bench.obtain(image("a"));
  assert.equal(failure?.code, "response_unreadable");
  assert.ok(failure.message.includes(responseKey!), failure.message);
  assert.deepEqual([attempts, rest.responseKey, bench.requests.length], [0, responseKey, 1]);
});

Deno.test("Answers.obtain() ends the run at a refusal: no further request starts", async () => {
  const bench: Bench = new Bench((request) => request.index === 2 ? REFUSED : answered(request), {
    slots: 1,
  });
  const results = await bench.obtainAll(images(20));
  assert.equal(bench.requests.length, 3);
  const errors = results.filter((result) => result.status === "rejected");
  assert.equal(errors.length, 18);
  for (const { reason } of errors) assert.equal(reason, bench.halt.signal.reason);
  const error = bench.halt.signal.reason;
  assert.ok(error instanceof RunError && error.exit === "api");
  assert.match(error.message, /HTTP 401/);
  assert.equal(bench.store.writes.length, 2);
});

Deno.test("Answers.obtain() lets requests in flight end when the run does, and stores their answers", async () => {
  const release = Promise.withResolvers<void>();
  const bench: Bench = new Bench(async (request) => {
    if (request.index === 0) return await release.promise.then(() => answered(request));
    queueMicrotask(release.resolve);
    return REFUSED;
  }, { slots: 2 });
  const results = await bench.obtainAll(images(4));
  assert.deepEqual(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "rejected",
    "rejected",
  ]);
  assert.equal(bench.store.writes.length, 1);
  assert.equal(bench.requests[0].signal, bench.giveUp.signal);
});

Deno.test("Answers.obtain() takes five pages rejected alike before any answer for a wrong request", async () => {
  const wrong = new Bench(() => REJECTED, { slots: 1 });
  const results = await wrong.obtainAll(images(9));
  assert.equal(wrong.requests.length, 5);
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 4);
  assert.equal(wrong.halt.signal.reason.exit, "api");
  assert.match(wrong.halt.signal.reason.message, /--model ocr/);

  const differently = new Bench(({ index }) => ({ kind: "rejected", message: `page ${index}` }));
  const mixed = new Bench((request) => request.index === 3 ? answered(request) : REJECTED);
  for (const bench of [differently, mixed]) {
    for (const one of images(12)) await bench.obtain(one);
    assert.equal(bench.halt.signal.aborted, false);
  }
});

Deno.test("Answers.obtain() ends the run when a paid answer can't be stored", async () => {
  const bench: Bench = new Bench(answered, { slots: 2 });
  bench.store.before = (operation) => {
    if (operation === "write") throw new StoreError("denied", "403 s3://memory/x");
  };
  const results = await bench.obtainAll(images(30));
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.equal(bench.halt.signal.reason.exit, "store");
  assert.match(bench.halt.signal.reason.message, /cannot store .*responses\/.*403/);
  assert.ok(bench.requests.length <= 4, `${bench.requests.length} answers were paid for nothing`);
});

Deno.test("Answers.obtain() passes on that stored answers can't be read, and asks nothing", async () => {
  const bench: Bench = new Bench(answered);
  bench.store.before = (operation) => {
    if (operation === "read") throw new StoreError("unavailable", "503");
  };
  await assert.rejects(bench.obtain(image("a")), { name: "StoreError", kind: "unavailable" });
  assert.equal(bench.requests.length, 0);
});

Deno.test("Answers.obtain() stops waiting for a turn or a retry as soon as the run halts", async () => {
  const bench: Bench = new Bench(() => RETRYABLE, { maxRetries: 100, spacingMs: 3_600_000 });
  const stop = new RunError("again", "stopped");
  const work = bench.obtainAll(images(3));
  await bench.clock.sleep(500);
  bench.halt.abort(stop);
  for (const result of await work) {
    assert.ok(result.status === "rejected" && result.reason === stop);
  }
  assert.equal(bench.requests.length, 1);
});

Deno.test("Answers.obtain() pays at most once per content, whatever goes wrong in between", async () => {
  const outcome = fc.constantFrom("answered", "retryable", "throttled");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 15 }),
      fc.array(outcome, { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 300 }),
      async (pages, script, slots, spacingMs) => {
        const paid: string[] = [];
        const bench: Bench = new Bench(async (request) => {
          await bench.clock.sleep(200);
          const kind = script[request.index] ?? "answered";
          if (kind === "retryable") return RETRYABLE;
          const until = bench.clock.now() + 700;
          if (kind === "throttled") return { kind, until, message: "HTTP 429" };
          paid.push(request.bytes.join());
          return answered(request);
        }, { maxRetries: 30, slots, spacingMs });
        const results = await bench.obtainAll(pages.map((n) => image(`page ${n}`)));
        for (const [i, result] of results.entries()) {
          assert.ok(result.status === "fulfilled");
          const { words } = readFake(fakeImage(`page ${pages[i]}`));
          const texts = result.value.answer?.pages[0].words.map((word) => word.text);
          assert.deepEqual(texts, words.map((word) => word.text));
        }
        const distinct = new Set(pages).size;
        assert.deepEqual([paid.length, new Set(paid).size], [distinct, distinct]);
        assert.equal(bench.tally.billedPages, distinct);
        assert.equal(bench.tally.reused, pages.length - distinct);
        assert.ok(bench.maxInFlight <= slots);
        for (let i = 1; i < bench.requests.length; i++) {
          assert.ok(bench.requests[i].time - bench.requests[i - 1].time >= spacingMs);
        }
      },
    ),
    { numRuns: 40 },
  );
});
