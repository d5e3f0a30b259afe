import assert from "node:assert/strict";
import fc from "fast-check";
import { okRow } from "../../dev/testing/any_row.ts";
import { IMAGES_FOOTER_KEY } from "./documents.ts";
import { encodeImages, markOf, payerOf, readImages } from "./image_marks.ts";
import { addRow, nothingSpent } from "./ledger.ts";

const hex = fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: 64, maxLength: 64 })
  .map((digits) => digits.join(""));
const VERSION = { etag: "etag", modified: 1_000 };
const mark = fc.record({
  etag: fc.option(fc.string()),
  modified: fc.option(fc.integer()),
  bytes: fc.nat(),
  sha256: hex,
  payer: fc.option(fc.constantFrom("run-1", "run-2", "", "__proto__")),
}, { noNullPrototype: true });

Deno.test("readImages() gives what encodeImages() was given", () => {
  fc.assert(fc.property(fc.array(fc.option(mark)), (marks) => {
    const read = readImages({ [IMAGES_FOOTER_KEY]: encodeImages({ marks }) });
    assert.deepEqual(read, { marks, keys: undefined });
  }));
});

Deno.test("readImages() reads marks of versions that did not ask when images were written", () => {
  const rows = [["e", 1, "ab".repeat(32), null], null];
  const text = JSON.stringify({ payers: [], rows });
  assert.equal(readImages({ [IMAGES_FOOTER_KEY]: text })?.marks[0]?.modified, null);
});

Deno.test("readImages() takes nothing else for marks", () => {
  const sha256 = "ab".repeat(32);
  const rows = [["e", 1, sha256, 1]];
  assert.deepEqual(readImages({}), undefined);
  for (
    const text of [
      "",
      "{",
      "[]",
      JSON.stringify({ rows }),
      JSON.stringify({ payers: ["run"], rows }), // there is no such payer
      JSON.stringify({ payers: [], rows: [["e", -1, sha256, null]] }),
      JSON.stringify({ payers: [], rows: [["e", 1, "../x", null]] }),
    ]
  ) assert.equal(readImages({ [IMAGES_FOOTER_KEY]: text }), undefined, text);
});

Deno.test("a row that is taken over counts in the books as it was counted, whoever paid", () => {
  const row = okRow(3);
  for (const dataset of ["demo", "other"]) {
    for (const row_id of [row.id, "another row"]) {
      const paidBy = { dataset, row_id, run_id: "run-1" };
      const kept = markOf("demo", row, paidBy, VERSION)!;
      for (const run_id of ["run-1", "run-2"]) {
        const [was, is] = [nothingSpent(), nothingSpent()];
        addRow(was, { dataset: "demo", run_id, engine: "upstage-ocr", model: "ocr" }, {
          row: row,
          paidBy: paidBy,
        });
        addRow(is, { dataset: "demo", run_id, engine: "upstage-ocr", model: "ocr" }, {
          row: row,
          paidBy: payerOf("demo", row.id, kept.payer),
        });
        assert.deepEqual(is, was);
      }
    }
  }
});

Deno.test("markOf() marks no row that failed, and no version that the store doesn't name", () => {
  const row = okRow(3);
  const paidBy = { dataset: "demo", row_id: row.id, run_id: "run-1" };
  assert.equal(markOf("demo", row, paidBy, { ...VERSION, etag: "" })?.etag, null);
  assert.equal(markOf("demo", row, null, VERSION), null);
  const failed = { ...row, metadata: { ...row.metadata, status: "failed" as const } };
  assert.equal(markOf("demo", failed, paidBy, VERSION), null);
});
