import assert from "node:assert/strict";
import {
  answered,
  Bench,
  images,
  REFUSED,
  RENEWED,
  RETRYABLE,
  text,
  upAlways,
} from "../../dev/doubles/ask_bench.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { RunError } from "../base/errors.ts";
import { FIRST_PROBE_MS, OUTAGE_PAGES } from "../engine/health.ts";

const PAGE = imageFile("the page");

function keysOf({ requests }: Bench): number[] {
  return requests.map(({ key }) => key);
}

Deno.test("a page that fails goes round among the keys, and is tried as often as with one", async () => {
  const bench = new Bench(() => RETRYABLE, { keys: 3, maxRetries: 6, noGuard: true });
  assert.equal((await bench.one(PAGE)).attempts, 7);
  assert.deepEqual(keysOf(bench), [0, 1, 2, 0, 1, 2, 0]);
});

Deno.test("a key that has refused a page is not asked for it again before the others have", async () => {
  // It begins with the second key, as the first one pauses, and comes round.
  const said = [RETRYABLE, REFUSED];
  const bench: Bench = new Bench((request) => said[request.index] ?? answered(request), {
    ...{ keys: 2, pauses: (key) => key === 0 && bench.requests.length === 0 ? 500 : 0 },
  });
  bench.lanes.knows(); // so that a single refusal is none of the key
  assert.deepEqual(await bench.one(PAGE), { text: text(PAGE), attempts: 3 });
  assert.deepEqual(keysOf(bench), [1, 0, 1]);
  assert.equal(bench.tally.retries, 2);
});

Deno.test("what a page that fails is told to wait for holds all back once, and from then on it alone", async () => {
  let times = 0;
  const bench: Bench = new Bench((request) => {
    const waits = request.bytes.join() === PAGE.bytes.join() && ++times <= 2;
    const until = bench.clock.now() + 7_000;
    return waits ? { kind: "retryable", message: "HTTP 503", until } : answered(request);
  });
  const time = () => bench.clock.now() - bench.begin;
  const page = bench.ask(PAGE);
  await bench.pass(1_000);
  assert.ok((await bench.one(imageFile("another"))).text);
  assert.ok(time() >= 7_000, "it started meanwhile");
  await bench.pass(1_000);
  assert.equal(times, 2);
  assert.ok((await bench.one(imageFile("a third"))).text);
  assert.ok(time() < 9_000, `it waited until ${time()} ms`);
  assert.ok((await bench.clock.run(page)).text);
  assert.ok(time() >= 14_000);
});

Deno.test("a key that can't be sent with is given up, its page goes to another one; where it is the last the run ends", async () => {
  for (const keys of [1, 2]) {
    const gone = new RunError("api", "the key file is gone");
    const bench = new Bench((request) => {
      if (request.key === 0) throw gone;
      return answered(request);
    }, { keys });
    const [first, second] = await bench.all(images(2));
    if (keys === 1) {
      assert.ok(
        first.status === "rejected" && first.reason === gone && second.status !== "fulfilled",
      );
      assert.equal(bench.halt.signal.reason, gone);
      continue;
    }
    for (const result of [first, second]) {
      assert.ok(result.status === "fulfilled" && result.value.text);
      assert.equal(result.value.attempts, 1);
    }
    assert.deepEqual(bench.notes, [
      "key 1 is not used any more: the key file is gone (going on with key 2)",
    ]);
    assert.deepEqual(bench.spending, { open: 0, settled: 2 });
    assert.deepEqual([bench.tally.inFlight, bench.tally.abandoned], [0, 0]);
  }
});

Deno.test("requests that are given up as the run ends give no key up", async () => {
  const bench = new Bench(
    ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      ),
    { keys: 2, slots: 1 },
  );
  const work = bench.all(images(2));
  while (bench.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 0));
  const stop = new RunError("again", "given up");
  bench.giveUp.abort(stop);
  for (const result of await work) {
    assert.ok(result.status === "rejected" && result.reason === stop);
  }
  assert.deepEqual([bench.notes, bench.lanes.open.length], [[], 2]);
});

Deno.test("pages that wait on a key that is given up don't wait until its turn would have come", async () => {
  for (const others of [undefined, upAlways("b")]) {
    const bench: Bench = new Bench(async (request) => {
      await bench.clock.sleep(100);
      if (request.key === 1) return answered(request);
      throw new RunError("api", "no key");
    }, { keys: 2, spacingMs: 60_000, ...others && { others } });
    const results = await bench.all(images(4));
    assert.ok(results.every((result) => result.status === "fulfilled" && result.value.text));
    // One at once and one each minute, as if all had come to the second key.
    assert.ok(bench.clock.now() - bench.begin < 200_000, `${bench.clock.now() - bench.begin} ms`);
    assert.deepEqual(keysOf(bench).sort(), [0, 1, 1, 1, 1]);
  }
});

Deno.test("pages that wait on a key that pauses for long leave it when it is given up", async () => {
  const bench: Bench = new Bench(async (request) => {
    const { key, index } = request;
    await bench.clock.sleep(100 + 100 * index);
    if (key === 1) return answered(request);
    if (index > 1) throw new RunError("api", "no key");
    return { kind: "throttled", message: "HTTP 429", until: bench.clock.now() + 100_000 };
  }, { keys: 2, slots: 2 });
  const results = await bench.all(images(8));
  assert.ok(results.every((result) => result.status === "fulfilled" && result.value.text));
  assert.ok(bench.clock.now() - bench.begin < 20_000, `${bench.clock.now() - bench.begin} ms`);
});

Deno.test("a key whose probe gave way while it paused is probed again", async () => {
  let [until, failures] = [0, 0];
  const bench: Bench = new Bench(async (request) => {
    const { key, index, time } = request;
    if (key === 1) {
      await bench.clock.sleep(1_000);
      return answered(request);
    }
    if (index > 0 && time > 30_000) return answered(request);
    // The last one before the outage asks for patience: the first probe waits for its turn.
    const asks = index > 0 && ++failures === OUTAGE_PAGES;
    if (index > 0) return asks ? { ...RETRYABLE, until: bench.clock.now() + 8_000 } : RETRYABLE;
    await bench.clock.sleep(FIRST_PROBE_MS + 2_200);
    until = bench.clock.now() + 10_000;
    return { kind: "throttled", message: "HTTP 429", until };
  }, {
    ...{ keys: 2, slots: 4, spacingMs: 600 },
    pauses: (key) => key === 0 ? Math.max(0, until - bench.clock.now()) : 0,
  });
  const results = await bench.all(images(200));
  assert.ok(results.every((result) => result.status === "fulfilled" && result.value.text));
  const late = bench.requests.filter(({ key, time }) => key === 0 && time > 60_000);
  assert.ok(late.length > 10, `${late.length} requests by the key that works again`);
});

Deno.test("a renewed key's page is asked for again as if it had not been, by whichever key", async () => {
  const bench = new Bench((request) => request.index < 3 ? RENEWED : answered(request), {
    ...{ keys: 2, maxRetries: 0 },
  });
  assert.deepEqual(await bench.one(PAGE), { text: text(PAGE), attempts: 1 });
});
