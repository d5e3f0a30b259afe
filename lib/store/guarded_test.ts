import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { guardWrites } from "./guarded.ts";

const BYTES = new Uint8Array(3);

/** A store that is guarded until it is lost. */
function setup() {
  const store = new MemoryStore();
  store.put("old", "old");
  const state = { lost: false };
  const guarded = guardWrites(store, () => {
    if (state.lost) throw new Error("lost");
  });
  return { store, guarded, state };
}

Deno.test("guardWrites() lets nothing be written or removed once the right is lost, and all be read", async () => {
  const { store, guarded, state } = setup();
  await guarded.write("new", BYTES);
  state.lost = true;
  let parts = 0;
  async function* endless() {
    for (;;) {
      parts++;
      yield await Promise.resolve(BYTES);
    }
  }
  await assert.rejects(guarded.write("a", BYTES), /lost/);
  await assert.rejects(guarded.writeParts("a", endless()), /lost/);
  await assert.rejects(guarded.remove("old"), /lost/);
  assert.deepEqual([...store.objects.keys()], ["old", "new"]);
  assert.equal(parts, 0, "an upload was begun");
  assert.equal((await guarded.read("old")).size, 3);
  assert.equal((await guarded.stat("old"))?.size, 3);
  assert.equal((await Array.fromAsync(guarded.list(""))).length, 2);
});

Deno.test("guardWrites() ends an upload at the first part after the right is lost", async () => {
  const { store, guarded, state } = setup();
  let parts = 0;
  async function* endless() {
    for (;;) {
      if (++parts === 3) state.lost = true;
      if (parts > 100) throw new Error("it goes on");
      yield await Promise.resolve(BYTES);
    }
  }
  await assert.rejects(guarded.writeParts("a", endless()), /lost/);
  assert.equal(parts, 3);
  assert.equal(store.objects.has("a"), false);
});

Deno.test("guardWrites() doesn't make an upload visible when the right is lost behind its last part", async () => {
  const { store, guarded, state } = setup();
  async function* some() {
    yield await Promise.resolve(BYTES);
    yield await Promise.resolve(BYTES);
    state.lost = true;
  }
  await assert.rejects(guarded.writeParts("a", some()), /lost/);
  assert.equal(store.objects.has("a"), false);
  state.lost = false;
  async function* all() {
    yield await Promise.resolve(BYTES);
  }
  assert.equal((await guarded.writeParts("a", all())).size, 3);
});
