import assert from "node:assert/strict";
import { RunError } from "../base/errors.ts";
import { findColumns, idText, imageCell, metadataText } from "./columns.ts";

Deno.test("findColumns() finds the usual names, the user's word first, and says what there is", () => {
  const of = (columns: string[], named = {}) => findColumns("t.csv", columns, named);
  const none = { split: undefined, metadata: undefined };
  assert.deepEqual(of(["x", "url", "file_name", "image_id"]), {
    ...none,
    image: "file_name",
    id: "image_id",
  });
  assert.deepEqual(of(["id", "image", "split", "metadata", "scan"], { image: "scan" }), {
    image: "scan",
    id: "id",
    split: "split",
    metadata: "metadata",
  });
  const refusal = (columns: string[], named = {}) => {
    try {
      of(columns, named);
    } catch (error) {
      assert.ok(error instanceof RunError && error.exit === "input");
      return error.message;
    }
    assert.fail();
  };
  assert.match(refusal(["a", "b\n"]), /--image-column.*found are: a, b\\n$/);
  assert.match(refusal(["image"], { id: "nr" }), /no column 'nr' \(--id-column\)/);
});

Deno.test("idText() takes texts and whole numbers as they stand", () => {
  assert.deepEqual(
    ["a", 7, 7n, -1, 2n ** 63n].map(idText),
    ["a", "7", "7", "-1", "9223372036854775808"],
  );
  for (const bad of ["", null, 1.5, NaN, 2 ** 60, true, {}, "x".repeat(5_000)]) {
    assert.equal(idText(bad), undefined);
  }
});

Deno.test("imageCell() takes addresses, bytes, and objects with either", () => {
  const bytes = Uint8Array.of(1);
  assert.deepEqual(imageCell("a.png"), { path: "a.png" });
  assert.deepEqual(imageCell(bytes), { bytes, path: undefined });
  assert.deepEqual(imageCell({ bytes, path: "a.png" }), { bytes, path: "a.png" });
  assert.deepEqual(imageCell({ bytes: null, path: "a.png" }), { path: "a.png" });
  assert.deepEqual(imageCell({ src: "https://x/y" }), { path: "https://x/y" });
  for (const none of [null, "", 5, [], {}, { bytes: null, path: null }, "x".repeat(5_000)]) {
    assert.equal(imageCell(none), undefined);
  }
});

Deno.test("metadataText() keeps JSON as it is and makes JSON of anything else", () => {
  assert.equal(metadataText('{"a":1}'), '{"a":1}');
  assert.equal(metadataText("a b"), '"a b"');
  assert.equal(metadataText({ a: [1n] }), '{"a":[1]}');
  assert.equal(metadataText(null), null);
});
