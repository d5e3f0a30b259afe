import assert from "node:assert/strict";
import { pairPages } from "./pair_pages.ts";

const rows = (...paths: (string | [path: string, id: string])[]) =>
  paths.map((each, index) => {
    const [imagePath, id] = typeof each === "string" ? [each, `id-${index}`] : each;
    return { index, id, imagePath };
  });

Deno.test("pages are paired by the picture's name, wherever either lies", async () => {
  const truths = [{ path: "b" }, { path: "deep/a" }, { path: "gt_img_3" }, { path: "none" }];
  const found = await pairPages(truths, rows("s3://x/a.jpg", "img/b.png", "c.jpg", "img_3.jpg"));
  assert.deepEqual(found.pairs, [[0, 1], [1, 0], [3, 2]]);
  assert.deepEqual(found.truthOnly, { count: 1, examples: ["none"] });
  assert.deepEqual(found.labelsOnly, { count: 1, examples: ["c.jpg"] });
  assert.equal(found.ambiguous.count, 0);
});

Deno.test("equal names are told apart by their folders; where that is not enough, neither is taken", async () => {
  const truths = [{ path: "train/001" }, { path: "val/001" }, { path: "x/2" }, { path: "y/2" }];
  const found = await pairPages(
    truths,
    rows("images/val/001.jpg", "images/train/001.jpg", "images/z/2.jpg"),
  );
  assert.deepEqual(found.pairs, [[0, 1], [1, 0]]);
  assert.deepEqual(found.ambiguous, { count: 1, examples: ["images/z/2.jpg"] });
  const two = await pairPages([{ path: "001" }], rows("a/001.jpg", "b/001.jpg"));
  assert.deepEqual([two.pairs, two.ambiguous.count], [[], 1]);
});

Deno.test("ids decide where both have them, but equal ids of other pictures are a coincidence", async () => {
  const truths = [{ path: "a/1", id: "p" }, { path: "b/1", id: "q" }, { path: "x", id: "1" }];
  const found = await pairPages(truths, rows(["z/1.jpg", "q"], ["z/1.jpg", "p"], ["y.jpg", "1"]));
  assert.deepEqual(found.pairs, [[0, 1], [1, 0]]);
  assert.equal(found.truthOnly.count, 1);
});

Deno.test("examples are few, counts are whole", async () => {
  const many = Array.from({ length: 500 }, (_, i) => ({ path: `t${i}` }));
  const found = await pairPages(many, rows(...Array.from({ length: 300 }, (_, i) => `l${i}.jpg`)));
  assert.deepEqual([found.truthOnly.count, found.truthOnly.examples.length], [500, 10]);
  assert.deepEqual([found.labelsOnly.count, found.labelsOnly.examples.length], [300, 10]);
});
