import assert from "node:assert/strict";
import fc from "fast-check";
import { backoffMs, MAX_BACKOFF_MS } from "./backoff.ts";

Deno.test("backoffMs() is spread over the whole range up to an exponential, capped limit", () => {
  assert.equal(backoffMs(1, () => 0), 0);
  assert.equal(backoffMs(1, () => 0.5), 500);
  assert.equal(backoffMs(3, () => 0.5), 2_000);
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 2_000 }),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    (retry, random) => {
      const wait = backoffMs(retry, () => random);
      assert.ok(wait >= 0 && wait <= MAX_BACKOFF_MS);
    },
  ));
});
