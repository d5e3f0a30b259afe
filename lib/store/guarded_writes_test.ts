import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { guardWrites } from "./guarded.ts";

Deno.test("guardWrites() changes nothing once the right to write is gone, and reads on", async () => {
  const store = new MemoryStore();
  store.put("x", "kept");
  let allowed = true;
  const guarded = guardWrites(store, () => {
    if (!allowed) throw new Error("lost");
  });
  const bytes = new Uint8Array([1]);
  await guarded.write("y", bytes);
  await guarded.remove("y");
  assert.deepEqual([...store.objects.keys()], ["x"]);

  async function* losing(after: number) {
    yield await Promise.resolve(bytes);
    if (after === 1) allowed = false;
    yield bytes;
    assert.notEqual(after, 1, "parts go on after the right is gone");
    if (after === 2) allowed = false;
  }
  const attempts: Record<string, () => Promise<unknown>> = {
    write: () => guarded.write("x", bytes),
    remove: () => guarded.remove("x"),
    "an upload": () => guarded.writeParts("x", losing(0)),
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    allowed = false;
    await assert.rejects(attempt(), /lost/, what);
  }
  for (const after of [1, 2]) {
    allowed = true;
    await assert.rejects(guarded.writeParts("x", losing(after)), /lost/, `after part ${after}`);
  }
  assert.equal(new TextDecoder().decode((await guarded.read("x")).bytes), "kept");
});
