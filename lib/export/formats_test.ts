import assert from "node:assert/strict";
import fc from "fast-check";
import { type ExportFiles, type ReadEntry, READERS } from "../../dev/testing/export_readers.ts";
import { boundingBox, type Points } from "../geometry/polygon.ts";
import type { Format } from "./format.ts";
import { FORMATS } from "./formats.ts";
import type { ExportPage } from "./page.ts";
import { type ReadWord, sortWords, type WordOptions } from "./words.ts";

/** Any UTF-16, halves of characters among it (quicker to begin with than fc's own). */
const anyUnits = (maxLength: number) =>
  fc.array(fc.nat({ max: 0xffff }), { maxLength }).map((units) => String.fromCharCode(...units));

const GOLDEN = new URL("./testdata/golden.json", import.meta.url);

const box = (x: number, y: number, width = 60, height = 20): Points => [
  [x, y],
  [x + width, y],
  [x + width, y + height],
  [x, y + height],
];
const word = (text: string, at: number, confidence: number | null = 0.97): ReadWord => ({
  text,
  confidence,
  points: box(10 + 150 * (at % 5), 10 + 40 * Math.floor(at / 5)),
});

/** Sorts words as an export does, writes them, and gives the files. */
async function write(
  format: Format,
  pages: readonly { readonly name: string; readonly words: readonly ReadWord[] }[],
  given: Partial<WordOptions> = {},
) {
  const files = new Map<string, string>();
  const stored = (content: string | Uint8Array) =>
    typeof content === "string"
      ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(content))
      : new TextDecoder("utf-8", { ignoreBOM: true }).decode(content);
  const writer = format.open({
    dataset: "demo",
    files: {
      write: (name, content) => Promise.resolve(void files.set(name, stored(content))),
      append(name, content) {
        files.set(name, (files.get(name) ?? "") + stored(content));
        return Promise.resolve();
      },
    },
  });
  const { granularity, whenIgnored } = format;
  const written: ExportPage[] = [];
  for (const [index, { name, words }] of pages.entries()) {
    const sorted = sortWords(words, 800, 1_000, { granularity, whenIgnored, format, ...given });
    const { entries, pageLost, kept, ignored } = sorted;
    if (pageLost !== undefined || entries.length === 0 && !format.emptyPages) continue;
    const split = name.startsWith("val") ? "val" : "train";
    const image = format.imageFile(split, `${name}.jpg`);
    const page: ExportPage = {
      ...{ index, id: name, name, split, image, width: 800, height: 1_000, entries },
      ...{ sha256: "ab".repeat(32), model: "ocr-260930", confidence: 0.9 },
      readAt: "2026-11-26T08:00:00.000Z",
      crops: entries.map((_, at) => format.imageFile(split, `${name}_${at}.png`)),
    };
    const n = await writer.page(page);
    assert.equal(n, kept + Object.values(ignored).reduce((a, b) => a + b, 0));
    written.push(page);
  }
  const notes = await writer.finish();
  return { files: files as ExportFiles, written, notes };
}

/** What a reader must get of a page: the entries as they were handed to the format. */
function compare(format: Format, page: ExportPage, read: readonly ReadEntry[]): void {
  assert.equal(read.length, page.entries.length);
  page.entries.forEach((entry, at) => {
    const { text, quad, box, ignore, words } = read[at];
    const masked = ["paddleocr-det", "icdar", "funsd"].includes(format.name) && entry.ignore;
    if (format.texts && !masked) assert.equal(text, entry.text);
    if (format.ignores) assert.equal(ignore, entry.ignore);
    const near = (a: Points, b: Points) =>
      a.forEach(([x, y], i) => assert.ok(Math.abs(x - b[i][0]) < 1 && Math.abs(y - b[i][1]) < 1));
    const [width, height] = format.name === "yolo-obb" ? [800, 1_000] : [1, 1];
    if (quad) near(quad.map(([x, y]) => [x * width, y * height]), entry.quad);
    if (box) near([box.slice(0, 2), box.slice(2)], corners(entry.quad));
    if (!words) return;
    assert.equal(words.length, entry.words.length);
    words.forEach((word, i) => {
      if (!masked) assert.equal(word.text, entry.words[i].text);
      if (word.quad) near(word.quad, entry.words[i].quad);
    });
  });
}

function corners(quad: Points): Points {
  const [x1, y1, x2, y2] = boundingBox(quad);
  return [[x1, y1], [x2, y2]];
}

/** Reads what was written as the format's trainer does, and compares. */
function readBack(format: Format, files: ExportFiles, written: readonly ExportPage[]): void {
  const pages = READERS[format.name](files);
  const expected = written.filter(({ entries }) => entries.length > 0 || format.name !== "csv");
  if (format.pictures === "pages") {
    assert.equal(pages.size, expected.length);
    for (const page of expected) compare(format, page, pages.get(page.name)!);
    return;
  }
  assert.equal(pages.size, expected.reduce((n, { entries }) => n + entries.length, 0));
  for (const page of expected) {
    const crops = page.entries.map((_, at) => pages.get(`${page.name}_${at}`)![0]);
    compare({ ...format, ignores: false }, page, crops);
  }
}

const HOSTILE = [
  'a,b "c" <d> & \\e',
  "합계",
  "###",
  "*",
  "x y",
  "tab\there",
  "line\r\nbreak",
  "\u2028\u0085\v",
  "\x00\x1b[2J",
  "\ud800",
  "\ufffe",
  "]]>",
  "&#65;",
  "=1+1",
  " blank ",
  "👩‍👩‍👧",
  "é",
  "123",
  "__proto__",
  "\ufeffbom",
  "'",
  '"',
  ",",
  "﷽",
];

const anyText = fc.oneof(fc.constantFrom(...HOSTILE), anyUnits(12));
const anyConfidence = fc.option(fc.double({ min: 0, max: 1, noNaN: true }));
const anyPoints = fc.oneof(
  fc.nat({ max: 99 }).map((at) => box(10 + 70 * (at % 10), 10 + 30 * Math.floor(at / 10), 50, 18)),
  fc.array(
    fc.array(fc.double({ min: -50, max: 1_100, noNaN: true }), { minLength: 2, maxLength: 2 }),
    { minLength: 4, maxLength: 4 },
  ),
);
const anyWords = fc.array(
  fc.record<ReadWord>({ text: anyText, confidence: anyConfidence, points: anyPoints }),
  { maxLength: 12 },
);

Deno.test("every format has a name of its own and a reader that it is held against", () => {
  const names = FORMATS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(names.filter((name) => !Object.hasOwn(READERS, name)), []);
});

for (const format of FORMATS.filter(({ embeds }) => !embeds)) {
  Deno.test(`${format.name}: hostile words come back as they were written, in both granularities`, async () => {
    await fc.assert(
      fc.asyncProperty(
        anyWords,
        anyWords,
        fc.constantFrom<Partial<WordOptions>>(
          {},
          { granularity: "word", minConfidence: 0.5 },
          { granularity: "line", minConfidence: 0.2, whenIgnored: "drop-word" },
        ),
        async (one, two, given) => {
          const pages = [{ name: "one", words: one }, { name: "val_two", words: two }];
          const { files, written } = await write(format, pages, given);
          readBack(format, files, written);
        },
      ),
      { numRuns: 40 },
    );
  });
}

const PAGES = [
  {
    name: "receipt-1",
    words: [
      ...['a,b "c" <d> & \\e', "합계", "###", "*", "x y", "12,500"].map((text, at) =>
        word(text, at)
      ),
      word("blurred", 7, 0.21),
      {
        text: "tilted",
        confidence: null,
        points: [[10.5, 90], [90, 98.25], [88, 118], [8.5, 110]],
      },
    ],
  },
  { name: "empty", words: [] },
  { name: "val-1", words: [word("left", 0), { ...word("right", 0), points: box(78, 11) }] },
];

Deno.test("all formats write the very bytes that were looked at (testdata/golden.json)", async () => {
  const now: Record<string, unknown> = {};
  for (const format of FORMATS.filter(({ embeds }) => !embeds)) {
    const { files, notes } = await write(format, PAGES);
    now[format.name] = { ...Object.fromEntries(files), notes };
  }
  // deno test -A lib/export/formats_test.ts -- --update, and then look at what has changed
  if (Deno.args.includes("--update")) {
    await Deno.writeTextFile(GOLDEN, `${JSON.stringify(now, null, 2)}\n`);
  }
  const golden = JSON.parse(await Deno.readTextFile(GOLDEN));
  for (const name of Object.keys(now)) assert.deepEqual(now[name], golden[name], name);
  assert.deepEqual(Object.keys(golden), Object.keys(now));
});

/** What a format makes of one page of words. */
async function written(name: string, words: readonly ReadWord[], given: Partial<WordOptions> = {}) {
  const format = FORMATS.find((format) => format.name === name)!;
  return await write(format, [{ name: "p", words }], given);
}
const low = { minConfidence: 0.5 };
const doubtful = [word("sure", 0), word("blurred", 1, 0.1)];

Deno.test("paddleocr-det: words that read '###' or '*' are no marks of what is to be ignored", async () => {
  const { files } = await written("paddleocr-det", [word("###", 0), word("*", 1)]);
  const [one, two] = READERS["paddleocr-det"](files).get("p")!;
  assert.deepEqual([one.ignore, two.ignore, one.text, two.text], [false, false, "### ", "* "]);
});

Deno.test("paddleocr-det and doctr-det: pages without a word are left out, which others keep", async () => {
  for (const name of ["paddleocr-det", "doctr-det"]) {
    assert.deepEqual((await written(name, [])).written, [], name);
  }
  for (const name of ["mmocr-det", "icdar", "coco", "yolo-obb", "doctr-ocr"]) {
    assert.equal((await written(name, [])).written.length, 1, name);
  }
});

Deno.test("ignored words are there and marked where the format can say so", async () => {
  for (const { name } of FORMATS.filter(({ ignores, embeds }) => ignores && !embeds)) {
    const { files } = await written(name, doubtful, { ...low, granularity: "word" });
    assert.deepEqual(
      READERS[name](files).get("p")!.map(({ ignore }) => ignore),
      [false, true],
      name,
    );
  }
});

Deno.test("where it can't, detectors lose the page, or with drop-word the word alone", async () => {
  for (const name of ["doctr-det", "yolo-obb", "doctr-ocr"]) {
    assert.deepEqual((await written(name, doubtful, low)).written, [], name);
    const dropped = await written(name, doubtful, { ...low, whenIgnored: "drop-word" });
    assert.equal(dropped.written[0].entries.length, 1, name);
  }
});

Deno.test("paddleocr-rec, mmocr-rec: dict.txt has every character once, and no blank", async () => {
  for (const name of ["paddleocr-rec", "mmocr-rec"]) {
    const { files } = await written(name, [word("b a b", 0), word("합a", 1)]);
    assert.equal(files.get("dict.txt"), "a\nb\n합\n", name);
  }
});

Deno.test("paddleocr-rec: texts longer than the trainer's usual limit are said", async () => {
  const { notes } = await written("paddleocr-rec", [word("x".repeat(26), 0)]);
  assert.match(notes[0], /^1 texts have more than 25 characters/);
});

Deno.test("doctr-rec: a text with a blank in it is lost, as training would stop", () => {
  const format = FORMATS.find(({ name }) => name === "doctr-rec")!;
  const { dropped, kept } = sortWords([word("x y", 0), word(" z ", 1)], 800, 1_000, {
    ...{ format, granularity: "word", whenIgnored: "drop-word" },
  });
  assert.deepEqual([dropped, kept], [{ blank_in_text: 1 }, 1]);
});

Deno.test("icdar: a text that reads '###' is counted as lost, not written as a mark unseen", () => {
  const format = FORMATS.find(({ name }) => name === "icdar")!;
  const { ignored, kept } = sortWords([word("###", 0), word("# # #", 1)], 800, 1_000, {
    ...{ format, granularity: "word", whenIgnored: "drop-word" },
  });
  assert.deepEqual([ignored, kept], [{ text_is_a_mark: 1 }, 1]);
});

Deno.test("icdar: texts keep their commas; line breaks become blanks; there is no byte order mark", async () => {
  const { files } = await written("icdar", [word("1,234,\r\n5", 0)]);
  assert.equal(files.get("train_gts/gt_p.txt"), "10,10,70,10,70,30,10,30,1,234, 5\n");
});

Deno.test("a text of line separators alone is no label of an empty line", () => {
  for (const name of ["paddleocr-rec", "mmocr-rec", "easyocr", "icdar", "alto"]) {
    const format = FORMATS.find((format) => format.name === name)!;
    const { kept } = sortWords([word("\u2028\u0085", 0)], 800, 1_000, {
      ...{ format, granularity: "word", whenIgnored: "drop-word" },
    });
    assert.equal(kept, 0, name);
  }
});

Deno.test("easyocr: nothing is quoted, and texts that are numbers alone are said", async () => {
  const { files, notes } = await written("easyocr", [word('1,2"', 0)]);
  assert.equal(files.get("train/labels.csv"), 'filename,words\np_0.png,1,2"\n');
  assert.deepEqual(notes, []);
  assert.match((await written("easyocr", [word("12", 0)])).notes[0], /^All texts of train are num/);
});

Deno.test("yolo-obb: boxes that reach over the edge stay within 0 and 1", async () => {
  const words = [{ text: "x", confidence: 1, points: box(-5, 990, 900, 40) }];
  const { files } = await written("yolo-obb", words);
  const line = "0 0.000000 0.990000 1.000000 0.990000 1.000000 1.000000 0.000000 1.000000\n";
  assert.equal(files.get("labels/train/p.txt"), line);
});

Deno.test("label-studio: percents stay below 100, and too many boxes on a page are said", async () => {
  const words = Array.from({ length: 701 }, () => word("x", 0));
  assert.match((await written("label-studio", words)).notes[0], /^1 pages have more than 700/);
});

Deno.test("label-studio: paths of pictures hold nothing that ends an address early", async () => {
  const format = FORMATS.find(({ name }) => name === "label-studio")!;
  const files: string[] = [];
  const append = (_: string, text: string | Uint8Array) =>
    Promise.resolve(void files.push(`${text}`));
  const writer = format.open({ dataset: "d", files: { append, write: () => Promise.resolve() } });
  const page: ExportPage = {
    ...{ index: 0, id: "p", name: "p", split: "train", image: "/data/a b#1?&.png", entries: [] },
    ...{ width: 1, height: 1, model: null, confidence: null, readAt: "" },
  };
  await writer.page(page);
  await writer.page({ ...page, image: "s3://bucket/a b.png" });
  await writer.finish();
  const images = JSON.parse(files.join("")).map(({ data }: { data: { image: string } }) =>
    data.image
  );
  assert.deepEqual(images, [
    "/data/local-files/?d=data/a%20b%231%3F%26.png",
    "s3://bucket/a b.png",
  ]);
});

Deno.test("coco: ids begin at 1 in each part, and images are all there at the end", async () => {
  const format = FORMATS.find(({ name }) => name === "coco")!;
  const pages = Array.from(
    { length: 2_001 },
    (_, at) => ({ name: `p${at}`, words: [word("x", 0)] }),
  );
  const { files } = await write(format, pages);
  const { images, annotations } = JSON.parse(files.get("annotations/train.json")!);
  assert.deepEqual([images.length, images[0].id, images[2_000].id], [2_001, 1, 2_001]);
  assert.deepEqual([annotations.length, annotations[0].id], [2_001, 1]);
});

Deno.test("alto, page-xml, hocr: what XML can't say is lost, and a line that loses a word with it", async () => {
  for (const name of ["alto", "page-xml", "hocr"]) {
    const words = [word("fine", 0), { ...word("\x1b", 0), points: box(75, 10) }, word("other", 9)];
    const { written: pages } = await written(name, words);
    assert.deepEqual(pages[0].entries.map(({ text }) => text), ["other"], name);
  }
});
