import assert from "node:assert/strict";
import { bestOf, type Outcome, type OwnServer, SERVERS, simulateOwn } from "./concurrency.ts";

const SEEDS = [1, 2, 3];

function mean(server: OwnServer, answers: number, of: (run: Outcome) => number): number {
  const runs = SEEDS.map((seed) => simulateOwn(server, answers, { seed }));
  return runs.map(of).reduce((sum, value) => sum + value, 0) / runs.length;
}

for (const [name, server] of Object.entries(SERVERS)) {
  Deno.test(`a server that reads ${name} is used well, with few pages that wait`, () => {
    const best = bestOf({ ...server, queue: undefined }, 3_000);
    const used = mean(server, 2_000, ({ lastHalf }) => lastHalf) / best.perSecond;
    assert.ok(used >= 0.92, `${(100 * used).toFixed(1)} % of the best`);
    const inFlight = mean(server, 2_000, ({ meanInFlight }) => meanInFlight);
    assert.ok(inFlight <= 2.5 * best.least + 2, `${inFlight.toFixed(1)}, ${best.least} would do`);
    const refused = mean(server, 2_000, ({ refused }) => refused);
    assert.ok(refused <= 0.01, `${(100 * refused).toFixed(1)} % refused`);
  });
}

Deno.test("a server that becomes wider or narrower is followed", () => {
  for (const [before, after] of [[4, 16], [16, 4]]) {
    const server = { workers: before, pageMs: 500, later: { after: 3_000, workers: after } };
    const used = mean(server, 9_000, ({ lastHalf }) => lastHalf) /
      bestOf({ workers: after, pageMs: 500 }, 3_000).perSecond;
    assert.ok(used >= 0.9, `${before} to ${after}: ${(100 * used).toFixed(1)} % of the best`);
  }
});

Deno.test("who knows a server from before loses nothing to looking for its number", () => {
  const server = SERVERS["64 at a time, 1 s"];
  const { learnt } = simulateOwn(server, 6_000);
  const again = simulateOwn(server, 1_000, { learnt, seed: 9 });
  const cold = simulateOwn(server, 1_000, { seed: 9 });
  assert.ok(again.perSecond >= 1.3 * cold.perSecond, `${again.perSecond} ${cold.perSecond}`);
});
