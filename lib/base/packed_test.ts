import assert from "node:assert/strict";
import fc from "fast-check";
import { pack } from "./packed.ts";

Deno.test("pack() gives back what it was given, to the last bit", () => {
  const leaf = fc.oneof(fc.double(), fc.string({ unit: "binary" }), fc.constant(null), fc.date());
  const value = fc.oneof(
    leaf,
    fc.array(leaf),
    fc.dictionary(fc.string(), fc.array(leaf), { noNullPrototype: true }),
  );
  fc.assert(fc.property(value, (value) => assert.deepStrictEqual(pack(value).unpack(), value)));
  const long = Array.from({ length: 2_000 }, (_, i) => ({ i, text: `word ${i % 7}` }));
  assert.deepEqual(pack(long).unpack(), long);
  assert.ok(pack(long).byteLength < JSON.stringify(long).length / 3);
  assert.ok(Object.is(pack(-0).unpack(), -0));
  assert.equal(pack("\ud800").unpack(), "\ud800");
});
