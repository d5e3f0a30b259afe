import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { StoreError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import { heartbeat as schema, type HeartbeatDocument } from "./documents.ts";
import { Heartbeat } from "./heartbeat.ts";
import { noRows } from "./row_counts.ts";

const KEY = "checkpoints/demo/heartbeat.json";

/** A heartbeat on a clock that only tests move. */
function bench(check: () => void = () => {}) {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const start = clock.now();
  const times: number[] = [];
  store.before = (operation) => {
    if (operation === "write") times.push((clock.now() - start) / 1_000);
  };
  const heartbeat = new Heartbeat({ store, key: KEY, clock, check, read: () => news(clock) });
  const read = (): HeartbeatDocument => {
    const parsed = parseJsonAs(schema, store.objects.get(KEY)!);
    assert.equal(parsed.problem, undefined);
    return parsed.value!;
  };
  return { store, clock, start, times, heartbeat, read };
}

function news(clock: VirtualClock): Omit<HeartbeatDocument, "format" | "ended"> {
  const at = new Date(clock.now()).toISOString();
  return {
    ...{ run_id: "run", holder: "me", owner: "process 1", leased: true, started_at: at, at },
    ...{ elapsed_s: 0, quiet_s: 0, total: 10, done_before: 0, counts: noRows(), revising: false },
    ...{ finished: { batches: "", counts: noRows() }, rows_per_s: 0, eta_s: null, rate: null },
    ...{ requests: 0, throttled: 0, throttled_lately: 0, retries: 0, in_flight: 0 },
    ...{ answers_reused: 0, pages_billed: 0, pages_billed_run: 0, price_per_page: 0.0015 },
    ...{ max_pages: null, limit: null, max_failure_rate: 0.05, paused: null, stopping: false },
    failures: [],
  };
}

Deno.test("a heartbeat is written after 2 s, then every 15 s, and once more at the end", async () => {
  const { clock, times, heartbeat, read } = bench();
  await clock.run(clock.sleep(50_000));
  assert.equal(read().ended, null);
  await clock.run(heartbeat.end(5, "the key was refused"));
  assert.deepEqual(times, [2, 17, 32, 47, 50]);
  assert.deepEqual(read().ended, { exit: 5, reason: "the key was refused" });
  await clock.run(clock.sleep(60_000));
  assert.equal(times.length, 5, "it goes on after its end");
});

Deno.test("a run of a second writes a single one", async () => {
  const { clock, times, heartbeat } = bench();
  await clock.run(clock.sleep(1_000));
  await clock.run(heartbeat.end(0, ""));
  assert.deepEqual(times, [1]);
});

Deno.test("one that can't be written ends nothing, and the next is tried", async () => {
  const { store, clock, times, heartbeat, read } = bench();
  const inner = store.before;
  store.before = async (operation, key) => {
    await inner(operation, key);
    if (times.length <= 2) throw new StoreError("denied", "no");
  };
  await clock.run(clock.sleep(40_000));
  assert.deepEqual(times, [2, 17, 32]);
  assert.equal(read().ended, null);
  await clock.run(heartbeat.end(0, ""));
  assert.equal(read().ended?.exit, 0);
});

Deno.test("one that hangs holds up neither the work nor the end, and no last one can overtake it", async () => {
  const { store, clock, start, times, heartbeat } = bench();
  const inner = store.before;
  store.before = async (operation, key) => {
    await inner(operation, key);
    await new Promise(() => {}); // for ever
  };
  await clock.run(clock.sleep(60_000));
  assert.deepEqual(times, [2], "a second one while the first hangs");
  await clock.run(heartbeat.end(75, "stopped"));
  assert.ok(clock.now() - start <= 65_000, "the end waits for it");
  assert.equal(times.length, 1);
});

Deno.test("a process that lost its lease writes nothing over the news of the one that has it", async () => {
  let lost = false;
  const { clock, times, heartbeat } = bench(() => {
    if (lost) throw new Error("lost");
  });
  await clock.run(clock.sleep(3_000));
  lost = true;
  await clock.run(clock.sleep(60_000));
  await clock.run(heartbeat.end(7, "another has it"));
  assert.deepEqual(times, [2]);
});
