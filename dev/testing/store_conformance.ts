/**
 * @module testing/store_conformance: the contract of `lib/store/store.ts` as test steps, for every
 * implementation.
 *
 * Each step stands for a sentence of that contract. Steps about conditional writes are skipped
 * where the store is known not to have them.
 */
import assert from "node:assert/strict";
import { StoreError, type StoreErrorKind } from "../../lib/base/errors.ts";
import { escaped } from "../../lib/base/text.ts";
import type { Store } from "../../lib/store/store.ts";
import type { ConditionalWrites } from "./conditional_writes.ts";

/** A fresh, empty store. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: Store;
  /** Which kinds of `onlyIf` are honoured; nothing else may be missing. */
  readonly conditionalWrites: ConditionalWrites;
}

const MIB = 1024 * 1024;

/** Bytes that differ at every position of a page, so that a wrong offset shows. */
export function patterned(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = seed;
  for (let i = 0; i < words.length; i++) {
    x = Math.imul(x, 1664525) + 1013904223;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Asserts that an operation fails with this kind, and that the message names the object. */
export async function rejectsWith(
  kind: StoreErrorKind,
  url: string,
  operation: Promise<unknown>,
): Promise<StoreError> {
  let error: unknown;
  try {
    await operation;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error instanceof StoreError, `expected StoreError(${kind}), got ${error}`);
  assert.equal(error.kind, kind, error.message);
  assert.ok(error.message.includes(escaped(url, 5_000)), `${error.message} does not name ${url}`);
  assert.ok(error.message.split("\n").length <= 2, error.message);
  return error;
}

/** Holds a store to the contract; the steps share one store and one of them lists it all. */
export async function storeConformance(
  t: Deno.TestContext,
  open: () => Promise<OpenedStore>,
): Promise<void> {
  await using opened = await open();
  const { store } = opened;
  const text = (s: string) => new TextEncoder().encode(s);
  const keys = async (prefix: string) =>
    (await Array.fromAsync(store.list(prefix))).map((info) => info.key).sort();
  const step = async (name: string, run: () => Promise<void>, ignore = false) => {
    await t.step({ name, fn: run, ignore });
  };
  const { create, replace } = opened.conditionalWrites;

  await step("an empty store lists nothing", async () => {
    assert.deepEqual(await keys(""), []);
  });

  await step("read() returns what write() stored, from 0 bytes to 6 MiB", async () => {
    for (const length of [0, 1, 65_537, 6 * MIB]) {
      const bytes = patterned(length);
      const written = await store.write(`round/${length}`, bytes);
      assert.equal(written.size, length);
      assert.equal(written.key, `round/${length}`);
      const got = await store.read(`round/${length}`);
      assert.ok(equal(got.bytes, bytes), `${length} bytes`);
      assert.equal(got.size, length);
      assert.equal(got.etag, written.etag);
      assert.ok(!got.etag.includes('"') && got.etag !== "", got.etag);
      assert.deepEqual(await store.stat(`round/${length}`), written);
    }
  });

  await step(
    "read() tells an object's age by the store's clock, where asked and known",
    async () => {
      await store.write("age", text("new"));
      assert.equal((await store.read("age")).ageMs, undefined);
      const { ageMs = 0, bytes } = await store.read("age", { age: true });
      assert.deepEqual(bytes, text("new"));
      assert.ok(ageMs >= 0 && ageMs < 60_000, `${ageMs} ms`);
    },
  );

  await step("write() takes a view into a larger buffer", async () => {
    const view = patterned(100).subarray(10, 20);
    await store.write("round/view", view);
    assert.deepEqual((await store.read("round/view")).bytes, view.slice());
  });

  await step("read() cuts ranges, also past the end, and tells the whole size", async () => {
    const bytes = patterned(1000);
    await store.write("ranges", bytes);
    for (
      const [start, end] of [[0, 1], [0, 1000], [10, 20], [999, 1000], [990, 5000], [500, 500], [
        1000,
        1001,
      ], [4000, 5000]]
    ) {
      const got = await store.read("ranges", { range: { start, end } });
      assert.deepEqual(got.bytes, bytes.slice(start, end), `[${start}, ${end})`);
      assert.equal(got.size, 1000);
    }
  });

  await step("a missing object is not_found to read() and undefined to stat()", async () => {
    await rejectsWith("not_found", `${store.url}/no/such`, store.read("no/such"));
    await rejectsWith(
      "not_found",
      `${store.url}/no/such`,
      store.read("no/such", { range: { start: 0, end: 5 } }),
    );
    assert.equal(await store.stat("no/such"), undefined);
    await store.write("no", text("a name that is a prefix of it"));
    assert.equal(await store.stat("no/such"), undefined);
    await rejectsWith("not_found", `${store.url}/no/such`, store.read("no/such"));
  });

  await step("write() replaces, and the etag changes with the bytes", async () => {
    const one = await store.write("replaced", text("one"));
    const two = await store.write("replaced", text("two"));
    assert.notEqual(one.etag, two.etag);
    assert.deepEqual((await store.read("replaced")).bytes, text("two"));
    assert.equal((await store.write("replaced", text("two"))).etag, two.etag);
  });

  await step("read() with ifMatch refuses another version", async () => {
    const one = await store.write("versions", text("one"));
    const got = await store.read("versions", { ifMatch: one.etag });
    assert.deepEqual(got.bytes, text("one"));
    await store.write("versions", text("two"));
    const range = { start: 0, end: 1 };
    const url = `${store.url}/versions`;
    await rejectsWith("precondition", url, store.read("versions", { ifMatch: one.etag }));
    await rejectsWith("precondition", url, store.read("versions", { ifMatch: one.etag, range }));
  }, !create); // a server that ignores one condition ignores them all

  await step("read() refuses an object longer than maxBytes before admitting it", async () => {
    await store.write("long", patterned(MIB));
    assert.equal((await store.read("long", { maxBytes: MIB })).size, MIB);
    const admit = () => Promise.reject(new Error("must not be asked"));
    await rejectsWith(
      "too_large",
      `${store.url}/long`,
      store.read("long", { maxBytes: MIB - 1, admit }),
    );
  });

  await step("read() asks admit once with the size and waits for it", async () => {
    const asked: number[] = [];
    const gate = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    let finished = false;
    const reading = store.read("long", {
      admit: (size) => {
        asked.push(size);
        called.resolve();
        return gate.promise;
      },
    }).finally(() => finished = true);
    await called.promise;
    await store.stat("long");
    assert.equal(finished, false);
    gate.resolve();
    assert.ok(equal((await reading).bytes, patterned(MIB)));
    assert.deepEqual(asked, [MIB]);
  });

  await step("what admit throws comes out as it is", async () => {
    const mine = new TypeError("not today");
    const caught = await store.read("long", { admit: () => Promise.reject(mine) }).catch((e) => e);
    assert.equal(caught, mine);
  });

  await step("write() onlyIf absent creates and never replaces", async () => {
    const url = `${store.url}/created`;
    await store.write("created", text("first"), { onlyIf: "absent" });
    for (const again of ["first", "second"]) {
      const writing = store.write("created", text(again), { onlyIf: "absent" });
      await rejectsWith("precondition", url, writing);
    }
    assert.deepEqual((await store.read("created")).bytes, text("first"));
  }, !create);

  await step(
    "of 8 concurrent creators exactly one wins, even with equal bytes",
    async () => {
      for (const same of [false, true]) {
        const key = `contested/${same}`;
        const tries = await Promise.allSettled(
          Array.from(
            { length: 8 },
            (_, i) => store.write(key, text(same ? "equal" : `creator ${i}`), { onlyIf: "absent" }),
          ),
        );
        const won = tries.flatMap((r, i) => r.status === "fulfilled" ? [i] : []);
        assert.equal(won.length, 1);
        const lost = tries.flatMap((r) => r.status === "rejected" ? [r.reason.kind] : []);
        assert.deepEqual(new Set(lost), new Set(["precondition"]));
        const expected = same ? "equal" : `creator ${won[0]}`;
        assert.deepEqual((await store.read(key)).bytes, text(expected));
      }
    },
    !create,
  );

  await step("write() onlyIf etag replaces exactly that version", async () => {
    const url = `${store.url}/swapped`;
    const first = await store.write("swapped", text("first"));
    const onlyIf = { etag: first.etag };
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => store.write("swapped", text(`swap ${i}`), { onlyIf })),
    );
    assert.equal(tries.filter((r) => r.status === "fulfilled").length, 1);
    await rejectsWith("precondition", url, store.write("swapped", text("late"), { onlyIf }));
    await store.remove("swapped");
    await rejectsWith("precondition", url, store.write("swapped", text("later"), { onlyIf }));
    assert.equal(await store.stat("swapped"), undefined);
  }, !replace);

  await step("list() goes on beyond a page of 1,000 keys, each once", async () => {
    const names = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(5, "0")}`);
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((name) => store.write(name, text(name))));
    }
    const listed = await Array.fromAsync(store.list("many/"));
    assert.deepEqual(listed.map((info) => info.key).sort(), names);
    const one = listed.find((info) => info.key === names[7])!;
    assert.deepEqual(one, await store.stat(names[7]));
  });

  await step("list() may stop at the next slash: folders are single entries then", async () => {
    // One folder deep: s3rver overlooks folders that hold nothing but folders.
    for (const name of ["a/1", "a/b/2", "a/b/3", "a/c/4", "ab/5"]) {
      await store.write(`shallow/${name}`, new Uint8Array([1]));
    }
    const shallow = async (prefix: string) =>
      (await Array.fromAsync(store.list(prefix, { shallow: true }))).map(({ key }) => key).sort();
    assert.deepEqual(await shallow("shallow/a/"), [
      "shallow/a/1",
      "shallow/a/b/",
      "shallow/a/c/",
    ]);
    assert.deepEqual(await shallow("shallow/"), ["shallow/a/", "shallow/ab/"]);
    for (const name of ["a/1", "a/b/2", "a/b/3", "a/c/4", "ab/5"]) {
      await store.remove(`shallow/${name}`);
    }
  });

  await step("list() takes any string as a prefix", async () => {
    for (const key of ["a/x/1", "a/x/2", "a/x2/1", "a/x2.png", "b/x"]) {
      await store.write(key, text(key));
    }
    assert.deepEqual(await keys("a/x/"), ["a/x/1", "a/x/2"]);
    assert.deepEqual(await keys("a/x2/"), ["a/x2/1"]);
    assert.deepEqual(await keys("a/x"), ["a/x/1", "a/x/2", "a/x2.png", "a/x2/1"]);
    assert.deepEqual(await keys("a/x/1"), ["a/x/1"]);
    assert.deepEqual(await keys("nothing/"), []);
  });

  await step("odd keys are written, listed, read and removed as they are", async () => {
    const odd = [
      "a b",
      " a ",
      "a+b",
      "a%20b",
      "a%2Fb",
      "한글/영수증",
      "&<>\"'",
      "~()!*;,:@$=",
      "#?",
    ]
      .map((name) => `odd/${name}`);
    for (const key of odd) await store.write(key, text(key));
    assert.deepEqual(await keys("odd/"), odd.toSorted());
    assert.deepEqual(await keys("odd/한글/"), ["odd/한글/영수증"]);
    for (const key of odd) {
      assert.deepEqual((await store.read(key)).bytes, text(key));
      await store.remove(key);
    }
    assert.deepEqual(await keys("odd/"), []);
  });

  await step("writeParts() joins parts of any length, from none to 20 MiB", async () => {
    for (const length of [0, 1, 100_000, 8 * MIB, 8 * MIB + 1, 20 * MIB]) {
      const bytes = patterned(length, length);
      const written = await store.writeParts("parts", uneven(bytes));
      assert.equal(written.size, length);
      const got = await store.read("parts");
      assert.ok(equal(got.bytes, bytes), `${length} bytes`);
      assert.equal(got.etag, written.etag);
      assert.deepEqual(await store.stat("parts"), written);
    }
  });

  await step("writeParts() whose parts throw leaves the old object and nothing else", async () => {
    const before = await store.write("torn/kept", text("old"));
    const mine = new RangeError("no more parts");
    for (const length of [0, 1000, 17 * MIB]) {
      const torn = async function* () {
        yield* uneven(patterned(length));
        throw mine;
      };
      assert.equal(await store.writeParts("torn/new", torn()).catch((e) => e), mine);
      assert.equal(await store.writeParts("torn/kept", torn()).catch((e) => e), mine);
    }
    assert.deepEqual(await keys("torn/"), ["torn/kept"]);
    assert.deepEqual(await store.stat("torn/kept"), before);
  });

  await step("remove() removes, and an absent object is no error", async () => {
    await store.write("removed/x", text("x"));
    await store.write("removed/xy", text("y"));
    await store.remove("removed/x");
    assert.equal(await store.stat("removed/x"), undefined);
    await store.remove("removed/x");
    await store.remove("never/was");
    assert.deepEqual(await keys("removed/"), ["removed/xy"]);
  });

  await step("removeAll() removes what it is given, there or not, and nothing else", async () => {
    const names = Array.from({ length: 1_003 }, (_, i) => `removed/all/${i}&<한글>`);
    for (const name of names.slice(-40)) await store.write(name, text("x"));
    await store.removeAll(names);
    await store.removeAll([]);
    assert.deepEqual(await keys("removed/"), ["removed/xy"]);
  });

  await step(
    "when an object was written is said alike however it is asked, if at all",
    async () => {
      await store.write("written", text("x"));
      const { modified } = (await store.stat("written", { modified: true }))!;
      assert.equal((await store.read("written", { modified: true })).modified, modified);
      for await (const listed of store.list("written", { modified: true, etag: false })) {
        assert.equal(listed.modified, modified);
      }
      assert.equal((await store.stat("written"))!.modified, undefined);
    },
  );

  await step("a cancelled operation throws the signal's reason and has no effect", async () => {
    const reason = new Error("stop here");
    const signal = AbortSignal.abort(reason);
    const operations = [
      () => store.read("long", { signal }),
      () => store.stat("long", { signal }),
      () => store.write("cancelled", text("x"), { signal }),
      () => store.writeParts("cancelled", uneven(patterned(10)), { signal }),
      () => store.remove("long", { signal }),
      () => store.removeAll(["long", "short"], { signal }),
      () => Array.fromAsync(store.list("many/", { signal })),
    ];
    for (const operation of operations) {
      assert.equal(await operation().catch((e: unknown) => e), reason, String(operation));
    }
    assert.equal(await store.stat("cancelled"), undefined);
    assert.ok(await store.stat("long"));
  });

  await step("cancelling in the middle of writeParts() leaves nothing", async () => {
    const reason = new Error("stop in the middle");
    const controller = new AbortController();
    async function* parts() {
      yield patterned(17 * MIB);
      controller.abort(reason);
      yield patterned(10);
    }
    const writing = store.writeParts("halfway", parts(), { signal: controller.signal });
    assert.equal(await writing.catch((e) => e), reason);
    assert.equal(await store.stat("halfway"), undefined);
  });
}

/** Cuts bytes into pieces of uneven length, an empty one among them. */
async function* uneven(bytes: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const lengths = [1, 70_000, 0, 3_000_001, 13];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(at + lengths[i % lengths.length], bytes.length);
    yield await Promise.resolve(bytes.subarray(at, end));
    at = end;
  }
}

/** `deepEqual` takes seconds on megabytes. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
