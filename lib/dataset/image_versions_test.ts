import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { StoreError } from "../base/errors.ts";
import { ImageFolders } from "./image_folders.ts";
import { listImages, lookUpImages, type See } from "./image_versions.ts";

const SIGNAL = new AbortController().signal;

function foldersOf(paths: readonly string[]): ImageFolders {
  const folders = new ImageFolders();
  for (const path of paths) folders.add(path);
  return folders;
}

async function listed(folders: ImageFolders, store: MemoryStore) {
  const seen = new Map<string, string>();
  const see: See = (path, size, { etag }) => seen.set(path, `${size} ${etag}`);
  const problem = await listImages(folders, { local: store }, see, SIGNAL);
  return { seen, problem };
}

Deno.test("listImages() sees every image of its folders, whatever these are like", async () => {
  const name = fc.constantFrom("a", "b", "c", "é x");
  const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join("/"));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(path, { maxLength: 300 }), fc.nat(9), async (paths, other) => {
      const store = new MemoryStore();
      for (const path of paths) store.put(`${path}.png`, path);
      for (let at = 0; at < other; at++) store.put(`else/where/${at}`, "no image");
      const images = paths.map((path) => `${path}.png`);
      const folders = foldersOf(images);
      assert.ok([...folders].length <= 64);
      const { seen, problem } = await listed(folders, store);
      assert.equal(problem, undefined);
      for (const image of images) {
        const { size, etag } = (await store.stat(image))!;
        assert.equal(seen.get(image), `${size} ${etag}`);
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("a few folders are listed alone, many by the folder above them", async () => {
  const store = new MemoryStore();
  const lists: string[] = [];
  store.before = (operation, key) => void (operation === "list" && lists.push(key));
  const few = ["x/1/a.png", "x/1/b.png", "x/2/a.png"];
  store.put("x/1/deeper/c.png", "not asked for");
  assert.deepEqual([...(await listed(foldersOf(few), store)).seen.keys()], []);
  assert.deepEqual(lists.splice(0), ["x/1/", "x/2/"]);
  const many = Array.from({ length: 500 }, (_, at) => `x/${at}/a.png`);
  await listed(foldersOf(many), store);
  assert.deepEqual(lists.splice(0), ["x/"]);
});

Deno.test("buckets are listed by themselves, and paths come back as the input has them", async () => {
  const buckets: Record<string, MemoryStore> = {
    "one": new MemoryStore("s3://one"),
    "two": new MemoryStore("s3://two"),
  };
  buckets.one.put("i/a.png", "a");
  buckets.two.put("a.png", "b");
  const images = { bucket: (name: string) => buckets[name] };
  const folders = new ImageFolders();
  for (const path of ["s3://one/i/a.png", "s3://two/a.png", "no place"]) folders.add(path);
  const seen: string[] = [];
  await listImages(folders, images, (path) => seen.push(path), SIGNAL);
  assert.deepEqual(seen.toSorted(), ["s3://one/i/a.png", "s3://two/a.png"]);
});

Deno.test("a listing that is refused, or far longer than the data set, is said to be so", async () => {
  const store = new MemoryStore();
  for (let at = 0; at < 10_100; at++) store.put(`i/${at}.png`, "");
  const long = await listed(foldersOf(["i/1.png"]), store);
  assert.match(
    long.problem!,
    /s3:\/\/memory\/i\/ holds far more objects than the data set has rows/,
  );
  for (const kind of ["denied", "unsupported", "not_found", "no_bucket", "unavailable"] as const) {
    store.before = () => {
      throw new StoreError(kind, `it is ${kind}`);
    };
    const ended = listed(foldersOf(["i/1.png"]), store);
    if (kind === "unavailable") await assert.rejects(ended, /it is unavailable/);
    else {
      const said = kind === "denied" || kind === "unsupported" ? `it is ${kind}` : undefined;
      assert.equal((await ended).problem, said);
    }
  }
});

Deno.test("lookUpImages() sees what is there, and takes what is refused for not there", async () => {
  const store = new MemoryStore();
  store.put("a.png", "a");
  store.put("b.png", "b");
  store.before = (_, key) => {
    if (key === "b.png") throw new StoreError("denied", "403");
    if (key === "d.png") throw new StoreError("unavailable", "503");
  };
  async function* paths(...all: string[]) {
    for (const path of all) yield await Promise.resolve(path);
  }
  const seen: string[] = [];
  const see = (path: string) => seen.push(path);
  await lookUpImages(paths("a.png", "b.png", "c.png"), { local: store }, see, SIGNAL);
  assert.deepEqual(seen, ["a.png"]);
  await assert.rejects(lookUpImages(paths("d.png"), { local: store }, see, SIGNAL), /503/);
});
