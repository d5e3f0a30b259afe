import assert from "node:assert/strict";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import {
  answerOf,
  limited,
  type ScriptedEnd,
  scriptedJob,
} from "../../dev/doubles/scripted_job.ts";
import { seeded } from "../../dev/testing/random.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { Outcome } from "../engine/engine.ts";

/** Labels so many rows where some are always answered with 429. */
async function label(
  n: number,
  poisoned: (row: number) => boolean,
  { code, waitMs, perSecond = 5 }: { code?: string; waitMs?: number; perSecond?: number } = {},
): Promise<ScriptedEnd & { readonly asked: Map<number, number> }> {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const rows = Array.from({ length: n }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  const account = limited(clock, perSecond, 300);
  const asked = new Map<number, number>();
  const ended = await scriptedJob({
    ...{ store, clock, args: "--max-failure-rate 1 --batch-size 500" },
    own: [async (image, model, signal): Promise<Outcome> => {
      const row = Number(
        /row-(\d+)/.exec(new TextDecoder().decode(image.bytes.subarray(16, 32)))![1],
      );
      if (!poisoned(row)) return await account(image, model, signal);
      asked.set(row, (asked.get(row) ?? 0) + 1);
      await clock.sleep(20, signal);
      const until = waitMs && clock.now() + waitMs;
      return { kind: "throttled", until, message: "HTTP 429, page_quota_exceeded: no", code };
    }],
  });
  return { ...ended, asked };
}

Deno.test("a page that is throttled for ever fails after a bounded time, and slows nobody down", async () => {
  const calm = await label(600, () => false);
  const kinds = [{ code: "page_quota_exceeded" }, {}, { waitMs: 3_000 }, { waitMs: 3_600_000 }];
  for (const kind of kinds) {
    const ended = await label(600, (row) => row === 40 || row === 150, kind);
    assert.equal(ended.error, undefined, ended.notes.join("\n"));
    const { ok, empty, failures } = ended.summary!.counts;
    assert.deepEqual([ok + empty, failures], [598, { api_unavailable: 2 }]);
    assert.ok(ended.seconds < calm.seconds * 1.25, `${ended.seconds} s instead of ${calm.seconds}`);
    for (const times of ended.asked.values()) assert.ok(times <= 10, `${times} requests`);
    assert.equal(ended.notes.filter((note) => /control|known|outage/.test(note)).length, 0);
  }
});

Deno.test("pages that are throttled for ever by a code of their own fail sooner once that is known", async () => {
  const code = "page_quota_exceeded";
  const ended = await label(600, (row) => row % 25 === 9, { code });
  assert.equal(ended.error, undefined, ended.notes.join("\n"));
  assert.deepEqual([ended.summary!.counts.ok, ended.summary!.counts.failed], [576, 24]);
  const late = [...ended.asked].filter(([row]) => row > 350).map(([, times]) => times);
  assert.ok(late.length > 0 && late.every((times) => times <= 5), late.join());
});

Deno.test("the last pages that are throttled for ever fail within minutes, for three pages that are known", async () => {
  for (const poisoned of [1, 2, 8]) {
    const ended = await label(30, (row) => row >= 30 - poisoned);
    assert.equal(ended.error, undefined, ended.notes.join("\n"));
    assert.equal(ended.summary!.counts.failed, poisoned);
    assert.ok(ended.seconds < 300 + 60 * poisoned, `${ended.seconds} s`);
    const billed = ended.tally.billedPages - 30 + poisoned;
    assert.ok(billed <= (poisoned === 8 ? 4 : 3), `${billed} pages`);
    assert.equal(ended.notes.filter((note) => /had answered before/.test(note)).length, billed);
  }
});

Deno.test("a limit under a code of its own fails no page, however low it is", async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const rows = Array.from({ length: 120 }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  // Others take most of the account, in bursts of any length.
  const random = seeded(3);
  let [taken, left] = [false, 0];
  const ended = await scriptedJob({
    ...{ store, clock, args: "--rate 3" },
    own: [async (image, model, signal) => {
      await clock.sleep(100, signal);
      if (left-- <= 0) [taken, left] = [!taken, Math.floor(random() * (taken ? 8 : 25))];
      if (taken) {
        return { kind: "throttled", until: undefined, message: "HTTP 429", code: "page_quota" };
      }
      return answerOf(image, model);
    }],
  });
  assert.equal(ended.error, undefined, ended.notes.join("\n"));
  assert.equal(ended.summary!.counts.ok, 120);
});
