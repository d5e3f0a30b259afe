import assert from "node:assert/strict";
import fc from "fast-check";
import { type Alarm, Deadlines } from "./deadlines.ts";

/** A timer that rings when a test says what time it is. */
class TestAlarm implements Alarm {
  time = 0;
  started = 0;
  ring: { readonly at: number; readonly call: () => void } | undefined;

  now(): number {
    return this.time;
  }

  start(ms: number, call: () => void): () => void {
    assert.equal(this.ring, undefined, "one timer at a time");
    this.started++;
    const ring = this.ring = { at: this.time + ms, call };
    return () => {
      if (this.ring === ring) this.ring = undefined;
    };
  }

  /** Time passes, and the timer rings whenever it should. */
  pass(until: number): void {
    while (this.ring && this.ring.at <= until) {
      const { at, call } = this.ring;
      this.time = Math.max(this.time, at);
      this.ring = undefined;
      call();
    }
    this.time = until;
  }
}

Deno.test("Deadlines calls each once, when its time is over, unless it was lifted", () => {
  const step = fc.record({
    ms: fc.nat(50),
    pass: fc.nat(20),
    lift: fc.option(fc.nat(10), { nil: undefined }),
    again: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const alarm = new TestAlarm();
    const deadlines = new Deadlines(alarm);
    const all: { at: number; lift: () => void; lifted?: number; late: number[] }[] = [];
    const set = (ms: number, again: boolean) => {
      const late: number[] = [];
      const lift = deadlines.set(ms, () => {
        late.push(alarm.time);
        if (again) set(ms, false);
      });
      all.push({ at: alarm.time + ms, lift, late });
    };
    for (const { ms, pass, lift, again } of steps) {
      set(ms, again);
      alarm.pass(alarm.time + pass);
      const one = lift === undefined ? undefined : all[lift];
      one?.lift();
      if (one) one.lifted ??= alarm.time;
    }
    alarm.pass(alarm.time + 200);
    for (const { at, lifted, late } of all) {
      assert.deepEqual(late, lifted !== undefined && lifted < at ? [] : [at]);
    }
    assert.equal(alarm.ring, undefined, "no timer is left for nothing");
  }));
});

Deno.test("Deadlines that are lifted in time share one timer, whatever their number", () => {
  const alarm = new TestAlarm();
  const deadlines = new Deadlines(alarm);
  const longest = deadlines.set(1_000, () => assert.fail());
  for (let i = 0; i < 500; i++) {
    deadlines.set(1_000, () => assert.fail())();
    alarm.pass(alarm.time + 1);
  }
  assert.equal(alarm.started, 1);
  longest();
  assert.equal(alarm.ring, undefined);
});
