import assert from "node:assert/strict";
import fc from "fast-check";
import { fakeImage } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { Budget } from "../base/budget.ts";
import { type RunError, StoreError } from "../base/errors.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { ImageLoader, type LoadedImage } from "./images.ts";
import { ImageGuard, spread } from "./image_guard.ts";

const NEVER = new AbortController().signal;
const RELEASE = { sha256: null, size: null, release: () => {} };
const MISSING = { failure: { code: "image_not_found", message: "404 s3://b/0.png" } } as const;
const GIF = { failure: { code: "image_unsupported", message: "s3://b/0.png is a GIF" } } as const;
const DENIED = { failure: { code: "image_denied", message: "403 s3://b/0.png" } } as const;

function watch(guard: ImageGuard, loaded: Pick<LoadedImage, "failure">): Promise<LoadedImage> {
  return guard.watch(Promise.resolve({ ...RELEASE, ...loaded }), NEVER);
}

function make(paths: readonly string[], known = false) {
  const store = new MemoryStore();
  const looked: string[] = [];
  store.before = (operation, key) => {
    if (operation === "read") looked.push(key);
  };
  const guard = new ImageGuard({
    known,
    async *sample() {
      yield* paths;
    },
    loader: new ImageLoader({ local: store }, new Budget(upstageOcr.maxBytes), upstageOcr),
  });
  return { store, looked, guard };
}

Deno.test("ImageGuard ends a run none of whose images is there, whoever asks, after one look", async () => {
  for (const failed of [MISSING, DENIED]) {
    const { guard, looked } = make(["0.png", "1.png"]);
    const ends = await Promise.allSettled([1, 2, 3].map(() => watch(guard, failed)));
    for (const end of ends) {
      assert.ok(end.status === "rejected");
      const { exit, message } = end.reason as RunError;
      assert.equal(exit, "input");
      assert.match(
        message,
        /none of 2 images can be read.*first: .*s3:.*\/0\.png.*; check image_path.*--no-guard.*no row/,
      );
    }
    assert.deepEqual(looked, ["0.png", "1.png"]);
  }
});

Deno.test("ImageGuard goes on where one image is there, and looks no further", async () => {
  const { guard, store, looked } = make(["0.png", "1.png", "2.png"]);
  store.put("1.png", fakeImage("1"));
  for (let n = 0; n < 3; n++) await watch(guard, MISSING);
  assert.deepEqual(looked, ["0.png", "1.png"]);
});

Deno.test("ImageGuard ends a run none of whose images is any that the engine takes, and says what they are", async () => {
  const { guard, store } = make(["0.png", "1.png", "2.png"]);
  store.put("0.png", "GIF89a and so on");
  store.put("1.png", "");
  await assert.rejects(watch(guard, GIF), {
    name: "RunError",
    exit: "input",
    message:
      "none of 3 images can be used, beginning with the first: 0.png is a GIF image, which " +
      "upstage-ocr does not take; convert it to JPEG or PNG; put images there that can be, then " +
      "run again, or fail such rows and go on with --no-guard; no row was marked as failed",
  });
  // One that can be used is enough, wherever it lies.
  const other = make(["0.png", "1.png", "2.png"]);
  other.store.put("0.png", "GIF89a and so on");
  other.store.put("2.png", fakeImage("2"));
  for (let n = 0; n < 3; n++) await watch(other.guard, GIF);
  assert.deepEqual(other.looked, ["0.png", "1.png", "2.png"]);
});

Deno.test("ImageGuard looks at nothing once an image was read, or where the user says go on", async () => {
  const { guard, looked } = make(["0.png"]);
  await watch(guard, {});
  for (const failed of [MISSING, GIF]) await watch(guard, failed);
  assert.deepEqual(looked, []);
  const regardless = make(["0.png"], true);
  for (const failed of [MISSING, GIF]) await watch(regardless.guard, failed);
  assert.deepEqual(regardless.looked, []);
});

Deno.test("ImageGuard waits for images that are being loaded before it looks around", async () => {
  const { guard, looked } = make(["0.png"]);
  const slow = Promise.withResolvers<LoadedImage>();
  const loading = guard.watch(slow.promise, NEVER);
  const missing = watch(guard, MISSING);
  slow.resolve(RELEASE);
  await Promise.all([loading, missing]);
  assert.deepEqual(looked, []);
  // One that can't be loaded at all shows nothing, and leaves nobody waiting.
  const other = make(["0.png"]);
  const failing = other.guard.watch(Promise.reject(new Error("the store failed")), NEVER);
  const ends = await Promise.allSettled([failing, watch(other.guard, MISSING)]);
  assert.deepEqual(ends.map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual(other.looked, ["0.png"]);
});

Deno.test("ImageGuard takes a store that fails for a store that fails", async () => {
  const { guard, store } = make(["0.png"]);
  store.before = () => {
    throw new StoreError("unavailable", "503");
  };
  await assert.rejects(watch(guard, MISSING), { name: "RunError", exit: "again" });
});

Deno.test("spread() picks rows of the ranges, in order, evenly and no more than there are", () => {
  assert.deepEqual(spread([[0, 4], [8, 12]], 4), [[0, 1], [2, 3], [8, 9], [10, 11]]);
  assert.deepEqual(spread([[3, 5]], 20), [[3, 4], [4, 5]]);
  assert.deepEqual(spread([], 20), []);
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(5), fc.nat(9)), { maxLength: 8 }),
    fc.integer({ min: 1, max: 20 }),
    (gaps, count) => {
      let at = 0;
      const ranges = gaps.map(([gap, length]): [number, number] => {
        const start = at + gap;
        at = start + length;
        return [start, at];
      });
      const picked = spread(ranges, count);
      const rows = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
      assert.equal(picked.length, Math.min(count, rows));
      assert.ok(picked.every(([start], i) => i === 0 || start > picked[i - 1][0]));
      assert.ok(
        picked.every(([start, end]) =>
          end === start + 1 && ranges.some(([from, to]) => start >= from && end <= to)
        ),
      );
    },
  ));
});
