import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { type Throttled, ThrottledPages } from "./throttled_pages.ts";

/** Pages of a lane on which one request follows the other. */
class Bench {
  now = 1_000_000;
  requests = 0;
  worked = 0;
  readonly pages = new ThrottledPages({ ...new VirtualClock(), now: () => this.now }, 60_000);

  answer(page: string, control = false) {
    this.worked = ++this.requests;
    this.pages.worked(page, control);
  }

  throttle(page: string, code?: string) {
    this.requests++;
    return this.pages.throttled(page, code, this.requests, (number) => this.worked > number);
  }
}

Deno.test("a page that alone is throttled is given up after a minute, and soon holds nobody back", () => {
  const bench = new Bench();
  const said: Throttled[] = [];
  for (let seconds = 0; seconds <= 70; seconds++) {
    said.push(bench.throttle("x"));
    for (let n = 0; n < 3; n++) bench.answer(`page ${seconds}.${n}`);
    bench.now += 1_000;
  }
  assert.deepEqual(said.slice(0, 3).map(({ alone }) => alone), [false, false, true]);
  assert.equal(said.findIndex(({ own }) => own), 60);
  assert.match(said[60].own!, /for 60 s, while other pages were answered/);
  assert.deepEqual([1, 2, 3, 20].map((n) => said[n].waitMs), [0, 4_000, 8_000, 30_000]);
});

Deno.test("between two times at which nothing else was answered nothing is shown", () => {
  const bench = new Bench();
  for (let seconds = 0; seconds < 600; seconds++) {
    const { alone, own } = bench.throttle("x");
    assert.deepEqual([alone, own], [false, undefined]);
    bench.now += 1_000;
  }
});

Deno.test("a code that was found to speak of a page fails the next one soon, until a page passes with it", () => {
  const bench = new Bench();
  const asOften = (page: string, code?: string) => {
    for (let times = 1; times <= 1_000; times++) {
      const { own, alone } = bench.throttle(page, code);
      bench.answer("another");
      bench.now += 1_000;
      if (own) return { times, alone };
    }
  };
  assert.equal(asOften("x", "page_quota_exceeded")!.times, 61);
  assert.equal(asOften("y", "page_quota_exceeded")!.times, 4);
  assert.equal(bench.throttle("z", "page_quota_exceeded").alone, true);
  assert.equal(bench.throttle("w").alone, false);
  bench.answer("z");
  assert.equal(bench.throttle("v", "page_quota_exceeded").alone, false);
  assert.equal(asOften("v", "page_quota_exceeded")!.times, 61);
});

Deno.test("a page that is left begins anew", () => {
  const bench = new Bench();
  for (let times = 0; times < 3; times++) {
    bench.throttle("x");
    bench.answer("a");
  }
  bench.pages.leave("x");
  assert.equal(bench.throttle("x").alone, false);
});

Deno.test("a page that was answered at last begins anew", () => {
  const bench = new Bench();
  for (let times = 0; times < 4; times++) {
    bench.throttle("x");
    bench.answer("a");
  }
  assert.equal(bench.throttle("x").alone, true);
  bench.answer("x");
  assert.equal(bench.throttle("x").alone, false);
});

Deno.test("a page that is throttled right after one that works was answered soon holds nobody back, unless others are throttled as well", () => {
  for (const others of [0, 3]) {
    const bench = new Bench();
    bench.throttle("x");
    for (let n = 0; n < others; n++) bench.throttle(`another ${n}`);
    bench.answer("known", true);
    const { alone, waitMs } = bench.throttle("x");
    assert.deepEqual([alone, waitMs > 0], others ? [false, false] : [true, true]);
  }
});

Deno.test("a page that works shows it where nothing else is answered, three times, now and then", () => {
  for (const upset of [false, true]) {
    const bench = new Bench();
    let [controls, given]: [number, number?] = [0];
    for (let seconds = 0; seconds < 300 && given === undefined; seconds++) {
      const { doubtful, own } = bench.throttle("x");
      if (own) given = seconds;
      if (doubtful && ++controls) {
        if (upset && controls % 2 === 0) {
          bench.requests++;
          bench.pages.controlThrottled();
        } else bench.answer("known", true);
      }
      bench.now += 1_000;
    }
    assert.equal(given, upset ? undefined : 60 + 2 * 15 + 1);
    if (upset) assert.ok(controls <= 17);
    else assert.equal(controls, 3);
  }
});

Deno.test("no limit, however low, makes a page fail that is asked for like the others", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 95 }),
      fc.integer({ min: 2, max: 12 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 99 })),
      (percent, pages, dice) => {
        const bench = new Bench();
        let next = 0;
        const names = Array.from({ length: pages }, () => `page ${next++}`);
        for (let turn = 0; turn < 5_000; turn++) {
          const at = turn % pages;
          bench.now += 300;
          if (dice.next().value! < percent) {
            assert.equal(bench.throttle(names[at], "a_code").own, undefined);
          } else {
            bench.answer(names[at]);
            names[at] = `page ${next++}`;
          }
        }
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});
