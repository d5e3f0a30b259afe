import assert from "node:assert/strict";
import fc from "fast-check";
import { hash53 } from "../base/hash_index.ts";
import { type Duplicate, findDuplicateId, type IdRow } from "./check_input.ts";

function scanOf(ids: readonly string[], size: number): () => AsyncGenerator<IdRow[]> {
  return async function* () {
    for (let start = 0; start < ids.length; start += size) {
      yield ids.slice(start, start + size).map((id, offset) => ({ index: start + offset, id }));
    }
  };
}

function byMap(ids: readonly string[]): Duplicate | undefined {
  const met = new Map<string, number>();
  for (const [second, id] of ids.entries()) {
    const first = met.get(id);
    if (first !== undefined) return { id, first, second };
    met.set(id, second);
  }
}

const HASHES: Record<string, (id: string) => number> = {
  "its own hash": hash53,
  "a hash of four values": (id) => id.length % 4,
  "a hash of one value": () => 0,
};

for (const [name, hash] of Object.entries(HASHES)) {
  Deno.test(`findDuplicateId() agrees with a Map under ${name}`, async () => {
    const few = fc.array(fc.string({ unit: "grapheme", maxLength: 3 }), { maxLength: 40 });
    const unique = fc.uniqueArray(fc.string({ maxLength: 8 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(few, unique), fc.integer({ min: 1, max: 9 }), async (ids, size) => {
        const found = await findDuplicateId(scanOf(ids, size), ids.length, hash);
        assert.deepEqual(found, byMap(ids));
      }),
      { numRuns: 300 },
    );
  });
}

Deno.test("findDuplicateId() reads the rows once if no two hashes are equal", async () => {
  let scans = 0;
  const ids = Array.from({ length: 1000 }, (_, index) => `row-${index}`);
  const scan = scanOf(ids, 100);
  const found = await findDuplicateId(() => (scans++, scan()), ids.length);
  assert.equal(found, undefined);
  assert.equal(scans, 1);
});

Deno.test("findDuplicateId() refuses a wrong number of rows", async () => {
  await assert.rejects(findDuplicateId(scanOf(["a", "b"], 1), 3), /got 2 rows of 3/);
  await assert.rejects(findDuplicateId(scanOf(["a", "b"], 1), 1), /got 2 rows of 1/);
});

Deno.test("hash53() spreads similar ids over 53 bits", () => {
  const hashes = new Set(Array.from({ length: 200_000 }, (_, index) => hash53(`row-${index}`)));
  assert.equal(hashes.size, 200_000);
  const high = Array.from(hashes).filter((hash) => hash >= 2 ** 52).length;
  assert.ok(Math.abs(high - 100_000) < 2_000, `${high}`);
  assert.ok(Array.from(hashes).every((hash) => Number.isSafeInteger(hash) && hash >= 0));
});
