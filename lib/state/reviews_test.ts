import assert from "node:assert/strict";
import { StoreError } from "../base/errors.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { ReviewMark } from "./documents.ts";
import { Reviews } from "./reviews.ts";

const KEY = "reviews/demo/marks.json";

function mark(id: string, by: string): ReviewMark {
  const at = "2026-11-20T08:00:00.000Z";
  return { id, row: 3, verdict: "wrong", note: `by ${by}`, by, at, image_sha256: null };
}

Deno.test("two reviewers mark at once, and no mark is lost", async () => {
  const store = new MemoryStore();
  const [a, b] = [await Reviews.open(store, "demo"), await Reviews.open(store, "demo")];
  const ids = Array.from({ length: 20 }, (_, i) => `page ${i}`);
  await Promise.all(ids.map((id, i) => (i % 2 ? a : b).set(id, mark(id, i % 2 ? "a" : "b"))));
  const stored = await Reviews.open(store, "demo");
  assert.deepEqual([...stored.marks.keys()].sort(), ids.toSorted());
  assert.equal(stored.marks.get("page 3")?.by, "a");
  await b.set("page 3", undefined);
  await a.set("page 4", mark("page 4", "a"));
  const after = await Reviews.open(store, "demo");
  assert.deepEqual([after.marks.size, after.marks.has("page 3")], [19, false]);
  assert.equal(after.marks.get("page 4")?.by, "a");
});

Deno.test("ids that objects have names for are ids like others", async () => {
  const store = new MemoryStore();
  const reviews = await Reviews.open(store, "demo");
  for (const id of ["__proto__", "constructor", "", "\ud800", "한글\n\x1b[2J"]) {
    await reviews.set(id, mark(id, "a"));
    assert.ok((await Reviews.open(store, "demo")).marks.has(id), JSON.stringify(id));
  }
});

Deno.test("what is no review is left alone, and a mark that can't be stored is none", async () => {
  const store = new MemoryStore();
  const reviews = await Reviews.open(store, "demo");
  store.put(KEY, `{"format":"pseudolabel-reviews/2"}`);
  await assert.rejects(Reviews.open(store, "demo"), /holds no reviews .* move it away/);
  await assert.rejects(reviews.set("a", mark("a", "x")), StoreError);
  assert.equal(
    new TextDecoder().decode(store.objects.get(KEY)),
    `{"format":"pseudolabel-reviews/2"}`,
  );
  store.objects.delete(KEY);
  store.before = (operation) => {
    if (operation === "write") throw new StoreError("denied", "no");
  };
  await assert.rejects(reviews.set("a", mark("a", "x")), /no/);
  assert.equal(reviews.marks.size, 0);
  store.before = () => {};
  await reviews.set("a", mark("a", "x")); // the failure before holds nothing up
  assert.equal(reviews.marks.size, 1);
});

Deno.test("a store without conditional writes keeps marks, too", async () => {
  const store = new MemoryStore();
  const write = store.write.bind(store);
  store.write = async (key, bytes, options = {}) => {
    if (options.onlyIf !== undefined) throw new StoreError("unsupported", "501");
    return await write(key, bytes, options);
  };
  const reviews = await Reviews.open(store, "demo");
  await reviews.set("a", mark("a", "x"));
  await reviews.set("b", mark("b", "x"));
  assert.deepEqual([...(await Reviews.open(store, "demo")).marks.keys()], ["a", "b"]);
});
