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

  get latest() {
    return this.requests;
  }

  workedSince(number: number) {
    return this.worked > number;
  }

  answer(page: string, control = false) {
    this.worked = ++this.requests;
    this.pages.worked(this, page, control);
  }

  throttle(page: string, code?: string) {
    this.requests++;
    return this.pages.throttled(this, page, code);
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
  assert.deepEqual([1, 2, 3, 20].map((n) => said[n].waitMs), [0, 4_000, 6_000, 6_000]);
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

/** Pages that come one after another, and one that works where it is wanted. */
function controlled(
  pages: readonly string[],
  upset: (controls: number) => boolean,
  mostSeconds = 600,
): { controls: number; given: Map<string, number>; seconds: number } {
  const bench = new Bench();
  const given = new Map<string, number>();
  let [controls, seconds] = [0, 0];
  for (; seconds < mostSeconds && given.size < pages.length; seconds++) {
    for (const page of pages.filter((page) => !given.has(page))) {
      const { doubtful, own } = bench.throttle(page);
      if (own) given.set(page, seconds);
      if (own) bench.pages.leave(page);
      if (doubtful && ++controls) {
        if (upset(controls)) {
          bench.requests++;
          bench.pages.controlThrottled(bench);
        } else bench.answer("known", true);
      }
    }
    bench.now += 1_000;
  }
  return { controls, given, seconds };
}

Deno.test("a page that works shows it where nothing else is answered, three times, for all of them", () => {
  for (const pages of [["x"], ["x", "y", "z"], Array.from({ length: 40 }, (_, n) => `page ${n}`)]) {
    const { controls, given, seconds } = controlled(pages, () => false);
    assert.equal(given.size, pages.length);
    assert.equal(controls, 3);
    assert.ok(seconds > 60 && seconds < 300, `${seconds} s`);
  }
});

Deno.test("a page that works and is throttled, too, shows nothing, and is asked for less and less", () => {
  const never = controlled(["x"], () => true, 3_600);
  assert.equal(never.given.size, 0);
  assert.ok(never.controls <= 20, `${never.controls}`);
  const { controls, given } = controlled(["x"], (n) => n % 3 > 0, 180);
  assert.deepEqual([given.size, controls <= 6], [0, true]);
});

Deno.test("what a page met while others passed says nothing of a time when they don't", () => {
  const bench = new Bench();
  bench.throttle("x");
  for (let n = 0; n < 500; n++) bench.answer(`page ${n}`);
  // The limit falls; of five that come one passes.
  for (let round = 0; round < 12; round++) {
    for (let n = 0; n < 4; n++) {
      bench.throttle(`late ${round + n}`);
      bench.now += 2_000;
    }
    assert.equal(bench.throttle("x").own, undefined, `round ${round}`);
    bench.answer(`late ${round}`);
  }
});

Deno.test("a page that passes in the end shows that a limit is at work", () => {
  const bench = new Bench();
  for (let seconds = 0; seconds < 300; seconds += 10) {
    bench.throttle("y");
    assert.equal(bench.throttle("x").own, undefined);
    bench.answer("known", true);
    if (seconds % 20 === 10) bench.answer("y");
    bench.now += 10_000;
    if (seconds > 60) return;
  }
});

Deno.test("what a page met by each of several keys counts together", () => {
  const [one, two] = [new Bench(), new Bench()];
  const pages = one.pages;
  let own: string | undefined;
  let controls = 0;
  for (let turn = 0; turn < 60 && !own; turn++) {
    const on = turn % 2 === 0 ? one : two;
    one.now += 5_000;
    on.requests++;
    const said = pages.throttled(on, "x", undefined);
    own = said.own;
    if (!said.doubtful) continue;
    controls++;
    on.worked = ++on.requests;
    pages.worked(on, "known", true);
  }
  assert.ok(controls <= 4, `${controls}`);
  assert.match(own ?? "", /whenever it was asked for/);
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
