import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { DoubleObject } from "../../dev/doubles/s3/types.ts";
import { BUCKET, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, fakeImage, queryRows, readFake } from "../../dev/testing/fixtures.ts";
import { runProgram, startProgram } from "../../dev/testing/program.ts";
import { okRow } from "../../dev/testing/any_row.ts";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { systemClock } from "../base/clock.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import { RowKeys } from "../dataset/row_keys.ts";
import type { InputRow } from "../dataset/row.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { writeDocument } from "../state/document.ts";
import type { CheckpointFooter } from "../state/documents.ts";
import { finish } from "../state/finish.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { nothingSpent } from "../state/ledger.ts";
import { countRow, noRows } from "../state/row_counts.ts";

const INPUT = "data/processed/demo.parquet";
/** Of a data set that is long for its tests, and quick to make: images repeat. */
const LONG = { rows: 2_000, images: 25, batch: 200 };

type Bench = Awaited<ReturnType<typeof openBench>>;

/** Puts an image into its place, without a request. */
async function put(bench: Bench, path: string, name: string): Promise<void> {
  await bench.store.write(path.replace(`s3://${BUCKET}/`, ""), fakeImage(name));
}

async function replaceInput(bench: Bench, all: readonly InputRow[]): Promise<void> {
  const numbered = all.map((row, index) => ({ ...row, index }));
  await bench.store.write(INPUT, await encodeInput(numbered));
}

Deno.test("a growth takes requests by the hundred rows, reads no old image and no old answer", async () => {
  const all = rows(LONG.rows + 20);
  await using bench = await openBench(all.slice(0, 1));
  const grow = async (from: number, to: number) => {
    const objects = bench.s3.objects.get(BUCKET)!;
    for (let n = from; n < to; n++) {
      const name = n < LONG.rows ? `image ${n % LONG.images}` : `new ${n}`;
      const path = `images/${n}.png`;
      const same = n < LONG.rows && objects.get(`images/${n - LONG.images}.png`);
      if (same) objects.set(path, same);
      else await put(bench, path, name);
    }
    await replaceInput(bench, all.slice(0, to));
    if (from > 0) {
      const planned = await runProgram(["plan", "--dataset-name", "demo", "--json"], bench);
      const { rows, pages, notes } = JSON.parse(planned.stdout);
      assert.deepEqual([rows.done, rows.to_do, pages.at_most], [from, to - from, to - from]);
      assert.match(notes[0], /^the input has changed: 2,000 of 2,020 rows are taken over/);
      const writes = ({ method }: { method: string }) => method !== "GET" && method !== "HEAD";
      assert.deepEqual(bench.s3.requests.slice(-10).filter(writes), []);
    }
    bench.s3.requests.length = 0;
    // The later option counts.
    return await bench.run(["--batch-size", `${LONG.batch}`, "--rate", "1000"]);
  };
  const first = await grow(0, LONG.rows);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(bench.api.billedPages, LONG.images);
  const grown = await grow(LONG.rows, LONG.rows + 20);
  assert.equal(grown.code, 0, grown.stderr);
  assert.equal(bench.api.billedPages, LONG.images + 20);
  const made = bench.s3.requests.map(({ method, key, query }) => `${method} ${key}${query}`);
  const of = (pattern: RegExp) => made.filter((request) => pattern.test(request)).length;
  assert.equal(of(/^GET images\/\d/), 20, "old images were read");
  assert.equal(of(/^HEAD images\//), 0);
  assert.equal(of(/prefix=images%2F/), Math.ceil((LONG.rows + 20) / 1_000), "pages of a listing");
  assert.equal(of(/^(GET|HEAD) responses\//), 20, "old answers were read");
  // Old batches: footer, rows. New ones: written, joined; the last is looked at, the others together.
  // One request removes the old ones.
  const batches = LONG.rows / LONG.batch;
  assert.ok(
    of(/batch_/) <= 4 * (batches + 1) + 2,
    made.filter((each) => /batch_/.test(each)).join(),
  );
  assert.ok(made.length - of(/responses|images/) <= 4 * (batches + 1) + 32, made.join("\n"));
  assert.equal((await bench.run(["verify", "--batch-size", "200"])).code, 0);
});

Deno.test("a growth that is killed as it begins, removes or marks goes on, and pays for nothing again", async () => {
  const moments = [
    /^PUT checkpoints\/demo\/manifest\.json/,
    /^POST $/, // the earlier batches, removed together
    /^PUT checkpoints\/demo\/result\.json/,
  ];
  const all = rows(10);
  await using bench = await openBench(all.slice(0, 8));
  for (const { image_path } of all.slice(8)) await put(bench, image_path, image_path);
  assert.equal((await bench.run()).code, 0);
  const objects = bench.s3.objects.get(BUCKET)!;
  const before = new Map(objects);
  const grown = [...all.slice(1, 4), ...all.slice(8), ...all.slice(4, 8)];
  for (const moment of moments) {
    objects.clear();
    for (const [key, object] of before) objects.set(key, object);
    await replaceInput(bench, grown);
    const paid = bench.api.billedPages;
    const program = startProgram(
      ["--dataset-name", "demo", "--lease-seconds", "2", "--concurrency", "1"],
      { env: bench.env },
    );
    let killed = false;
    bench.s3.fault = ({ method, key }) => {
      if (!killed && moment.test(`${method} ${key}`)) {
        killed = true;
        program.kill("SIGKILL");
      }
      return killed ? "reset" : undefined;
    };
    const { code } = await program.ended;
    bench.s3.fault = undefined;
    assert.equal(code, 137, `it was not killed at ${moment}`);
    const healed = await bench.run();
    assert.equal(healed.code, 0, `${moment}: ${healed.stderr}`);
    assert.equal(bench.api.billedPages, paid + 2, String(moment));
    const { bytes } = await bench.store.read(OUTPUT);
    const output = await queryRows(bytes, "SELECT id FROM parquet_file");
    assert.deepEqual(output.map(({ id }) => id), grown.map(({ id }) => id));
    const verified = await bench.run(["verify"]);
    assert.equal(verified.code, 0, `${moment}: ${verified.stdout}`);
    const left = [...objects.keys()].filter((key) => /batch_\d/.test(key));
    assert.ok(left.every((key) => key.startsWith("checkpoints/demo/gen2/")), left.join());
    // Each moment finds the answers of the new rows unpaid.
    for (const key of [...objects.keys()]) if (!before.has(key)) objects.delete(key);
  }
});

Deno.test("images whose folder can't be listed are looked up one by one, and not read", async () => {
  const all = rows(9);
  await using bench = await openBench(all);
  await put(bench, all[8].image_path, "new");
  await replaceInput(bench, all.slice(0, 8));
  assert.equal((await bench.run()).code, 0);
  await replaceInput(bench, all);
  await put(bench, all[3].image_path, "changed");
  bench.s3.requests.length = 0;
  bench.s3.fault = ({ method, key, query }) =>
    method === "GET" && key === "" && query.get("prefix") === "images/"
      ? { status: 403, code: "AccessDenied" }
      : undefined;
  const grown = await bench.run();
  assert.equal(grown.code, 0, grown.stderr);
  assert.equal(bench.api.billedPages, 10);
  assert.match(grown.stderr, /looked up one by one, as they can't be compared by a listing: /);
  assert.match(grown.stderr, /: 7 of 9 rows are taken over, 1 is new, 1 has an image that/);
  const times = (of: string) =>
    bench.s3.requests.filter(({ method, key }) => method === of && /^images\/./.test(key)).length;
  assert.deepEqual([times("HEAD"), times("GET")], [8, 2]);
});

/**
 * A data set that grows by a night: of as many batches as 100,000 rows have, which are shorter, so
 * that it is made in seconds. What 100,000 rows take beside is 90 pages of a listing.
 */
const NIGHT = { rows: 10_000, new: 500, batch: 50, folders: 10 };
const PAGES_LESS = (100_000 - NIGHT.rows) / 1_000;

/** Leaves behind what a finished run leaves, without making it: that would take long. */
async function leaveFinished(bench: Bench, all: readonly InputRow[]): Promise<void> {
  const objects = bench.s3.objects.get(BUCKET)!;
  const { store } = bench;
  await replaceInput(bench, all);
  const { etag, size } = (await store.stat(INPUT))!;
  const input = { url: `${store.url}/${INPUT}`, etag, bytes: size, rows: all.length };
  const manifest = manifestOf({ run_id: "first", input, batch_size: NIGHT.batch });
  const keys = new CheckpointKeys("checkpoints/", "demo");
  await writeDocument(store, keys.manifest, manifest);
  const checkpoints = new Checkpoints(store, keys, manifest);
  await put(bench, "images/any.png", "any");
  const image = objects.get("images/any.png")!;
  const sha256 = createHash("sha256").update(image.bytes).digest("hex");
  const modified = Math.floor(image.modified.getTime() / 1_000) * 1_000;
  const mark = { etag: image.etag, modified, bytes: image.bytes.length, sha256, payer: null };
  const done = new Map<number, CheckpointFooter>();
  for (let start = 0; start < all.length; start += NIGHT.batch) {
    const rows = all.slice(start, start + NIGHT.batch);
    const encoder = new RowEncoder();
    const kept = new RowKeys(rows.length);
    const counts = noRows();
    for (const [at, { id, image_path, image_filename, split }] of rows.entries()) {
      objects.set(image_path.replace(`s3://${BUCKET}/`, ""), image);
      const made = okRow(start + at, 0);
      const metadata = { ...made.metadata, image_sha256: sha256, image_bytes: image.bytes.length };
      const row = { ...made, id, image_path, image_filename, split, metadata };
      await encoder.add(row);
      countRow(counts, row);
      kept.set(at, row);
    }
    const batch = start / NIGHT.batch;
    const images = { marks: rows.map(() => mark), keys: kept };
    done.set(batch, await checkpoints.save(batch, encoder, counts, nothingSpent(), images));
  }
  const { signal } = new AbortController();
  await finish(store, keys, checkpoints, done, OUTPUT, systemClock, signal);
}

Deno.test("200 batches that gain 500 rows take hundreds of requests beside those for the new ones", async () => {
  const all = rows(NIGHT.rows + NIGHT.new).map((row, n) => {
    const image_path = `s3://${BUCKET}/images/${n % NIGHT.folders}/${n}.png`;
    return { ...row, image_path };
  });
  await using bench = await openBench(all.slice(0, 1));
  await leaveFinished(bench, all.slice(0, NIGHT.rows));
  for (const { image_path } of all.slice(NIGHT.rows)) await put(bench, image_path, image_path);
  await replaceInput(bench, all);
  bench.s3.requests.length = 0;
  const args = "--dataset-name demo --rate 1000 --concurrency 20".split(" ");
  const { code, stderr } = await runProgram(args, { ...bench, timeoutMs: 280_000 });
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /the input has changed: 10,000 of 10,500 rows are taken over, 500 are new/,
  );
  assert.equal(bench.api.billedPages, NIGHT.new);
  const made = bench.s3.requests.map(({ method, key, query }) => `${method} ${key}${query}`);
  // Of the new rows, and by the clock.
  const besides = / (responses|claims)\/|GET images\/|(spending|lease|heartbeat)\.json/;
  const others = made.filter((each) => !besides.test(each));
  assert.equal(made.filter((each) => each.startsWith("GET images/")).length, NIGHT.new);
  assert.ok(others.length + PAGES_LESS <= 600, others.join("\n"));
  // A look whether images have changed, where nothing is left to do, takes less.
  bench.s3.requests.length = 0;
  const again = await runProgram(args, bench);
  assert.match(again.stdout, /^Nothing to do: the output is complete already/);
  assert.ok(bench.s3.requests.length <= 80, `${bench.s3.requests.length}`);
});

Deno.test("a store whose ETags don't follow the content gives nobody another image's labels, and costs nothing twice", async () => {
  const all = rows(6);
  await using bench = await openBench(all);
  const objects = bench.s3.objects.get(BUCKET)!;
  const change = (n: number, to: Partial<DoubleObject>) => {
    const key = `images/${n}.png`;
    objects.set(key, { ...objects.get(key)!, ...to });
  };
  for (let n = 0; n < 6; n++) change(n, { etag: "constant" });
  assert.equal((await bench.run()).code, 0);
  const later = new Date(Date.now() + 5_000);
  // Another image of the same length under the same ETag.
  change(2, { bytes: fakeImage("another"), modified: later });
  const replaced = await bench.run();
  assert.match(replaced.stderr, /1 row has an image that was replaced since it was read/);
  assert.equal(bench.api.billedPages, 7);
  const { bytes } = await bench.store.read(OUTPUT);
  const [{ texts }] = await queryRows(bytes, "SELECT texts FROM parquet_file WHERE id = 'row-2'");
  assert.deepEqual(texts, readFake(fakeImage("another")).words.map(({ text }) => text));
  // Uploaded again as they are, in parts, say: other ETags, and the same content.
  for (let n = 0; n < 6; n++) change(n, { etag: `parts-${n}-2`, modified: later });
  const again = await bench.run();
  assert.match(again.stderr, /6 rows have an image that the store calls another version, and 6/);
  await replaceInput(bench, all.slice(1));
  const grown = await bench.run();
  assert.match(grown.stderr, /0 of 5 rows are taken over, 5 have images that changed, 1 was/);
  assert.equal(bench.api.billedPages, 7, "an image was paid for again");
  assert.equal((await bench.run(["verify"])).code, 0);
});
