import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { readNamedFile } from "./named_file.ts";

const { signal } = new AbortController();

async function read(words: string, store = new MemoryStore(), bucket = new MemoryStore()) {
  const images = { local: store, bucket: () => bucket };
  const bytes = await readNamedFile("--filter", words, { store, images, signal });
  return new TextDecoder().decode(bytes);
}

function holding(key: string, text: string): MemoryStore {
  const store = new MemoryStore();
  store.put(key, new TextEncoder().encode(text));
  return store;
}

Deno.test("a named file is read in a bucket, on this machine, or in the store", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/filter.json`, "here");
    const store = holding("reports/demo/filter.json", "stored");
    const bucket = holding("a/filter.json", "elsewhere");
    assert.equal(await read(`${folder}/filter.json`, store), "here");
    assert.equal(await read(`file://${folder}/filter.json`, store), "here");
    assert.equal(await read("reports/demo/filter.json", store), "stored");
    assert.equal(await read("s3://some-bucket/a/filter.json", store, bucket), "elsewhere");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what can't be read is the user's mistake, with where it was looked for", async () => {
  const refused = async (words: string, said: RegExp) =>
    await assert.rejects(() => read(words), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage", `${words}: ${error}`);
      assert.match(error.message, said);
      return true;
    });
  await refused("none.json", /^--filter can't be read: .*; neither does .* have 'none\.json'/);
  await refused("./none.json", /^--filter can't be read: (?!.*neither)/);
  await refused("s3://some-bucket/none.json", /^--filter can't be read: /);
  await refused("s3://some-bucket/a//b", /^--filter must be a file, s3:/);
  await refused("https://example.org/filter.json", /^--filter must be a file, s3:/);
});

Deno.test("a store that fails is no mistake of the user's", async () => {
  const store = new MemoryStore();
  store.read = () => Promise.reject(new StoreError("unavailable", "down"));
  await assert.rejects(() => read("reports/demo/filter.json", store), StoreError);
});
