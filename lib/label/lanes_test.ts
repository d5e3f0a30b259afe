import assert from "node:assert/strict";
import fc from "fast-check";
import { REFUSED, RETRYABLE } from "../../dev/doubles/ask_bench.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { RunError } from "../base/errors.ts";
import type { Outcome } from "../engine/engine.ts";
import { FIRST_PROBE_MS, Health, OUTAGE_PAGES } from "../engine/health.ts";
import { type Lane, Lanes, NO_OTHERS, NONE_TRIED, type Others, type Tried } from "./lanes.ts";

const ANSWERED: Outcome = { kind: "answered", text: "{}", body: {} };
const MINUTE = 60_000;
const MAX_OUTAGE_MS = 10 * MINUTE;
const NEXT: Others = { next: () => "b", any: () => "b", downSince: () => undefined };
/** An engine after which there is none: the one before it is up. */
const LAST: Others = { ...NEXT, next: () => undefined };

/** The keys of an engine. */
class Keys {
  readonly clock = new VirtualClock();
  readonly notes: string[] = [];
  readonly rates: (number | null)[] = [1, 1, 1];
  readonly pauses = [0, 0, 0];
  readonly lanes: Lanes;
  readonly all: readonly Lane[];

  constructor(keys: number, others = NO_OTHERS) {
    const { clock, notes } = this;
    this.all = Array.from({ length: keys }, (_, n): Lane => ({
      name: `key ${n + 1}`,
      connection: { send: () => assert.fail("sent") },
      limiter: { turn: () => assert.fail("a turn") },
      rate: () => this.rates[n],
      pause: () => this.pauses[n],
      health: new Health({
        ...{ model: "ocr", advice: "the key", maxOutageMs: MAX_OUTAGE_MS, clock },
        note: () => {},
      }),
    }));
    this.lanes = new Lanes(this.all, (message) => notes.push(message), others);
  }

  #judge(key: number, outcome: Outcome, page: string): RunError | undefined {
    return this.all[key].health.judge(outcome, page, { probes: undefined });
  }

  works(key: number): void {
    this.#judge(key, ANSWERED, "a page that works");
  }

  /** Requests with it fail on every page from now on. */
  fails(...keys: number[]): void {
    for (const key of keys) {
      for (let n = 0; n < OUTAGE_PAGES; n++) this.#judge(key, RETRYABLE, `page ${n}`);
    }
  }

  /** It refuses page after page, so that nobody starts on it until it is known why. */
  isDoubted(key: number): void {
    this.works(key);
    for (let n = 0; n < OUTAGE_PAGES; n++) this.#judge(key, REFUSED, `page ${n}`);
  }

  /** Which of them are these, from 0. */
  number(lane: Lane | undefined): number {
    return this.all.indexOf(lane!);
  }

  some(...keys: number[]): Set<Lane> {
    return new Set(keys.map((key) => this.all[key]));
  }

  refused(...keys: number[]): Tried {
    return { refusing: this.some(...keys), failed: this.some(...keys) };
  }

  failed(...keys: number[]): Tried {
    return { ...NONE_TRIED, failed: this.some(...keys) };
  }

  pass(ms: number): Promise<void> {
    return this.clock.run(this.clock.sleep(ms));
  }
}

Deno.test("a page takes the key on which its turn comes first, of those that don't stand still", () => {
  const key = fc.record({
    rate: fc.integer({ min: 1, max: 9 }),
    waiting: fc.nat(5),
    pause: fc.constantFrom(0, 500, 3_000),
    fails: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 3 }), (given) => {
    const keys = new Keys(given.length);
    given.forEach(({ rate, waiting, pause, fails }, n) => {
      [keys.rates[n], keys.pauses[n]] = [rate, pause];
      keys.lanes.waitOn(keys.all[n])[Symbol.dispose](); // waits no more
      for (let page = 0; page < waiting; page++) keys.lanes.waitOn(keys.all[n]);
      if (fails) keys.fails(n);
    });
    const chosen = given[keys.number(keys.lanes.choose(false, NONE_TRIED))];
    const up = given.filter(({ fails }) => !fails);
    if (up.length === 0) return;
    assert.equal(chosen.fails, false);
    const seconds = ({ rate, waiting, pause }: typeof chosen) =>
      pause / 1_000 + (waiting + 1) / rate;
    assert.ok(seconds(chosen) <= Math.min(...up.map(seconds)) + 1e-9);
  }));
  const numbers = new Keys(2); // where only their number is limited
  numbers.rates.fill(null);
  numbers.lanes.waitOn(numbers.all[0]);
  assert.equal(numbers.number(numbers.lanes.choose(true, NONE_TRIED)), 1);
});

Deno.test("a page that has not failed yet finds out whether a key works again; one that has doesn't", async () => {
  const keys = new Keys(2);
  keys.fails(0);
  assert.equal(keys.number(keys.lanes.choose(true, NONE_TRIED)), 1);
  await keys.pass(FIRST_PROBE_MS);
  assert.equal(keys.number(keys.lanes.choose(true, NONE_TRIED)), 0);
  assert.equal(keys.number(keys.lanes.choose(false, NONE_TRIED)), 1);
});

Deno.test("a page keeps off keys that refused it, and that are doubted, while there are others", () => {
  const keys = new Keys(3);
  const { lanes, all } = keys;
  assert.equal(keys.number(lanes.choose(false, keys.refused(0, 1))), 2);
  assert.notEqual(lanes.choose(false, keys.refused(0, 1, 2)), undefined);
  keys.isDoubted(2);
  assert.equal(keys.number(lanes.choose(false, keys.refused(0))), 1);
  assert.notEqual(keys.number(lanes.choose(false, keys.refused(0, 1))), 2);
  assert.deepEqual([[0], [0, 1], [0, 2]].map((tried) => lanes.isLeft(keys.some(...tried))), [
    ...[true, false, true],
  ]);
  // Who waits on a doubted one may go back to where it was refused, nobody else.
  const tried = keys.refused(0, 1);
  assert.deepEqual(all.map((lane) => lanes.elsewhere(lane, tried)), [false, false, true]);
  assert.equal(lanes.elsewhere(all[0], NONE_TRIED), true);
  keys.fails(1);
  assert.deepEqual(all.map((lane) => lanes.elsewhere(lane, NONE_TRIED)), [false, true, true]);
  // One that is down is no doubted one: it is tried again like any other.
  assert.equal(lanes.isLeft(keys.some(0, 2)), true);
  lanes.close(all[1], new RunError("api", "HTTP 401"));
  assert.equal(lanes.isLeft(keys.some(0, 2)), false);
});

Deno.test("a page takes a key that it has not failed on first, unless it would wait for long", () => {
  const keys = new Keys(2);
  const { lanes } = keys;
  const chosen = () => keys.number(lanes.choose(false, keys.failed(0)));
  assert.equal(chosen(), 1);
  keys.pauses[1] = 4_000;
  assert.equal(chosen(), 1);
  keys.pauses[1] = 6_000;
  assert.equal(chosen(), 0);
  keys.fails(0);
  assert.equal(chosen(), 1, "one that is down is none");
});

Deno.test("pages that wait for a key choose anew when another one goes on, or is to be probed", async () => {
  const keys = new Keys(2);
  const { lanes, all: [one, other] } = keys;
  using _page = lanes.waitOn(other);
  keys.fails(0);
  assert.deepEqual([lanes.wantsProbe(other), lanes.wantsProbe(one)], [false, false]);
  await keys.pass(FIRST_PROBE_MS);
  assert.deepEqual([lanes.wantsProbe(other), lanes.wantsProbe(one)], [true, false]);
  const [stays, moves] = [lanes.moved(one), lanes.moved(other)];
  lanes.recovered(one);
  assert.deepEqual([stays.aborted, moves.aborted], [false, true]);
});

Deno.test("pages that wait on a key that pauses for a while choose anew, where there is another one", () => {
  for (
    const [keyCount, pause, waits, moves] of [
      ...[[2, 1_000, true, true], [2, 999, true, false], [2, 5_000, false, false]] as const,
      [1, 5_000, true, false],
    ] as const
  ) {
    const keys = new Keys(keyCount);
    const { lanes, all: [lane] } = keys;
    keys.pauses[0] = pause;
    using _page = waits ? lanes.waitOn(lane) : undefined;
    const moved = lanes.moved(lane);
    lanes.paused(lane);
    assert.equal(moved.aborted, moves, `${keyCount} keys, ${pause} ms`);
    assert.equal(lanes.moved(lane).aborted, false, "who comes later has nothing to flee from");
  }
});

Deno.test("an engine is down since the last of its open keys is, and given up after the run's patience", async () => {
  const keys = new Keys(3);
  const { lanes, all, clock } = keys;
  const begin = clock.now();
  assert.deepEqual([lanes.downSince, lanes.exhausted, lanes.standStill], [undefined, false, false]);
  keys.fails(0);
  await keys.pass(MINUTE);
  keys.fails(1);
  await keys.pass(MINUTE);
  assert.deepEqual([lanes.downSince, lanes.exhausted, lanes.standStill], [undefined, false, false]);
  keys.fails(2);
  assert.deepEqual([lanes.downSince, lanes.standStill], [begin + 2 * MINUTE, true]);
  lanes.close(all[2], new RunError("api", "HTTP 401"));
  assert.deepEqual([lanes.downSince, lanes.standStill], [begin + MINUTE, true]);
  await keys.pass(MAX_OUTAGE_MS - MINUTE - 1);
  keys.fails(0, 1);
  assert.equal(lanes.exhausted, false);
  await keys.pass(1);
  assert.equal(lanes.exhausted, false, "nobody has asked");
  keys.fails(1);
  assert.equal(lanes.exhausted, true);
  keys.works(1);
  assert.deepEqual([lanes.downSince, lanes.exhausted, lanes.standStill], [undefined, false, false]);
  lanes.close(all[1], new RunError("api", "HTTP 401"));
  assert.equal(lanes.standStill, true, "one that is closed is no way to go on");
  const none = new Keys(1, NEXT);
  none.lanes.close(none.all[0], new RunError("api", "HTTP 401"));
  assert.equal(none.lanes.downSince, undefined);
});

Deno.test("a page passes on to the next engine while no key serves it, and waits where there is none", async () => {
  for (const others of [NO_OTHERS, LAST, NEXT]) {
    const keys = new Keys(2, others);
    const { lanes } = keys;
    const passes = () => lanes.unavailable(false) !== undefined;
    assert.equal(passes(), false);
    keys.fails(0);
    assert.equal(passes(), false);
    // The one that is up has refused it.
    assert.equal(lanes.unavailable(false, keys.refused(1)) !== undefined, others === NEXT);
    assert.equal(lanes.unavailable(false, keys.failed(1)), undefined);
    keys.fails(1);
    assert.equal(passes(), others === NEXT);
    assert.equal(lanes.elsewhere(keys.all[0], NONE_TRIED), others === NEXT);
    assert.equal(
      lanes.elsewhere(keys.all[0], NONE_TRIED, true),
      false,
      "it has nowhere else to go",
    );
    await keys.pass(FIRST_PROBE_MS);
    assert.equal(lanes.unavailable(true), undefined, "it finds out whether the API works again");
    assert.equal(passes(), others === NEXT);
    await keys.pass(MAX_OUTAGE_MS);
    keys.fails(0, 1);
    assert.equal(passes(), others !== NO_OTHERS, "it is not waited for any more");
    assert.equal(lanes.unavailable(false, NONE_TRIED, true), undefined);
  }
});

Deno.test("that an engine is not waited for any more is said once in an outage, and what becomes of pages", async () => {
  for (
    const [others, said] of [
      [NEXT, /until it answers again pages go to b$/],
      [LAST, /until it answers again pages keep what b made of them$/],
    ] as const
  ) {
    const keys = new Keys(1, others);
    const ask = (times: number) => {
      for (let n = 0; n < times; n++) keys.lanes.unavailable(false);
    };
    keys.fails(0);
    ask(3);
    assert.deepEqual(keys.notes, []);
    await keys.pass(MAX_OUTAGE_MS);
    keys.fails(0);
    ask(3);
    assert.equal(keys.notes.length, 1);
    assert.match(keys.notes[0], said);
    keys.works(0);
    ask(3);
    for (let n = 0; n < OUTAGE_PAGES; n++) {
      keys.all[0].health.judge(RETRYABLE, `other ${n}`, { probes: undefined });
    }
    await keys.pass(MAX_OUTAGE_MS);
    keys.fails(0);
    ask(3);
    assert.equal(keys.notes.length, 2);
  }
});

Deno.test("a key that is given up is named once, with what goes on; the last one only where another engine does", () => {
  const refusal = new RunError("api", "the run ends", { cause: "the API refuses it" });
  const alone = new Keys(2);
  const { lanes, all } = alone;
  const closed = lanes.closed(all[0]);
  assert.deepEqual([lanes.single, lanes.spared, closed.aborted], [false, false, false]);
  assert.deepEqual([lanes.close(all[0], refusal), lanes.close(all[0], refusal)], [true, true]);
  assert.deepEqual([closed.reason, lanes.isOpen(all[0]), lanes.open], [refusal, false, [all[1]]]);
  assert.equal(lanes.close(all[1], refusal), false);
  assert.deepEqual(lanes.open, [all[1]]);
  assert.deepEqual(alone.notes, [
    "key 1 is not used any more: the API refuses it (going on with key 2)",
  ]);
  assert.equal(new Keys(1).lanes.single, true);
  for (const others of [NEXT, LAST]) {
    const spared = new Keys(1, others);
    assert.deepEqual([spared.lanes.single, spared.lanes.spared], [false, true]);
    assert.equal(spared.lanes.closeAll(new RunError("again", "no key")), true);
    assert.deepEqual(spared.notes, ["key 1 is not used any more: no key (going on with b)"]);
    assert.equal(spared.lanes.unavailable(true, NONE_TRIED, true), "no key");
    assert.equal(spared.lanes.choose(true, NONE_TRIED), undefined);
  }
  const both = new Keys(2);
  assert.equal(both.lanes.closeAll(refusal), false);
  const [spared] = [new Keys(2, NEXT)];
  assert.equal(spared.lanes.closeAll(refusal), true);
  assert.deepEqual(spared.lanes.open, []);
});

Deno.test("a key that fails for too long is asked on while others are: of this engine, or another one", async () => {
  const of = (others: Others) => {
    const keys = new Keys(2, others);
    keys.fails(0);
    return { keys, mayRecover: () => keys.lanes.mayRecover(keys.all[0]) };
  };
  const alone = of(NO_OTHERS);
  assert.equal(alone.mayRecover(), true);
  alone.keys.fails(1);
  assert.equal(alone.mayRecover(), false);
  assert.equal(alone.keys.lanes.mayRecover(alone.keys.all[1]), false);
  alone.keys.works(0);
  assert.equal(alone.mayRecover(), false, "that itself is up is no reason");

  const other = { downSince: undefined as number | undefined };
  const beside = of({ ...NEXT, downSince: () => other.downSince });
  const { clock } = beside.keys;
  beside.keys.fails(1);
  await beside.keys.pass(MAX_OUTAGE_MS);
  assert.equal(beside.mayRecover(), true, "the other engine is up");
  other.downSince = clock.now();
  await beside.keys.pass(MAX_OUTAGE_MS - 1);
  assert.equal(beside.mayRecover(), true, "it is down, but not for so long");
  await beside.keys.pass(1);
  assert.equal(beside.mayRecover(), false);
  beside.keys.isDoubted(1);
  assert.equal(beside.mayRecover(), true, "its other key is not down");
});

Deno.test("what one page shows is known of all keys: that it is asked for, through, and that pages are answered", () => {
  const keys = new Keys(2);
  const { lanes, all } = keys;
  const refused = (key: number, page: string) =>
    all[key].health.judge(REFUSED, page, { probes: undefined })?.exit;
  for (let n = 0; n < 2; n++) lanes.enter();
  for (const key of [0, 1]) assert.equal(refused(key, "a"), undefined, "another one is asked for");
  lanes.leave("b");
  for (const key of [0, 1]) assert.equal(refused(key, "a"), "api", "it is the last");
  lanes.knows();
  for (const key of [0, 1]) assert.equal(refused(key, "c"), undefined);
});
