import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { jpegHeader, oriented } from "../../dev/testing/images.ts";
import { labelledRow, type Page } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { Pixels } from "../image/pixels.ts";
import { decodePng, encodePng } from "../image/png.ts";
import { signedArea } from "../geometry/polygon.ts";
import { readHeader } from "../image/header.ts";
import { swapsSides, toStored, toUpright, upright } from "../image/upright.ts";
import type { CheckedPage, ReviewMark } from "../state/documents.ts";
import { type Books, checkBooks, newBooks } from "./books.ts";
import { exportLabels, type ExportOptions, type MarksMode } from "./export.ts";
import { StoreFiles } from "./files.ts";
import { FORMATS } from "./formats.ts";
import { beginExport, endExport, type ExportIdentity, exportReport } from "./marker.ts";

/** A white picture with one black word, as it should be seen. */
const UPRIGHT = { width: 120, height: 80 };
const WORD = [20, 30, 60, 50] as const;

function picture(): Pixels {
  const { width, height } = UPRIGHT;
  const data = new Uint8Array(width * height).fill(255);
  for (let y = WORD[1]; y < WORD[3]; y++) {
    data.fill(0, y * width + WORD[0], y * width + WORD[2]);
  }
  return { width, height, channels: 1, data };
}

/** The same as a file that must be turned to be seen so. */
function stored(orientation = 1): Uint8Array<ArrayBuffer> {
  const undo = orientation === 6 ? 8 : orientation === 8 ? 6 : orientation;
  const png = encodePng(upright(picture(), undo));
  return orientation === 1 ? png : oriented(png, orientation);
}

const QUAD = [[20, 30], [60, 30], [60, 50], [20, 50]];

interface TestRow extends Page {
  readonly file?: Uint8Array<ArrayBuffer> | null;
  readonly polygons?: number[][][];
}

function scanned(index: number, page: TestRow): ScannedRow {
  const row = labelledRow(index, { size: [120, 80], words: [{ text: "word" }], ...page });
  const { status, word_confidences, ...metadata } = row.metadata;
  const file = page.file === undefined ? stored() : page.file;
  const sha = file && createHash("sha256").update(file).digest("hex");
  return {
    ...{ index, id: row.id, split: row.split, imagePath: row.image_path, texts: row.texts, status },
    ...{ width: row.width, height: row.height, confidences: word_confidences },
    polygons: page.polygons ?? row.texts.map(() => QUAD),
    metadata: { ...metadata, word_confidences: [], image_sha256: page.sha256 ?? sha },
  };
}

/** Exports rows with their pictures into a store in memory. */
async function run(
  pages: readonly TestRow[],
  given: Partial<Omit<ExportOptions, "format">> & { readonly format?: string } = {},
  {
    store = new MemoryStore(),
    marks = new Map<string, ReviewMark>(),
    checked = new Map<string, CheckedPage>(),
    total = pages.length,
  } = {},
) {
  const rows = pages.map((page, index) => scanned(index, page));
  for (const [at, { imagePath }] of rows.entries()) {
    const { file = stored() } = pages[at];
    if (file) store.put(imagePath, file);
  }
  const { format: name = "jsonl", ...rest } = given;
  const format = FORMATS.find((format) => format.name === name)!;
  const options: ExportOptions = {
    ...{ format, dataset: "demo", status: ["ok", "empty"], split: { seed: "1" } },
    ...{ images: "copy", unread: false, cropType: "png", turn: true },
    granularity: format.granularity,
    whenIgnored: format.whenIgnored,
    ...rest,
  };
  const place = { store, prefix: "out/" };
  const identity: ExportIdentity = {
    dataset: "demo",
    labels: { url: "s3://memory/o", etag: "e", bytes: 1, rows: rows.length },
    ...{ format: name, options: {}, marks: null },
  };
  const { signal } = new AbortController();
  const found = await beginExport(place, identity, signal);
  assert.ok("present" in found, "it is there already");
  async function* all() {
    yield* await Promise.resolve(rows);
  }
  const exported = await exportLabels({
    ...{ options, rows: all(), total, marks, checked, source: { local: store }, signal },
    files: new StoreFiles(store, "out/", signal),
    present: found.present,
    memory: 1 << 20,
    onProgress: () => {},
  });
  await endExport(place, exportReport(identity, exported));
  const text = (name: string) => new TextDecoder().decode(store.objects.get(`out/${name}`)!);
  const lines = () => text("labels.jsonl").split("\n").slice(0, -1).map((line) => JSON.parse(line));
  return { ...exported, store, text, lines };
}

/** Whether a box holds the word and all of it. */
function holdsWord(pixels: Pixels, quad: readonly number[][]): boolean {
  const { width, channels, data } = pixels;
  const [x1, y1] = [Math.min(...quad.map(([x]) => x)), Math.min(...quad.map(([, y]) => y))];
  const [x2, y2] = [Math.max(...quad.map(([x]) => x)), Math.max(...quad.map(([, y]) => y))];
  return Array.from({ length: data.length / channels }, (_, at) => at).every((at) => {
    const [x, y] = [at % width + 0.5, Math.floor(at / width) + 0.5];
    return (x > x1 && x < x2 && y > y1 && y < y2) === data[at * channels] < 128;
  });
}

for (const frame of ["upright", "stored"] as const) {
  Deno.test(`boxes lie on the word in upright copies, for an engine that reads ${frame} pictures`, async () => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const swaps = swapsSides(orientation);
      const size = swaps ? { width: 80, height: 120 } : UPRIGHT;
      const asSeen = (point: number[]) =>
        frame === "upright"
          ? point
          : [...toStored([point[0], point[1]], size.width, size.height, orientation)];
      const seen = frame === "stored" ? size : UPRIGHT;
      // The engine answers at twice the size.
      const row: TestRow = {
        file: stored(orientation),
        polygons: [QUAD.map(asSeen).map(([x, y]) => [2 * x, 2 * y])],
        size: [2 * seen.width, 2 * seen.height],
      };
      const { lines, store, books } = await run([row], { frame });
      const [{ image, width, height, words: [{ polygon }] }] = lines();
      assert.deepEqual([width, height], [120, 80]);
      const copy = decodePng(store.objects.get(`out/${image}`)!, { maxPixels: 1e5 });
      assert.ok(holdsWord(copy, polygon), `orientation ${orientation}`);
      assert.deepEqual(books.images, orientation === 1 ? { copied: 1 } : { turned: 1 });
      // The text's own top left comes first, whatever the picture was stored like.
      assert.deepEqual(polygon[0], [20, 30], `orientation ${orientation}`);
      assert.deepEqual(polygon, QUAD);
    }
  });
}

Deno.test("a frame that can't be told is never guessed: the page is left out, counted and said", async () => {
  for (const [orientation, known] of [[3, false], [2, false], [6, true], [1, true]] as const) {
    const { books, notes } = await run([{ file: stored(orientation) }]);
    assert.deepEqual(books.pages.dropped, known ? {} : { frame_unknown: 1 });
    assert.deepEqual(books.words.dropped, known ? {} : { page_frame_unknown: 1 });
    assert.equal(notes.some((note) => note.includes("--frame")), !known);
  }
});

Deno.test("where no picture is read, pages that EXIF turns are left out by what their rows say", async () => {
  const pages = [
    { picture: { ...UPRIGHT, orientation: 1 } },
    { picture: { ...UPRIGHT, orientation: 3 } },
    { picture: { width: 80, height: 120, orientation: 6 } },
    {}, // of an earlier version
  ];
  const { books } = await run(pages, { unread: true, images: "paths" });
  assert.deepEqual(books.pages, { in: 4, out: 2, dropped: { frame_unknown: 1, image_turned: 1 } });
});

Deno.test("a turned picture that can't be decoded is left out, counted, and said with what to do", async () => {
  // Whole by its header, and nothing behind it.
  const half = jpegHeader(120, 80, { orientation: 6 });
  const page = { file: half, size: [80, 120] } as const;
  const { books, notes } = await run([page, { file: stored() }]);
  assert.deepEqual(books.pages, { in: 2, out: 1, dropped: { image_damaged: 1 } });
  assert.deepEqual(books.words.dropped, { page_image_damaged: 1 });
  assert.deepEqual(books.images, { copied: 1, failed: 1 });
  assert.match(notes.join(), /can't be decoded/);
  assert.deepEqual((await run([{ file: stored(6), size: [80, 120] }])).notes, []);
});

Deno.test("a turned picture of a kind that isn't decoded stays as it is stored, and its boxes go with it", async () => {
  for (let orientation = 2; orientation <= 8; orientation++) {
    const swaps = swapsSides(orientation);
    const [width, height] = swaps ? [80, 120] : [120, 80];
    const file = jpegHeader(width, height, { orientation, bits: 12 });
    const { lines, store, books, notes } = await run([{ file }], { frame: "upright" });
    const [line] = lines();
    assert.deepEqual([line.width, line.height], [width, height]);
    const copy = store.objects.get(`out/${line.image}`)!;
    const { header } = await readHeader((start, end) => Promise.resolve(copy.subarray(start, end)));
    assert.deepEqual([header?.orientation, header?.width, header?.height], [1, width, height]);
    assert.equal(file.filter((byte, at) => byte !== copy[at]).length, 1);
    assert.deepEqual(books.images, { left_as_stored: 1 });
    assert.match(notes.join(), /1 pictures .* EXIF orientation set to 1/);
    const { polygon } = line.words[0];
    const back = polygon.map((
      [x, y]: number[],
    ) => [...toUpright([x, y], width, height, orientation)]);
    // The text's own top left stays the first, and corners run clockwise on what is seen.
    assert.deepEqual(back[0], QUAD[0]);
    assert.deepEqual(back.toSorted(), QUAD.toSorted());
    assert.ok(signedArea(polygon) > 0);
    // Crops can't be cut out of it.
    const crops = await run([{ file }], { frame: "upright", format: "doctr-rec" });
    assert.deepEqual(crops.books.pages.dropped, { image_not_decodable: 1 });
  }
});

Deno.test("a page that the engine has turned of its own accord is left out, not squeezed into place", async () => {
  const { books } = await run([{ size: [80, 120] }]);
  assert.deepEqual(books.pages.dropped, { frame_unknown: 1 });
});

Deno.test("what a probe has shown holds for the model that was probed, and --frame wins over it", async () => {
  const half = { file: stored(3) };
  const dropped = async (options: Partial<Omit<ExportOptions, "format">>) =>
    (await run([half], options)).books.pages.dropped;
  assert.deepEqual(await dropped({ probed: { frame: "upright", modelVersion: "ocr-260930" } }), {});
  const other = { frame_unknown: 1 };
  assert.deepEqual(await dropped({ probed: { frame: "upright", modelVersion: "ocr-2" } }), other);
  assert.deepEqual(await dropped({ probed: { frame: "unknown", modelVersion: null } }), other);
  const { lines } = await run([half], {
    frame: "upright",
    probed: { frame: "stored", modelVersion: "ocr-260930" },
  });
  assert.deepEqual(lines()[0].words[0].polygon, QUAD);
});

Deno.test("crops hold the word and nothing else, wherever the picture was turned to", async () => {
  for (const orientation of [1, 6, 8]) {
    const { store, text } = await run([{ file: stored(orientation) }], { format: "paddleocr-rec" });
    assert.equal(text("train.txt"), "crops/train/row-0_0.png\tword\n");
    const crop = decodePng(store.objects.get("out/crops/train/row-0_0.png")!, { maxPixels: 1e5 });
    assert.deepEqual([crop.width, crop.height], [40, 20]);
    assert.ok(crop.data.every((value) => value < 2));
  }
});

Deno.test("tall crops are turned for PaddleOCR alone, and not with --no-turn", async () => {
  const tall = { polygons: [[[20, 30], [30, 30], [30, 50], [20, 50]]] };
  const size = async (format: string, turn = true) => {
    const { store } = await run([tall], { format, turn });
    const key = [...store.objects.keys()].find((key) =>
      key.startsWith("out/") && key.endsWith("png")
    )!;
    const { width, height } = decodePng(store.objects.get(key)!, { maxPixels: 1e5 });
    return [width, height];
  };
  assert.deepEqual(await size("paddleocr-rec"), [20, 10]);
  assert.deepEqual(await size("paddleocr-rec", false), [10, 20]);
  assert.deepEqual(await size("mmocr-rec"), [10, 20]);
});

Deno.test("pages and words are accounted for by reason, and the parts hold what is out", async () => {
  const heic = new TextEncoder().encode("no image at all");
  const { books, lines } = await run([
    { id: "fine", words: [{ text: "a" }, { text: "b", confidence: 0.1 }] },
    { id: "failed", words: [], failure: ["bad_page", "no"] },
    { id: "empty", words: [] },
    { id: "gone", file: null, words: [{ text: "a" }, { text: "b" }] },
    { id: "noise", file: heic },
    { id: "other", sha256: "0".repeat(64) },
    { id: "path", imagePath: "https://example.com/x.jpg" },
    { id: "doubted", confidence: 0.2 },
    { id: "unsure", confidence: null },
  ], { minConfidence: 0.5, minPageConfidence: 0.5 });
  assert.deepEqual(books.pages, {
    in: 9,
    out: 2,
    dropped: {
      failed: 1,
      image_missing: 1,
      image_unreadable: 1,
      image_changed: 1,
      image_path: 1,
      low_page_confidence: 1,
      no_page_confidence: 1,
    },
  });
  assert.deepEqual(books.words, {
    in: 9,
    out: 1,
    ignored: { low_confidence: 1 },
    dropped: {
      page_image_missing: 2,
      page_image_unreadable: 1,
      page_image_changed: 1,
      page_image_path: 1,
      page_low_page_confidence: 1,
      page_no_page_confidence: 1,
    },
  });
  assert.deepEqual(books.splits.train, { pages: 2, entries: 2 });
  assert.deepEqual(lines().map(({ id, words }) => [id, words.length]), [["fine", 2], ["empty", 0]]);
});

const REVIEW = { dataset: "demo", by: "me", at: "2026-11-20T08:00:00.000Z" } as const;

/** A checked page of a row as these tests have them. */
function checked(id: string, words: CheckedPage["words"], change: Partial<CheckedPage> = {}) {
  const page: CheckedPage = {
    ...{ format: "pseudolabel-checked-page/1", ...REVIEW, id, image_path: "x", words },
    ...{ image_sha256: null, width: 120, height: 80, picked: "sample" },
    ...{ changed: 0, added: 0, removed: 0, ...change },
  };
  return [id, page] as const;
}

Deno.test("marks choose pages: not the wrong ones, or those alone that were checked, as they were put right", async () => {
  const mark: ReviewMark = {
    ...{ id: "bad", row: 1, verdict: "wrong", note: "", by: "me", at: REVIEW.at },
    image_sha256: null,
  };
  const marks = new Map([["bad", mark], ["both", { ...mark, id: "both" }]]);
  const two = [{ text: "word", confidence: 0.9 }, { text: "wrod", confidence: 0.1 }];
  const pages = [{ id: "good" }, { id: "bad" }, { id: "both", words: two }, { id: "gone" }];
  const moved = [[30, 40], [60, 40], [60, 60], [30, 60]];
  const reviewed = new Map([
    checked("both", [
      { polygon: QUAD, text: "word", word: 0 },
      { polygon: moved, from: QUAD, text: "words", word: 1 },
      { polygon: moved, text: "missed", word: null },
    ]),
    checked("gone", []),
  ]);
  const exported = (how: MarksMode, format = "paddleocr-det") =>
    run(pages, { marks: how, format, minConfidence: 0.5 }, { marks, checked: reviewed });
  const excluding = await exported("exclude-wrong");
  assert.deepEqual(excluding.books.pages.dropped, { marked_wrong: 2 });
  assert.deepEqual(excluding.books.words, {
    in: 5,
    out: 2,
    dropped: { page_marked_wrong: 3 },
    ignored: {},
  });
  const only = await exported("only-reviewed");
  assert.deepEqual(only.books.pages, {
    ...{ in: 4, out: 1, dropped: { not_reviewed: 1, marked_wrong: 1, no_words: 1 } },
  });
  // Who has checked a word knows more than its confidence says.
  assert.deepEqual(JSON.parse(only.text("train.txt").split("\t")[1]), [
    { transcription: "word", points: QUAD },
    { transcription: "words", points: moved },
    { transcription: "missed", points: moved },
  ]);
  assert.deepEqual([only.books.words.out, only.books.changed], [
    ...[3, { added_in_review: 1, put_right_in_review: 1 }],
  ]);
  const corrected = await exported("corrected", "jsonl");
  assert.deepEqual(corrected.books.pages.dropped, { marked_wrong: 1 });
  assert.deepEqual(corrected.books.words, {
    ...{ in: 1 + 1 + 3 + 1, out: 4, ignored: {} },
    dropped: { page_marked_wrong: 1, taken_away_in_review: 1 },
  });
  const confidences = corrected.lines().map(({ words }) =>
    words.map(({ confidence }: { confidence: number | null }) => confidence)
  );
  assert.deepEqual(confidences, [[0.97], [0.9, null, null], []]);
});

Deno.test("what was checked on another image or in another shape is no truth of this page", async () => {
  const word = { polygon: QUAD, text: "word", word: 0 };
  for (
    const change of [{ image_sha256: "ab".repeat(32) }, { width: 80, height: 120 }]
  ) {
    const options = { checked: new Map([checked("row-0", [word], change)]) };
    const { books } = await run([{}], { marks: "only-reviewed" }, options);
    assert.deepEqual(books.pages.dropped, { review_outdated: 1 });
  }
  // At another size, and of labels that have changed since, it still is.
  const twice = QUAD.map((point) => point.map((each) => 2 * each));
  const other = checked("row-0", [{ ...word, polygon: twice }], { width: 240, height: 160 });
  const { books, lines } = await run([{}], { marks: "only-reviewed" }, {
    checked: new Map([other]),
  });
  assert.deepEqual(lines()[0].words[0].polygon, QUAD);
  assert.deepEqual([books.words.in, books.words.dropped], [2, { taken_away_in_review: 1 }]);
});

Deno.test("the same labels give the same bytes", async () => {
  const pages = Array.from({ length: 30 }, (_, at) => ({ id: `page ${at}` }));
  for (const format of ["coco", "paddleocr-rec", "alto"]) {
    const objects = async () => {
      const { store } = await run(pages, { format, split: { val: 0.3, seed: "1" } });
      return [...store.objects].sort(([a], [b]) => a < b ? -1 : 1);
    };
    assert.deepEqual(await objects(), await objects(), format);
  }
});

Deno.test("an interrupted export has no mark, no half file, and goes on without writing pictures again", async () => {
  const pages = Array.from({ length: 12 }, (_, at) => ({ id: `page-${at}` }));
  const whole = await run(pages, { format: "coco" });
  const store = new MemoryStore();
  let writes = 0;
  store.before = (operation, key) => {
    if (operation === "write" && key.startsWith("out/images") && ++writes === 6) {
      throw new StoreError("unavailable", "no more");
    }
  };
  await assert.rejects(run(pages, { format: "coco" }, { store }), StoreError);
  assert.ok(!store.objects.has("out/export.json") && store.objects.has("out/export-begun.json"));
  assert.ok(!store.objects.has("out/annotations/train.json"));
  store.before = () => {};
  store.writes.length = 0;
  const { books } = await run(pages, { format: "coco" }, { store });
  const rewritten = store.writes.filter((key) => key.startsWith("out/images"));
  assert.ok(rewritten.length < 12);
  // What became of them is the same as without the interruption.
  assert.deepEqual(books, whole.books);
  assert.deepEqual(
    store.objects.get("out/export.json"),
    whole.store.objects.get("out/export.json"),
  );
  assert.ok(!store.objects.has("out/export-begun.json"));
  const labels = (of: MemoryStore) => of.objects.get("out/annotations/train.json");
  assert.deepEqual(labels(store), labels(whole.store));
});

Deno.test("a place that holds anything else is left alone; the same export is not made again", async () => {
  const { store } = await run([{ id: "a" }]);
  const identity = (format: string): ExportIdentity => ({
    dataset: "demo",
    labels: { url: "s3://memory/o", etag: "e", bytes: 1, rows: 1 },
    ...{ format, options: {}, marks: null },
  });
  const { signal } = new AbortController();
  const begin = (prefix: string, format = "jsonl") =>
    beginExport({ store, prefix }, identity(format), signal);
  assert.ok("done" in await begin("out/"));
  const conflict = (error: unknown) => error instanceof RunError && error.exit === "conflict";
  await assert.rejects(begin("out/", "coco"), conflict);
  store.put("mine/thesis.txt", "x");
  await assert.rejects(begin("mine/"), conflict);
  assert.ok("present" in await begin("new/"));
  await assert.rejects(begin("new/", "coco"), conflict, "another one is under way");
});

Deno.test("an export is complete where the store lets nothing be removed", async () => {
  const store = new MemoryStore();
  store.before = (operation) => {
    if (operation === "remove") throw new StoreError("denied", "no");
  };
  const { books } = await run([{ id: "a" }], {}, { store });
  assert.equal(books.pages.out, 1);
  assert.ok(store.objects.has("out/export.json"));
});

Deno.test("books that don't add up end the export", async () => {
  await assert.rejects(
    run([{ id: "a" }], {}, { total: 2 }),
    (error) => error instanceof RunError && error.exit === "unsound" && /rows/.test(error.message),
  );
  const broken: ((books: Books) => void)[] = [
    (books) => books.pages.out++,
    (books) => books.words.out++,
    (books) => books.words.dropped.x = 1,
    (books) => books.entries++,
  ];
  checkBooks(newBooks(), 0, 0);
  assert.throws(() => checkBooks(newBooks(), 0, 1), RunError);
  for (const breakIt of broken) {
    const books = newBooks();
    breakIt(books);
    assert.throws(() => checkBooks(books, 0, 0), RunError);
  }
});

Deno.test("pictures that are named where they lie must need no turning, and have a path to name", async () => {
  const pages = [
    { id: "straight" },
    { id: "turned", file: stored(6) },
    { id: "odd", imagePath: "images/a\tb.png" },
  ];
  const { books, lines, store } = await run(pages, { images: "paths" });
  assert.deepEqual(books.pages.dropped, { image_turned: 1, image_path: 1 });
  assert.equal(lines()[0].image, "s3://memory/images/0.jpg");
  assert.ok(![...store.objects.keys()].some((key) => key.startsWith("out/images")));
});
