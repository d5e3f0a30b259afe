import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { whileLeased } from "./leased.ts";

const BYTES = new Uint8Array(3);

/** A store that is leased until it is lost. */
function setup() {
  const store = new MemoryStore();
  store.put("old", "old");
  const state = { lost: false };
  const leased = whileLeased(store, () => {
    if (state.lost) throw new Error("lost");
  });
  return { store, leased, state };
}

Deno.test("whileLeased() lets nothing be written or removed once the right is lost, and all be read", async () => {
  const { store, leased, state } = setup();
  await leased.write("new", BYTES);
  state.lost = true;
  let parts = 0;
  async function* endless() {
    for (;;) {
      parts++;
      yield await Promise.resolve(BYTES);
    }
  }
  await assert.rejects(leased.write("a", BYTES), /lost/);
  await assert.rejects(leased.writeParts("a", endless()), /lost/);
  await assert.rejects(leased.remove("old"), /lost/);
  assert.deepEqual([...store.objects.keys()], ["old", "new"]);
  assert.equal(parts, 0, "an upload was begun");
  assert.equal((await leased.read("old")).size, 3);
  assert.equal((await leased.stat("old"))?.size, 3);
  assert.equal((await Array.fromAsync(leased.list(""))).length, 2);
});

Deno.test("whileLeased() ends an upload at the first part after the right is lost", async () => {
  const { store, leased, state } = setup();
  let parts = 0;
  async function* endless() {
    for (;;) {
      if (++parts === 3) state.lost = true;
      if (parts > 100) throw new Error("it goes on");
      yield await Promise.resolve(BYTES);
    }
  }
  await assert.rejects(leased.writeParts("a", endless()), /lost/);
  assert.equal(parts, 3);
  assert.equal(store.objects.has("a"), false);
});

Deno.test("whileLeased() doesn't make an upload visible when the right is lost behind its last part", async () => {
  const { store, leased, state } = setup();
  async function* some() {
    yield await Promise.resolve(BYTES);
    yield await Promise.resolve(BYTES);
    state.lost = true;
  }
  await assert.rejects(leased.writeParts("a", some()), /lost/);
  assert.equal(store.objects.has("a"), false);
  state.lost = false;
  async function* all() {
    yield await Promise.resolve(BYTES);
  }
  assert.equal((await leased.writeParts("a", all())).size, 3);
});

Deno.test("whileLeased() changes nothing once the right to write is gone, and reads on", async () => {
  const store = new MemoryStore();
  store.put("x", "kept");
  let allowed = true;
  const leased = whileLeased(store, () => {
    if (!allowed) throw new Error("lost");
  });
  const bytes = new Uint8Array([1]);
  await leased.write("y", bytes);
  await leased.remove("y");
  assert.deepEqual([...store.objects.keys()], ["x"]);

  async function* losing(after: number) {
    yield await Promise.resolve(bytes);
    if (after === 1) allowed = false;
    yield bytes;
    assert.notEqual(after, 1, "parts go on after the right is gone");
    if (after === 2) allowed = false;
  }
  const attempts: Record<string, () => Promise<unknown>> = {
    write: () => leased.write("x", bytes),
    remove: () => leased.remove("x"),
    "an upload": () => leased.writeParts("x", losing(0)),
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    allowed = false;
    await assert.rejects(attempt(), /lost/, what);
  }
  for (const after of [1, 2]) {
    allowed = true;
    await assert.rejects(leased.writeParts("x", losing(after)), /lost/, `after part ${after}`);
  }
  assert.equal(new TextDecoder().decode((await leased.read("x")).bytes), "kept");
});
