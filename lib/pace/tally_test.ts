import assert from "node:assert/strict";
import { Tally } from "./tally.ts";

Deno.test("Tally counts what came of a plan, long ago the less", () => {
  const tally = new Tally(3, 0);
  for (let i = 0; i < 600; i++) tally.add({ started: 1 }, i * 100);
  tally.add({ refused: 6, missed: 3 }, 60_000);
  const { version, started, refused, missed, taken } = tally.told(60_000);
  assert.deepEqual([version, refused, missed], [3, 6, 3]);
  assert.ok(started > 370 && started < 390, `${started} of 600`);
  assert.ok(Math.abs(taken - 10) < 0.3, `${taken} a second`);
  assert.ok(tally.told(360_000).started < 5);
});

Deno.test("Tally of a plan that is over keeps its figures, and takes outcomes that come late", () => {
  const tally = new Tally(1, 0);
  for (let i = 0; i < 50; i++) tally.add({ started: 1 }, i * 100);
  tally.end(5_000);
  tally.add({ refused: 2 }, 8_000);
  const { started, refused, taken } = tally.told(90_000);
  assert.ok(started > 45 && refused === 2);
  assert.ok(Math.abs(taken - 9.6) < 0.3, `${taken}`);
});

Deno.test("Tally that is asked before its plan began divides by no time", () => {
  const tally = new Tally(1, 10_000);
  tally.add({ started: 2 }, 9_000);
  assert.equal(tally.told(9_000).taken, 2);
});
