import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { Outcome } from "./engine.ts";
import {
  ALIKE_REJECTIONS,
  FIRST_PROBE_MS,
  Health,
  type HealthOptions,
  LAST_PROBE_MS,
  OUTAGE_PAGES,
} from "./health.ts";

const ANSWERED: Outcome = { kind: "answered", text: "{}", body: {} };
const FAILED: Outcome = { kind: "retryable", message: "HTTP 503" };
const REJECTED: Outcome = { kind: "rejected", message: "HTTP 400, invalid_request_body" };
const REFUSED: Outcome = { kind: "refused", message: "HTTP 403" };
const THROTTLED: Outcome = { kind: "throttled", until: 0, message: "HTTP 429" };
const MINUTE = 60_000;

function make(options: Partial<HealthOptions> = {}) {
  const clock = new VirtualClock();
  const notes: string[] = [];
  const health = new Health({
    model: "ocr",
    advice: "the key and OCR_URL",
    maxOutageMs: 10 * MINUTE,
    clock,
    note: (message) => notes.push(message),
    ...options,
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

Deno.test("Health judges first rejections by what the run and the model have shown before", async () => {
  let looks = 0;
  const everAnswered = (answer: boolean) => () => {
    looks++;
    return Promise.resolve(answer);
  };
  const reject = async ({ health, judge }: ReturnType<typeof make>) => {
    for (let n = 1; n <= 50; n++) {
      await health.recall();
      const end = judge(REJECTED, `${n}`);
      if (end) return [end.exit, n];
    }
    return undefined;
  };
  assert.equal(await reject(make({ everAnswered: everAnswered(true) })), undefined);
  const never = make({ everAnswered: everAnswered(false) });
  assert.deepEqual(await reject(never), ["api", ALIKE_REJECTIONS]);
  assert.equal(looks, 2, "a look for each");
  assert.equal(await reject(make({ noGuard: true })), undefined);
  const resumed = make({ everAnswered: () => assert.fail("needless") });
  resumed.health.knows();
  assert.equal(await reject(resumed), undefined);
});

Deno.test("Health takes refusals for the API's only if nobody is answered, or a known page is refused", () => {
  const { health, judge } = make();
  for (let n = 0; n < 4; n++) health.enter();
  assert.equal(judge(REFUSED, "a"), undefined);
  assert.equal(judge(REFUSED, "a"), undefined);
  assert.equal(judge(REFUSED, "b"), undefined);
  const end = judge(REFUSED, "c");
  assert.equal(end?.exit, "api");
  assert.match(end!.message, /--no-guard/);

  const { health: working, judge: later } = make();
  later(ANSWERED, "first");
  for (let n = 0; n < 50; n++) assert.equal(later(REFUSED, `${n}`), undefined);
  assert.ok(working.refusesAll && working.holds);
  const known = working.judge(REFUSED, "first", { probes: undefined, control: true });
  assert.equal(known?.exit, "api");
  assert.doesNotMatch(known!.message, /--no-guard/);
  later(ANSWERED, "another");
  assert.equal(working.refusesAll || working.holds, false);
});

Deno.test("Health.pass() holds everything back but a known page while all are refused", async () => {
  const { health, judge, clock, never } = make();
  judge(ANSWERED, "first");
  for (const page of ["a", "b", "c"]) judge(REFUSED, page);
  let passed = false;
  const waiting = health.pass(never).then(() => passed = true);
  const control = await clock.run(health.pass(never, false, true));
  assert.deepEqual([control.control, passed], [true, false]);
  health.begin(control);
  health.judge(ANSWERED, "first", control);
  await clock.run(waiting);
});

Deno.test("Health.workedSince() counts only requests that started afterwards", async () => {
  const { health, never } = make();
  const send = async () => {
    const pass = await health.pass(never);
    health.begin(pass);
    return pass;
  };
  const [early, failing] = [await send(), await send()];
  health.judge(FAILED, "a", failing);
  const failed = health.latest;
  health.judge(ANSWERED, "b", early);
  assert.equal(health.workedSince(failed), false);
  health.judge(ANSWERED, "c", await send());
  assert.equal(health.workedSince(failed), true);
});

Deno.test("Health takes pages that failed during an outage that is over for no new one", () => {
  const { health, judge } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  judge(ANSWERED, "d");
  for (const page of ["a", "b", "c", "a", "e", "f"]) judge(FAILED, page);
  assert.equal(health.outage, false);
  judge(FAILED, "g");
  assert.equal(health.outage, true);
});

Deno.test("Health takes a known page that fails for an outage, however few others fail", () => {
  const { health, judge } = make();
  judge(ANSWERED, "known");
  judge(FAILED, "a");
  health.judge(FAILED, "known", { probes: undefined, control: true });
  assert.equal(health.outage, true);
});

Deno.test("Health ends a run that is told to wait longer than it has patience, and no other", () => {
  const { judge, clock } = make();
  const asks = (kind: "throttled" | "retryable", ms: number): Outcome => {
    return { kind, until: clock.now() + ms, message: "HTTP xxx" };
  };
  assert.equal(judge(asks("throttled", 10 * MINUTE), "a"), undefined);
  assert.match(judge(asks("throttled", 10 * MINUTE + 1), "a")!.message, /2023-11-14T22:23:20Z/);
  assert.equal(judge(asks("throttled", Infinity), "a")?.exit, "again");
  const { judge: working } = make();
  working(ANSWERED, "first");
  for (const page of ["a", "b"]) assert.equal(working(asks("retryable", 1e9), page), undefined);
  assert.equal(working(asks("retryable", 1e9), "c")?.exit, "again");
  assert.equal(make().judge(asks("retryable", 1e9), "a")?.exit, "again");
});

Deno.test("Health does not count the time in which nobody asked as one of failing, or of being throttled", async () => {
  for (const outcome of [FAILED, THROTTLED]) {
    const { health, clock, never, notes } = make();
    const ask = async (page: string, outcome: Outcome, ms = 1_000) => {
      const pass = await health.pass(never, false, true);
      health.begin(pass);
      await clock.sleep(ms);
      return health.judge(outcome, page, { ...pass, control: false });
    };
    await clock.run((async () => {
      for (const page of ["a", "b", "c"]) await ask(page, outcome);
      await clock.sleep(30 * MINUTE);
      // However long each takes: it is asked all the time.
      const began = clock.now();
      let ending;
      while (!ending && clock.now() < began + 60 * MINUTE) {
        ending = await ask("d", outcome, 210_000);
        if (clock.now() < began + 10 * MINUTE) {
          assert.deepEqual([ending, health.exhausted], [undefined, false]);
        }
      }
      assert.equal(ending?.exit, "again");
      assert.ok(clock.now() - began < 20 * MINUTE, `${clock.now() - began} ms`);
      assert.equal(health.exhausted, outcome === FAILED);
    })());
    assert.equal(notes.length, outcome === FAILED ? 1 : 0);
  }
});

Deno.test("while requests are under way that may show it to be the pages', nothing ends and nothing more starts", () => {
  const { health } = make();
  const begin = () => {
    const pass = { probes: undefined };
    health.begin(pass);
    return pass;
  };
  for (let n = 0; n < 9; n++) health.enter();
  const rejected = Array.from({ length: ALIKE_REJECTIONS }, begin);
  const [other, given] = [begin(), begin()];
  assert.equal(health.holds, false, "nothing was rejected yet");
  rejected.forEach((pass, n) => assert.equal(health.judge(REJECTED, `${n}`, pass), undefined));
  assert.equal(health.holds, true);
  health.cancel(given);
  assert.equal(health.holds, true);
  health.judge(ANSWERED, "other", other);
  assert.equal(health.holds, false);

  const { health: refusing } = make();
  for (let n = 0; n < 9; n++) refusing.enter();
  const passes = Array.from({ length: OUTAGE_PAGES }, () => ({ probes: undefined }));
  for (const pass of passes) refusing.begin(pass);
  assert.equal(refusing.holds, false, "nothing was refused yet");
  refusing.judge(REFUSED, "a", passes[0]);
  assert.equal(refusing.holds, true, "two more would end the run");
  refusing.cancel(passes[1]);
  assert.equal(refusing.holds, false);
  refusing.begin(passes[1]);
  assert.equal(refusing.holds, true);
  refusing.knows();
  assert.equal(refusing.holds, false, "the key is known to be good");
});

Deno.test("a page that was accepted shows that the API is up, but not that pages are answered", () => {
  const { health, judge } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  judge({ kind: "accepted", ticket: 1, message: "accepted" }, "a");
  assert.equal(health.outage, false);
  const ends = Array.from({ length: ALIKE_REJECTIONS }, (_, n) => judge(REJECTED, `${n}`));
  assert.equal(ends.at(-1)?.exit, "api");
});

Deno.test("answers that arrive late take back nothing of what later ones have shown", () => {
  const { health } = make();
  const passes = [0, 1].map(() => ({ probes: undefined }));
  for (const pass of passes) health.begin(pass);
  health.judge(ANSWERED, "b", passes[1]);
  health.judge(ANSWERED, "a", passes[0]);
  assert.equal(health.workedSince(1), true);
});

Deno.test("pages that failed while another one was answered make no second outage, however often they come back", () => {
  const { health, judge } = make();
  const pages = ["a", "b", "c"];
  for (const page of pages) judge(FAILED, page);
  judge(ANSWERED, "d");
  for (const page of pages) health.leave(page);
  for (const page of pages) judge(FAILED, page);
  assert.equal(health.outage, false);
  // Until they are answered.
  for (const page of pages) judge(ANSWERED, page);
  for (const page of pages) judge(FAILED, page);
  assert.equal(health.outage, true);
});

Deno.test("a page that is through begins anew: that it was throttled is forgotten", () => {
  const other = make();
  const throttle = () => {
    const pass = { probes: undefined };
    other.health.begin(pass);
    other.health.judge(THROTTLED, "x", pass);
    return other.health.throttled("x", undefined).alone;
  };
  const answer = () => {
    const pass = { probes: undefined };
    other.health.begin(pass);
    other.health.judge(ANSWERED, "another", pass);
  };
  const hits = () =>
    Array.from({ length: 3 }, () => {
      for (let n = 0; n < 20; n++) answer();
      return throttle();
    });
  assert.deepEqual(hits(), [false, true, true]);
  other.health.leave("x");
  assert.deepEqual(hits(), [false, true, true]);
});

Deno.test("Health.pass() makes a known page wait for its probe, too, and lets others go elsewhere from a doubt", async () => {
  const { health, judge, clock, never } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  const begin = clock.now();
  const control = await clock.run(health.pass(never, false, true));
  assert.ok(control.probes && clock.now() - begin >= FIRST_PROBE_MS);
  judge(ANSWERED, "d");
  for (const page of ["a", "b", "c"]) judge(REFUSED, page);
  assert.equal(await clock.run(health.pass(never, true, false, () => true)), undefined);
});

Deno.test("a probe that is refused, given up or fails on whichever page gives way to the next", async () => {
  const { health, judge, clock, never } = make();
  for (const page of ["a", "b", "c"]) judge(FAILED, page);
  judge(ANSWERED, "d");
  for (const page of ["e", "f", "g"]) judge(FAILED, page);
  const old = await clock.run(health.pass(never));
  health.judge(REFUSED, "h", old);
  assert.equal(health.wantsProbe, true);
  health.cancel(await clock.run(health.pass(never)));
  assert.equal(health.wantsProbe, true);
  // The page has failed in the outage before.
  health.judge(FAILED, "a", await clock.run(health.pass(never)));
  assert.equal(health.wantsProbe, false);
  await clock.run(clock.sleep(2 * FIRST_PROBE_MS));
  assert.equal(health.wantsProbe, true);

  // One of an outage that is over says nothing of the next one.
  judge(ANSWERED, "d");
  for (const page of ["i", "j", "k"]) judge(FAILED, page);
  await clock.run(clock.sleep(FIRST_PROBE_MS));
  health.judge(FAILED, "h", old);
  assert.equal(health.wantsProbe, true);
});

Deno.test("Health says when the API is down and since when, and that it is not any more", () => {
  const said: boolean[] = [];
  const made = make({ down: () => said.push(made.health.outage) });
  const { health, judge, clock } = made;
  judge(ANSWERED, "known");
  assert.equal(health.downSince, undefined);
  health.judge(FAILED, "known", { probes: undefined, control: true });
  assert.deepEqual([said, health.downSince], [[true], clock.now()]);
  judge(ANSWERED, "another");
  assert.deepEqual([said, health.downSince], [[true, false], undefined]);
});

Deno.test("Health ends a run whose patience is over before the time that it is told to wait for", () => {
  const { judge, clock } = make();
  const start = clock.now();
  const until = (minutes: number): Outcome => ({ ...FAILED, until: start + minutes * MINUTE });
  for (const page of ["a", "b", "c"]) assert.equal(judge(FAILED, page), undefined);
  clock.now = () => start + 5 * MINUTE;
  assert.equal(judge(until(10), "a"), undefined);
  const end = judge(until(11), "a");
  assert.match(end!.message, /wants to be asked again at .*Z \(HTTP 503\), .*further away/);
  assert.equal(make().judge({ ...FAILED, until: start + 10 * MINUTE }, "a"), undefined);
});

Deno.test("Health takes nobody's word alone for a wait beyond all patience, nor words that an answer lies between", () => {
  const { health, judge, clock } = make();
  const asks: Outcome = { ...THROTTLED, until: clock.now() + 11 * MINUTE };
  for (let n = 0; n < OUTAGE_PAGES; n++) health.enter();
  for (const page of ["a", "b"]) assert.equal(judge(asks, page), undefined);
  judge(ANSWERED, "c");
  assert.equal(judge(asks, "d"), undefined);
  const known = { probes: undefined, control: true };
  assert.equal(health.judge(asks, "known", known)?.exit, "again", "that of a page that works");
});

Deno.test("--no-guard is offered where it helps, and goes by what has worked", () => {
  const tooLong = (options: Partial<HealthOptions>, works: boolean) => {
    const { judge, clock } = make(options);
    const start = clock.now();
    if (works) judge(ANSWERED, "first");
    judge(THROTTLED, "a");
    clock.now = () => start + 10 * MINUTE;
    return judge(THROTTLED, "a")!.message;
  };
  assert.match(tooLong({}, false), /--no-guard/);
  for (const [options, works] of [[{}, true], [{ noGuard: true }, false]] as const) {
    assert.doesNotMatch(tooLong(options, works), /--no-guard/);
  }
  assert.doesNotMatch(make({ noGuard: true }).health.refusal("no").message, /--no-guard/);
  const { health, judge, clock } = make({ noGuard: true });
  assert.equal(judge({ ...FAILED, until: clock.now() + 1e9 }, "a"), undefined);
  for (const page of ["b", "c", "d"]) judge(FAILED, page);
  assert.equal(health.outage, false, "nothing has worked: it is the pages, says the user");
  judge(ANSWERED, "e");
  for (const page of ["f", "g", "h"]) judge(FAILED, page);
  assert.equal(health.outage, true);
});
