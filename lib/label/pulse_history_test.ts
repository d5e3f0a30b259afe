import assert from "node:assert/strict";
import fc from "fast-check";
import { History } from "./pulse.ts";

Deno.test("a history of any length keeps begin and end, and grows further apart instead of longer", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_000 }), (beats) => {
      const history = new History();
      for (let n = 0; n < beats; n++) {
        history.add({ elapsed_s: n * 15, requests: n, throttled: 0, rate: 3 });
        assert.ok(history.samples.length <= 121);
        assert.equal(history.samples.at(-1)!.elapsed_s, n * 15, "the latest is always there");
      }
      const times = history.samples.map(({ elapsed_s }) => elapsed_s);
      assert.equal(times[0], 0);
      const steps = times.slice(1).map((time, i) => time - times[i]);
      assert.ok(steps.every((step) => step > 0));
      // Even, but for the latest.
      assert.ok(new Set(steps.slice(0, -1)).size <= 1, steps.join());
      if (beats > 200) assert.ok(times.length > 60);
    }),
    { numRuns: 60 },
  );
});
