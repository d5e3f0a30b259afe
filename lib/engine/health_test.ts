import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { Outcome } from "./engine.ts";
import { ALIKE_REJECTIONS, FIRST_PROBE_MS, Health, LAST_PROBE_MS } from "./health.ts";

const ANSWERED: Outcome = { kind: "answered", text: "{}", body: {} };
const FAILED: Outcome = { kind: "retryable", message: "HTTP 503" };
const REJECTED: Outcome = { kind: "rejected", message: "HTTP 400, invalid_request_body" };
const THROTTLED: Outcome = { kind: "throttled", until: 0, message: "HTTP 429" };
const MINUTE = 60_000;

function make() {
  const clock = new VirtualClock();
  const notes: string[] = [];
  const health = new Health({
    model: "ocr",
    advice: "the key and OCR_URL",
    maxOutageMs: 10 * MINUTE,
    clock,
    note: (message) => notes.push(message),
  });
  const judge = (outcome: Outcome, page: string) =>
    health.judge(outcome, page, { probes: undefined });
  return { clock, notes, health, judge, never: new AbortController().signal };
}

Deno.test("Health takes one failing page for a failing page, however often it fails", () => {
  const { health, judge } = make();
  for (let n = 0; n < 20; n++) assert.equal(judge(FAILED, "page"), undefined);
  assert.equal(health.outage, false);
});

Deno.test("Health takes several failing pages in a row for an outage, and an answer for its end", () => {
  const { health, judge, notes } = make();
  for (const page of ["a", "b"]) judge(FAILED, page);
  judge(ANSWERED, "c");
  for (const page of ["a", "b"]) judge(FAILED, page);
  assert.equal(health.outage, false);
  judge(FAILED, "c");
  assert.equal(health.outage, true);
  judge(REJECTED, "d");
  assert.equal(health.outage, false);
  assert.equal(notes.length, 2);
  assert.match(notes[0], /fails on every page \(HTTP 503\).*up to 10 minutes/);
  assert.match(notes[1], /answers again/);
});

Deno.test("Health.pass() lets one probe at a time through during an outage, at growing intervals", async () => {
  const { health, judge, clock, never } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  const begin = clock.now();
  const probes: number[] = [];
  const pages = Array.from({ length: 4 }, async (_, i) => {
    for (;;) {
      const pass = await health.pass(never);
      if (!health.outage) return;
      probes.push(clock.now() - begin);
      judge(FAILED, "in flight since before the outage"); // must not push the next probe away
      await clock.sleep(10);
      health.judge(probes.length < 5 ? FAILED : ANSWERED, `page ${i}`, pass);
    }
  });
  await clock.run(Promise.all(pages));
  assert.equal(probes.length, 5);
  const waits = probes.map((time, n) => time - (probes[n - 1] ?? 0));
  waits.forEach((wait, n) => {
    const expected = Math.min(LAST_PROBE_MS, FIRST_PROBE_MS * 2 ** n);
    assert.ok(wait >= expected && wait < expected + 600, `probe ${n} after ${wait} ms`);
  });
});

Deno.test("Health ends a run after an outage of the given length, and not before", () => {
  const { judge, clock } = make();
  const at = (ms: number) => {
    const start = clock.now();
    clock.now = () => start + ms;
  };
  for (const page of ["a", "b", "c"]) assert.equal(judge(FAILED, page), undefined);
  at(10 * MINUTE - 1);
  assert.equal(judge(FAILED, "a"), undefined);
  at(2);
  const end = judge(FAILED, "a");
  assert.equal(end?.exit, "again");
  assert.match(end!.message, /failed on every page for 10 minutes \(HTTP 503\).*it continues/);
});

Deno.test("Health ends a run that is throttled all the time, an answer in between starts anew", () => {
  const { judge, clock } = make();
  const start = clock.now();
  const at = (minutes: number) => clock.now = () => start + minutes * MINUTE;
  assert.equal(judge(THROTTLED, "a"), undefined);
  at(9);
  assert.equal(judge(THROTTLED, "a"), undefined);
  judge(ANSWERED, "a");
  at(18);
  assert.equal(judge(THROTTLED, "a"), undefined);
  at(29);
  assert.equal(judge(THROTTLED, "a")?.exit, "again");
});

Deno.test("Health ends a run whose first pages are all rejected alike, and no other", () => {
  const { judge: alike } = make();
  for (let n = 1; n < ALIKE_REJECTIONS; n++) assert.equal(alike(REJECTED, `${n}`), undefined);
  assert.equal(alike(REJECTED, "last")?.exit, "api");

  const { judge: answered } = make();
  answered(ANSWERED, "first");
  for (let n = 0; n < 50; n++) assert.equal(answered(REJECTED, `${n}`), undefined);

  const { judge: different } = make();
  for (let n = 0; n < 50; n++) {
    assert.equal(different({ kind: "rejected", message: `${n}` }, `${n}`), undefined);
  }
});

Deno.test("Health ends a run that is refused", () => {
  const end = make().judge({ kind: "refused", message: "HTTP 401" }, "a");
  assert.equal(end?.exit, "api");
  assert.match(end!.message, /401; check the key and OCR_URL, then.*no row was marked as failed/);
});

Deno.test("Health.pass() ends with the signal's reason, and a cancelled probe is no probe", async () => {
  const { health, judge, clock, never } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  const stop = new AbortController();
  const waiting = health.pass(stop.signal);
  stop.abort(new Error("stop"));
  await assert.rejects(waiting, /stop/);
  health.cancel(await clock.run(health.pass(never)));
  await clock.run(health.pass(never));
});
