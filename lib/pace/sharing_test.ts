import assert from "node:assert/strict";
import fc from "fast-check";
import { seeded } from "../../dev/testing/random.ts";
import {
  BEAT_MS,
  GONE_MS,
  LEAD_MS,
  Membership,
  type ShareMember,
  type Sharing,
} from "./sharing.ts";

const ALONE = { rate: 10, ceiling: 10.1, knows: true, counts: [] };
const NEW = { rate: 2, ceiling: null, knows: false, counts: [] };

/** What came of a plan: each of two members started so many, and so on. */
function told(version: number, counts: Partial<ShareMember["counts"][number]> = {}) {
  return {
    ...ALONE,
    counts: [{ version, started: 0, refused: 0, missed: 0, taken: 0, ...counts }],
  };
}

/** What two members have agreed upon: a rate of 10, of which 10.1 was refused. */
function agreed(now: number, knows: Partial<typeof ALONE> | { ceiling: null } = {}) {
  const [a, b] = [new Membership("a"), new Membership("b")];
  a.look(undefined, { ...ALONE, ...knows }, now);
  const document = b.look(a.look(undefined, { ...ALONE, ...knows }, now), NEW, now);
  const { version } = document.plans[0];
  /** Both look after so long, with what they have to tell. */
  const look = (found: Sharing, at: number, tells = told(version)): Sharing =>
    b.look(a.look(found, tells, at), tells, at);
  return { a, b, document, look, version };
}

Deno.test("Membership.look() of the only one makes no plan", () => {
  const { plans, members } = new Membership("a").look(undefined, ALONE, 0);
  assert.deepEqual([plans, members.map(({ id }) => id)], [[], ["a"]]);
});

Deno.test("Membership.look() plans for both at the rate of who was alone, when all have read it", () => {
  const { document } = agreed(1_000);
  const [{ rate, ceiling, members, from }] = document.plans;
  assert.deepEqual([rate, ceiling, members, from], [10, 10.1, ["a", "b"], 1_000 + LEAD_MS]);
  assert.ok(LEAD_MS > BEAT_MS * 1.1, "looks are some seconds early or late");
});

Deno.test("Membership.look() plans for what all of them get where nobody was alone", () => {
  const both = { ...NEW, rate: 3 };
  const found = new Membership("a").look(undefined, both, 0);
  const { plans } = new Membership("b").look(found, both, 0);
  const [{ rate, from, guess }] = plans;
  assert.deepEqual([rate, guess], [6, true]);
  assert.ok(from < 8_000, "who has just begun looks again soon");
  // As soon as one knows better, that is what counts.
  const better = { ...ALONE, rate: 20, ceiling: 21 };
  const [known] = new Membership("b").look({ plans, members: found.members }, better, 1_000).plans;
  assert.deepEqual([known.rate, known.ceiling, known.guess], [20, 21, false]);
  assert.equal(known.from, from);
});

Deno.test("Membership.look() takes in who comes, at the same rate and without a gap between the plans", () => {
  const { document, look, version } = agreed(0);
  const kept = look(document, LEAD_MS + 5_000);
  assert.equal(kept.plans[0].version, version);
  const { plans } = new Membership("c").look(kept, NEW, LEAD_MS + 6_000);
  const [plan, next] = plans;
  assert.deepEqual([next.members, next.rate, next.version], [["a", "b", "c"], 10, version + 1]);
  const starts = (next.from - plan.from) * 10 / 1_000;
  assert.ok(Math.abs(starts - Math.round(starts)) < 1e-6, "it begins where the old one starts");
});

Deno.test("Membership.look() takes in several who come one after another, at what the first one knew", () => {
  const it = new Membership("a");
  let found = it.look(undefined, ALONE, 0);
  for (const [i, id] of ["b", "c", "d"].entries()) {
    found = new Membership(id).look(found, NEW, 7_000 * (i + 1));
  }
  // While it waits for them it is refused more often, and thinks less of the key.
  found = it.look(found, { ...ALONE, rate: 6, ceiling: 6.1 }, 22_000);
  found = new Membership("e").look(found, NEW, 28_000);
  assert.deepEqual(new Set(found.plans.map(({ rate }) => rate)), new Set([10]));
  assert.deepEqual(found.plans.at(-1)!.members, ["a", "b", "c", "d", "e"]);
  for (const [i, { version, from }] of found.plans.entries()) {
    assert.ok(i === 0 || version > found.plans[i - 1].version && from >= found.plans[i - 1].from);
  }
});

Deno.test("Membership.look() lets go who was not heard of for long, and who leaves at once", () => {
  const { a, b, document, look } = agreed(0);
  const kept = look(document, LEAD_MS);
  let found = kept;
  for (let now = LEAD_MS; now < LEAD_MS + GONE_MS; now += BEAT_MS) {
    found = a.look(found, ALONE, now);
  }
  assert.equal(found.members.length, 2, "it may only be slow");
  found = a.look(found, ALONE, LEAD_MS + GONE_MS + 1);
  assert.deepEqual([found.plans, found.members.length], [[], 1]);
  assert.deepEqual(b.leave(kept, LEAD_MS).members.map(({ id }) => id), ["a"]);
});

Deno.test("Membership.look() lowers the rate for refusals, at once where they are many", () => {
  const few = agreed(0);
  const kept = few.look(few.document, LEAD_MS);
  const refused = told(few.version, { started: 100, refused: 3, taken: 4.9 });
  const mild = few.look(kept, LEAD_MS + 20_000, refused).plans[1];
  assert.ok(mild.rate < 10 && mild.rate > 9.5, `${mild.rate}`);
  assert.ok(mild.from >= LEAD_MS * 2 + 20_000, "together with the others");
  const many = agreed(0);
  const stormy = many.look(many.document, LEAD_MS);
  const storm = told(many.version, { started: 100, refused: 60, taken: 2 });
  const hard = many.a.look(stormy, storm, LEAD_MS + 20_000).plans[1];
  assert.ok(hard.hurried && hard.rate < 6, `${hard.rate}`);
  assert.ok(hard.from <= LEAD_MS + 20_000 + 1_000);
});

Deno.test("Membership.look() has a higher rate tried for some seconds, and all know when that is over", () => {
  const { a, b, document, look, version } = agreed(0, { ceiling: null });
  const at = LEAD_MS + 20_000;
  const clean = told(version, { started: 100, taken: 5 });
  const found = look(look(document, LEAD_MS), at, clean);
  const [plan, higher, back] = found.plans;
  assert.ok(higher.rate > 10 && higher.held === 10, `${higher.rate}`);
  assert.ok(higher.from >= at + LEAD_MS && higher.from < at + LEAD_MS + 1_000);
  assert.deepEqual([plan.rate, back.rate, back.held], [10, 10, 10]);
  const ms = back.from - higher.from;
  assert.ok(ms >= 5_000 && ms <= 45_000 && back.afterMs === ms, `${ms}`);
  // One has told of it, the other one not yet.
  const outcome = (refused: number) => ({
    ...ALONE,
    counts: [
      { ...clean.counts[0], version: back.version },
      { ...clean.counts[0], version: higher.version, refused },
    ],
  });
  const later = back.from + BEAT_MS;
  assert.equal(a.look(found, outcome(0), later).plans.length, 1);
  // It is taken by all of them, and is more than the one that was held …
  const taken = b.look(a.look(found, outcome(0), later), outcome(0), later);
  assert.equal(taken.plans[1].held, higher.rate);
  // … or refused, and is the ceiling from now on.
  const refused = b.look(a.look(found, outcome(4), later), outcome(0), later);
  assert.deepEqual(refused.plans.map(({ rate, ceiling }) => [rate, ceiling]), [[10, higher.rate]]);
});

Deno.test("Membership waits no longer for a plan than its lead, whatever the maker's clock says", () => {
  const ahead = 3_600_000;
  const before = new Membership("a");
  before.look(undefined, ALONE, ahead);
  const found = before.look(undefined, ALONE, ahead);
  const planned = new Membership("b").look(found, NEW, ahead);
  const me = new Membership("c");
  const [plan] = me.look(planned, NEW, 1_000).plans;
  assert.equal(me.begin(plan), 1_000 + LEAD_MS);
  // A try is over when it is for its maker, as long after it began.
  const back = { ...plan, version: plan.version + 1, from: plan.from + 6_000, afterMs: 6_000 };
  const two = new Membership("c");
  two.look({ plans: [plan, back], members: planned.members }, NEW, 1_000);
  assert.deepEqual([two.begin(plan), two.begin(back)], [19_000, 25_000]);
});

Deno.test("Membership keeps one plan for all, whoever looks, comes, leaves or is gone", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
      const random = seeded(seed);
      const members = Array.from(
        { length: 5 },
        (_, i) => ({ it: new Membership(`${i}`), is: false }),
      );
      let found: Sharing | undefined;
      let now = 0;
      for (let i = 0; i < 200; i++) {
        now += random() * 10_000;
        const member = members[Math.floor(random() * members.length)];
        const leaves = random() < 0.05;
        if (!leaves) member.is = true;
        const versions = found?.plans.map(({ version }) => version) ?? [];
        const counts = versions.slice(0, 2).reverse().map((version) => ({
          ...{ version, started: 50, refused: random() < 0.5 ? 0 : random() * 5 },
          ...{ missed: random() * 5, taken: 2 * random() },
        }));
        const before = found;
        found = leaves
          ? member.it.leave(found, now)
          : member.it.look(found, { ...ALONE, counts }, now);
        const ids = found.members.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, "each is there once");
        for (const [i, plan] of found.plans.entries()) {
          assert.ok(plan.members.length >= 2 && plan.rate > 0 && Number.isFinite(plan.rate));
          assert.ok(plan.held <= plan.rate, "what is tried is higher");
          assert.ok(plan.from <= now + LEAD_MS + 70_000, "nobody waits for ever");
          if (i > 0) assert.ok(plan.version > found.plans[i - 1].version);
          if (i > 0) assert.ok(plan.from >= found.plans[i - 1].from);
        }
        const tried = found.plans.at(-1);
        assert.ok(!tried || tried.rate === tried.held, "a try always ends");
        const newest = (sharing: Sharing | undefined) => sharing?.plans.at(-1)?.version ?? 0;
        if (found.plans.length > 0 && before?.plans.length) {
          assert.ok(newest(found) >= newest(before), "versions don't go back");
        }
      }
    }),
    { numRuns: 50 },
  );
});
