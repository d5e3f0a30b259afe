import assert from "node:assert/strict";
import fc from "fast-check";
import { type CommonRate, type CountOfAll, firstRate, judge, MOST_RATE } from "./judge.ts";

const HELD = firstRate(10, 10.1, false);
const MINUTE = 60_000;

/** What all told: by default a minute at ten a second, nothing refused. */
function came(counts: Partial<CountOfAll> = {}): CountOfAll {
  return { started: 600, refused: 0, missed: 0, taken: 10, complete: true, ...counts };
}

Deno.test("judge() tries soon what one found alone, and a rate that all know only now and then", () => {
  const young = judge(HELD, came(), undefined, 20_000);
  assert.ok(young!.rate! > 11 && young!.tryMs! < 10_000, "a large step, for a short while");
  const tried = { ...HELD, tried: { version: 1, rate: young!.rate! } };
  const old = { ...tried, ...judge(tried, came(), came({ refused: 6 }), MINUTE) };
  assert.deepEqual([old.rate, old.ceiling, old.failed], [10, 10.1, 1]);
  assert.equal(judge(old, came(), undefined, MINUTE), null);
  const probe = judge(old, came(), undefined, 3 * MINUTE);
  assert.ok(probe!.rate! > 10.1 && probe!.rate! < 10.4 && probe!.tryMs! > 0);
});

Deno.test("judge() lowers a rate for few refusals where these cost much, and for many", () => {
  const few = came({ refused: 5, taken: 9.9 });
  assert.equal(judge(HELD, few, undefined, MINUTE), null, "0.8 %, and nobody waited");
  const dear = judge(HELD, { ...few, missed: 60 }, undefined, MINUTE)!;
  assert.ok(dear.rate! < 9.9 && dear.rate === dear.held && dear.ceiling === 10);
  const many = judge(HELD, came({ refused: 30 }), undefined, MINUTE)!;
  assert.ok(Math.abs(many.rate! - 9.5) < 0.01, "what was refused is too much");
  assert.equal(judge(HELD, came({ started: 10, refused: 2 }), undefined, MINUTE), null, "chance");
});

Deno.test("judge() goes halfway to what was refused, and no further than what is used", () => {
  const far = { ...HELD, ceiling: 14.4 };
  assert.equal(judge(far, came(), undefined, MINUTE)!.rate, 12);
  assert.equal(judge(far, came({ taken: 7 }), undefined, MINUTE), null);
  assert.equal(judge(far, came({ complete: false }), undefined, MINUTE), null);
});

Deno.test("judge() tries a rate soon that was lost as a limit dropped, ever more rarely, and not for ever", () => {
  const drop = judge(HELD, came({ refused: 360, taken: 4 }), undefined, MINUTE)!;
  assert.deepEqual([drop.hurried, drop.lost], [true, 10]);
  let common: CommonRate = { ...HELD, ...drop, rate: 4, held: 4, ceiling: 4.1 };
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    let ms = 0;
    while (judge(common, came({ taken: 4 }), undefined, ms)?.rate !== 10) ms += 1_000;
    waits.push(ms);
    const tried = { ...common, tried: { version: i, rate: 10 } };
    common = { ...tried, ...judge(tried, came({ taken: 4 }), came({ refused: 360 }), ms) };
  }
  assert.ok(waits.every((ms, i) => i === 0 || ms > waits[i - 1]), `${waits}`);
  assert.ok(waits[0] <= 15_000);
  assert.equal(common.lost, null);
  const back = judge({ ...common, lost: 10, tried: { version: 9, rate: 10 } }, came(), came(), 0);
  assert.deepEqual([back!.held, back!.lost], [10, null]);
});

Deno.test("judge() doubles its steps while everything is taken, and waits for all to tell", () => {
  let common: CommonRate = firstRate(10, null, false);
  for (let i = 0; i < 4; i++) {
    const at = { started: 100, taken: common.rate };
    const verdict = judge({ ...common, rate: common.held }, came(at), undefined, 20_000)!;
    assert.ok(verdict.rate! > common.held);
    const tried = { ...common, rate: common.held, tried: { version: i, rate: verdict.rate! } };
    const told = came({ ...at, taken: verdict.rate! });
    assert.equal(judge(tried, came(at), { ...told, complete: false }, 20_000), null);
    const higher = judge(tried, came(at), told, 20_000)!;
    assert.equal(higher.held, verdict.rate);
    assert.ok(higher.rate! > higher.held!, "the next one follows at once");
    common = { ...common, ...higher };
  }
  assert.ok(common.held > 50, `${common.held}`);
});

Deno.test("judge() never leaves the bounds of a rate, whatever all told", () => {
  const rate = fc.double({ min: 0.1, max: MOST_RATE, noNaN: true });
  const count = fc.record({
    started: fc.nat(10_000),
    refused: fc.nat(10_000),
    missed: fc.nat(10_000),
    taken: fc.nat(1_000),
    complete: fc.boolean(),
  }).map((c) => ({ ...c, refused: Math.min(c.refused, c.started) }));
  fc.assert(
    fc.property(
      rate,
      fc.option(rate),
      fc.option(rate),
      fc.nat(20),
      count,
      fc.option(count, { nil: undefined }),
      fc.nat(1_000_000),
      (held, ceiling, lost, failed, now, tried, ageMs) => {
        const above = ceiling === null ? null : Math.max(held, ceiling);
        const common = { ...firstRate(held, above, false), lost, failed };
        const version = { version: 1, rate: Math.min(MOST_RATE, held * 1.1) };
        const verdict = judge({ ...common, tried: tried ? version : null }, now, tried, ageMs);
        const after = { ...common, ...verdict };
        assert.ok(after.rate > 0 && after.rate <= MOST_RATE && after.held > 0);
        assert.ok(after.rate >= after.held && Number.isFinite(after.rate));
        assert.equal(after.rate > after.held, verdict?.tryMs !== undefined, "a try has an end");
        assert.ok(verdict?.tryMs === undefined || verdict.tryMs <= 40_000);
      },
    ),
  );
});
