import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_PARTS, partLength, regroup } from "./s3_upload.ts";

Deno.test("regroup() keeps the bytes and makes all parts but the last equally long", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 1, max: 50 }), async (input, size) => {
    const given = input.map((piece) => new Uint8Array(piece));
    const parts = await Array.fromAsync(regroup(each(given), size));
    assert.deepEqual(parts.flatMap((p) => [...p]), given.flatMap((p) => [...p]));
    for (const part of parts.slice(0, -1)) assert.equal(part.length, size);
    if (parts.length > 0) assert.ok(parts.at(-1)!.length > 0 && parts.at(-1)!.length <= size);
  }));
});

Deno.test("regroup() hands out parts that later ones do not overwrite", async () => {
  const given = [1, 2, 3, 4].map((n) => new Uint8Array(4).fill(n));
  const parts = await Array.fromAsync(regroup(each(given), 4));
  assert.deepEqual(parts, given);
});

Deno.test("partLength() fits 300 GiB into S3's 10,000 parts of at most 5 GiB", () => {
  let total = 0;
  for (let number = 1; number <= MAX_PARTS; number++) {
    const length = partLength(number, 8 * 1024 ** 2);
    assert.ok(length <= 5 * 1024 ** 3);
    total += length;
  }
  assert.ok(total >= 300 * 1024 ** 3, String(total));
});

async function* each<T>(items: T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}
