import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { type Spending } from "./documents.ts";
import { RESERVATION_PAGES, SpendingLimit, type SpendingLimitOptions } from "./spending.ts";

const KEY = "checkpoints/demo/spending.json";
const PRICES = [0.0015, 0.01, 0.03];
const HIGHEST = Math.max(...PRICES);

/** A store that nobody writes to without end. */
function boundedStore(most = 1_000): MemoryStore {
  const store = new MemoryStore();
  store.before = (operation) => {
    if (operation === "write") assert.ok(store.writes.length < most, "written without end");
  };
  return store;
}

function open(store: MemoryStore, given: Partial<SpendingLimitOptions> = {}) {
  return SpendingLimit.open({
    ...{ store, key: KEY, runId: "run", maxPages: Infinity, limit: "--max-pages" },
    ...given,
  });
}

function dollarsOf(max: number, billed = 0): SpendingLimitOptions["dollars"] {
  return { max, limit: `--max-cost ${max}`, billed, highestPrice: HIGHEST };
}

function put(store: MemoryStore, spending: Partial<Spending>): void {
  const document = { format: "pseudolabel-spending/1", run_id: "run", reserved_pages: 0 };
  store.put(KEY, JSON.stringify({ ...document, ...spending }));
}

function written(store: MemoryStore): Spending {
  return JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
}

function settled<T>(work: Promise<T>): Promise<T | "waits"> {
  return Promise.race([work, new Promise<"waits">((resolve) => setImmediate(resolve, "waits"))]);
}

Deno.test("no page or dollar is let through beyond the limits, nor before it is written down, over any kills, prices and requests in flight; and little is wasted", async () => {
  const step = fc.record({
    isTaken: fc.boolean(),
    price: fc.constantFrom(...PRICES),
    billed: fc.constantFrom(0, 1, 1, 1),
  });
  const process = fc.record({
    steps: fc.array(step, { maxLength: 50 }),
    isKilled: fc.boolean(),
    likely: fc.option(fc.nat(30), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 7, 60, 100_000, Infinity),
      fc.constantFrom(0.001, 0.03, 0.1, 0.5, Infinity),
      fc.array(process, { minLength: 1, maxLength: 4 }),
      async (maxPages, max, processes) => {
        const store = boundedStore();
        /** What was billed for sure, or may have been when a process was killed. */
        const spent = { pages: 0, dollars: 0 };
        /** What kills have cost at most. */
        const waste = { pages: 0, dollars: 0 };
        const ahead = {
          pages: Math.max(1, Math.min(RESERVATION_PAGES, Math.floor(maxPages * 0.05))),
          dollars: Math.min(RESERVATION_PAGES * HIGHEST, Math.max(HIGHEST, max * 0.05)),
        };
        for (const { steps, isKilled, likely } of processes) {
          const guard = await open(store, { maxPages, likely, dollars: dollarsOf(max) });
          assert.ok(guard.pages >= spent.pages && guard.pages <= spent.pages + waste.pages + 1e-9);
          const inFlight: number[] = [];
          /** The most that was spent or in flight at one time: that much was reserved, and more. */
          const peak = { ...spent };
          const flying = () => inFlight.reduce((sum, price) => sum + price, 0);
          const settle = (billed: number) => {
            const price = inFlight.shift()!;
            [spent.pages, spent.dollars] = [spent.pages + billed, spent.dollars + billed * price];
            guard.settle(billed, price);
          };
          for (const { isTaken, price, billed } of steps) {
            if (!isTaken) {
              if (inFlight.length > 0) settle(billed);
              continue;
            }
            const taking = guard.take(price).then(() => undefined, (error) => error);
            let refusal = await settled(taking);
            while (refusal === "waits") {
              assert.ok(inFlight.length > 0, "it waits for nothing");
              settle(0);
              refusal = await settled(taking);
            }
            if (refusal !== undefined) {
              assert.ok(refusal instanceof RunError && refusal.exit === "limit", refusal);
              assert.equal(inFlight.length, 0, "one in flight may not be billed");
              const crosses = spent.pages + 1 + waste.pages > maxPages ||
                spent.dollars + price + waste.dollars > max;
              assert.ok(crosses, `${JSON.stringify({ spent, waste, price })} of ${max}`);
              continue;
            }
            inFlight.push(price);
            const { reserved_pages, reserved_dollars } = written(store);
            const due = { pages: spent.pages + inFlight.length, dollars: spent.dollars + flying() };
            assert.ok(due.pages <= maxPages && due.dollars <= max + 1e-9);
            assert.ok(reserved_pages >= due.pages && reserved_pages <= maxPages);
            assert.ok(reserved_dollars! > due.dollars - 1e-8 && reserved_dollars! < max + 1e-8);
            peak.pages = Math.max(peak.pages, due.pages);
            peak.dollars = Math.max(peak.dollars, due.dollars);
            assert.ok(reserved_pages <= peak.pages + waste.pages + ahead.pages);
            assert.ok(reserved_dollars! < peak.dollars + waste.dollars + ahead.dollars + 1e-8);
          }
          if (isKilled) {
            spent.pages += inFlight.length;
            spent.dollars += flying();
            waste.pages += ahead.pages + peak.pages - spent.pages;
            waste.dollars += ahead.dollars + peak.dollars - spent.dollars;
            continue;
          }
          while (inFlight.length > 0) settle(1);
          await guard[Symbol.asyncDispose]();
          if (!store.objects.has(KEY)) continue;
          const { reserved_pages, reserved_dollars } = written(store);
          assert.equal(reserved_pages, guard.pages);
          assert.ok(reserved_dollars! < spent.dollars + waste.dollars + 1e-8, "nothing given back");
        }
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("the nearer the limit, the less is reserved ahead: a kill wastes a twentieth of what is left at most", async () => {
  for (const spent of [0, 500, 900, 980, 999]) {
    const store = boundedStore();
    put(store, { reserved_pages: spent, billed_pages: spent });
    const guard = await open(store, { maxPages: 1_000 });
    await guard.take();
    const ahead = written(store).reserved_pages - guard.pages;
    assert.ok(ahead >= 0 && ahead <= Math.max(1, (1_000 - spent) / 20), `${ahead} after ${spent}`);
  }
});

Deno.test("what was reserved and not spent is written back before the process ends", async () => {
  const store = boundedStore();
  const guard = await open(store, { maxPages: 1_000 });
  await guard.take();
  guard.settle(1);
  store.before = () => new Promise((resolve) => setImmediate(resolve));
  await guard[Symbol.asyncDispose]();
  assert.equal(written(store).reserved_pages, 1);
});

Deno.test("sums of prices are as good as the prices: three pages of 0.1 dollars fit into 0.3", async () => {
  const store = boundedStore();
  const guard = await open(store, { dollars: { ...dollarsOf(0.3)!, highestPrice: 0.1 } });
  for (let n = 0; n < 3; n++) {
    await guard.take(0.1);
    guard.settle(1, 0.1);
  }
  await assert.rejects(guard.take(0.1), (error: RunError) => {
    assert.equal(error.exit, "limit");
    assert.match(error.message, /^stopped before --max-cost 0.3: 3 pages billed or reserved;/);
    return true;
  });
  await guard[Symbol.asyncDispose]();
  assert.equal(written(store).reserved_dollars, 0.3);
});

Deno.test("a run takes up what may have been spent by its object or by its batches, whichever is more", async () => {
  const table: [Partial<Spending> | undefined, { pages: number; dollars: number }, number][] = [
    [undefined, { pages: 4, dollars: 0.02 }, 0.02],
    [{ reserved_pages: 10, reserved_dollars: 0.05 }, { pages: 4, dollars: 0.02 }, 0.05],
    [{ reserved_pages: 2, reserved_dollars: 0.01 }, { pages: 4, dollars: 0.02 }, 0.02],
    // Before dollars were counted: pages of unfinished batches may have been the dearest engine's.
    [{ reserved_pages: 10 }, { pages: 4, dollars: 0.02 }, 0.02 + 6 * HIGHEST],
    [{ reserved_pages: 2 }, { pages: 4, dollars: 0.02 }, 0.02],
    [{ reserved_pages: 10, reserved_dollars: 0.5, run_id: "other" }, { pages: 1, dollars: 0 }, 0],
  ];
  for (const [document, billed, cost] of table) {
    for (const [left, passes] of [[0.01, true], [0.0099, false]] as const) {
      const store = boundedStore();
      if (document) put(store, document);
      const dollars = dollarsOf(cost + left, billed.dollars);
      const guard = await open(store, { billed: billed.pages, dollars });
      const own = document?.run_id === undefined ? document?.reserved_pages ?? 0 : 0;
      assert.equal(guard.pages, Math.max(own, billed.pages));
      const took = await guard.take(0.01).then(() => true, () => false);
      assert.equal(took, passes, JSON.stringify([document, left]));
    }
  }
});

Deno.test("a process that asks for nothing writes nothing, one of a single page once, and none more than it is likely to ask for", async () => {
  const store = boundedStore();
  await (await open(store, { billed: 3 }))[Symbol.asyncDispose]();
  assert.deepEqual(store.writes, []);

  const single = await open(store, { maxPages: 4, billed: 3, likely: 1 });
  await single.take();
  single.settle(1);
  await single[Symbol.asyncDispose]();
  assert.equal(store.writes.length, 1);
  assert.equal(written(store).reserved_pages, 4);

  const few = boundedStore();
  const guard = await open(few, { likely: 3 });
  for (let n = 0; n < 3; n++) {
    await guard.take();
    assert.ok(written(few).reserved_pages <= 3, "more than is going to be asked for");
    guard.settle(1);
  }
  await guard[Symbol.asyncDispose]();
  assert.equal(few.writes.length, 1);

  const many = boundedStore(25);
  const dear = await open(many, { dollars: dollarsOf(100) });
  for (let n = 0; n < 10 * RESERVATION_PAGES; n++) {
    await dear.take(PRICES[n % 3]);
    dear.settle(1, PRICES[n % 3]);
  }
});

Deno.test("what was billed for sure is written down in the end, pages that an answer has cost later included", async () => {
  const store = boundedStore();
  const guard = await open(store, { maxPages: 3, billed: 0, dollars: dollarsOf(1) });
  await guard.take(0.01);
  guard.settle(1, 0.01);
  guard.owe(2, 0.01);
  assert.equal(guard.pages, 3);
  await assert.rejects(guard.take(0.01), /stopped before --max-pages: 3 pages/);
  await guard[Symbol.asyncDispose]();
  const { reserved_pages, billed_pages, reserved_dollars } = written(store);
  assert.deepEqual([reserved_pages, billed_pages, reserved_dollars], [3, 3, 0.03]);

  // As many as the object or the batches tell, and what comes on top.
  for (const [inObject, inBatches] of [[3, 1], [1, 3]]) {
    put(store, { reserved_pages: 3, billed_pages: inObject });
    const next = await open(store, { billed: inBatches });
    await next.take();
    next.settle(1);
    await next[Symbol.asyncDispose]();
    assert.equal(written(store).billed_pages, 4);
  }

  // At the limit everything is reserved and spent, and yet there is news.
  const last = boundedStore();
  const full = await open(last, { maxPages: 1 });
  await full.take();
  full.settle(1);
  await full[Symbol.asyncDispose]();
  assert.equal(last.writes.length, 2);
  assert.deepEqual([written(last).reserved_pages, written(last).billed_pages], [1, 1]);
});

Deno.test("the end waits for a reservation that is being written, so that it can't undo what is given back", async () => {
  const store = boundedStore();
  const guard = await open(store, { maxPages: 1_000 });
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  while (waiting === 0 && guard.pages < 500) {
    await guard.take();
    guard.settle(1);
    store.before = () => {
      waiting++;
      return gate.promise;
    };
  }
  const ended = guard[Symbol.asyncDispose]();
  await settled(ended);
  assert.equal(waiting, 1, "it writes beside the other one");
  gate.resolve();
  await ended;
  assert.equal(written(store).reserved_pages, guard.pages);
});

Deno.test("a page that could not be reserved is not in flight, and what can't be given back counts as spent", async () => {
  const store = new MemoryStore();
  const guard = await open(store, { dollars: { ...dollarsOf(0.03)!, highestPrice: 0.01 } });
  let fails = true;
  store.before = (operation) => {
    if (operation === "write" && fails) throw new StoreError("denied", "403");
  };
  await assert.rejects(guard.take(0.03), StoreError);
  fails = false;
  await guard.take(0.01);
  fails = true;
  await assert.rejects(guard.take(0.02), StoreError);
  fails = false;
  await guard.take(0.02);
  guard.settle(0, 0.02);
  guard.settle(0, 0.01);
  fails = true;
  await guard[Symbol.asyncDispose]();
  assert.ok((await open(store, { dollars: dollarsOf(0.03) })).pages >= 1);
});

Deno.test("what an earlier run of the data set has spent is no news, and none of this one's", async () => {
  for (const earlierRuns of [["before", "run-0"], ["before"]]) {
    const store = boundedStore();
    put(store, { run_id: "run-0", reserved_pages: 9 });
    const notes: string[] = [];
    const note = (message: string) => notes.push(message);
    assert.equal((await open(store, { earlierRuns, note })).pages, 0);
    assert.equal(notes.length, earlierRuns.length === 2 ? 0 : 1);
  }
});

Deno.test("what was reserved and not spent is given back, pages and dollars each", async () => {
  const pages = boundedStore();
  const unbilled = await open(pages);
  await unbilled.take();
  unbilled.settle(0);
  await unbilled[Symbol.asyncDispose]();
  assert.equal(written(pages).reserved_pages, 0);

  // All was asked for, at less than the highest price.
  const dollars = boundedStore();
  const cheap = await open(dollars, { likely: 2, dollars: dollarsOf(10) });
  for (let n = 0; n < 2; n++) {
    await cheap.take(0.01);
    cheap.settle(1, 0.01);
  }
  await cheap[Symbol.asyncDispose]();
  assert.equal(written(dollars).reserved_dollars, 0.02);
});

Deno.test("a page ends that waits for its reservation while documents of many pages cross a limit", async () => {
  for (const given of [{ maxPages: 10 }, { dollars: dollarsOf(0.1) }]) {
    const store = boundedStore(50);
    const guard = await open(store, given);
    await guard.take(0.01);
    const bounded = store.before;
    const gate = Promise.withResolvers<void>();
    store.before = async (operation, key) => {
      await gate.promise;
      await bounded(operation, key);
    };
    const others = [0.03, 0.03].map((price) => guard.take(price));
    await settled(Promise.all(others));
    guard.settle(30, 0.01);
    gate.resolve();
    const ends = await Promise.allSettled(others);
    const reasons = ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []);
    assert.ok(reasons.length > 0, "all were let through");
    for (const reason of reasons) {
      assert.ok(reason instanceof RunError && reason.exit === "limit", String(reason));
    }
  }
});
