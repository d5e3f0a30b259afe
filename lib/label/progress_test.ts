import assert from "node:assert/strict";
import fc from "fast-check";
import { RateMeter, TimeLeft } from "./progress.ts";

Deno.test("TimeLeft counts only what must still be asked for", () => {
  const left = new TimeLeft();
  assert.equal(left.seconds(10), null);
  let [time, done, asked] = [0, 0, 0];
  const pass = (ms: number, rows: number, pages: number) => {
    left.observe(time += ms, done += rows, asked += pages);
  };
  pass(0, 0, 0);
  assert.equal(left.seconds(10), null);
  for (let n = 0; n < 20; n++) pass(100, 50, 0); // 1,000 rows from stored answers in 2 s
  assert.equal(left.seconds(1_000), 2);
  for (let n = 0; n < 40; n++) pass(1_000, 2, 2); // then two a second are answered
  assert.equal(left.seconds(1_000), 500);
  for (let n = 0; n < 60; n++) pass(1_000, 4, 2); // half of the rows are there already
  assert.equal(Math.round(left.seconds(1_000)!), 250);
  assert.equal(left.seconds(0), 0);
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
