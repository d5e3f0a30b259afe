import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { writtenByDuckdb } from "../../dev/testing/parquet_readers.ts";
import { labelledRow } from "../../dev/testing/labelled.ts";
import { RunError } from "../base/errors.ts";
import { encodeRows } from "../dataset/output_write.ts";
import { memorySource } from "../parquet/source.ts";
import { parseCocoText, parseFunsd, parseWords } from "./truth_json.ts";
import { openParquetTruth } from "./truth_parquet.ts";
import { openTruth } from "./truth_place.ts";
import { parseQuads } from "./truth_quads.ts";
import { type Truth, withoutExtension } from "./truth.ts";

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const text = (value: string) => new TextEncoder().encode(value);
const { signal } = new AbortController();

const namesOf = ({ names }: Truth) =>
  Array.from({ length: names.length }, (_, at) => names.at(at)!);

Deno.test("lines of ICDAR and SROIE are read with byte-order mark, CRLF, commas and blanks in texts", () => {
  const lines = "\ufeff72,25,326,25,326,64,72,64,NO.53 55,57 & 59, JALAN \r\n" +
    '\r\n -1.5,2,3,4,5,6,7,8,###\r\n1, 2, 3, 4, 5, 6, 7, 8\r\n10 20 30 40 "say "hi""\r\n';
  const boxes = parseQuads(lines, "x.txt");
  assert.deepEqual(boxes.map(({ text, ignore }) => [text, ignore]), [
    ["NO.53 55,57 & 59, JALAN ", false],
    ["###", true],
    [null, false],
    ['say "hi"', false],
  ]);
  assert.deepEqual(boxes[0].points, [[72, 25], [326, 25], [326, 64], [72, 64]]);
  assert.deepEqual(boxes[3].points, [[10, 20], [30, 20], [30, 40], [10, 40]]);
});

Deno.test("a column of languages is left out only where every line has one", () => {
  const quad = "1,2,3,4,5,6,7,8";
  const all = parseQuads(`${quad},Korean,합계, 원\n${quad},Latin,Total\n${quad},None,###`, "x");
  assert.deepEqual(all.map(({ text, ignore }) => [text, ignore]), [
    ["합계, 원", false],
    ["Total", false],
    ["###", true],
  ]);
  assert.equal(parseQuads(`${quad},Latin,Total\n${quad},Total`, "x")[0].text, "Latin,Total");
});

Deno.test("any text comes back from a line, but for what ends lines", () => {
  const any = fc.string({ unit: "grapheme" }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(fc.property(any, (written) => {
    const [box] = parseQuads(`0,0,9,0,9,9,0,9,${written}`, "x");
    const language = /^(Arabic|Latin|Chinese|Japanese|Korean|Bangla|Hindi|Symbols|Mixed|None),/;
    if (!language.test(written)) assert.equal(box.text, written);
  }));
});

Deno.test("a line that is none is named with its file, shown harmlessly", () => {
  assert.throws(
    () => parseQuads("1,2,3,4,5,6,7,8,a\nid,\x1b[2J", "gt/x.txt"),
    (error: Error) =>
      error instanceof RunError && error.exit === "input" &&
      error.message === "gt/x.txt: line 2 is no x1,y1,x2,y2,x3,y3,x4,y4,text: 'id,\\x1b[2J'",
  );
});

Deno.test("FUNSD gives words and the pieces that they make; without words the piece is one", () => {
  const box = [1, 2, 30, 40];
  const { boxes, segments } = parseFunsd(
    bytes({
      form: [
        {
          box,
          text: "Total due",
          label: "question",
          words: [{ box, text: "Total" }, {
            box: [31, 2, 60, 40],
            text: "due",
          }],
        },
        { box, text: "", words: [] },
      ],
    }),
    "x",
  );
  assert.deepEqual(boxes.map(({ text, ignore }) => [text, ignore]), [
    ["Total", false],
    ["due", false],
    ["", true],
  ]);
  assert.deepEqual(segments?.map(({ text }) => text), ["Total due", ""]);
  assert.throws(() => parseFunsd(bytes({ company: "x" }), "a.json"), /a\.json is no page of FUNSD/);
});

Deno.test("COCO-Text and COCO give each picture its boxes; what can't be read is don't-care", () => {
  const anns = {
    "1": { image_id: 7, bbox: [1, 2, 30, 10], utf8_string: "Exit", legibility: "legible" },
    "2": { image_id: 7, bbox: [1, 2, 30, 10], legibility: "illegible", utf8_string: "" },
    "3": { image_id: 99, bbox: [1, 2, 3, 4], utf8_string: "of no picture" },
    "4": { image_id: 7, mask: [0, 0, 9, 0, 9, 9, 0, 9], bbox: [0, 0, 1, 1], utf8_string: "in" },
  };
  const imgs = {
    "7": { file_name: "a/COCO_1.jpg", width: 640, height: 480 },
    "8": { file_name: "b.jpg" },
  };
  const cocoText = parseCocoText(bytes({ imgs, anns, imgToAnns: {} }), "x");
  const pages = cocoText.pictures.map((_, at) => cocoText.page(at));
  assert.deepEqual(pages.map(({ size }, at) => [cocoText.pictures[at], size]), [
    ["a/COCO_1.jpg", { width: 640, height: 480 }],
    ["b.jpg", undefined],
  ]);
  assert.deepEqual(pages[0].boxes.map(({ text, ignore }) => [text, ignore]), [
    ["Exit", false],
    ["", true],
    ["in", false],
  ]);
  assert.deepEqual(pages[0].boxes[0].points, [[1, 2], [31, 2], [31, 12], [1, 12]]);
  assert.deepEqual(pages[0].boxes[2].points, [[0, 0], [9, 0], [9, 9], [0, 9]]);
  const coco = parseCocoText(
    bytes({
      images: [{ id: 1, file_name: "p.png" }],
      annotations: [
        { image_id: 1, bbox: [0, 0, 5, 5], segmentation: [[0, 0, 5, 0, 5, 5]], text: "계" },
        { image_id: 1, bbox: [0, 0, 5, 5], segmentation: { counts: "x" }, iscrowd: 1, text: "x" },
      ],
    }),
    "x",
  );
  assert.deepEqual(coco.page(0).boxes.map(({ points, ignore }) => [points.length, ignore]), [
    [3, false],
    [4, true],
  ]);
  assert.throws(() => parseCocoText(text("[]"), "a.json"), /a\.json is neither/);
});

Deno.test("names that JavaScript gives a meaning are pictures like others", () => {
  const words = [{ text: "a", polygon: [[0, 0], [1, 0], [1, 1]] }];
  const source = `{"__proto__":${JSON.stringify({ words })},"constructor":{"words":[]}}`;
  const pages = parseWords(text(source), "x");
  assert.deepEqual(pages.pictures, ["__proto__", "constructor"]);
  assert.equal(pages.page(0).boxes[0].text, "a");
  assert.throws(() => parseWords(text("{"), "a.json"), /a\.json is no .*not JSON/);
  // Positions in a list are no names.
  assert.throws(() => parseWords(text(' [{"words":[]}]'), "a.json"), /a\.json is no .*no object/);
});

Deno.test("an output of this program is a truth, its failed pages aside", async () => {
  const rows = [
    labelledRow(0, { words: [{ text: "합계" }, { text: "\ufffd" }], size: [500, 700] }),
    labelledRow(1, { failure: ["image_not_found", "gone"] }),
    labelledRow(2, { words: [] }),
    labelledRow(3, { words: [{ text: "9.00" }] }),
  ];
  const file = await encodeRows(rows, { keyValues: {} });
  const truth = await openParquetTruth(memorySource("x.parquet", file), signal);
  assert.deepEqual(namesOf(truth).map(({ path, id }) => [path, id]), [
    ["images/0", "row-0"],
    ["images/2", "row-2"],
    ["images/3", "row-3"],
  ]);
  // Forwards, and back again.
  assert.equal((await truth.page(2)).boxes[0].text, "9.00");
  const first = await truth.page(0);
  assert.deepEqual(first.size, { width: 500, height: 700 });
  assert.deepEqual(first.boxes.map(({ text, ignore }) => [text, ignore]), [
    ["합계", false],
    ["\ufffd", true],
  ]);
  assert.deepEqual((await truth.page(1)).boxes, []);
});

Deno.test("a table of another writer is a truth, whatever else is in it", async () => {
  const file = await writtenByDuckdb(
    `SELECT 'scan/7.jpg' AS image_filename, ['a', NULL] AS texts,
      [[[0, 0], [9, 0], [9, 9], [0, 9]], [[1, 1], [2, 1], [2, 2]]] AS polygons,
      100 AS width, 200::SMALLINT AS height, {'status': ['x'], 'b': {'c': 1}} AS metadata`,
  );
  const truth = await openParquetTruth(memorySource("x.parquet", file), signal);
  assert.deepEqual(namesOf(truth), [{ path: "scan/7", id: undefined }]);
  const { boxes, size } = await truth.page(0);
  assert.deepEqual(size, { width: 100, height: 200 });
  assert.deepEqual(boxes.map(({ text, ignore, points }) => [text, ignore, points.length]), [
    ["a", false, 4],
    ["", true, 3],
  ]);
  const uneven = await writtenByDuckdb(
    "SELECT 'x' AS id, ['a', 'b'] AS texts, [[[0, 0], [9, 0], [9, 9]]] AS polygons",
  );
  const bad = await openParquetTruth(memorySource("u.parquet", uneven), signal);
  await assert.rejects(bad.page(0), /u\.parquet: row 1 has 1 polygons and 2 texts/);
  const other = await writtenByDuckdb("SELECT 1 AS id, 'x' AS texts");
  await assert.rejects(
    openParquetTruth(memorySource("o.parquet", other), signal),
    /o\.parquet is no truth: it needs the columns polygons, texts/,
  );
  await assert.rejects(
    openParquetTruth(memorySource("n.parquet", text("PAR1 no")), signal),
    (error: Error) => error instanceof RunError && error.message.startsWith("n.parquet: "),
  );
});

async function folder(files: Readonly<Record<string, string>>) {
  const store = new MemoryStore();
  for (const [key, content] of Object.entries(files)) await store.write(key, text(content));
  return { store, images: { local: store }, signal };
}

const LINE = "1,1,9,1,9,9,1,9,a\n";

Deno.test("a folder's format is found out among other files", async () => {
  const sroie = await folder({
    "gt/000.csv": LINE,
    "gt/000.json": '{"company":"x"}',
    "gt/README.txt": "Scans.",
    "gt/deep/001.csv": LINE,
    "gt/000.jpg": "x",
  });
  const truth = await openTruth("gt", undefined, sroie);
  assert.deepEqual([truth.format, namesOf(truth).map(({ path }) => path)], ["sroie", [
    "000",
    "deep/001",
  ]]);
  assert.equal((await truth.page(1)).boxes.length, 1);
  assert.equal((await openTruth("gt/deep/001.csv", undefined, sroie)).names.at(0)?.path, "001");
  const icdar = await folder({ "gt/gt_img_1.txt": LINE, "gt/notes.json": "{}" });
  assert.equal((await openTruth("gt/", undefined, icdar)).format, "icdar");
  const funsd = await folder({ "a/1.json": '{"form":[]}', "a/2.json": '{"form":[]}' });
  assert.equal((await openTruth("a", undefined, funsd)).format, "funsd");
  assert.equal((await openTruth("a/1.json", undefined, funsd)).format, "funsd");
  const words = await folder({ "t/all.json": '{"x":{"words":[]}}', "t/readme.txt": "hello" });
  assert.equal((await openTruth("t", undefined, words)).format, "words");
});

Deno.test("where no truth is, it is said, with what may have been meant", async () => {
  const places = await folder({ "gt/a.txt": "prose", "gt/b.txt": "more", "x.bin": "1" });
  const refused: [string, "usage" | "input", RegExp][] = [
    ["none", "input", /s3:\/\/memory\/none holds no truth.*written '\.\/none'/],
    ["gt", "input", /no truth of a known format, but 2 files such as 'a\.txt'.*--truth-format/],
    ["x.bin", "input", /x\.bin is of no known format/],
    ["ftp://x/y", "usage", /it is 'ftp:\/\/x\/y'/],
    ["../x//y", "input", /holds no truth/],
    ["s3://other-bucket/x", "usage", /has no buckets/],
  ];
  for (const [words, exit, message] of refused) {
    await assert.rejects(openTruth(words, undefined, places), (error: unknown) => {
      assert.ok(error instanceof RunError, words);
      assert.equal(error.exit, exit, words);
      assert.match(error.message, message);
      return true;
    });
  }
  await assert.rejects(openTruth("gt", "icdar", places).then((truth) => truth.page(0)), /line 1/);
  const latin1 = await folder({});
  await latin1.store.write("p.txt", new Uint8Array([0x31, 0xe9]));
  const truth = await openTruth("p.txt", "icdar", latin1);
  await assert.rejects(truth.page(0), /p\.txt is not UTF-8/);
});

Deno.test("an extension is what follows the last dot of a name", () => {
  const names = {
    "a/b.tar.gz": "a/b.tar",
    "a.b/c": "a.b/c",
    ".x": ".x",
    "a/.x.txt": "a/.x",
    "x.": "x",
  };
  for (const [path, name] of Object.entries(names)) {
    assert.equal(withoutExtension(path), name, path);
  }
});
