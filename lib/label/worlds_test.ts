import assert from "node:assert/strict";
import fc from "fast-check";
import { broken, inWorld, type Way, type World, worlds } from "../../dev/soak/engine_world.ts";

const calm: Way = { perSecond: 3, latency: 0.5, troubles: [] };
const quiet: World = { seed: 1, rows: 30, keys: [calm], fallbacks: [], poison: [] };

Deno.test("whatever keys and engines do: the run ends in time, each row is there, pages that an engine answers are answered, and few are paid for besides", async () => {
  const property = fc.asyncProperty(worlds, async (world) => {
    const end = await inWorld(world);
    assert.deepEqual(broken(world, end), [], end.notes.join("\n"));
  });
  await fc.assert(property, { seed: 11, numRuns: 30 });
});

/** A key that gives a page each so many seconds, of which others take nine of ten. */
function scarce(seconds: number, busy: number): Way {
  const troubles = [{ from: 0, for: busy, kind: "busy" } as const];
  return { perSecond: 1 / seconds, latency: 2, troubles: busy > 0 ? troubles : [] };
}

Deno.test("no page is failed by a limit, however low, that hits whoever comes, beside one that is hit for its own sake", async () => {
  const poison = [{ every: 1_000, kind: "429", on: "all" }] as const;
  for (const [seconds, busy, rows] of [[20, 0, 20], [5, 5_000, 8], [20, 5_000, 8], [2, 600, 30]]) {
    for (const seed of [1, 2, 3]) {
      const world: World = { ...quiet, seed, rows, keys: [scarce(seconds, busy)], poison };
      const { rows: came, notes } = await inWorld(world, 6);
      const failed = came.flatMap(({ id, failed }) => failed === undefined ? [] : id);
      assert.deepEqual(failed.filter((id) => id !== "row-3"), [], notes.join("\n"));
    }
  }
});

Deno.test("pages that three engines answer 429 for ever cost three or four pages an engine, and an hour at most", async () => {
  const world: World = {
    ...quiet,
    rows: 110,
    keys: [{ ...calm, perSecond: 40, latency: 60 }, { ...calm, perSecond: 0.5 }],
    fallbacks: [{ ...calm, perSecond: 40 }, { ...calm, perSecond: 1 }],
    poison: [{ every: 11, kind: "429", on: "all" }],
  };
  const end = await inWorld(world);
  assert.deepEqual(broken(world, end), []);
  assert.equal(end.rows.filter(({ failed }) => failed !== undefined).length, 10);
  assert.ok(end.controls <= 12, `${end.controls} pages were asked for to tell`);
  assert.ok(end.seconds[0] < 3_600, `${end.seconds} s`);
});

Deno.test("a page whose 503 names a foolish time fails alone, first or last, in one run or the next", async () => {
  for (const every of [1_000, 5]) {
    const world: World = { ...quiet, poison: [{ every, kind: "503 hour", on: "all" }] };
    const end = await inWorld(world);
    assert.deepEqual([end.errors, broken(world, end)], [[undefined], []], end.notes.join("\n"));
    assert.equal(end.rows.filter(({ failed }) => failed !== undefined).length, every === 5 ? 6 : 1);
  }
  // A fallback sees few pages: that one, the first it sees, doesn't shut it for the others.
  const poison = [{ every: 11, kind: "503 hour", on: "all" }, {
    every: 30,
    kind: "400",
    on: "own",
  }];
  const world = { ...quiet, rows: 5, fallbacks: [calm], poison } as World;
  const end = await inWorld(world);
  assert.deepEqual([end.errors, broken(world, end)], [[undefined], []], end.notes.join("\n"));
});

Deno.test("rows that meet an outage before anything has worked wait for it, and end with 75 if it lasts", async () => {
  for (const rows of [1, 2]) {
    for (const [lasts, processes] of [[300, 1], [900, 2]]) {
      const keys: Way[] = [
        { ...calm, troubles: [{ from: 0, for: lasts, kind: "down" }] },
        ...rows === 2
          ? [{ ...calm, troubles: [{ from: 0, for: lasts, kind: "hangs" } as const] }]
          : [],
      ];
      const world: World = { ...quiet, rows, keys };
      const end = await inWorld(world);
      assert.equal(end.errors.length, processes, end.notes.join("\n"));
      assert.deepEqual(broken(world, end), []);
      assert.equal(end.rows.every(({ failed }) => failed === undefined), true);
      if (processes === 2) assert.match(String(end.errors[0]), /--no-guard fails them/);
    }
  }
});
