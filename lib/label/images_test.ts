import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fakeImage } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { Budget } from "../base/budget.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { ImageLoader } from "./images.ts";
import { locateImage } from "../dataset/image_location.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";

const ENGINE = { name: "an-engine", mediaTypes: new Set([MEDIA_TYPES.png]), maxBytes: 5_000 };

const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function open(capacity = 1_000) {
  const store = new MemoryStore("s3://images");
  const memory = new Budget(capacity);
  const source = { bucket: (name: string) => name === "images" ? store : new MemoryStore() };
  const loader = new ImageLoader(source, memory, ENGINE);
  const never = new AbortController().signal;
  return { store, memory, load: (path: string, signal = never) => loader.load(path, signal) };
}

Deno.test("locateImage() finds the store that a path names, in this run's profile", () => {
  const local = new MemoryStore();
  const remote = new MemoryStore();
  const bucket = () => remote;
  assert.deepEqual(locateImage("s3://b-1/a b/한글.png", { bucket }), {
    store: remote,
    key: "a b/한글.png",
  });
  assert.deepEqual(locateImage("a/b.png", { local }), { store: local, key: "a/b.png" });
  assert.equal(locateImage("a/b.png", { bucket }), undefined);
  assert.equal(locateImage("s3://b-1/a.png", { local }), undefined);
  assert.equal(locateImage("../a.png", { local, bucket }), undefined);
});

Deno.test("ImageLoader.load() gives bytes, hash, type and size, and holds memory until released", async () => {
  const { store, memory, load } = open();
  const bytes = fakeImage("a", 300);
  store.put("a.png", bytes);
  const loaded = await load("s3://images/a.png");
  const mediaType = { type: "image/png", extension: "png" };
  assert.deepEqual(loaded.image, { bytes, sha256: sha(bytes), mediaType });
  assert.deepEqual([loaded.sha256, loaded.size, loaded.failure], [sha(bytes), 300, undefined]);
  assert.equal(memory.used, 300);
  loaded.release();
  loaded.release();
  assert.equal(loaded.image.bytes.byteLength, 0, "the bytes are gone at once");
  assert.equal(memory.used, 0);
});

Deno.test("ImageLoader.load() waits for memory before it reads the body", async () => {
  const { store, memory, load } = open(500);
  for (const name of ["a", "b"]) store.put(name, fakeImage(name, 300));
  const first = await load("s3://images/a");
  let arrived = false;
  const second = load("s3://images/b").finally(() => arrived = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([arrived, memory.used], [false, 300]);
  first.release();
  (await second).release();
  assert.equal(memory.used, 0);
});

Deno.test("ImageLoader.load() takes what is wrong with an image for a failure of its row", async () => {
  const { store, memory, load } = open();
  const gif = new TextEncoder().encode("GIF89a, which the API does not accept");
  store.put("empty", new Uint8Array());
  const pdf = new TextEncoder().encode("%PDF-1.7, which this engine does not take");
  store.put("gif", gif);
  store.put("pdf", pdf);
  const errors: Record<string, StoreError> = {
    denied: new StoreError("denied", "403 for s3://images/denied"),
    large: new StoreError("too_large", "s3://images/large has 99999999 bytes"),
    bucket: new StoreError("no_bucket", "s3://images does not exist"),
  };
  store.before = (_operation, key) => {
    if (errors[key]) throw errors[key];
  };
  const cases: [key: string, code: string, sha256: string | null, size: number | null][] = [
    ["absent", "image_not_found", null, null],
    ["bucket", "image_not_found", null, null],
    ["denied", "image_denied", null, null],
    ["large", "image_too_large", null, null],
    ["empty", "image_empty", sha(new Uint8Array()), 0],
    ["gif", "image_unsupported", sha(gif), gif.length],
    ["pdf", "image_unsupported", sha(pdf), pdf.length],
  ];
  for (const [key, code, sha256, size] of cases) {
    const loaded = await load(`s3://images/${key}`);
    assert.equal(loaded.failure?.code, code);
    assert.ok(loaded.failure.message.includes(errors[key]?.message ?? `images/${key}`), key);
    assert.deepEqual([loaded.image, loaded.sha256, loaded.size], [undefined, sha256, size]);
    assert.equal(memory.used, 0, `${key} still holds memory`);
    loaded.release();
    assert.equal(memory.used, 0);
  }
});

Deno.test("ImageLoader.load() does not read what the engine would not take for its size", async () => {
  const { store, load } = open();
  const limits: (number | undefined)[] = [];
  const read = store.read.bind(store);
  store.read = (key, options) => {
    limits.push(options?.maxBytes);
    return read(key, { ...options, maxBytes: 10 });
  };
  store.put("a", fakeImage("a"));
  const { failure, size } = await load("s3://images/a");
  assert.deepEqual([failure?.code, size, limits], ["image_too_large", null, [ENGINE.maxBytes]]);
});

Deno.test("ImageLoader.load() ends the run when the store itself fails, and holds no memory", async () => {
  for (const kind of ["unavailable", "credentials"] as const) {
    const { store, memory, load } = open();
    const cause = new StoreError(kind, "no luck");
    store.read = async (_key, options) => {
      await options?.admit?.(100);
      throw cause;
    };
    await assert.rejects(load("s3://images/a"), (error) => {
      assert.ok(error instanceof RunError && error.cause === cause);
      assert.equal(error.exit, kind === "unavailable" ? "again" : "store");
      assert.match(error.message, /s3:\/\/images\/a: no luck/);
      return true;
    });
    assert.equal(memory.used, 0);
  }
});

Deno.test("ImageLoader.load() passes a defect on as it is", async () => {
  const { store, load } = open();
  store.before = () => {
    throw new TypeError("a defect");
  };
  await assert.rejects(load("s3://images/a"), TypeError);
});

Deno.test("ImageLoader.load() throws the signal's reason, also while it waits for memory", async () => {
  const { store, memory, load } = open(100);
  store.put("a", fakeImage("a", 100));
  const reason = new Error("stop");
  await assert.rejects(load("s3://images/a", AbortSignal.abort(reason)), (e) => e === reason);
  const first = await load("s3://images/a");
  const abort = new AbortController();
  const second = load("s3://images/a", abort.signal);
  await new Promise((resolve) => setTimeout(resolve, 0));
  abort.abort(reason);
  await assert.rejects(second, (error) => error === reason);
  first.release();
  assert.equal(memory.used, 0);
});

Deno.test("ImageLoader.load() refuses a path that no run could read", async () => {
  const { load } = open();
  await assert.rejects(load("gs://images/a"), { name: "RunError", exit: "input" });
});
