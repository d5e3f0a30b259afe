import assert from "node:assert/strict";
import fc from "fast-check";
import { SeenTexts } from "./seen.ts";

Deno.test("SeenTexts knows exactly the texts that were added, through all growth", () => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 3 })), (texts) => {
    const seen = new SeenTexts();
    const real = new Set<string>();
    for (const text of texts) {
      assert.equal(seen.add(text), !real.has(text));
      real.add(text);
    }
    assert.equal(seen.size, real.size);
  }));
  const many = new SeenTexts();
  for (let i = 0; i < 20_000; i++) assert.ok(many.add(`row-${i}`));
  for (let i = 0; i < 20_000; i += 7) assert.ok(!many.add(`row-${i}`));
  assert.equal(many.size, 20_000);
});
