import assert from "node:assert/strict";
import fc from "fast-check";
import { measure, parseParts } from "./main.ts";
import {
  type Measure,
  median,
  renderMarkdown,
  renderText,
  shareOfLimit,
  slope,
} from "./figures.ts";
import { runChild } from "./child.ts";
import { label } from "./run.ts";
import { BenchServers } from "./servers.ts";

Deno.test("shareOfLimit() is what was taken over the area under the limit", () => {
  const schedule = [{ from: 0, limit: 10 }, { from: 60_000, limit: 4 }, {
    from: 120_000,
    limit: 10,
  }];
  assert.equal(shareOfLimit(600, schedule, 60_000), 1);
  assert.equal(shareOfLimit(420, schedule, 90_000), 420 / 720);
  assert.equal(shareOfLimit(940, schedule, 130_000), 1);
  // Ten times as fast, a minute of the limit's time is over after six seconds.
  assert.equal(shareOfLimit(940, schedule, 13_000, 10), 1);
});

Deno.test("shareOfLimit() under a constant limit is the rate over the limit", () => {
  const positive = fc.integer({ min: 1, max: 10_000 });
  fc.assert(fc.property(positive, positive, positive, (requests, limit, spanMs) => {
    const share = shareOfLimit(requests, [{ from: 0, limit }], spanMs);
    assert.ok(Math.abs(share / (requests / spanMs * 1_000 / limit) - 1) < 1e-9);
  }));
});

Deno.test("slope() is the rise by each step of x, whichever point comes first", () => {
  assert.equal(slope([1_000, 50], [11_000, 1_050]), 0.1);
  assert.equal(slope([11_000, 1_050], [1_000, 50]), 0.1);
  assert.equal(slope([0, 7], [10, 7]), 0);
  assert.throws(() => slope([5, 1], [5, 2]), RangeError);
});

Deno.test("median() is the middle value, or between the two in the middle", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 100, 2]), 3);
  assert.throws(() => median([]), RangeError);
});

Deno.test("parseParts() takes known parts only", () => {
  assert.deepEqual(parseParts("1,4,9"), new Set([1, 4, 9]));
  for (const text of ["", "10", "0", "1,", "1 4", "x"]) assert.equal(parseParts(text), undefined);
});

Deno.test("both tables show every measure with its verdict and its limit", () => {
  const common = { part: 1, ours: "1", baseline: "2", target: "-", raw: {} };
  const measures: Measure[] = [
    { ...common, name: "a|b", ratio: 0.5, met: true, limit: "the first limit" },
    { ...common, name: "c", ratio: 12, met: false, limit: "the second limit" },
    { ...common, name: "d", ratio: 1, met: null, limit: "the third limit" },
  ];
  const lines = renderText(measures).split("\n");
  assert.match(lines[1], /a\|b +1 +2 +0\.500 +- +yes$/);
  assert.equal(lines[2].trim(), "the first limit");
  assert.match(lines[3], /12\.0 +- +no$/);
  const markdown = renderMarkdown(measures).split("\n");
  assert.equal(markdown[2], "| 1 | a\\|b | 1 | 2 | 0.500 | - | yes |");
  assert.equal(markdown[4], "| 1 | d | 1 | 2 | 1.000 | - | - |");
  assert.equal(markdown.at(-2), "- d: the third limit");
});

Deno.test("runChild() tells how a process ended, how long it took and what it used", async () => {
  const script = "const a = new Array(3e6).fill(0).map((_, i) => i);" +
    "while (performance.now() < 300); console.log(a.length); Deno.exit(3)";
  const figures = await runChild({ command: Deno.execPath(), args: ["eval", script] });
  assert.deepEqual([figures.code, figures.stdout], [3, "3000000\n"]);
  assert.ok(figures.seconds >= 0.3, `${figures.seconds} s`);
  assert.ok(figures.cpuSeconds > 0 && figures.cpuSeconds < 60, `${figures.cpuSeconds} s of CPU`);
  assert.ok(figures.peakBytes > 24e6 && figures.peakBytes < 2e9, `${figures.peakBytes} bytes`);
});

Deno.test("the benchmark finishes each part with figures that make sense", async () => {
  await using servers = await BenchServers.start();
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const bench = { servers, size: "tiny", note, secondsLeft: () => 60 } as const;
  const measures = await measure(bench, new Set([1, 2, 3, 4, 5, 6, 8]));
  assert.deepEqual(
    measures.map(({ part }) => part),
    [1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 5, 6, 8, 8, 8, 8, 8],
  );
  for (const { name, ratio, met, limit } of measures) {
    assert.ok(Number.isFinite(ratio) && ratio > 0, `${name}: ${ratio}`);
    assert.equal(met, null, `${name} is judged by a run that is too short`);
    assert.ok(limit.length > 0, `${name} has no limit`);
    assert.doesNotMatch(limit, /NaN|undefined/);
  }
  // The limit is enforced: no policy gets more than it allows, but for the windows at both ends.
  assert.ok(measures[0].ratio < 1.2, `${measures[0].ratio} of the limit was used`);
  assert.ok(notes.length >= 9, notes.join("\n"));
});

Deno.test("the benchmark believes no run that did not finish properly", async () => {
  await using servers = await BenchServers.start();
  const load = { tenant: "broken", dataset: "pages", rows: 2, imageBytes: 200, words: 1 };
  const bench = { servers, size: "tiny", note: () => {}, secondsLeft: () => 60 } as const;
  await assert.rejects(label(bench, load, ["--max-pages", "1"]), /ended with 8, 0 of 2 rows/);
});
