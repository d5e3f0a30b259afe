import assert from "node:assert/strict";
import { jpegHeader, oriented, photo } from "../../dev/testing/images.ts";
import { startUpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { BUCKET, message, openBench, readAll, rows } from "../../dev/doubles/stage.ts";
import { queryRows } from "../../dev/testing/fixtures.ts";
import { runProgram, TEST_API_KEY } from "../../dev/testing/program.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { openFolder } from "../store/folder.ts";

Deno.test("prepare finds every image of a bucket over all pages of its listing, and run takes what it writes", async () => {
  await using bench = await openBench(rows(1));
  const objects = bench.s3.objects.get(BUCKET)!;
  const no = new TextEncoder().encode("no");
  await forEachConcurrent(Array.from({ length: 1_200 }).keys(), 16, async (i) => {
    const key = `scans/${String(i).padStart(4, "0")}.jpg`;
    await bench.store.write(key, i % 400 === 0 ? no : jpegHeader(9, i + 1));
  });
  const prepare = (...args: string[]) =>
    runProgram(
      ["prepare", "--dataset-name", "scans", "--images", `s3://${BUCKET}/scans/`, ...args],
      {
        env: bench.env,
      },
    );
  bench.s3.requests.length = 0;
  const first = await prepare();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^found +1,200$/m);
  assert.match(first.stdout, /^rows +1,197$/m);
  assert.match(first.stdout, /3 × not_image/);
  assert.deepEqual(first.events.map(({ event }) => event), ["end"]);
  const heads = bench.s3.requests.filter(({ key }) => key.startsWith("scans/"));
  assert.equal(heads.length, 1_200, "one small read an image");

  const refused = await prepare();
  assert.equal(refused.code, 7);
  assert.match(message(refused), /is there already; --replace/);

  // A night later: 3 new images. Known ones are not read, but for the 3 that are none.
  for (const name of ["0000a", "0700a", "9999"]) {
    await bench.store.write(`scans/${name}.jpg`, jpegHeader(7, 7));
  }
  bench.s3.requests.length = 0;
  const again = await prepare("--replace");
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /reused, as nothing changed +1,197$/m);
  const read = bench.s3.requests.filter(({ key }) => key.startsWith("scans/"));
  assert.equal(read.length, 6);
  assert.ok(bench.s3.requests.length < 40, `${bench.s3.requests.length} requests`);

  const args = ["--dataset-name", "scans", "--max-pages", "5", "--request-delay-ms", "0"];
  const ran = await runProgram(args, { env: bench.env });
  assert.equal(ran.code, 8, ran.stderr); // the limit; the input was understood
  assert.equal(bench.api.billedPages, 5);
  assert.ok(objects.has("reports/scans/prepared.json"));
});

Deno.test("prepare and run go from a folder of pictures to labels without AWS", async () => {
  const path = await Deno.makeTempDir();
  try {
    const pictures = openFolder(`${path}/pictures`);
    const png = await photo("image/png", 40, 30);
    await pictures.write("shop/a b.png", png);
    await pictures.write("shop/turned.png", oriented(png, 6));
    await pictures.write("notes.txt", new TextEncoder().encode("buy milk"));
    await Deno.symlink("/nowhere/x.png", `${path}/pictures/gone.png`);
    await openFolder(`${path}/elsewhere`).write("b.png", await photo("image/png", 20, 10));
    await Deno.symlink("../elsewhere", `${path}/pictures/linked`);
    const store = ["--dataset-name", "pics", "--store", `${path}/store`];
    const outside = await runProgram(["prepare", ...store, "--images", `${path}/pictures`]);
    assert.equal(outside.code, 2);
    assert.match(message(outside), /outside of the store.*--copy/);

    const images = ["--images", `${path}/pictures`, "--copy", "--convert"];
    const prepared = await runProgram(["prepare", ...store, ...images]);
    assert.equal(prepared.code, 0, prepared.stderr);
    assert.match(prepared.stdout, /brought into the store +2$/m);
    assert.match(prepared.stdout, /converted +1$/m);
    assert.match(prepared.stdout, /1 × not_found: .*\n +file:\/\/.*gone\.png: a link that leads/);
    assert.match(prepared.stdout, /1 × not_image: .*\n +file:\/\/.*notes\.txt: a text file/);

    await using api = await startUpstageServer({ answer: readAll, apiKeys: [TEST_API_KEY] });
    const env = { UPSTAGE_BASE_URL: api.url, UPSTAGE_API_KEY: TEST_API_KEY };
    const ran = await runProgram([...store, "--request-delay-ms", "0"], { env });
    assert.equal(ran.code, 0, ran.stderr);
    const { bytes } = await openFolder(`${path}/store`)
      .read("data/processed/pics_pseudo_labels.parquet");
    const labels = await queryRows(bytes, "SELECT id, image_path, width, height FROM parquet_file");
    assert.deepEqual(labels.map(({ id, width, height }) => `${id} ${width}x${height}`), [
      "linked/b.png 20x10",
      "shop/a b.png 40x30",
      "shop/turned.png 30x40",
    ]);
    assert.equal(labels[1].image_path, "images/pics/shop/a b.png");
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("prepare names nothing hostile raw, and checks its own options", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = ["--dataset-name", "x", "--store", path];
    const hostile = '\x1b[2J\r\n{"event":"end"}';
    await openFolder(path).write(`in/${hostile}`, new TextEncoder().encode("no"));
    await openFolder(path).write("in/a.jpg", jpegHeader(9, 8));
    const said = await runProgram(["prepare", ...store, "--images", "in"]);
    assert.equal(said.code, 0, said.stderr);
    assert.ok(!said.stdout.includes("\x1b") && said.stdout.includes("\\x1b[2J"), said.stdout);
    assert.deepEqual(said.events.map(({ event }) => event), ["end"]);
    const cases: [string[], RegExp][] = [
      [[], /--images .* or --from/],
      [["--images", ""], /--images is empty/],
      [["--images", "in", "--split", "a=0.5,b=0.2"], /--split must be/],
      [["--images", "in", "--id-column", "id"], /--id-column goes with --from/],
    ];
    for (const [args, says] of cases) {
      const ended = await runProgram(["prepare", ...store, ...args]);
      assert.equal(ended.code, 2, ended.stderr);
      assert.match(message(ended), says);
    }
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
