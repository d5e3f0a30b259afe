import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { runProgram, startProgram } from "../../dev/testing/program.ts";
import { putLabelled } from "../../dev/testing/labelled.ts";
import { encodePng } from "../image/png.ts";
import { openFolder } from "../store/folder.ts";

const FILTER = '{"min_confidence": 0.5, "target_error": 0.02}';

/** A labelled data set in a folder, with a picture for each page. */
async function openLabelled(pages: number) {
  const root = await Deno.makeTempDir();
  const store = openFolder(`${root}/store`);
  const data = new Uint8Array(100 * 80).fill(255);
  const file = encodePng({ width: 100, height: 80, channels: 1, data });
  const sha256 = createHash("sha256").update(file).digest("hex");
  await store.write("images/page.png", file);
  await putLabelled(
    store,
    "demo",
    Array.from({ length: pages }, (_, at) => ({
      id: `page-${at}`,
      imagePath: "images/page.png",
      size: [100, 80],
      sha256,
      words: [
        { text: `word ${at}\x1b[2J`, confidence: 0.9, box: [10, 10, 50, 20] },
        { text: "low", confidence: 0.3, box: [10, 50, 50, 20] },
      ],
    })),
  );
  return {
    root,
    store,
    run: (...args: string[]) =>
      runProgram(["export", "--dataset-name", "demo", "--store", `${root}/store`, ...args]),
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

Deno.test("export writes into the store, says what became of everything, and does it once", async () => {
  await using bench = await openLabelled(5);
  const args = ["--format", "icdar", "--min-confidence", "0.5", "--val", "0.5"];
  const first = await bench.run(...args);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^file:.*\/exports\/demo\/icdar\/\n$/);
  assert.match(first.stderr, /^pages in +5\n +out +5 +train \d, val \d\nwords in +10\n/);
  assert.match(first.stderr, /^ +ignored +5 +low_confidence$/m);
  const report = JSON.parse(
    await Deno.readTextFile(`${bench.root}/store/exports/demo/icdar/export.json`),
  );
  assert.deepEqual(report.words, { in: 10, out: 5, ignored: { low_confidence: 5 }, dropped: {} });
  assert.deepEqual(report.options, { "min-confidence": "0.5", val: "0.5" });
  const again = await bench.run(...args);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /already: nothing was written/);
  const other = await bench.run("--format", "icdar");
  assert.equal(other.code, 7);
  assert.match(other.stderr, /another export is there; choose another place with --out/);
});

Deno.test("export - prints a format of one file, and its books beside it", async () => {
  await using bench = await openLabelled(3);
  const { code, stdout, stderr } = await bench.run("--format", "jsonl", "--out", "-");
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ id }) => id), ["page-0", "page-1", "page-2"]);
  assert.equal(lines[0].words[0].text, "word 0\x1b[2J");
  assert.ok(!stdout.includes("\x1b"));
  assert.match(stderr, /^words in +6$/m);
  const filter = `${bench.root}/filter.json`;
  await Deno.writeTextFile(filter, FILTER);
  const csv = await bench.run("--format", "csv", "--out", "-", "--filter", filter, "--unread");
  assert.equal(csv.code, 0, csv.stderr);
  assert.equal(csv.stdout.match(/,true,/g)?.length, 3);
  // As evaluate leaves it in the store.
  await bench.store.write("reports/demo/filter.json", new TextEncoder().encode(FILTER));
  const args = ["--format", "csv", "--out", "-", "--unread", "--filter"];
  const stored = await bench.run(...args, "reports/demo/filter.json");
  assert.equal(stored.stdout, csv.stdout, stored.stderr);
});

Deno.test("export keeps pages together by the folders that their pictures lie in", async () => {
  await using bench = await openLabelled(20);
  const args = ["--format", "jsonl", "--out", "-", "--unread", "--val", "0.5"];
  const { stdout, stderr } = await bench.run(...args, "--group-column", "image_path");
  assert.equal(new Set(stdout.match(/"split":"\w+"/g)).size, 1, stderr);
  const apart = await bench.run(...args, "--group-column", "metadata.document");
  assert.equal(new Set(apart.stdout.match(/"split":"\w+"/g)).size, 2);
  assert.match(apart.stderr, /^20 of 20 pages are in no group/m);
});

Deno.test("export leaves nothing but the export in a folder", async () => {
  await using bench = await openLabelled(1);
  const out = `${bench.root}/out`;
  const { code, stderr } = await bench.run("--format", "csv", "--out", out);
  assert.equal(code, 0, stderr);
  const left = Array.from(Deno.readDirSync(out), ({ name }) => name).sort();
  assert.deepEqual(left, ["export.json", "images", "labels.csv"]);
});

Deno.test("export refuses what can't be, on one line and with what to do", async () => {
  await using bench = await openLabelled(1);
  const none = `${bench.root}/none.json`;
  await Deno.writeTextFile(none, '{"min_confidence": null}');
  const cases: [args: string, code: number, said: RegExp][] = [
    ["", 2, /--format is required: paddleocr-det, /],
    ["--format coco --out -", 2, /--out - takes formats of one file \(csv, jsonl\)/],
    ["--format coco --charset nowhere.txt", 2, /--charset can't be read.*neither does file:/],
    ["--format coco --charset ./nowhere.txt", 2, /--charset can't be read: (?!.*neither)/],
    [
      "--format coco --filter http://x/y",
      2,
      /--filter must be a file, s3:\/\/bucket\/key, or a key/,
    ],
    ["--format coco --marks only-reviewed", 3, /no page of demo was checked in the gallery/],
    [`--format coco --filter ${none}`, 2, /none\.json' certifies no threshold: evaluate with more/],
    ["--format coco --output-s3-key data/none.parquet", 7, /label the data set to its end first/],
  ];
  for (const [args, code, said] of cases) {
    const ended = await bench.run(...args.split(" ").filter(Boolean));
    assert.equal(ended.code, code, `${args}: ${ended.stderr}`);
    assert.match(ended.stderr, said);
    assert.ok(ended.stderr.trim().split("\n").length <= 2 && !ended.stderr.includes("    at "));
    assert.equal(ended.stdout, "");
  }
});

Deno.test("a killed export has no mark, and the same command finishes it", async () => {
  await using bench = await openLabelled(400);
  const out = `${bench.root}/out`;
  const args = ["--format", "mmocr-det", "--out", out];
  const all = ["export", "--dataset-name", "demo", "--store", `${bench.root}/store`, ...args];
  await Deno.mkdir(out);
  const written = new Set<string>();
  using watcher = Deno.watchFs(out);
  const program = startProgram(all);
  for await (const { paths } of watcher) {
    for (const path of paths) if (/page-\d+\.png$/.test(path)) written.add(path);
    if (written.size > 20) break;
  }
  program.kill("SIGKILL");
  await program.ended;
  const there = new Set(Array.from(Deno.readDirSync(out), ({ name }) => name));
  assert.ok(there.has("export-begun.json") && !there.has("export.json"));
  assert.ok(!there.has("textdet_train.json"));
  const other = await bench.run("--format", "coco", "--out", out);
  assert.equal(other.code, 7);
  const { code, stderr } = await bench.run(...args);
  assert.equal(code, 0, stderr);
  const report = JSON.parse(await Deno.readTextFile(`${out}/export.json`));
  assert.deepEqual(report.images, { copied: 400 });
  const { data_list } = JSON.parse(await Deno.readTextFile(`${out}/textdet_train.json`));
  assert.equal(data_list.length, 400);
});

Deno.test("export --images link gives pictures of a folder a second name instead of a copy", async () => {
  await using bench = await openLabelled(2);
  const { code, stderr } = await bench.run("--format", "coco", "--images", "link");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^ +2 +linked$/m);
  const [one, other] = await Promise.all(
    ["images/page.png", "exports/demo/coco/images/train/page-1.png"]
      .map((name) => Deno.stat(`${bench.root}/store/${name}`)),
  );
  assert.equal(one.ino, other.ino);
});
