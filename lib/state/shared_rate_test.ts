import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { StoreError } from "../base/errors.ts";
import type { ShareMember, Sharing } from "../pace/sharing.ts";
import { GONE_MS } from "../pace/sharing.ts";
import { sharedRateKey } from "./keys.ts";
import { SharedRate } from "./shared_rate.ts";

const KEY = sharedRateKey("engine", "model", "a1b2c3");

function member(id: string): ShareMember {
  return { id, knows: false, beat: 1, rate: 1, ceiling: null, counts: [] };
}

/** Adds a member to those that are there. */
function join(id: string) {
  return (found: Sharing | undefined): Sharing => {
    const others = (found?.members ?? []).filter((other) => other.id !== id);
    return { plans: [], members: [...others, member(id)] };
  };
}

function idsOf(sharing: Sharing | undefined): string[] | undefined {
  return sharing?.members.map(({ id }) => id);
}

Deno.test("SharedRate.exchange() loses nobody, however many write at once", async () => {
  const store = new MemoryStore();
  const names = ["a", "b", "c", "d"];
  await Promise.all(names.map((id) => new SharedRate(store, KEY).exchange(join(id))));
  const last = await new SharedRate(store, KEY).exchange(join("e"));
  assert.deepEqual(idsOf(last)?.toSorted(), [...names, "e"]);
});

Deno.test("SharedRate.exchange() takes one request while nobody else is there", async () => {
  const store = new MemoryStore();
  const operations: string[] = [];
  const alone = new SharedRate(store, KEY);
  await alone.exchange(join("a"));
  store.before = (operation) => void operations.push(operation);
  for (let i = 0; i < 3; i++) await alone.exchange(join("a"));
  assert.deepEqual(operations, ["write", "write", "write"]);
  store.before = () => {};
  await new SharedRate(store, KEY).exchange(join("b"));
  assert.deepEqual(idsOf(await alone.exchange(join("a"))), ["b", "a"], "and finds who comes");
});

Deno.test("SharedRate.exchange() does without what can't be read or written", async () => {
  const store = new MemoryStore();
  store.put(KEY, "no JSON");
  const it = new SharedRate(store, KEY);
  assert.deepEqual(idsOf(await it.exchange(join("a"))), ["a"], "it is replaced");
  store.before = () => {
    throw new StoreError("denied", "403");
  };
  assert.equal(await new SharedRate(store, KEY).exchange(join("b")), undefined);
});

Deno.test("SharedRate.exchange() takes nobody for alive in what is of long ago", async () => {
  const store = new MemoryStore();
  await new SharedRate(store, KEY).exchange(join("a"));
  const read = store.read.bind(store);
  store.read = async (key, options) => ({ ...await read(key, options), ageMs: GONE_MS + 1_000 });
  assert.deepEqual(idsOf(await new SharedRate(store, KEY).exchange(join("b"))), ["b"]);
});
