import assert from "node:assert/strict";
import fc from "fast-check";
import { ImageFolders } from "./image_folders.ts";

Deno.test("ImageFolders: a few folders stay apart, those within another are part of it", () => {
  const folders = new ImageFolders();
  for (let n = 0; n < 10; n++) folders.add(`s3://aaa/images/x/${n}.png`);
  for (let n = 0; n < 3; n++) folders.add(`s3://aaa/images/y/deep/${n}.png`);
  folders.add("s3://bbb/top.png");
  folders.add("s3://bbb/below/x.png");
  folders.add("images/x/1.png");
  assert.deepEqual(folders.tops, [
    { bucket: "aaa", prefix: "images/x/", images: 10 },
    { bucket: "aaa", prefix: "images/y/deep/", images: 3 },
    { bucket: "bbb", prefix: "", images: 2 },
    { bucket: null, prefix: "images/x/", images: 1 },
  ]);
});

Deno.test("ImageFolders: an image in a folder of its own each becomes one folder that holds them all", () => {
  const folders = new ImageFolders();
  for (let n = 0; n < 5_000; n++) folders.add(`s3://aaa/data/images/${n}/page.png`);
  assert.deepEqual(folders.tops, [{ bucket: "aaa", prefix: "data/images/", images: 5_000 }]);
});

Deno.test("ImageFolders: whatever the paths, each lies below exactly one of a bounded number", () => {
  const part = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h", "i");
  const key = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
  const bucket = fc.constantFrom(null, "one", "two");
  const paths = fc.array(fc.tuple(bucket, key), { minLength: 1, maxLength: 300 });
  fc.assert(fc.property(paths, (given) => {
    const folders = new ImageFolders();
    for (const [bucket, key] of given) folders.add(bucket ? `s3://${bucket}/${key}` : key);
    const all = folders.tops;
    assert.ok(all.length <= 64, `${all.length}`);
    for (const [bucket, key] of given) {
      const over = all.filter((one) => one.bucket === bucket && key.startsWith(one.prefix));
      assert.equal(over.length, 1, key);
    }
    assert.equal(all.reduce((sum, { images }) => sum + images, 0), given.length);
  }));
});
