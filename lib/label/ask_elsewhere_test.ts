import assert from "node:assert/strict";
import {
  answered,
  Bench,
  images,
  MAX_OUTAGE_MS,
  REFUSED,
  type Reply,
  RETRYABLE,
  upAlways,
} from "../../dev/doubles/ask_bench.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { FIRST_PROBE_MS, LOOK_MS, OUTAGE_PAGES } from "../engine/health.ts";
import type { Others } from "./lanes.ts";

const PAGE = imageFile("the page");
/** An engine before this one, to which pages don't pass on. */
const BEFORE: Others = { ...upAlways("a"), next: () => undefined };

/** An engine that is down until then, milliseconds after the bench was made. */
function downUntil(until: number): Reply {
  return (request) => request.time < until ? RETRYABLE : answered(request);
}

/** Makes the engine fail on every page. */
async function breakDown(bench: Bench): Promise<void> {
  const pages = images(OUTAGE_PAGES).map((image) => bench.ask(image).catch(() => {}));
  await bench.pass(100);
  assert.equal(bench.lanes.open[0].health.outage, true);
  void pages;
}

Deno.test("a page that no engine but this one may read is tried again as long as the others are away, then fails by its own reason", async () => {
  for (const patience of [60_000, 0]) {
    const bench = new Bench(() => RETRYABLE, { maxRetries: 2, others: BEFORE });
    const patientUntil = bench.begin + patience;
    const result = await bench.one(PAGE, { back: () => false, patientUntil });
    assert.deepEqual([result.code, result.message], ["api_unavailable", "HTTP 503"]);
    assert.equal(result.elsewhere, undefined);
    const last = bench.times.at(-1)!;
    if (patience === 0) assert.equal(result.attempts, 3);
    else assert.ok(last >= patience && last < patience + 30_000, `given up after ${last} ms`);
  }
});

Deno.test("a page goes back to an engine that can be had again once it has used up its retries here, not before", async () => {
  const back = () => true;
  for (const failures of [3, 4]) {
    const bench = new Bench(
      ({ index, ...request }) => index < failures ? RETRYABLE : answered(request),
      { maxRetries: 3 },
    );
    const result = await bench.one(PAGE, { back, patientUntil: bench.begin + 600_000 });
    if (failures === 3) assert.ok(result.text);
    else {
      const gone = { code: "api_unavailable", message: "HTTP 503", attempts: 4, elsewhere: true };
      assert.deepEqual(result, gone);
    }
    assert.equal(bench.requests.length, 4);
  }
});

Deno.test("while an engine stands still a page goes back as soon as the one before it can be had, and not to one that can't", async () => {
  for (const backAt of [0, 20_000, Infinity]) {
    const bench = new Bench(downUntil(60_000), { maxRetries: 0, others: BEFORE });
    await breakDown(bench);
    const back = () => bench.clock.now() - bench.begin >= backAt;
    const result = await bench.one(PAGE, { back, patientUntil: bench.begin + 600_000 });
    const took = bench.clock.now() - bench.begin;
    if (backAt === Infinity) {
      assert.ok(result.text);
      continue;
    }
    assert.deepEqual([result.code, result.elsewhere], ["api_unavailable", true]);
    assert.match(result.message!, /fails on every page just now/);
    assert.ok(took >= backAt && took < backAt + LOOK_MS + 200, `back after ${took} ms`);
  }
});

Deno.test("a page that nobody else reads waits for an engine that is down, as long as the run has patience with it", async () => {
  for (const [upAt, waitMs] of [[60_000, 600_000], [Infinity, 600_000], [Infinity, 30_000]]) {
    const bench = new Bench(downUntil(upAt), { maxRetries: 0, others: upAlways("b") });
    await breakDown(bench);
    const result = await bench.one(PAGE, { waitUntil: bench.begin + waitMs });
    const took = bench.clock.now() - bench.begin;
    if (upAt < Infinity) assert.ok(result.text, result.message);
    else {
      const patience = Math.min(waitMs, MAX_OUTAGE_MS);
      assert.equal(result.elsewhere, true);
      assert.ok(took >= patience && took < patience + 61_000, `it waited for ${took} ms`);
    }
  }
});

Deno.test("a page passes on at once to the next engine where this one is down or given up, and counts as never asked for here", async () => {
  const down = new Bench(() => RETRYABLE, { others: upAlways("b") });
  await breakDown(down);
  const closed = new Bench(() => REFUSED, { others: upAlways("b") });
  assert.equal((await closed.one(imageFile("another"))).elsewhere, true);
  for (const bench of [down, closed]) {
    const [requests, finished] = [bench.requests.length, [...bench.tally.finishedByAttempt]];
    const result = await bench.one(PAGE);
    assert.deepEqual([result.code, result.elsewhere, result.attempts], [
      ...["api_unavailable", true, 0],
    ]);
    assert.equal(bench.requests.length, requests);
    assert.deepEqual(bench.tally.finishedByAttempt, finished);
  }
});

Deno.test("a page that has failed passes on although a probe is due, as one that has not failed probes", async () => {
  const bench: Bench = new Bench(async ({ index }) => {
    // The outage has begun meanwhile; the page wakes when its first probe is due.
    if (index === 0) await bench.clock.sleep(FIRST_PROBE_MS - 100);
    return RETRYABLE;
  }, { others: upAlways("b"), slots: OUTAGE_PAGES + 1 });
  for (const result of await bench.all(images(OUTAGE_PAGES + 1))) {
    assert.ok(result.status === "fulfilled");
    assert.deepEqual([result.value.elsewhere, result.value.attempts], [true, 1]);
  }
});

Deno.test("pages that wait for their turn on an engine's only key leave when that is given up", async () => {
  for (const slots of [10, 1]) { // with one, most wait for room for their answer
    const bench = new Bench(
      ({ index, ...request }) => index === 0 ? answered(request) : REFUSED,
      { slots, spacingMs: 100_000, known: true, others: upAlways("b") },
    );
    const results = await bench.all(images(8));
    const gone = results.flatMap((result) => result.status === "fulfilled" ? result.value : []);
    assert.equal(gone.length, 8, String(bench.halt.signal.reason));
    assert.equal(gone.filter(({ elsewhere }) => elsewhere).length, 7);
    assert.ok(bench.requests.length < 7, `${bench.requests.length} requests`);
  }
});
