import assert from "node:assert/strict";
import fc from "fast-check";
import { RowSample, sampleHashes, sampleText } from "./row_sample.ts";

Deno.test("RowSample keeps the smallest hashes, in whatever order rows come", () => {
  fc.assert(fc.property(fc.array(fc.maxSafeNat(), { maxLength: 400 }), (hashes) => {
    const sample = new RowSample();
    for (const hash of hashes) sample.add(hash);
    assert.deepEqual(sample.hashes, hashes.toSorted((a, b) => a - b).slice(0, 128));
    assert.deepEqual(sampleHashes(sampleText(sample.hashes)), sample.hashes);
  }));
});
