import assert from "node:assert/strict";
import fc from "fast-check";
import { answerKey, CheckpointKeys, isSafeName, reservedFor } from "./keys.ts";
import { isSafeKey } from "../store/store.ts";
import { parseImagePath } from "../dataset/image_location.ts";

Deno.test("isSafeName() takes plain names only", () => {
  for (const name of ["sample_10", "a", "v2.1-x", "_x", "-x"]) assert.ok(isSafeName(name), name);
  for (const name of ["", ".x", "..", "a/b", "a b", "ä", "a\n", "x".repeat(129)]) {
    assert.ok(!isSafeName(name), name);
  }
});

Deno.test("CheckpointKeys.batchIndex() undoes batch() and knows no other key", () => {
  const keys = new CheckpointKeys("checkpoints/", "train");
  fc.assert(fc.property(fc.nat(50_000_000), fc.integer({ min: 1, max: 5_000 }), (index, of) => {
    assert.deepEqual(keys.batchOf(keys.batch(index, of)), { index, generation: of });
    assert.equal(keys.batchIndex(keys.batch(index, of), of), index);
    assert.equal(keys.batchIndex(keys.batch(index, of), of + 1), undefined);
    assert.ok(reservedFor(`other/${keys.batch(index, of)}`, "other/checkpoints/", "demo"));
  }));
  assert.equal(keys.batch(12), "checkpoints/train/batch_000012.parquet");
  assert.equal(keys.batch(12, 3), "checkpoints/train/gen3/batch_000012.parquet");
  for (
    const key of [
      "checkpoints/train_v2/batch_000001.parquet",
      "checkpoints/train/batch_1.parquet",
      "checkpoints/train/batch_0000001.parquet",
      "checkpoints/train/batch_000001.parquet.tmp",
      "checkpoints/train/gen1/batch_000001.parquet",
      "checkpoints/train/gen02/batch_000001.parquet",
      keys.setAside(1, "abc"),
      keys.setAside(1, "abc", 2),
      keys.manifest,
      keys.result,
    ]
  ) assert.equal(keys.batchIndex(key), undefined, key);
});

Deno.test("parseImagePath() takes s3:// paths and keys of the store literally, nothing else", () => {
  const at = parseImagePath;
  assert.deepEqual(at("s3://my-bucket/a/b c%20d.jpg"), {
    bucket: "my-bucket",
    key: "a/b c%20d.jpg",
  });
  assert.deepEqual(at("images/a b%20.jpg"), { bucket: null, key: "images/a b%20.jpg" });
  const bad = [
    "s3://b",
    "s3://bucket",
    "s3://bucket/",
    "S3://bucket/k",
    "gs://bucket/k",
  ];
  for (const path of bad) assert.equal(at(path), undefined, path);
  for (const path of ["../x", "/etc/passwd", "a//b", "", "https://x/y", "file:///x"]) {
    assert.equal(at(path), undefined, path);
  }
});

Deno.test("answerKey() depends on engine, model and content only", () => {
  const sha = "ab".repeat(32);
  assert.equal(
    answerKey("upstage-ocr", "ocr", sha),
    `responses/upstage-ocr/ocr/ab/${sha}.json.gz`,
  );
});

Deno.test("isSafeKey() rejects what could leave a folder", () => {
  for (const key of ["a", "a/b.parquet", "한글/x y"]) assert.ok(isSafeKey(key), key);
  for (const key of ["", "/a", "a/", "a//b", "a/../b", "."]) assert.ok(!isSafeKey(key), key);
});
