import assert from "node:assert/strict";
import { rejectsWith, storeConformance } from "../../dev/testing/store_conformance.ts";
import type { ListOptions, Store } from "./store.ts";
import { openFolder, tidyFolder } from "./folder.ts";

const text = (s: string) => new TextEncoder().encode(s);

/** What is in a folder, objects or not. */
function names(path: string): string[] {
  return Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
}

/** A store on a folder of its own, which is removed afterwards. */
async function open(): Promise<{ store: Store; path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return {
    path: `${path}/made on demand`,
    store: openFolder(`${path}/made on demand`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("openFolder() keeps the contract of a store", async (t) => {
  await storeConformance(
    t,
    async () => ({ ...await open(), conditionalWrites: { create: true, replace: true } }),
  );
});

Deno.test("openFolder() lists in the order of S3, whatever the order of the disk", async () => {
  await using it = await open();
  const keys = ["a", "a-b/c", "a.b", "aa/b", "aa/c/d", "b"];
  for (const key of keys.toReversed()) await it.store.write(key, text(key));
  const listed = await Array.fromAsync(it.store.list(""));
  assert.deepEqual(listed.map(({ key }) => key), keys);
});

Deno.test("openFolder() reads no whole file where no version mark is wanted", async () => {
  await using it = await open();
  await it.store.write("a/b", text("0123456789"));
  const listed = await Array.fromAsync(it.store.list("", { etag: false }));
  assert.deepEqual(listed, [{ key: "a/b", size: 10, etag: "" }]);
  const read = await it.store.read("a/b", { range: { start: 2, end: 4 }, etag: false });
  assert.deepEqual(read, { key: "a/b", size: 10, etag: "", bytes: text("23") });
  const { etag } = (await it.store.stat("a/b"))!;
  assert.equal((await it.store.read("a/b", { etag: false, ifMatch: etag })).etag, etag);
});

Deno.test("openFolder() reads files that others put there, and names them as file URLs", async () => {
  await using it = await open();
  await Deno.mkdir(`${it.path}/in`, { recursive: true });
  await Deno.writeTextFile(`${it.path}/in/a.txt`, "hello");
  assert.deepEqual((await it.store.read("in/a.txt")).bytes, text("hello"));
  assert.match(it.store.url, /^file:\/\/\/.*\/made%20on%20demand$/);
});

Deno.test("no key leaves the folder or reaches the files not yet in place", async () => {
  await using it = await open();
  await Deno.mkdir(it.path, { recursive: true });
  await Deno.writeTextFile(`${it.path}/../outside`, "secret");
  await it.store.write("a/b", text("x"));
  const bad = [
    "",
    "../outside",
    "a/../../outside",
    "/etc/passwd",
    "a//b",
    "a/./b",
    "a/",
    ".tmp/lock",
  ];
  for (const key of [...bad, "a\0b"]) {
    const url = `${it.store.url}/${key}`;
    await rejectsWith("not_found", url, it.store.read(key));
    assert.equal(await it.store.stat(key), undefined);
    await rejectsWith("unsupported", url, it.store.write(key, text("y")));
    await it.store.remove(key);
  }
  for (const prefix of ["../", ".tmp/", "a//"]) {
    assert.deepEqual(await Array.fromAsync(it.store.list(prefix)), []);
  }
  assert.equal(await Deno.readTextFile(`${it.path}/../outside`), "secret");
});

Deno.test("names that the file system cannot hold are absent, and unsupported to write", async () => {
  await using it = await open();
  await it.store.write("file", text("x"));
  await it.store.write("folder/file", text("x"));
  for (const key of ["x".repeat(300), "file/below", "folder"]) {
    const url = `${it.store.url}/${key}`;
    assert.equal(await it.store.stat(key), undefined);
    await rejectsWith("unsupported", url, it.store.write(key, text("y")));
  }
  assert.deepEqual((await Array.fromAsync(it.store.list(""))).map((info) => info.key).sort(), [
    "file",
    "folder/file",
  ]);
});

Deno.test("the etag follows content that changes in place, also of a long file", async () => {
  await using it = await open();
  const bytes = new Uint8Array(2 * 1024 * 1024);
  const { etag } = await it.store.write("long", bytes);
  assert.equal((await it.store.stat("long"))?.etag, etag);
  bytes[5] = 1;
  await Deno.writeFile(`${it.path}/long`, bytes);
  // The same length, and on a coarse clock the same time; written anew it has another.
  await Deno.utime(`${it.path}/long`, 1, 1);
  assert.notEqual((await it.store.stat("long"))?.etag, etag);
});

Deno.test("no temporary file stays behind, whatever a write ends with", async () => {
  await using it = await open();
  const { etag } = await it.store.write("x", text("1"));
  await it.store.write("x", text("2"), { onlyIf: { etag } });
  await it.store.write("x", text("3"), { onlyIf: { etag } }).catch(() => {});
  await it.store.write("x", text("4"), { onlyIf: "absent" }).catch(() => {});
  await it.store.write("x/y", text("5")).catch(() => {});
  async function* torn() {
    yield await Promise.resolve(text("6"));
    throw new Deno.errors.NotFound("of the caller");
  }
  const caught = await it.store.writeParts("x", torn()).catch((e) => e);
  assert.ok(caught instanceof Deno.errors.NotFound, String(caught));
  const left = (await Array.fromAsync(Deno.readDir(`${it.path}/.tmp`))).map((entry) => entry.name);
  assert.deepEqual(left, ["lock"]);
});

Deno.test("tidyFolder() leaves nothing but objects, and takes no lock from whoever writes", async () => {
  await using it = await open();
  await tidyFolder(it.path);
  assert.deepEqual(await names(it.path), []);
  await it.store.write("a/b", text("x"));
  await tidyFolder(it.path);
  assert.deepEqual(await names(it.path), ["a"]);
  // Of writers that each expect that nobody has been there, exactly one is right.
  const others = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    if (i % 4 === 0) return await tidyFolder(it.path).then(() => 0);
    const write = it.store.write("one", text(`${i}`), { onlyIf: "absent" });
    return await write.then(() => 1, (error) => (assert.equal(error.kind, "precondition"), 0));
  }));
  assert.equal(others.filter((n) => n === 1).length, 1);
  await tidyFolder(it.path);
  assert.deepEqual(await names(it.path), ["a", "one"]);
  await Deno.mkdir(`${it.path}/.tmp`);
  await Deno.writeTextFile(`${it.path}/.tmp/of-a-killed-process`, "");
  await tidyFolder(it.path);
  assert.deepEqual(await names(`${it.path}/.tmp`), ["of-a-killed-process"]);
});

Deno.test("openFolder() tells an object's age by the clock that its files are dated by", async () => {
  await using it = await open();
  await it.store.write("a", text("old"));
  const hourAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(`${it.path}/a`, hourAgo, hourAgo);
  const { ageMs } = await it.store.read("a", { age: true });
  assert.ok(Math.abs(ageMs! - 3_600_000) < 60_000, `${ageMs} ms`);
});

Deno.test("openFolder() lists what links lead to, never in circles, and tells dead ones when asked", async () => {
  await using it = await open();
  for (const key of ["set/a", "z"]) await it.store.write(key, text(key));
  const outside = `${it.path}/../elsewhere`;
  await Deno.mkdir(`${outside}/deep`, { recursive: true });
  await Deno.writeTextFile(`${outside}/deep/b`, "b");
  await Deno.symlink("../../elsewhere", `${it.path}/set/linked`);
  await Deno.symlink("a", `${it.path}/set/name`);
  await Deno.symlink("nowhere", `${it.path}/set/dead`);
  // Circles: to itself, to a folder around it, and through a folder outside.
  await Deno.symlink("itself", `${it.path}/set/itself`);
  await Deno.symlink("..", `${it.path}/set/up`);
  await Deno.symlink(`${it.path}/set`, `${outside}/deep/back`);

  const alive = ["set/a", "set/linked/deep/b", "set/name", "z"];
  const listed = (options?: ListOptions) => Array.fromAsync(it.store.list("", options));
  assert.deepEqual((await listed()).map(({ key }) => key), alive);
  const everything = await listed({ etag: false, dead: true });
  assert.deepEqual(everything.filter(({ dead }) => !dead).map(({ key }) => key), alive);
  assert.deepEqual(everything.filter(({ dead }) => dead).map(({ key }) => key), [
    "set/dead",
    "set/itself",
  ]);
  assert.deepEqual((await Array.fromAsync(it.store.list("set/linked/"))).map(({ key }) => key), [
    "set/linked/deep/b",
  ]);
  const [first] = await Array.fromAsync(it.store.list("set/l", { shallow: true }));
  assert.equal(first.key, "set/linked/");
});
