import assert from "node:assert/strict";
import { mock } from "node:test";
import fc from "fast-check";
import { barReporter, jsonReporter, renderBar, type ReporterOptions } from "./reporter.ts";
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
      pricePerPage: 0.01,
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

Deno.test("jsonReporter() shows progress every 30 s with rate and time left, until its end", () => {
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
      cost: 0.58,
      requests: 0,
      throttled: 0,
      rows_per_s: 2,
      elapsed_s: 30,
      eta_s: 270,
    }]);
    bench.pass(30_000);
    assert.deepEqual(bench.lines().map(({ rows_per_s, eta_s }) => [rows_per_s, eta_s]), [[1, 540]]);
    reporter.end({ exit: 0 });
    bench.pass(90_000); // a report is written meanwhile
    assert.deepEqual(bench.lines().map(({ event }) => event), ["end"]);
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
  assert.match(second, /█░+ 50 % 5\/10 · ETA /);

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
  assert.match(last.join(""), /100 % 10\/10 · done .*\n$/);
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

Deno.test("barReporter() lets no order to the terminal through, wherever it comes from", () => {
  using bench = new Bench();
  using reporter = barReporter({ ...bench.options, columns: () => 80 });
  bench.tally.total = 2;
  reporter.start({});
  bench.written.length = 0;
  const controls = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, n) => 0x7f + n)];
  const hostile = String.fromCharCode(...controls) + "\u202e\u2028\ufeff";
  reporter.note(`note ${hostile} end`);
  reporter.failure({ ...FAILURE, id: `id ${hostile} end`, message: `said ${hostile} end` });
  bench.tally.paused = { what: "the \x1b[2J\n\x9b is down", since: 0 };
  bench.pass(250);
  reporter.end({});
  assert.ok(bench.written.some((text) => text.includes("is down since")));
  const texts = bench.written.map((text) => text.replace(CLEAR, "").replace(/\n$/, ""));
  assert.equal(texts.filter((text) => text.includes(" end")).length, 2);
  // deno-lint-ignore no-control-regex
  for (const text of texts) assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u202e\u2028\ufeff]/);
});

Deno.test("barReporter() shortens ids and messages that would fill the screen", () => {
  using bench = new Bench();
  using reporter = barReporter({ ...bench.options, columns: () => 80 });
  reporter.failure({ ...FAILURE, id: "9".repeat(70_000), message: "no such page" });
  assert.match(bench.written[0], /^row 7 \(9{199}…\) failed: image_empty: no such page\n$/);
  reporter.note("x".repeat(70_000));
  assert.equal(bench.written[1].length, 2_001);
});

Deno.test("barReporter() clears the whole line before each picture, note and failure", () => {
  using bench = new Bench();
  using reporter = barReporter({ ...bench.options, columns: () => 80 });
  bench.tally.total = 2;
  reporter.start({});
  bench.pass(250);
  reporter.note("a note");
  reporter.failure(FAILURE);
  reporter.end({});
  const last = bench.written.pop();
  assert.equal(last, "\n");
  for (const text of bench.written) {
    assert.equal(text.lastIndexOf("\r\x1b[K"), 0, JSON.stringify(text));
    assert.equal(text.split("\x1b").length, 2);
  }
});

Deno.test("jsonReporter() keeps one event on one line, whatever ids and messages hold", () => {
  using bench = new Bench();
  using reporter = jsonReporter(bench.options);
  const forged = '\n{"event":"end","exit":0}\n\x1b[2J\x9b2J\u2028';
  reporter.note(forged);
  reporter.failure({ ...FAILURE, id: forged, message: forged });
  reporter.failure({ ...FAILURE, id: "x".repeat(70_000) });
  const text = bench.written.join("");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]/);
  const [note, failure, long, ...more] = bench.lines();
  assert.deepEqual([note.message, failure.id, failure.message], [forged, forged, forged]);
  assert.deepEqual([`${long.id}`.length, more], [1_100, []]);
});

Deno.test("a pause is shown with what is down and since when, and no time left", () => {
  using bench = new Bench();
  const { tally } = bench;
  using json = jsonReporter(bench.options);
  tally.total = 4;
  json.start({});
  bench.lines();
  const since = Date.UTC(2026, 10, 1, 0, 0, 7);
  tally.paused = { what: "the API is down", since };
  bench.pass(30_000);
  const [line] = bench.lines();
  assert.deepEqual(
    [line.paused, line.paused_since, line.eta_s],
    ["the API is down", "2026-11-01T00:00:07.000Z", null],
  );
  tally.paused = undefined;
  bench.pass(30_000);
  assert.ok(!("paused" in bench.lines()[0]));
});

const progress = fc.integer({ min: 0, max: 10_000_000 }).chain((total) =>
  fc.record({
    done: fc.integer({ min: 0, max: total }),
    total: fc.constant(total),
    failed: fc.integer({ min: 0, max: total }),
    pages_billed: fc.integer({ min: 0, max: 10_000_000 }),
    cost: fc.double({ min: 0, max: 100_000, noNaN: true }),
    answers_reused: fc.integer({ min: 0, max: total }),
    requests: fc.integer({ min: 0, max: 10_000_000 }),
    throttled: fc.integer({ min: 0, max: 10_000 }),
    rows_per_s: fc.double({ min: 0, max: 10_000, noNaN: true }),
    elapsed_s: fc.integer({ min: 0, max: 10_000_000 }),
    eta_s: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
    paused: fc.option(fc.constant({ what: "the API is down", since: 0 }), { nil: undefined }),
    stopping: fc.option(fc.constant({ inFlight: 3, unsaved: 1 }), { nil: undefined }),
  })
);

Deno.test("renderBar() is shorter than the columns, one line, and cuts no word", () => {
  fc.assert(fc.property(progress, fc.integer({ min: 1, max: 300 }), (now, columns) => {
    const line = renderBar(now, columns);
    assert.ok(line.length < columns, `${line.length} of ${columns}`);
    assert.doesNotMatch(line, /[\r\n]/);
    if (columns > 6) assert.match(line, /\d %/);
    const whole = renderBar(now, 400).split(/ · | (?=\d+\/)/);
    for (const part of line.split(/ · | (?=\d+\/)/)) {
      const words = part.replace(/^[█░]+ ?/, "");
      assert.ok(words === "" || whole.some((text) => text.replace(/^[█░]+ ?/, "") === words), part);
    }
  }));
});

Deno.test("renderBar() says 100 % and done only when all is done", () => {
  fc.assert(fc.property(progress, (now) => {
    const line = renderBar(now, 300);
    assert.equal(line.includes(" 100 % "), now.done === now.total);
    assert.equal(line.includes("· done"), now.done === now.total);
    assert.equal(line.includes("░"), now.done < now.total);
  }));
});

const HALFWAY = {
  done: 460,
  total: 1_000,
  failed: 2,
  pages_billed: 458,
  cost: 0.687,
  answers_reused: 12,
  requests: 470,
  throttled: 3,
  rows_per_s: 2.94,
  elapsed_s: 185,
  eta_s: 270,
};

Deno.test("renderBar() has a bar, its state and what it costs at 60 columns, and more where there is room", () => {
  const table: [columns: number, line: string][] = [
    [
      160,
      `${"█".repeat(18)}${"░".repeat(22)} 46 % 460/1000 · ETA 4:30 · 2.9 rows/s · $0.69 · ` +
      "2 failed · 3 throttled · 12 reused · 3:05 elapsed",
    ],
    [
      120,
      `${"█".repeat(9)}${"░".repeat(11)} 46 % 460/1000 · ETA 4:30 · 2.9 rows/s · $0.69 · ` +
      "2 failed · 3 throttled · 12 reused · 3:05 elapsed",
    ],
    [80, "█████░░░░░░░ 46 % 460/1000 · ETA 4:30 · 2.9 rows/s · $0.69 · 2 failed"],
    [60, "████░░░░░░ 46 % 460/1000 · ETA 4:30 · $0.69 · 2 failed"],
    [40, "████░░░░░░ 46 % 460/1000 · ETA 4:30"],
    [20, "46 % · ETA 4:30"],
    [6, "46 %"],
    [3, ""],
  ];
  for (const [columns, line] of table) assert.equal(renderBar(HALFWAY, columns), line);
});

Deno.test("renderBar() says why it doesn't go on instead of how long it will take", () => {
  const since = new Date(2026, 10, 1, 14, 2, 33).getTime();
  const paused = { ...HALFWAY, eta_s: null, paused: { what: "the API is down", since } };
  assert.equal(
    renderBar(paused, 80),
    "█████░░░░░░░ 46 % 460/1000 · paused: the API is down since 14:02 · 2 failed",
  );
  assert.equal(
    renderBar(paused, 60),
    "███░░░░ 46 % 460/1000 · paused: the API is down since 14:02",
  );
  const stopping = (inFlight: number, unsaved: number) =>
    renderBar({ ...HALFWAY, stopping: { inFlight, unsaved } }, 60);
  assert.match(stopping(3, 1), / · stopping: 3 in flight, 1 to store/);
  assert.match(stopping(0, 0), / · stopping( ·|$)/);
  assert.match(renderBar({ ...HALFWAY, eta_s: null }, 80), / · ETA unknown · /);
  assert.match(renderBar({ ...HALFWAY, eta_s: 33_300 }, 80), / · ETA 9:15:00 · /);
});
