import assert from "node:assert/strict";
import fc from "fast-check";
import { PageNames } from "./names.ts";
import { type GroupColumn, groupOf, splitOf, type SplitRow } from "./split.ts";

/** Any UTF-16, halves of characters among it (quicker to begin with than fc's own). */
const anyUnits = (maxLength: number) =>
  fc.array(fc.nat({ max: 0xffff }), { maxLength }).map((units) => String.fromCharCode(...units));

Deno.test("PageNames leaves out an image's ending, and tells pages apart that differ by it alone", () => {
  const names = new PageNames();
  const ids = ["a.jpg", "a.png", "b.JPEG", ".png", "c.pdf", "a"];
  assert.deepEqual(ids.map((id, at) => names.next(id, at)), [
    "a",
    "a-1",
    "b",
    "png-3",
    "c.pdf",
    "a-5",
  ]);
});

Deno.test("PageNames keeps plain ids, and gives every page a name of its own on any file system", () => {
  const names = new PageNames();
  const ids = [
    "receipt_01",
    "a/b",
    "a b",
    "A",
    "a",
    "..",
    "",
    "con",
    "합계",
    "receipt_01.jpg",
    "x\ty,z",
  ];
  assert.deepEqual(ids.map((id, at) => names.next(id, at)), [
    ...["receipt_01", "a_b-1", "a_b-2", "A", "a-4", "page-5", "page-6", "page-7", "page-8"],
    ...["receipt_01-9", "x_y_z-10"],
  ]);
});

Deno.test("PageNames: no two names are alike, all are short and plain, and none needs luck", () => {
  const id = fc.oneof(
    anyUnits(100),
    fc.constantFrom("a", "A", "a-1", "A-1x"),
  );
  fc.assert(fc.property(fc.array(id, { maxLength: 12 }), (ids) => {
    const [one, two] = [new PageNames(), new PageNames()];
    const given = ids.map((id, at) => one.next(id, at));
    assert.deepEqual(ids.map((id, at) => two.next(id, at)), given);
    assert.equal(new Set(given.map((name) => name.toLowerCase())).size, ids.length);
    for (const name of given) assert.match(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,110}$/);
  }));
});

/** What `splitOf()` goes by. */
function row(id: string, split: string | null = null, more: Partial<SplitRow> = {}): SplitRow {
  return { id, split, imagePath: `images/${id}.jpg`, ...more };
}

const share = { val: 0.2, test: 0.1, seed: "1" };

Deno.test("splitOf() takes what rows say unless shares are given", () => {
  const own = (split: string | null) => splitOf(row("id", split), { seed: "1" });
  const said = ["train", "Validation", " dev ", "test", "holdout", "__proto__", null];
  assert.deepEqual(said.map(own), ["train", "val", "val", "test", "train", "train", "train"]);
});

Deno.test("splitOf() comes near the shares, moves no page for others, and another seed moves many", () => {
  const ids = Array.from({ length: 5_000 }, (_, at) => `page-${at}`);
  const parts = ids.map((id) => splitOf(row(id, "test"), share));
  const of = (name: string) => parts.filter((part) => part === name).length / ids.length;
  assert.ok(Math.abs(of("val") - 0.2) < 0.03 && Math.abs(of("test") - 0.1) < 0.03);
  assert.equal(splitOf(row("page-17"), share), parts[17]);
  const moved = ids.filter((id, at) => splitOf(row(id), { ...share, seed: "2" }) !== parts[at]);
  assert.ok(moved.length > 1_000);
  // Looked at: a change of the hash would move pages of everybody's data sets.
  assert.equal(parts.slice(0, 8).join(" "), "train test train train train test train train");
});

Deno.test("splitOf() keeps groups together, and pages that match nothing by themselves", () => {
  const options = { ...share, group: /^(doc\d+)_/u };
  for (let doc = 0; doc < 50; doc++) {
    const parts = Array.from(
      { length: 6 },
      (_, page) => splitOf(row(`doc${doc}_p${page}`), options),
    );
    assert.equal(new Set(parts).size, 1);
  }
  assert.equal(splitOf(row("alone"), options), splitOf(row("alone"), share));
});

Deno.test("groupOf() finds what pages share in any column of the output, and in the input's metadata", () => {
  const metadata = JSON.stringify({ doc: { id: 7 }, "a.b": "dotted", none: null, source: "shop" });
  const page = row("p1", null, {
    imagePath: "s3://b/scans/doc 7/p1.jpg",
    imageFilename: "doc7-p1.jpg",
    inputMetadata: metadata,
  });
  const of = (column: GroupColumn, group?: RegExp) => groupOf(page, { ...share, column, group });
  const field = (name: string, group?: RegExp) => of({ name: "metadata", field: name }, group);
  assert.equal(of({ name: "image_path" }, /^(.*)\//u), "s3://b/scans/doc 7");
  assert.equal(of({ name: "image_filename" }, /^doc\d+/u), "doc7");
  assert.equal(of({ name: "id" }), "p1");
  assert.equal(field("source"), "shop");
  assert.equal(field("doc.id"), "7");
  assert.equal(field("a.b"), "dotted");
  assert.equal(field("doc"), '{"id":7}');
  assert.equal(field("source", /^s/u), "s");
  for (const nothing of ["none", "nowhere", "doc.id.more", "__proto__", "source.length"]) {
    assert.equal(field(nothing), undefined, nothing);
  }
  assert.equal(groupOf(page, share), undefined);
  assert.equal(of({ name: "image_path" }, /never/u), undefined);
  const bare = row("p2", null, { inputMetadata: "[1]" });
  assert.equal(groupOf(bare, { ...share, column: { name: "metadata", field: "0" } }), undefined);
  assert.equal(groupOf(bare, { ...share, column: { name: "image_filename" } }), undefined);
});
