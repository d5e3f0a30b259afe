import assert from "node:assert/strict";
import { SharedController } from "./shared.ts";
import { BEAT_MS, LEAD_MS, type Sharing } from "./sharing.ts";

/** Processes with one clock and one document. */
function world(count: number, rate = 10) {
  let now = 0;
  const learnt = { rate, ceiling: rate * 1.01, latency_ms: 500, at: 0 };
  const members = Array.from(
    { length: count },
    (_, i) =>
      new SharedController({ id: `${i}`, rate: 2, random: () => 0, now: () => now, learnt }),
  );
  let document: Sharing | undefined;
  const look = () => {
    for (const member of [...members, ...members]) {
      document = member.look(document);
      member.follow(document);
    }
  };
  return { members, look, at: (ms: number) => now = ms, time: () => now, document: () => document };
}

/** All start as soon as they may, until then. */
function starts({ members, at, time }: ReturnType<typeof world>, until: number) {
  const made: { who: number; at: number }[] = [];
  for (;;) {
    const next = members.map((member) => member.nextStart);
    const first = Math.min(...next);
    if (first > until) return made;
    at(Math.max(time(), first));
    const who = next.indexOf(first);
    const start = members[who].started(time());
    made.push({ who, at: time() });
    members[who].finished(start, { kind: "clean" }, time());
  }
}

Deno.test("SharedController alone is the search, and says what it learnt", () => {
  const it = world(1);
  it.look();
  const [one] = it.members;
  assert.deepEqual([one.isShared, one.rate, one.plan], [false, 10, undefined]);
  assert.ok(starts(it, 1_000).length >= 9);
  assert.equal(one.snapshot(1_000).rate, 10);
});

Deno.test("SharedControllers start one after another, evenly, as often each, at the rate of one", () => {
  const it = world(4);
  it.look();
  it.at(LEAD_MS);
  const made = starts(it, LEAD_MS + 20_000);
  assert.ok(made.length >= 198 && made.length <= 202, `${made.length} starts in 20 s at 10/s`);
  for (let i = 1; i < made.length; i++) {
    assert.ok(Math.abs(made[i].at - made[i - 1].at - 100) < 1, "as evenly as one would");
    assert.equal(made[i].who, (made[i - 1].who + 1) % 4);
  }
  assert.equal(it.members[0].rate, 2.5);
  assert.equal(it.members[0].snapshot(it.time()).rate, 10, "what is remembered is the account's");
});

Deno.test("SharedController that comes to one that is there waits until that one has heard of it", () => {
  const it = world(2);
  const [one, two] = it.members;
  one.follow(one.look(undefined));
  starts({ ...it, members: [one] }, 10_000);
  const document = two.look(one.look(undefined));
  two.follow(document);
  one.follow(one.look(document));
  const made = starts(it, 10_000 + LEAD_MS + 5_000);
  const before = made.filter(({ at }) => at < 10_000 + LEAD_MS);
  assert.ok(before.length >= 0.95 * 10 * LEAD_MS / 1_000, "the rate is used meanwhile");
  assert.ok(before.every(({ who }) => who === 0));
  const after = made.slice(before.length);
  assert.ok(Math.abs(after.filter(({ who }) => who === 1).length / after.length - 0.5) < 0.05);
});

Deno.test("SharedController that comes late to its place leaves it out, however late", () => {
  const it = world(2);
  it.look();
  it.at(LEAD_MS);
  const [one] = it.members;
  one.started(one.nextStart);
  it.at(LEAD_MS + 3_333);
  const next = one.nextStart;
  assert.ok(next > LEAD_MS + 3_333, "the place of another is not taken");
  assert.ok(Math.abs((next - LEAD_MS) % 200) < 1e-6);
});

Deno.test("SharedController pauses after a 429 until the API's own time, and keeps its places", () => {
  const it = world(2);
  it.look();
  it.at(LEAD_MS);
  const [one] = it.members;
  const start = one.started(LEAD_MS);
  const change = one.finished(start, { kind: "throttled", until: LEAD_MS + 1_050 }, LEAD_MS + 20);
  assert.match(change!.reason, /^429, the rate is shared; pausing 1\.0 s$/);
  assert.ok(Math.abs(one.nextStart - (LEAD_MS + 1_200)) < 1e-6);
  // Refused in a row, it takes every second place only, until there is another plan.
  for (let i = 0; i < 2; i++) {
    const now = it.at(one.nextStart);
    one.finished(one.started(now), { kind: "throttled", until: now + 10 }, now + 5);
  }
  assert.equal(one.rate, 2.5);
  // Answers give it back.
  for (let i = 0; i < 8; i++) {
    const now = it.at(one.nextStart);
    one.finished(one.started(now), { kind: "clean" }, now + 5);
  }
  assert.equal(one.rate, 5);
});

Deno.test("SharedController is alone again, from the rate of all, once the others have left", () => {
  const it = world(2);
  it.look();
  it.at(LEAD_MS + BEAT_MS);
  starts(it, LEAD_MS + BEAT_MS);
  const [one, two] = it.members;
  const left = two.leave(it.document());
  one.follow(one.look(left));
  assert.equal(one.isShared, false);
  assert.equal(one.rate, 10);
  // What was begun in company says nothing of the rate alone, and ends without a fuss.
  two.follow(undefined);
  assert.equal(two.isShared, false);
});
