import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  answered,
  Bench,
  images,
  MAX_OUTAGE_MS,
  REFUSED,
  REJECTED,
  RENEWED,
  type Result,
  RETRYABLE,
  text,
  UNREADABLE,
  upAlways,
} from "../../dev/doubles/ask_bench.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { readFake } from "../../dev/testing/fixtures.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { RunError } from "../base/errors.ts";
import type { Outcome } from "../engine/engine.ts";
import { OUTAGE_PAGES } from "../engine/health.ts";
import { START_TOLERANCE_MS } from "../pace/lost_time.ts";

async function ending(work: Promise<unknown>): Promise<RunError> {
  const error = await work.then(() => undefined, (error) => error);
  assert.ok(error instanceof RunError, `expected a RunError, got ${error}`);
  return error;
}

Deno.test("ask() asks once for a page that all goes well for", async () => {
  const bench = new Bench(answered);
  const result = await bench.one(imageFile("a"));
  assert.deepEqual(result, { text: text(imageFile("a")), attempts: 1 });
  const [{ bytes, model, signal }] = bench.requests;
  assert.deepEqual([bytes, model], [imageFile("a").bytes, "ocr"]);
  assert.equal(signal, bench.giveUp.signal);
  assert.deepEqual(bench.spending, { open: 0, settled: 1 });
  assert.deepEqual([bench.tally.requests, bench.tally.billedPages], [1, 1]);
});

Deno.test("ask() tries a page 1 + maxRetries times, with growing pauses", async () => {
  for (const maxRetries of [0, 1, 4]) {
    const bench: Bench = new Bench(() => RETRYABLE, { maxRetries, noGuard: true });
    const result: Result = await bench.one(imageFile("a"));
    const attempts = maxRetries + 1;
    assert.deepEqual(result, { code: "api_unavailable", message: "HTTP 503", attempts });
    // Half of 1, 2, 4, 8 s, as `random` says 0.5.
    assert.deepEqual(bench.times, [0, 500, 1_500, 3_500, 7_500].slice(0, attempts));
    assert.equal(bench.tally.retries, maxRetries);
    assert.equal(bench.tally.finishedByAttempt[attempts], 1);
    assert.deepEqual(bench.spending, { open: 0, settled: 0 });
  }
});

Deno.test("ask() tells how many requests an answer took", async () => {
  const bench = new Bench((request) => request.index < 2 ? RETRYABLE : answered(request));
  const { text: body, attempts } = await bench.one(imageFile("a"));
  assert.deepEqual([body, attempts], [text(imageFile("a")), 3]);
  assert.deepEqual(bench.tally.finishedByAttempt, [0, 0, 0, 1]);
});

Deno.test("ask() fails a rejected page at once and goes on with others", async () => {
  const bench = new Bench((request) => request.index === 0 ? REJECTED : answered(request));
  const rejected = { code: "api_rejected", message: "HTTP 422", attempts: 1 };
  assert.deepEqual(await bench.one(imageFile("a")), rejected);
  assert.ok((await bench.one(imageFile("b"))).text);
});

Deno.test("ask() uses up no attempt by being throttled, which holds everybody back", async () => {
  const bench: Bench = new Bench((request) => {
    if (request.time >= 60_000) return answered(request);
    return { kind: "throttled", until: bench.clock.now() + 5_000, message: "HTTP 429" };
  }, { maxRetries: 0, slots: 2 });
  for (const result of await bench.all(images(6))) {
    assert.ok(result.status === "fulfilled" && result.value.text);
    assert.equal(result.value.attempts, 1);
  }
  const { requests, tally } = bench;
  assert.equal(tally.throttled, requests.length - 6);
  assert.deepEqual([tally.requests, tally.retries], [requests.length, 0]);
  // Nobody starts between a 429 and the time that it names: both ask at 0, 5, 10, … s or right
  // after.
  for (const time of bench.times) assert.ok(time % 5_000 < 100, `a request at ${time} ms`);
  assert.ok(requests.length <= 2 * 12 + 6);
  assert.deepEqual(bench.spending, { open: 0, settled: 6 });
});

Deno.test("ask() asks again with a renewed key: a turn, but no attempt and no money", async () => {
  const renewed = 4;
  const bench = new Bench((request) => request.index < renewed ? RENEWED : answered(request), {
    maxRetries: 0,
    slots: 2,
    spacingMs: 100,
    maxPages: 6,
  });
  for (const [i, result] of (await bench.all(images(6))).entries()) {
    assert.ok(result.status === "fulfilled");
    assert.deepEqual(result.value, { text: text(images(6)[i]), attempts: 1 });
  }
  const { requests, tally } = bench;
  assert.equal(requests.length, 6 + renewed);
  for (let i = 1; i < requests.length; i++) {
    assert.ok(requests[i].time - requests[i - 1].time >= 100 - START_TOLERANCE_MS);
  }
  assert.deepEqual([tally.requests, tally.retries, tally.billedPages], [6 + renewed, 0, 6]);
  assert.deepEqual(bench.spending, { open: 0, settled: 6 });
});

Deno.test("ask() goes on after an outage whose probe showed that the key has changed", async () => {
  const bench: Bench = new Bench((request) => {
    if (request.index < OUTAGE_PAGES) return RETRYABLE;
    return request.index === OUTAGE_PAGES ? RENEWED : answered(request);
  });
  const results = await bench.all(images(OUTAGE_PAGES));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
});

Deno.test("ask() ends the run after too long a time of nothing but 429, to be run again", async () => {
  const bench: Bench = new Bench(() => {
    return { kind: "throttled", until: bench.clock.now() + 1_000, message: "HTTP 429" };
  }, { maxOutageMs: 600_000 });
  const error = await ending(bench.one(imageFile("a")));
  assert.equal(error.exit, "again");
  assert.match(error.message, /throttled.* 10 minutes .*HTTP 429/);
  const tookMs = bench.clock.now() - bench.begin;
  assert.ok(tookMs >= 600_000 && tookMs < 605_000, `${tookMs} ms`);
  assert.equal(bench.halt.signal.reason, error);
});

Deno.test("ask() takes one answer among the 429 for a sign of life", async () => {
  const bench: Bench = new Bench((request) => {
    // Every 160 s or so, as a time that proves wrong again and again is waited for four times.
    if (request.index % 40 === 39) return answered(request);
    return { kind: "throttled", until: bench.clock.now() + 1_000, message: "HTTP 429" };
  }, { slots: 1 });
  const results = await bench.all(images(3));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
  assert.ok(bench.clock.now() - bench.begin > 2 * MAX_OUTAGE_MS);
});

Deno.test("ask() hands over an unreadable answer, as another one would be paid too", async () => {
  const bench = new Bench(() => UNREADABLE);
  assert.deepEqual(await bench.one(imageFile("a")), { text: '{"pages":[]}', attempts: 1 });
  assert.equal(bench.requests.length, 1);
  assert.deepEqual(bench.spending, { open: 0, settled: 1 });
  assert.equal(bench.tally.billedPages, 1);
});

Deno.test("ask() ends the run when every page is refused: no further request starts", async () => {
  const bench = new Bench(() => REFUSED, { slots: 1 });
  const results = await bench.all(images(20));
  assert.equal(bench.requests.length, OUTAGE_PAGES);
  const { reason } = bench.halt.signal;
  assert.ok(reason instanceof RunError && reason.exit === "api");
  assert.match(reason.message, /HTTP 401.*--no-guard/);
  const errors = results.filter((result) => result.status === "rejected");
  assert.equal(errors.length, 20);
  for (const error of errors) assert.equal(error.reason, reason);
});

Deno.test("ask() fails a page that is refused while others are answered", async () => {
  for (const slots of [1, 3]) {
    for (const poisoned of [2, 0, 19]) {
      const bytes = images(20)[poisoned].bytes.join();
      const bench: Bench = new Bench(
        (request) => request.bytes.join() === bytes ? REFUSED : answered(request),
        { slots, known: true },
      );
      for (const [i, result] of (await bench.all(images(20))).entries()) {
        assert.ok(result.status === "fulfilled", bench.halt.signal.reason?.message);
        assert.equal(result.value.code, i === poisoned ? "api_rejected" : undefined);
      }
      // The last page has nobody behind it, so one that is known to work was asked for.
      const last = poisoned === 19 && slots === 1;
      const asked = bench.requests.length;
      assert.ok(last ? asked === 21 : asked <= 21, `${asked} requests`);
      assert.equal(bench.tally.billedPages, bench.spending.settled);
    }
  }
});

Deno.test("ask() ends the run when a page that worked before is refused, too", async () => {
  for (const slots of [1, 3]) {
    const bench: Bench = new Bench(
      (request) => request.index >= 4 ? REFUSED : answered(request),
      { slots, known: true },
    );
    await bench.all(images(20));
    assert.equal(bench.halt.signal.reason?.exit, "api");
    assert.doesNotMatch(bench.halt.signal.reason.message, /no-guard/);
    assert.ok(bench.requests.length <= 4 + OUTAGE_PAGES + slots + 1, `${bench.requests.length}`);
  }
});

Deno.test("ask() tells pages that always fail from an outage by a page that is known to work", async () => {
  // At the beginning, in the middle and at the end, alone and more than an outage's worth of them.
  for (const [from, to] of [[0, 3], [8, 13], [17, 20], [19, 20]]) {
    const poisoned = new Set(images(20).slice(from, to).map(({ bytes }) => bytes.join()));
    const bench: Bench = new Bench(
      (request) => poisoned.has(request.bytes.join()) ? RETRYABLE : answered(request),
      { known: true, maxRetries: 2 },
    );
    for (const [i, result] of (await bench.all(images(20))).entries()) {
      assert.ok(result.status === "fulfilled", bench.halt.signal.reason?.message);
      const { code, attempts } = result.value;
      assert.equal(code, i >= from && i < to ? "api_unavailable" : undefined, `page ${i}`);
      if (code) assert.ok(attempts >= 3, `${attempts} attempts`);
    }
    const extra = bench.tally.billedPages - (20 - (to - from));
    assert.ok(extra >= 0 && extra <= 4, `${extra} pages paid to find out`);
    assert.equal(bench.tally.billedPages, bench.spending.settled);
    assert.equal(bench.controlled, extra);
  }
});

Deno.test("ask() takes a last page for failing only if one that works is answered", async () => {
  const bench: Bench = new Bench(
    ({ index, time, bytes }) => index < 5 || time > 100_000 ? answered({ bytes }) : RETRYABLE,
    { known: true, slots: 1 },
  );
  for (const result of await bench.all(images(6))) {
    assert.ok(result.status === "fulfilled" && result.value.text);
  }
  assert.ok(bench.tally.billedPages <= 7);
});

Deno.test("ask() gives pages up that always fail where nothing is known to work, if told to", async () => {
  const bench: Bench = new Bench(() => RETRYABLE, { noGuard: true, maxRetries: 1 });
  for (const result of await bench.all(images(10))) {
    assert.ok(result.status === "fulfilled" && result.value.code === "api_unavailable");
  }
  const refused: Bench = new Bench(() => REFUSED, { noGuard: true });
  for (const result of await refused.all(images(10))) {
    assert.ok(result.status === "fulfilled" && result.value.code === "api_rejected");
  }
  const rejected: Bench = new Bench(() => REJECTED, { noGuard: true });
  for (const result of await rejected.all(images(10))) {
    assert.ok(result.status === "fulfilled" && result.value.code === "api_rejected");
  }
});

Deno.test("ask() waits as long as a 503 asks for, and everybody with it", async () => {
  const bench: Bench = new Bench(
    (request) =>
      request.index === 0
        ? { kind: "retryable", until: bench.clock.now() + 7_000, message: "HTTP 503" }
        : answered(request),
    { slots: 1 },
  );
  for (const result of await bench.all(images(4))) {
    assert.ok(result.status === "fulfilled" && result.value.text);
  }
  assert.deepEqual(bench.times.map((time) => time >= 7_000), [false, true, true, true, true]);
  assert.ok(bench.times[4] < 9_000);
});

Deno.test("ask() ends the run at once when it is told to wait longer than it has patience", async () => {
  for (const kind of ["throttled", "retryable"] as const) {
    const bench: Bench = new Bench(() => {
      return { kind, until: bench.clock.now() + MAX_OUTAGE_MS + 1_000, message: "HTTP xxx" };
    }, { slots: 1 });
    const error = await ending(bench.one(imageFile("a")));
    assert.equal(error.exit, "again");
    const until = new Date(bench.begin + MAX_OUTAGE_MS + 1_000).toISOString().slice(0, 19);
    assert.match(error.message, new RegExp(`${until}Z .HTTP xxx.*--max-outage-minutes.*3 minutes`));
    assert.deepEqual([bench.clock.now(), bench.requests.length], [bench.begin, 1]);
  }
});

Deno.test("ask() fails a page that is throttled for ever while one that works is answered", async () => {
  const poisoned = images(5)[4].bytes.join();
  const throttled = (bench: Bench): Outcome => {
    return { kind: "throttled", until: bench.clock.now() + 5_000, message: "HTTP 429" };
  };
  const bench: Bench = new Bench(
    (request) => request.bytes.join() === poisoned ? throttled(bench) : answered(request),
    { slots: 1, known: true },
  );
  for (const [i, result] of (await bench.all(images(5))).entries()) {
    assert.ok(result.status === "fulfilled", bench.halt.signal.reason?.message);
    assert.equal(result.value.code, i === 4 ? "api_unavailable" : undefined);
  }
  assert.ok(bench.controlled <= 3, `${bench.controlled} pages`);
  const everybody: Bench = new Bench(
    (request) => request.index < 2 ? answered(request) : throttled(everybody),
    { slots: 2, known: true },
  );
  await everybody.all(images(5));
  assert.equal(everybody.halt.signal.reason?.exit, "again");
  assert.match(everybody.halt.signal.reason.message, /(request for |allows \()3 minutes/);
});

Deno.test("ask() sends nothing where this process may not ask any more, and gives the page back", async () => {
  const bench = new Bench(answered, { slots: 1 });
  let checks = 0;
  bench.checking = () => {
    if (++checks > 2) throw new RunError("conflict", "another has it");
  };
  const results = await bench.all(images(4));
  assert.deepEqual(results.map(({ status }) => status).sort().slice(0, 2), [
    "fulfilled",
    "fulfilled",
  ]);
  assert.equal(bench.halt.signal.reason?.exit, "conflict");
  assert.equal(bench.requests.length, 2);
  assert.deepEqual(bench.spending, { open: 0, settled: 2 });
});

Deno.test("ask() takes no file of several pages for a page to compare with", async () => {
  for (const pages of [3, 1]) {
    const bench: Bench = new Bench((request) => {
      if (request.index > 0) return REFUSED;
      const body = { ...pageBody(readFake(request.bytes)), numBilledPages: pages };
      return { kind: "answered", text: JSON.stringify(body), body };
    }, { slots: 1, known: true });
    await bench.one(imageFile("a"));
    assert.deepEqual([bench.spending.settled, bench.tally.billedPages], [pages, pages]);
    await bench.one(imageFile("b")).catch(() => {});
    const again = bench.requests.slice(1).filter(({ bytes }) =>
      bytes.join() === imageFile("a").bytes.join()
    );
    assert.equal(again.length > 0, pages === 1);
  }
});

Deno.test("ask() asks for no other page to believe a rejection", async () => {
  const bench = new Bench((request) => request.index === 0 ? answered(request) : REJECTED, {
    slots: 1,
    known: true,
  });
  await bench.one(imageFile("a"));
  const begin = bench.clock.now();
  assert.equal((await bench.one(imageFile("b"))).code, "api_rejected");
  assert.ok(bench.clock.now() - begin < 100 && bench.requests.length === 2);
});

Deno.test("ask() waits as long as a page is told to each time, whatever others do meanwhile", async () => {
  const first = images(1)[0].bytes.join();
  let times = 0;
  const bench: Bench = new Bench((request) => {
    if (request.bytes.join() !== first || ++times > 2) return answered(request);
    return { kind: "retryable", until: bench.clock.now() + 7_000, message: "HTTP 503" };
  });
  for (const result of await bench.all(images(4))) {
    assert.ok(result.status === "fulfilled" && result.value.text);
  }
  const own = bench.requests.filter(({ bytes }) => bytes.join() === first).map(({ time }) => time);
  assert.ok(own[1] >= 7_000 && own[2] >= 14_000, own.join());
});

Deno.test("ask() does not sleep on one page's word where others are answered", async () => {
  const poisoned = images(9)[4].bytes.join();
  const bench: Bench = new Bench(
    (request) =>
      request.bytes.join() === poisoned
        ? { kind: "retryable", until: bench.clock.now() + 3_600_000, message: "HTTP 503" }
        : answered(request),
    { slots: 1, known: true },
  );
  for (const [i, result] of (await bench.all(images(9))).entries()) {
    assert.ok(result.status === "fulfilled", bench.halt.signal.reason?.message);
    assert.equal(result.value.code, i === 4 ? "api_unavailable" : undefined);
  }
  assert.ok(bench.clock.now() - bench.begin < 60_000);
});

Deno.test("ask() lets a request in flight end when the run does", async () => {
  const release = Promise.withResolvers<void>();
  const bench = new Bench(async (request) => {
    if (request.index === 0) return await release.promise.then(() => answered(request));
    if (request.index === 1) setTimeout(release.resolve, 0);
    return REFUSED;
  }, { slots: 2 });
  const results = await bench.all(images(4));
  const statuses = results.map(({ status }) => status);
  assert.deepEqual(statuses, ["fulfilled", "rejected", "rejected", "rejected"]);
});

Deno.test("ask() takes pages rejected alike before any answer for a wrong request", async () => {
  const wrong = new Bench(() => REJECTED, { slots: 1 });
  const results = await wrong.all(images(9));
  assert.equal(wrong.requests.length, 5);
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 4);
  assert.equal(wrong.halt.signal.reason.exit, "api");
  assert.match(wrong.halt.signal.reason.message, /--model ocr/);

  const differently = new Bench(({ index }) => ({ kind: "rejected", message: `page ${index}` }));
  const mixed = new Bench((request) => request.index === 3 ? answered(request) : REJECTED);
  for (const bench of [differently, mixed]) {
    for (const one of images(12)) await bench.one(one);
    assert.equal(bench.halt.signal.aborted, false);
  }
});

Deno.test("ask() pauses and probes while every page fails, and fails none for it", async () => {
  const bench: Bench = new Bench((request) => {
    return request.time < 100_000 ? RETRYABLE : answered(request);
  }, { maxRetries: 1, slots: 4 });
  const results = await bench.all(images(10));
  for (const result of results) assert.ok(result.status === "fulfilled" && result.value.text);
  const during = bench.times.filter((time) => time > 1_000 && time < 100_000);
  // Probes with growing pauses of up to a minute, not ten pages' retries.
  assert.ok(during.length >= 2 && during.length <= 6, `probes at ${during}`);
  assert.equal(bench.notes.length, 2);
  assert.match(bench.notes[0], /fails on every page \(HTTP 503\).*3 minutes/);
  assert.match(bench.notes[1], /answers again after \d+ s/);
});

Deno.test("ask() ends the run after too long an outage, to be run again", async () => {
  const bench = new Bench(() => RETRYABLE, { maxRetries: 1 });
  const results = await bench.all(images(10));
  assert.ok(results.every(({ status }) => status === "rejected"), "a page failed for the outage");
  assert.equal(bench.halt.signal.reason.exit, "again");
  const took = bench.clock.now() - bench.begin;
  assert.ok(took >= MAX_OUTAGE_MS && took <= MAX_OUTAGE_MS + 60_000, `${took} ms`);
});

Deno.test("ask() goes on after an outage whose probe was throttled", async () => {
  const bench: Bench = new Bench((request) => {
    if (request.index < OUTAGE_PAGES) return RETRYABLE;
    if (request.index > OUTAGE_PAGES) return answered(request);
    return { kind: "throttled", until: bench.clock.now() + 1_000, message: "HTTP 429" };
  });
  const results = await bench.all(images(OUTAGE_PAGES));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
});

Deno.test("ask() sends one probe at a time, however long it takes", async () => {
  let probing = 0;
  const bench: Bench = new Bench(async (request) => {
    if (request.index < OUTAGE_PAGES) return RETRYABLE;
    if (request.index >= OUTAGE_PAGES + 2) return answered(request);
    assert.equal(++probing, 1, "a second probe beside the first");
    await bench.clock.sleep(30_000);
    probing--;
    return RETRYABLE;
  }, { slots: 10 });
  const results = await bench.all(images(OUTAGE_PAGES));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
});

Deno.test("ask() stops before the limit, and settles every page it has taken", async () => {
  const bench = new Bench(answered, { maxPages: 5 });
  const results = await bench.all(images(12));
  assert.equal(bench.halt.signal.reason.exit, "limit");
  const paid = results.filter(({ status }) => status === "fulfilled").length;
  // Pages that wait for their turn when the limit is met are not asked for any more.
  assert.ok(paid <= 5 && paid >= 3, `${paid} pages`);
  assert.equal(bench.requests.length, paid);
  assert.deepEqual(bench.spending, { open: 0, settled: paid });
});

Deno.test("ask() starts no request while too many answers wait to be kept", async () => {
  const bench = new Bench(answered, { slots: 2 });
  const gate = Promise.withResolvers<void>();
  bench.keep = () => gate.promise;
  const work = bench.all(images(20));
  while (bench.requests.length < 4) await new Promise((resolve) => setTimeout(resolve, 0));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(bench.requests.length, 4);
  gate.resolve();
  assert.ok((await work).every(({ status }) => status === "fulfilled"));
});

Deno.test("ask() stops waiting for a turn or a retry as soon as the run halts", async () => {
  const bench = new Bench(() => RETRYABLE, { maxRetries: 100, spacingMs: 3_600_000 });
  const stop = new RunError("again", "stopped");
  const work = bench.all(images(3));
  await bench.clock.sleep(500);
  bench.halt.abort(stop);
  for (const result of await work) {
    assert.ok(result.status === "rejected" && result.reason === stop);
  }
  assert.equal(bench.requests.length, 1);
  assert.equal(bench.spending.open, 0);
});

Deno.test("ask() ends the run with the reason when requests in flight are given up", async () => {
  const bench = new Bench(({ signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    )
  );
  const work = bench.all(images(5));
  while (bench.requests.length < 3) await new Promise((resolve) => setTimeout(resolve, 0));
  const stop = new RunError("again", "given up");
  bench.giveUp.abort(stop);
  for (const result of await work) {
    assert.ok(result.status === "rejected" && result.reason === stop);
  }
  assert.equal(bench.requests.length, 3);
  assert.equal(bench.tally.abandoned, 3);
});

Deno.test("ask() sends nothing if the run has ended while the limit was asked", async () => {
  const bench = new Bench(answered);
  const asked = Promise.withResolvers<void>();
  const allowed = Promise.withResolvers<void>();
  bench.taking = () => {
    asked.resolve();
    return allowed.promise;
  };
  const asking = bench.ask(imageFile("a"));
  await asked.promise;
  bench.halt.abort(new RunError("again", "the lease is lost"));
  allowed.resolve();
  assert.match((await ending(asking)).message, /the lease is lost/);
  assert.equal(bench.requests.length, 0);
  assert.deepEqual(bench.spending, { open: 0, settled: 0 });
});

Deno.test("ask() takes no answer for proof that had started before the failure was known", async () => {
  // Both are sent at once; the first fails when the second is answered long since, and by then
  // everything fails.
  const bench: Bench = new Bench(async ({ index, bytes, time }) => {
    if (index === 0) await bench.clock.sleep(1_000);
    return index === 1 || time > 60_000 ? answered({ bytes }) : RETRYABLE;
  }, { maxRetries: 0, known: true });
  const [first, second] = await bench.all([imageFile("a"), imageFile("b")]);
  assert.ok(second.status === "fulfilled" && second.value.text === text(imageFile("b")));
  assert.ok(first.status === "fulfilled", "it ended the run");
  assert.equal(first.value.text, text(imageFile("a")), "an outage has failed a page");
});

Deno.test("ask() brings every page through any weather, within its slots and spacing", async () => {
  const weather = fc.constantFrom("answered", "retryable", "throttled");
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.array(weather, { maxLength: 25 }),
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
        const asked = images(pages);
        for (const [i, result] of (await bench.all(asked)).entries()) {
          assert.ok(result.status === "fulfilled");
          assert.equal(result.value.text, text(asked[i]));
        }
        assert.deepEqual([paid.length, new Set(paid).size], [pages, pages]);
        assert.deepEqual(bench.spending, { open: 0, settled: pages });
        assert.ok(bench.maxInFlight <= slots);
        for (let i = 1; i < bench.times.length; i++) {
          assert.ok(bench.times[i] - bench.times[i - 1] >= spacingMs - START_TOLERANCE_MS);
        }
      },
    ),
    { numRuns: 30 },
  );
});

/** Requests by key. */
function byKey({ requests }: Bench, keys: number): number[] {
  return Array.from({ length: keys }, (_, n) => requests.filter(({ key }) => key === n).length);
}

Deno.test("several keys share the work, each within its own limit", async () => {
  const bench = new Bench(async (request) => {
    await bench.clock.sleep(1_000);
    return answered(request);
  }, { keys: 3, slots: 2 });
  const results = await bench.all(images(60));
  assert.ok(results.every(({ status }) => status === "fulfilled"));
  assert.equal(bench.maxInFlight, 6);
  assert.deepEqual(byKey(bench, 3), [20, 20, 20]);
  assert.equal(bench.requests.length, 60);
});

for (const [when, answers] of [["from the first page on", 0], ["in mid-run", 5]] as const) {
  for (const known of [true, false]) {
    const named = known ? "a page that is known to work" : "nothing to compare with";
    Deno.test(`a key that is revoked ${when} is dropped with a note, and no page fails: ${named}`, async () => {
      let taken = 0;
      const bench = new Bench(async (request) => {
        await bench.clock.sleep(100);
        return request.key === 1 && taken++ >= answers ? REFUSED : answered(request);
      }, { keys: 3, slots: 2, known });
      const results = await bench.all(images(100));
      for (const result of results) assert.ok(result.status === "fulfilled" && result.value.text);
      const dropped = bench.notes.filter((note) => /^key 2 is not used any more: /.test(note));
      assert.equal(dropped.length, 1, bench.notes.join("\n"));
      assert.match(dropped[0], /HTTP 401.*\(going on with key 1, key 3\)$/);
      const [, refused] = byKey(bench, 3);
      assert.ok(refused - answers <= 8, `${refused} requests with a key that is refused`);
      assert.equal(bench.tally.billedPages - bench.controlled, 100);
    });
  }
}

Deno.test("the last key that is refused ends the run, and no page is marked as failed", async () => {
  const bench = new Bench(async () => {
    await bench.clock.sleep(100);
    return REFUSED;
  }, { keys: 3, slots: 2 });
  const results = await bench.all(images(40));
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.equal((bench.halt.signal.reason as RunError).exit, "api");
  assert.equal(bench.notes.filter((note) => /is not used any more/.test(note)).length, 2);
  assert.ok(bench.requests.length <= 40, `${bench.requests.length} requests`);
});

Deno.test("a page that every key refuses fails by itself where others are answered", async () => {
  const bad = imageFile("page 7");
  const bench = new Bench(async (request) => {
    await bench.clock.sleep(100);
    return request.bytes.every((byte, i) => byte === bad.bytes[i]) ? REFUSED : answered(request);
  }, { keys: 2, slots: 2 });
  const results = await bench.all(images(30));
  const failed = results.flatMap((result, n) =>
    result.status === "fulfilled" && result.value.code ? [[n, result.value.code]] : []
  );
  assert.deepEqual(failed, [[7, "api_rejected"]]);
  assert.deepEqual(bench.notes, []);
});

Deno.test("while one key's requests all fail, pages take the others, and it is taken up again", async () => {
  const bench = new Bench(async (request) => {
    await bench.clock.sleep(1_000);
    const down = request.key === 0 && request.time < 40_000;
    return down ? RETRYABLE : answered(request);
  }, { keys: 2, slots: 2 });
  const results = await bench.all(images(300));
  for (const result of results) assert.ok(result.status === "fulfilled" && result.value.text);
  const early = bench.requests.filter(({ key, time }) => key === 0 && time < 40_000).length;
  assert.ok(early <= 12, `${early} requests that failed`);
  const late = bench.requests.filter(({ key, time }) => key === 0 && time > 60_000).length;
  assert.ok(late > 50, `${late} requests by the key that works again`);
  assert.ok(bench.requests.some(({ key, time }) => key === 1 && time > 20_000 && time < 30_000));
});

Deno.test("a page that fails on the key that works is asked for there again while the other key is down", async () => {
  const all = images(60);
  const name = (n: number) => all[n].bytes.toHex();
  const failing = new Set(all.keys().filter((n) => n % 14 === 13).map(name));
  const broken = new Set([name(50)]);
  const bench = new Bench(async (request) => {
    await bench.clock.sleep(1_000);
    const page = request.bytes.toHex();
    const fails = request.key === 0 || broken.has(page) || failing.delete(page);
    return fails ? RETRYABLE : answered(request);
  }, { keys: 2, slots: 2, others: upAlways("the other engine") });
  const results = await bench.all(all);
  const codes = results.map((result) =>
    result.status === "fulfilled" ? result.value.code : `${result.reason}`
  );
  assert.deepEqual(
    codes,
    all.map((_, n) => broken.has(name(n)) ? "api_unavailable" : undefined),
  );
});

Deno.test("keys that share the work: whatever fails on each, every page is answered or fails by itself, and none is paid twice", async () => {
  const throttled: Outcome = { kind: "throttled", until: undefined, message: "HTTP 429" };
  const kinds = [RETRYABLE, REFUSED, throttled];
  const failing = fc.array(fc.tuple(fc.nat(1), fc.nat(2), fc.nat(5_000), fc.nat(30_000)), {
    maxLength: 4,
  });
  const all = images(60);
  const names = all.map(({ sha256 }) => sha256);
  const poisoned = fc.array(fc.tuple(fc.nat(59), fc.constantFrom(RETRYABLE, REFUSED, REJECTED)), {
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(failing, poisoned, fc.boolean(), async (faults, pages, known) => {
      const paid = new Map<string, number>();
      // What fails like an API that is down, or a wrong key, is told from it by a page that works.
      const poison = new Map(pages.filter(([, own]) => known || own === REJECTED));
      const bench = new Bench(async (request) => {
        await bench.clock.sleep(200);
        const fault = faults.find(([key, , from, ms]) =>
          request.key === key && request.time >= from && request.time < from + ms
        );
        if (fault) return kinds[fault[1]];
        const name = createHash("sha256").update(request.bytes).digest("hex");
        const own = poison.get(names.indexOf(name));
        if (own) return own;
        paid.set(name, (paid.get(name) ?? 0) + 1);
        return answered(request);
      }, { keys: 3, slots: 2, known });
      const results = await bench.all(all);
      // The third key never fails, so the run goes on.
      for (const [n, result] of results.entries()) {
        assert.ok(result.status === "fulfilled", String((result as PromiseRejectedResult).reason));
        const { text, code } = result.value;
        if (poison.has(n)) assert.ok(code, `page ${n} was answered`);
        else assert.ok(text, `page ${n}: ${JSON.stringify(result.value)}`);
      }
      const twice = [...paid.values()].reduce((sum, n) => sum + n - 1, 0);
      assert.ok(
        twice <= bench.controlled,
        `${twice} pages twice, ${bench.controlled} of them known`,
      );
    }),
    {
      numRuns: 200,
      examples: [
        // Three pages that every key refuses, and one that fails: it waited on the last key that
        // was doubted, and nobody found out about.
        [[], [[0, REFUSED], [13, REFUSED], [5, RETRYABLE], [26, REFUSED]], true],
      ],
    },
  );
});
