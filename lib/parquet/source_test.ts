import assert from "node:assert/strict";
import { StoreError } from "../base/errors.ts";
import { memorySource, openSource, type RandomAccess, WINDOW } from "./source.ts";
import type { ReadOptions, Store, StoredObject } from "../store/store.ts";

/** A store of one object of `size` bytes that counts the reads and may change or spoil them. */
function open(
  size: number,
  answer: (options: ReadOptions) => Uint8Array | undefined = () => undefined,
) {
  const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251);
  const reads: [start: number, end: number][] = [];
  const info = { key: "data.parquet", size, etag: "v1" };
  const store = {
    url: "s3://bucket",
    async read(key: string, options: ReadOptions): Promise<StoredObject> {
      assert.equal(key, info.key);
      assert.equal(options.ifMatch, "v1");
      await Promise.resolve();
      options.signal?.throwIfAborted();
      const { start, end } = options.range!;
      assert.ok(0 <= start && start < end && end <= size);
      reads.push([start, end]);
      return { ...info, bytes: (answer(options) ?? bytes.subarray(start, end)).slice() };
    },
  } as unknown as Store;
  const openWith = (signal?: AbortSignal) => openSource(store, info, { signal });
  return { bytes, reads, source: openWith(), openWith };
}

async function check(source: RandomAccess, bytes: Uint8Array, start: number, end?: number) {
  const got = new Uint8Array(await source.slice(start, end));
  assert.deepEqual(got, bytes.slice(start, end));
}

Deno.test("openSource() reads a file of up to a window with one request", async () => {
  const { source, bytes, reads } = open(WINDOW);
  assert.equal(source.name, "s3://bucket/data.parquet");
  await Promise.all([check(source, bytes, WINDOW - 500), check(source, bytes, 4, 300)]);
  await check(source, bytes, 0);
  await check(source, bytes, 70_000, 90_000);
  assert.deepEqual(reads, [[0, WINDOW]]);
});

Deno.test("openSource() lets small reads that lie close together share a request", async () => {
  const { source, bytes, reads } = open(5 * WINDOW);
  await check(source, bytes, 5 * WINDOW - 512 * 1024); // a footer
  await check(source, bytes, 5 * WINDOW - WINDOW, 5 * WINDOW - 7);
  assert.deepEqual(reads.splice(0), [[4 * WINDOW, 5 * WINDOW]]);
  const neighbours = [1000, 4000, 200_000].map((at) => check(source, bytes, at, at + 3000));
  await Promise.all(neighbours);
  assert.deepEqual(reads, [[1000, 1000 + WINDOW]]);
});

Deno.test("openSource() reads a long range as it is", async () => {
  const { source, bytes, reads } = open(5 * WINDOW);
  await check(source, bytes, 10, 10 + 2 * WINDOW);
  assert.deepEqual(reads, [[10, 10 + 2 * WINDOW]]);
});

Deno.test("openSource() asks for nothing where nothing is wanted", async () => {
  const { source, bytes, reads } = open(100);
  await check(source, bytes, 50, 50);
  await check(source, bytes, 100);
  assert.deepEqual(reads, []);
});

Deno.test("openSource() does not keep a window that failed", async () => {
  let fail = true;
  const lost = new StoreError("unavailable", "503");
  const { source, bytes, reads } = open(100, () => {
    if (!fail) return undefined;
    fail = false;
    throw lost;
  });
  await assert.rejects(source.slice(0, 10), (error) => error === lost);
  await check(source, bytes, 0, 10);
  assert.equal(reads.length, 2);
});

Deno.test("openSource() refuses a short answer", async () => {
  const { source } = open(100, () => new Uint8Array(99));
  await assert.rejects(source.slice(0, 10), (error) => {
    assert.ok(error instanceof StoreError);
    assert.match(error.message, /^s3:\/\/bucket\/data.parquet: asked for 100 bytes at 0, got 99/);
    return true;
  });
});

Deno.test("openSource() passes its signal on", async () => {
  const reason = new Error("stop");
  const { openWith } = open(100);
  await assert.rejects(
    openWith(AbortSignal.abort(reason)).slice(0, 10),
    (error) => error === reason,
  );
});

Deno.test("memorySource() copies ranges out of a view", async () => {
  const view = Uint8Array.of(9, 9, 1, 2, 3, 9).subarray(2, 5);
  const source = memorySource("memory", view);
  assert.equal(source.byteLength, 3);
  await check(source, view, 0);
  await check(source, view, 1, 2);
  new Uint8Array(await source.slice(0)).fill(7);
  assert.deepEqual(view, Uint8Array.of(1, 2, 3));
});
