import assert from "node:assert/strict";
import { mock } from "node:test";
import fc from "fast-check";
import {
  barReporter,
  duration,
  jsonReporter,
  RateMeter,
  renderBar,
  type ReporterOptions,
} from "./reporter.ts";
import { Tally } from "../label/tally.ts";

/** A reporter's surroundings, whose time passes only by `pass`. */
class Bench implements Disposable {
  readonly tally = new Tally();
  readonly written: string[] = [];
  readonly options: ReporterOptions;
  #now = Date.UTC(2026, 10, 1);

  constructor() {
    mock.timers.enable({ apis: ["setInterval"] });
    this.options = {
      tally: this.tally,
      write: (text) => void this.written.push(text),
      clock: { now: () => this.#now, sleep: () => assert.fail("a reporter does not sleep") },
    };
  }

  pass(ms: number): void {
    this.#now += ms;
    mock.timers.tick(ms);
  }

  /** What was written since the last call, as JSON lines. */
  lines(): Record<string, unknown>[] {
    const text = this.written.splice(0).join("");
    assert.ok(text === "" || text.endsWith("\n"), "a line is not ended");
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  [Symbol.dispose]() {
    mock.timers.reset();
  }
}

const FAILURE = {
  row: 7,
  id: "row-7",
  imagePath: "s3://b/7.png",
  code: "image_empty",
  message: "no bytes\nat all",
} as const;

Deno.test("jsonReporter() writes one JSON object a line: start, note, failure, end", () => {
  using bench = new Bench();
  using reporter = jsonReporter(bench.options);
  reporter.start({ dataset: "한글" });
  reporter.note("two\nlines", { batch: 3 });
  reporter.failure(FAILURE);
  bench.tally.total = 10;
  reporter.end({ exit: 0 });
  const time = "2026-11-01T00:00:00.000Z";
  const [start, note, failure, end, ...more] = bench.lines();
  assert.deepEqual(start, { time, event: "start", dataset: "한글" });
  assert.deepEqual(note, { time, event: "note", message: "two\nlines", batch: 3 });
  assert.deepEqual(failure, {
    time,
    event: "failure",
    row: 7,
    id: "row-7",
    image_path: "s3://b/7.png",
    code: "image_empty",
    message: "no bytes\nat all",
  });
  assert.deepEqual([end.event, end.exit, end.total, more.length], ["end", 0, 10, 0]);
});

Deno.test("jsonReporter() shows progress every 30 s with rate and time left, until it is disposed", () => {
  using bench = new Bench();
  const { tally } = bench;
  {
    using reporter = jsonReporter(bench.options);
    tally.total = 1_000;
    tally.doneBefore = 400;
    reporter.start({});
    bench.lines();
    bench.pass(29_999);
    assert.deepEqual(bench.lines(), []);
    tally.rows.rows = 60;
    tally.rows.failed = 2;
    tally.billedPages = 58;
    bench.pass(1);
    assert.deepEqual(bench.lines(), [{
      time: "2026-11-01T00:00:30.000Z",
      event: "progress",
      done: 460,
      total: 1_000,
      failed: 2,
      pages_billed: 58,
      answers_reused: 0,
      requests: 0,
      throttled: 0,
      rows_per_s: 2,
      eta_s: 270,
    }]);
    bench.pass(30_000);
    assert.deepEqual(bench.lines().map(({ rows_per_s, eta_s }) => [rows_per_s, eta_s]), [[1, 540]]);
  }
  bench.pass(120_000);
  assert.deepEqual(bench.lines(), []);
});

Deno.test("jsonReporter() knows no time left while nothing moves", () => {
  using bench = new Bench();
  using reporter = jsonReporter(bench.options);
  bench.tally.total = 5;
  reporter.start({});
  bench.pass(30_000);
  const [, progress] = bench.lines();
  assert.deepEqual([progress.rows_per_s, progress.eta_s], [0, null]);
});

const CLEAR = "\r\x1b[K";

Deno.test("barReporter() draws over itself and lets notes and failures scroll by above", () => {
  using bench = new Bench();
  using reporter = barReporter({ ...bench.options, columns: () => 100 });
  reporter.note("before the bar");
  assert.deepEqual(bench.written.splice(0), ["before the bar\n"]);

  bench.tally.total = 10;
  reporter.start({});
  const [first, ...more] = bench.written.splice(0);
  assert.ok(first.startsWith(`${CLEAR}░`) && first.includes("0/10") && !first.includes("\n"));
  assert.deepEqual(more, []);

  bench.tally.rows.rows = 5;
  bench.pass(250);
  const [second] = bench.written.splice(0);
  assert.match(second, /█░.* 5\/10 \(50 %\)/);

  reporter.note("a note");
  reporter.failure(FAILURE);
  const [note, bar, failure, again] = bench.written.splice(0);
  assert.equal(note, `${CLEAR}a note\n`);
  assert.equal(bar, second);
  assert.ok(failure.startsWith(`${CLEAR}row 7 (row-7) failed: image_empty: no bytes`));
  assert.equal(again, second);

  bench.tally.rows.rows = 10;
  reporter.end({});
  const last = bench.written.splice(0);
  assert.match(last.join(""), /10\/10 \(100 %\).* done .*\n$/);
  reporter.end({});
  reporter.note("after the bar");
  bench.pass(1_000);
  assert.deepEqual(bench.written, ["after the bar\n"]);
});

Deno.test("barReporter() stops drawing once it is disposed", () => {
  using bench = new Bench();
  const reporter = barReporter({ ...bench.options, columns: () => 80 });
  reporter.start({});
  reporter[Symbol.dispose]();
  bench.written.length = 0;
  bench.pass(1_000);
  assert.deepEqual(bench.written, []);
});

const progress = fc.integer({ min: 0, max: 10_000_000 }).chain((total) =>
  fc.record({
    done: fc.integer({ min: 0, max: total }),
    total: fc.constant(total),
    failed: fc.integer({ min: 0, max: total }),
    pages_billed: fc.integer({ min: 0, max: 10_000_000 }),
    rows_per_s: fc.double({ min: 0, max: 10_000, noNaN: true }),
    eta_s: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
  })
);

Deno.test("renderBar() is never longer than the columns, and one line", () => {
  fc.assert(fc.property(progress, fc.integer({ min: 2, max: 300 }), (now, columns) => {
    const line = renderBar(now, columns);
    assert.ok(line.length <= columns, `${line.length} of ${columns}`);
    assert.doesNotMatch(line, /[\r\n]/);
    assert.ok(line.length > 0);
  }));
});

Deno.test("renderBar() says 100 % and done only when all is done", () => {
  fc.assert(fc.property(progress, (now) => {
    const line = renderBar(now, 300);
    assert.equal(line.includes("(100 %)"), now.done === now.total);
    assert.equal(line.includes("· done ·"), now.done === now.total);
    assert.equal(line.includes("░"), now.done < now.total);
  }));
});

Deno.test("renderBar() shows figures first, and a bar where there is room", () => {
  const now = { done: 1, total: 4, failed: 1, pages_billed: 2, rows_per_s: 0.46, eta_s: 90 };
  const figures = "1/4 (25 %) · 0.5 rows/s · ETA 1 min 30 s · 1 failed · 2 pages billed";
  assert.equal(renderBar(now, 200), `${"█".repeat(10)}${"░".repeat(30)} ${figures}`);
  assert.equal(renderBar(now, 70), figures);
  assert.equal(renderBar(now, 20), figures.slice(0, 19));
});

Deno.test("duration() is short and rounds before it divides", () => {
  const table: [seconds: number | null, text: string][] = [
    [null, "unknown"],
    [0, "0 s"],
    [0.4, "0 s"],
    [4.5, "5 s"],
    [59.4, "59 s"],
    [59.6, "1 min 00 s"],
    [185, "3 min 05 s"],
    [3_599.7, "1 h 00 min"],
    [9 * 3_600 + 15 * 60 + 59, "9 h 15 min"],
    [100 * 3_600, "100 h 00 min"],
  ];
  for (const [seconds, text] of table) assert.equal(duration(seconds), text);
});

Deno.test("RateMeter knows no rate before time has passed", () => {
  const meter = new RateMeter();
  assert.equal(meter.perSecond, 0);
  meter.observe(1_000, 5);
  assert.equal(meter.perSecond, 0);
  meter.observe(1_000, 9);
  assert.equal(meter.perSecond, 0);
});

Deno.test("RateMeter.perSecond is a steady rate, whatever the count began with", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 50 }),
    fc.integer({ min: 0, max: 1_000_000 }),
    fc.array(fc.integer({ min: 100, max: 20_000 }), { minLength: 1, maxLength: 50 }),
    (perSecond, begin, pauses) => {
      const meter = new RateMeter();
      let time = 0;
      meter.observe(0, begin);
      for (const pause of pauses) {
        time += pause;
        meter.observe(time, begin + perSecond * time / 1_000);
      }
      assert.ok(Math.abs(meter.perSecond - perSecond) < 1e-6);
    },
  ));
});

Deno.test("RateMeter forgets what is older than its window", () => {
  const meter = new RateMeter(10_000);
  for (let second = 0; second <= 100; second++) meter.observe(second * 1_000, second * 50);
  assert.equal(meter.perSecond, 50);
  for (let second = 101; second <= 109; second++) meter.observe(second * 1_000, 5_000);
  assert.equal(meter.perSecond, 5);
  meter.observe(110_000, 5_000);
  assert.equal(meter.perSecond, 0);
});

Deno.test("RateMeter thins out notes that come more often than ten times a second", () => {
  const meter = new RateMeter();
  for (let time = 0; time <= 5_050; time++) meter.observe(time, time);
  assert.equal(meter.perSecond, 1_000);
  // The newest note that counts is of 5,000 ms, so this one changes nothing, the next one does.
  meter.observe(5_099, 1_000_000);
  assert.equal(meter.perSecond, 1_000);
  meter.observe(5_100, 10_200);
  assert.equal(Math.round(meter.perSecond), 2_000);
});
