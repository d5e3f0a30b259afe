import assert from "node:assert/strict";
import fc from "fast-check";
import { hash53, HashIndex } from "./hash_index.ts";

Deno.test("HashIndex finds the first position of each key, and no other", () => {
  const key = fc.oneof(
    fc.nat(20),
    fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    fc.constant(NaN),
    // The same low half: they want the same slot.
    fc.nat(20).map((high) => 4294967296 * high + 7),
  );
  fc.assert(fc.property(fc.array(key, { maxLength: 60 }), key, (keys, other) => {
    const index = new HashIndex(Float64Array.from(keys));
    keys.forEach((key, at) => {
      assert.equal(index.add(at), !Number.isNaN(key) && keys.indexOf(key) === at);
    });
    for (const key of [...keys, other]) assert.equal(index.find(key), keys.indexOf(key));
  }));
});

Deno.test("hash53() gives whole numbers of up to 53 bits", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const hash = hash53(text);
    assert.ok(Number.isSafeInteger(hash) && hash >= 0);
  }));
});
