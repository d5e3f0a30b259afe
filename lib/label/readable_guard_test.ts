import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { RunError } from "../base/errors.ts";
import type { Parsed } from "../base/json.ts";
import type { Answer } from "../engine/engine.ts";
import type { Polygon } from "../dataset/row.ts";
import { ALIKE_UNREADABLE, ReadableGuard } from "./readable_guard.ts";

const SIZE = { width: 9, height: 9, confidence: null };
const QUAD: Polygon = [[0, 0], [1, 0], [1, 1], [0, 1]];
const WORDS = [{ text: "a", confidence: null, polygon: QUAD }];
const GOOD: Parsed<Answer> = { value: { modelVersion: null, pages: [{ ...SIZE, words: WORDS }] } };
const BLANK: Parsed<Answer> = { value: { modelVersion: null, pages: [{ ...SIZE, words: [] }] } };

function bad(n: number): Parsed<Answer> {
  return { problem: `pages.0.words.${n}.confidence: Too big` };
}

function make({ noGuard = false, known = false, reads = undefined as boolean | undefined } = {}) {
  const clock = new VirtualClock();
  const bench = { looks: 0, underWay: 0, clock, guard: undefined as unknown as ReadableGuard };
  bench.guard = new ReadableGuard({
    noGuard,
    known,
    underWay: () => bench.underWay,
    ...{ clock, signal: new AbortController().signal },
    readsKnownPage: () => {
      bench.looks++;
      return Promise.resolve(reads);
    },
  });
  return bench;
}

/** How many unreadable answers it takes to end a run. */
async function endsAfter(guard: ReadableGuard, most: number, paid = true): Promise<number> {
  for (let n = 1; n <= most; n++) {
    try {
      await guard.judge(bad(n), `responses/${n}`, paid);
    } catch (error) {
      const { exit, message } = error as RunError;
      assert.equal(exit, "api");
      assert.match(message, /confidence: Too big.*responses\/1, responses\/2;.*--no-guard/);
      return n;
    }
  }
  return Infinity;
}

Deno.test("ReadableGuard ends a run whose first answers can't be read, paid for or found", async () => {
  assert.equal(await endsAfter(make().guard, 50), ALIKE_UNREADABLE);
  assert.equal(await endsAfter(make().guard, 50, false), ALIKE_UNREADABLE);
  assert.equal(await endsAfter(make({ noGuard: true }).guard, 50), Infinity);
});

Deno.test("ReadableGuard counts an answer once, and alike ones until one can be read", async () => {
  const { guard } = make();
  for (let n = 0; n < 50; n++) await guard.judge(bad(n), "responses/the same", true);
  for (let n = 0; n < 50; n++) await guard.judge(n % 4 ? bad(n) : GOOD, `${n}`, true);
});

Deno.test("ReadableGuard ends a run after three times as many that can't be read for a reason of its own each", async () => {
  const { guard } = make();
  let judged = 0;
  await assert.rejects(async () => {
    for (; judged < 50; judged++) {
      const problem = `${"x".repeat(judged)}: of its own kind`;
      await guard.judge({ problem }, `responses/${judged}`, true);
    }
  }, /15 answers in a row can't be read/);
  assert.equal(judged, 14);
});

Deno.test("ReadableGuard is not held off by answers that can't be read for several reasons by turns", async () => {
  const { guard } = make();
  const problems = ["pages.0.width: wide", "pages.0.words: none", "pages: one"];
  let judged = 0;
  await assert.rejects(async () => {
    for (; judged < 50; judged++) {
      await guard.judge({ problem: problems[judged % 3] }, `responses/${judged}`, true);
    }
  }, /5 answers in a row can't be read \(pages\.0\.width: wide\), .*responses\/0, responses\/3;/);
  assert.equal(judged, 12);
});

Deno.test("ReadableGuard asks for a page that could be read before it ends a run that has read some", async () => {
  for (const reads of [false, undefined]) {
    const bench = make({ known: true, reads });
    assert.equal(await endsAfter(bench.guard, 50), ALIKE_UNREADABLE);
    assert.equal(bench.looks, 1);
  }
  const fine = make({ reads: true });
  await fine.guard.judge(GOOD, "responses/0", true);
  assert.equal(await endsAfter(fine.guard, 40), Infinity);
  // After 5, 10 more, 20 more: a cluster of odd pages costs little.
  assert.equal(fine.looks, 3);
});

Deno.test("ReadableGuard pays for nothing where answers were found", async () => {
  const bench = make({ known: true, reads: true });
  assert.equal(await endsAfter(bench.guard, 40, false), Infinity);
  assert.equal(bench.looks, 0);
});

Deno.test("ReadableGuard waits for answers under way before the first few end a run", async () => {
  for (const last of [GOOD, bad(0)]) {
    const bench = make();
    bench.underWay = 1;
    const judged = Array.from({ length: ALIKE_UNREADABLE }, (_, n) => {
      return bench.guard.judge(bad(n), `responses/${n}`, true);
    });
    const ends = Promise.allSettled(judged);
    await bench.clock.run(bench.clock.sleep(60_000));
    const other = bench.guard.judge(last, "responses/last", true).catch(() => {});
    bench.underWay = 0;
    const { status } = (await bench.clock.run(ends)).at(-1)!;
    await other;
    assert.equal(status, last === GOOD ? "fulfilled" : "rejected");
  }
});

Deno.test("ReadableGuard takes blank pages for no sign that words can be read", async () => {
  const { guard } = make({ reads: true });
  let judged = 0;
  await assert.rejects(async () => {
    for (; judged < 50; judged++) {
      await guard.judge(judged % 2 ? BLANK : bad(judged), `responses/${judged}`, true);
    }
  }, /5 answers in a row can't be read/);
  assert.equal(judged, 8);
  assert.equal(guard.satisfied, false);
  const blank = make().guard;
  await blank.judge(BLANK, "responses/blank", true);
  assert.equal(blank.satisfied, true); // so far
});
