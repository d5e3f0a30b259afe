import assert from "node:assert/strict";
import fc from "fast-check";
import { NameList } from "./name_list.ts";

Deno.test("NameList gives back every name as it was, with its id or without one", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 12 });
  const name = fc.record({ path: text, id: fc.option(text, { nil: undefined }) }, {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), fc.nat(1_200), (names, more) => {
      const list = new NameList();
      const all = [
        ...names,
        ...Array.from({ length: more }, (_, n) => ({ path: `x/${n}`, id: "한" })),
      ];
      for (const each of all) list.push(each);
      assert.deepEqual(Array.from(all, (_, at) => list.at(at)), all);
      assert.deepEqual([list.length, list.at(-1), list.at(all.length)], [
        all.length,
        undefined,
        undefined,
      ]);
    }),
    { numRuns: 30 },
  );
});
