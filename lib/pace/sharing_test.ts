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

const ALONE = { rate: 10, knows: true, taken: 0, version: 0, started: 0, refused: 0 };
const NEW = { ...ALONE, rate: 2, knows: false };

/** What two members have agreed upon: a rate of 10. */
function agreed(now: number) {
  const [a, b] = [new Membership("a"), new Membership("b")];
  a.look(undefined, ALONE, now);
  const document = b.look(a.look(undefined, ALONE, now), NEW, now);
  const { version } = document.next!;
  /** Both look after so long, with what they have to tell. */
  const look = (found: Sharing, at: number, own: Partial<ShareMember> = {}): Sharing => {
    const tells = { ...ALONE, version, ...own };
    return b.look(a.look(found, tells, at), tells, at);
  };
  return { a, b, document, look, version };
}

Deno.test("Membership.look() of the only one makes no plan", () => {
  const { plan, next, members } = new Membership("a").look(undefined, ALONE, 0);
  assert.deepEqual([plan, next, members.map(({ id }) => id)], [null, null, ["a"]]);
});

Deno.test("Membership.look() plans for both at the rate of who was alone, when all have read it", () => {
  const { document } = agreed(1_000);
  const { rate, members, from } = document.next!;
  assert.deepEqual([document.plan, rate, members, from], [null, 10, ["a", "b"], 1_000 + LEAD_MS]);
  assert.ok(LEAD_MS > BEAT_MS * 1.1, "looks are some seconds early or late");
});

Deno.test("Membership.look() plans for what all of them get where nobody was alone", () => {
  const both = { ...NEW, rate: 3 };
  const found = new Membership("a").look(undefined, both, 0);
  const { next } = new Membership("b").look(found, both, 0);
  assert.equal(next?.rate, 6);
  assert.ok(next.from < 8_000, "who has just begun looks again soon");
  // As soon as one knows better, that is what counts.
  const known = new Membership("b").look({ plan: next, next: null, members: found.members }, {
    ...ALONE,
    rate: 20,
  }, 9_000).next!;
  assert.deepEqual([known.rate, known.hurried, known.guess], [20, true, false]);
});

Deno.test("Membership.look() takes in who comes, at the same rate and without a gap between the plans", () => {
  const { document, look, version } = agreed(0);
  const kept = look(document, LEAD_MS + 5_000);
  assert.equal(kept.plan?.version, version);
  const { next } = new Membership("c").look(kept, NEW, LEAD_MS + 6_000);
  assert.deepEqual([next?.members, next?.rate, next?.version], [["a", "b", "c"], 10, version + 1]);
  const starts = (next!.from - kept.plan!.from) * 10 / 1_000;
  assert.ok(Math.abs(starts - Math.round(starts)) < 1e-6, "it begins where the old one starts");
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
  assert.deepEqual([found.plan, found.members.length], [null, 1]);
  assert.deepEqual(b.leave(kept, LEAD_MS).members.map(({ id }) => id), ["a"]);
});

Deno.test("Membership.look() lowers the rate for refusals, at once where they are many", () => {
  const few = agreed(0);
  const kept = few.look(few.document, LEAD_MS);
  const mild = few.look(kept, LEAD_MS + 20_000, { started: 100, refused: 3, taken: 4.9 }).next!;
  assert.ok(mild.rate < 10 && mild.rate > 9.5, `${mild.rate}`);
  assert.ok(mild.from >= LEAD_MS * 2 + 20_000, "together with the others");
  const many = agreed(0);
  const stormy = many.look(many.document, LEAD_MS);
  const hard = many.a.look(stormy, {
    ...ALONE,
    ...{ version: many.version, started: 100, refused: 60, taken: 2 },
  }, LEAD_MS + 20_000).next!;
  assert.ok(hard.hurried && hard.rate < 6, `${hard.rate}`);
  assert.ok(hard.from <= LEAD_MS + 20_000 + 1_000);
});

Deno.test("Membership.look() raises the rate where nothing is refused, no further than it is used", () => {
  const { document, look } = agreed(0);
  const kept = look(document, LEAD_MS);
  const at = LEAD_MS + 20_000;
  const used = look(kept, at, { started: 100, refused: 0, taken: 5 }).next;
  assert.ok(used && used.rate > 10, "both use all of it");
  assert.equal(look(kept, at, { started: 50, refused: 0, taken: 2 }).next, null, "4 of 10");
});

Deno.test("Membership waits no longer for a plan than its lead, whatever the maker's clock says", () => {
  const ahead = 3_600_000;
  const before = new Membership("a");
  before.look(undefined, ALONE, ahead);
  const found = before.look(undefined, ALONE, ahead);
  const planned = new Membership("b").look(found, NEW, ahead);
  const me = new Membership("c");
  const seen = me.look(planned, NEW, 1_000);
  assert.equal(me.begin(seen.next!), 1_000 + LEAD_MS);
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
        const own = { ...ALONE, started: 50, refused: random() * 5, taken: 2 * random() };
        const version = found?.plan?.version ?? 0;
        const before = found;
        found = leaves
          ? member.it.leave(found, now)
          : member.it.look(found, { ...own, version }, now);
        const ids = found.members.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, "each is there once");
        for (const plan of [found.plan, found.next]) {
          if (!plan) continue;
          assert.ok(plan.members.length >= 2 && plan.rate > 0 && Number.isFinite(plan.rate));
          assert.ok(plan.from <= now + LEAD_MS + 20_000, "nobody waits for ever");
        }
        if (found.next && before?.next) {
          assert.ok(found.next.version >= before.next.version, "versions don't go back");
        }
      }
    }),
    { numRuns: 50 },
  );
});
