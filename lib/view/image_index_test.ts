import assert from "node:assert/strict";
import fc from "fast-check";
import { imageHash, ImageIndex, LOOK } from "./image_index.ts";

Deno.test("ImageIndex finds every image, and counts images, rows and contents", () => {
  const rows = fc.array(fc.nat(40), { maxLength: 80 });
  fc.assert(fc.property(rows, (given) => {
    const hash = (n: number) => imageHash(n % 2 ? "bucket" : null, `${n}.png`);
    const index = new ImageIndex(Float64Array.from(given, hash));
    assert.equal(index.length, new Set(given).size);
    assert.deepEqual(index.count(() => true), { images: index.length, rows: given.length });
    for (let n = 0; n <= 41; n++) {
      const at = index.find(hash(n));
      assert.equal(at >= 0, given.includes(n));
      if (at < 0) continue;
      assert.equal(index.rows[at], given.filter((other) => other === n).length);
      assert.deepEqual([index.first(at), index.first(at)], [true, false]);
      index.found(at, n, `content ${n % 3}`);
    }
    const there = index.distinct((at) => index.looks[at] === LOOK.there);
    assert.equal(there, new Set(given.map((n) => n % 3)).size);
  }));
});
