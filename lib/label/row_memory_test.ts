import assert from "node:assert/strict";
import { okRow } from "../../dev/testing/any_row.ts";
import { outputBytes } from "../dataset/row_bytes.ts";
import { RowMemory } from "./row_memory.ts";

const NEVER = new AbortController().signal;

/** Whether a promise has resolved by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(() => resolve("later"), 0));
  return await Promise.race([promise.then(() => "now"), later]) === "now";
}

Deno.test("RowMemory starts no row beyond its capacity, but always one", async () => {
  const memory = new RowMemory(1_000);
  const first = await memory.start(5_000, NEVER); // larger than all there is
  const second = memory.start(1, NEVER);
  assert.equal(await settled(second), false);
  first();
  first(); // once counts
  const release = await second;
  const third = await memory.start(900, NEVER);
  assert.equal(memory.used, 901);
  release();
  third();
  assert.equal(memory.used, 0);
});

Deno.test("RowMemory counts rows that wait, and lets the next one start when they are taken", async () => {
  const row = okRow(0, 300);
  const memory = new RowMemory(outputBytes(row) / 8);
  const release = await memory.start(1, NEVER);
  const held = Array.from({ length: 30 }, () => memory.hold(row));
  assert.ok(memory.used < 15 * outputBytes(row), "packed rows take a part of what objects take");
  const next = memory.start(1, NEVER);
  assert.equal(await settled(next), false);
  for (const each of held) assert.deepEqual(each.take(), row);
  (await next)();
  release();
  assert.equal(memory.used, 0);
});

Deno.test("RowMemory lets go of who waits when the run ends", async () => {
  const memory = new RowMemory(10);
  const release = await memory.start(100, NEVER);
  const halt = new AbortController();
  const waiting = memory.start(1, halt.signal);
  halt.abort(new Error("the end"));
  await assert.rejects(waiting, /the end/);
  await assert.rejects(memory.start(1, halt.signal), /the end/);
  release();
});

Deno.test("RowMemory counts the words that answers in hand will have, by those of late", async () => {
  const started = async (words: number) => {
    const memory = new RowMemory();
    const row = okRow(0, words);
    for (let n = 0; n < 40; n++) memory.hold(row).drop();
    let rows = 0;
    while (rows < 300 && await settled(memory.start(1, NEVER))) rows++;
    await settled(new Promise(() => {})); // timers before it are over
    return rows;
  };
  const dense = await started(10_000);
  assert.ok(dense >= 2 && dense <= 8, `${dense} rows`);
  assert.equal(await started(100), 300);
});
