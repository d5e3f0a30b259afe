import assert from "node:assert/strict";
import fc from "fast-check";
import { type StandIn, StandIns } from "./stand_ins.ts";

Deno.test("an engine passes pages on to the open ones behind it, and is spared by any that is open but itself", () => {
  const engine = fc.record({ isOpen: fc.boolean(), downSince: fc.option(fc.nat(9)) });
  fc.assert(fc.property(fc.array(engine, { minLength: 1, maxLength: 4 }), (given) => {
    const engines = given.map(({ isOpen, downSince }, n): StandIn => {
      return { name: `engine ${n}`, isOpen, downSince: downSince ?? undefined };
    });
    const all = new StandIns();
    const seen = engines.map((_, place) => all.othersOf(place)); // before anybody has joined
    engines.forEach((engine, place) => all.join(place, engine));
    const names = (some: StandIn[]) => some.map(({ name }) => name).join(", ") || undefined;
    // Down since the last of them is; while one is up, or none is asked, not at all.
    const down = (some: StandIn[]) => {
      const up = some.some(({ downSince }) => downSince === undefined);
      return up || some.length === 0 ? undefined : Math.max(...some.map((it) => it.downSince!));
    };
    const open = (from: number, but?: number) =>
      engines.filter((engine, n) => n >= from && n !== but && engine.isOpen);
    assert.equal(all.downSince, down(open(0)));
    for (const [place, others] of seen.entries()) {
      assert.equal(others.next(), names(open(place + 1)));
      assert.equal(others.any(), names(open(0, place)));
      assert.equal(others.downSince(), down(open(0, place)));
    }
  }));
});
