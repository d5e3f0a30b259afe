import assert from "node:assert/strict";
import {
  bmp,
  heicHeader,
  join,
  jpegHeader,
  oriented,
  photo,
  tiffHeader,
  webpHeader,
} from "../../dev/testing/images.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { withFile } from "../../dev/testing/parquet_readers.ts";
import { duckdb, quote, type Row } from "../../dev/testing/duckdb.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { openInput } from "../dataset/input.ts";
import { readHeader } from "../image/header.ts";
import { decodePng } from "../image/png.ts";
import { memorySource } from "../parquet/source.ts";
import type { PreparedDocument } from "../state/documents.ts";
import type { Store } from "../store/store.ts";
import { prepare, type PrepareWishes } from "./prepare.ts";
import { PrepareTally } from "./tally.ts";

const INPUT = "data/processed/demo.parquet";

class Bench {
  readonly store = new MemoryStore("s3://own");
  readonly other = new MemoryStore("s3://other");
  readonly notes: string[] = [];
  readonly stop = new AbortController();
  clock: Clock = systemClock;

  prepare(wishes: Partial<PrepareWishes>, store: Store = this.store): Promise<PreparedDocument> {
    return prepare({
      settings: settingsOf(["--dataset-name", "demo", "--lease-seconds", "1"]),
      wishes: {
        ...{ images: undefined, from: undefined, idColumn: undefined, imageColumn: undefined },
        ...{ split: undefined, copy: false, convert: false, replace: false },
        ...wishes,
      },
      store,
      images: { local: store, bucket: () => this.other },
      tally: new PrepareTally(),
      note: (message) => this.notes.push(message),
      stop: this.stop.signal,
      giveUp: new AbortController().signal,
      clock: this.clock,
      random: () => 0,
      owner: "a test",
      holder: crypto.randomUUID(),
    });
  }

  async rows(columns = "*"): Promise<Row[]> {
    return await withFile(
      this.store.objects.get(INPUT)!,
      (path) => duckdb(`SELECT ${columns} FROM ${quote(path)}`),
    );
  }

  async refusal(wishes: Partial<PrepareWishes>): Promise<[string, string]> {
    const error = await this.prepare(wishes).then(() => undefined, (error) => error);
    assert.ok(error instanceof RunError, String(error));
    return [error.exit, error.message];
  }
}

/** A bucket with an image of every kind, and much that is none. */
async function mixed(store: MemoryStore): Promise<void> {
  store.put("in/", "");
  store.put("in/a.jpg", oriented(await photo("image/jpeg", 40, 30), 6));
  store.put("in/b/a.jpg", await photo("image/png", 20, 10)); // a PNG, whatever its name says
  store.put("in/b/한글 x.bmp", bmp(6, 4));
  store.put("in/c.heic", heicHeader(40, 30));
  store.put("in/d.tif", tiffHeader([[[256, 9], [257, 8]]], { padding: 20_000 }));
  store.put("in/e.tif", tiffHeader([[[256, 9], [257, 8]], [[256, 9], [257, 8]]]));
  store.put("in/f.webp", webpHeader(9, 8));
  store.put("in/g.jpg", "<html>404");
  store.put("in/h.jpg", "");
  store.put("in/i.pdf", "%PDF-1.7 …");
  store.put("in/j.jpg", jpegHeader(0, 9));
  store.put("in/k.jpg", join(jpegHeader(9, 9), new Uint8Array(52_428_800)));
  store.put("in2/z.jpg", jpegHeader(9, 9));
}

Deno.test("prepare() makes a row of every image by its content, and says what it left out and why", async () => {
  const bench = new Bench();
  await mixed(bench.store);
  const document = await bench.prepare({ images: "in", split: "b=b/*,rest=*" });
  assert.deepEqual([document.found, document.taken], [12, 5]);
  assert.deepEqual(
    Object.fromEntries(
      Object.entries(document.skipped).map((
        [reason, { examples }],
      ) => [reason, examples.map(({ address }) => address).join()]),
    ),
    {
      several_pages: "in/e.tif",
      type_not_taken: "in/f.webp",
      not_image: "in/g.jpg",
      empty: "in/h.jpg",
      document: "in/i.pdf",
      damaged: "in/j.jpg",
      too_large: "in/k.jpg",
    },
  );
  const columns = "id, image_path, image_filename, width, height, orientation, media_type, split";
  assert.deepEqual((await bench.rows(columns)).map((row) => Object.values(row).join(" ")), [
    "a.jpg in/a.jpg a.jpg 40 30 6 image/jpeg rest",
    "b/a.jpg in/b/a.jpg a.jpg 20 10 1 image/png b",
    "b/한글 x.bmp in/b/한글 x.bmp 한글 x.bmp 6 4 1 image/bmp b",
    "c.heic in/c.heic c.heic 40 30 1 image/heic rest",
    "d.tif in/d.tif d.tif 9 8 1 image/tiff rest",
  ]);
  // What is said is kept, and a run reads what is written.
  const kept = JSON.parse(
    new TextDecoder().decode(bench.store.objects.get("reports/demo/prepared.json")),
  );
  assert.deepEqual(kept, JSON.parse(JSON.stringify(document)));
  const input = await openInput(memorySource(INPUT, bench.store.objects.get(INPUT)!));
  assert.equal(input.rows, 5);
  for await (const row of input.read([[0, 5]])) assert.ok(row.width! > 0 && row.image_path);
});

Deno.test("prepare() keeps every id when images come and go, and replaces only when told to", async () => {
  const bench = new Bench();
  for (const name of ["b", "d", "f"]) bench.store.put(`in/${name}.jpg`, jpegHeader(9, 8));
  await bench.prepare({ images: "in/", split: "x=0.5,y=0.5" });
  const before = await bench.rows("id, split");
  assert.deepEqual(await bench.refusal({ images: "in" }), [
    "conflict",
    "s3://own/data/processed/demo.parquet is there already; --replace makes it anew (answers " +
    "that were paid for are kept)",
  ]);
  bench.store.put("in/a.jpg", jpegHeader(7, 7));
  bench.store.objects.delete("in/d.jpg");
  await bench.prepare({ images: "in/", split: "x=0.5,y=0.5", replace: true });
  const after = await bench.rows("id, split");
  assert.deepEqual(after.map(({ id }) => id).sort(), ["a.jpg", "b.jpg", "f.jpg"]);
  for (const row of after.filter(({ id }) => id !== "a.jpg")) {
    assert.deepEqual(row, before.find(({ id }) => id === row.id));
  }
});

Deno.test("prepare() again reads only what is new or changed", async () => {
  const bench = new Bench();
  const key = (i: number) => `in/${String(i).padStart(4, "0")}.jpg`;
  for (let i = 0; i < 500; i += 2) bench.store.put(key(i), jpegHeader(9, i + 1));
  const wishes = { images: "in", split: "x=0.5,y=0.5" };
  const first = await bench.prepare(wishes);
  assert.deepEqual([first.taken, first.reused], [250, 0]);

  const all = new Map(bench.store.objects);
  all.set(key(101), jpegHeader(9, 9_999));
  all.set(key(104), jpegHeader(9, 9_999));
  all.delete(key(106));
  bench.store.objects.clear(); // a store lists in the order of keys
  for (const name of [...all.keys()].sort()) bench.store.put(name, all.get(name)!);
  const read: string[] = [];
  bench.store.before = (operation, key) => {
    if (operation === "read" && key.startsWith("in/")) read.push(key);
  };
  const again = await bench.prepare({ ...wishes, replace: true });
  assert.deepEqual([again.taken, again.reused, again.found], [250, 248, 250]);
  assert.deepEqual(read, [key(101), key(104)]);
  const rows = await bench.rows("id, height");
  assert.deepEqual(rows.filter(({ height }) => height === "9999").length, 2);
  // Other wishes make other rows.
  read.length = 0;
  const other = await bench.prepare({ ...wishes, split: "x=0.9,y=0.1", replace: true });
  assert.deepEqual([other.reused, read.length], [0, 250]);
});

Deno.test("prepare() gives rows away as it goes, and looks at few images at once", async () => {
  const bench = new Bench();
  const image = jpegHeader(9, 8);
  for (let i = 0; i < 25_000; i++) bench.store.objects.set(`in/${i}.jpg`, image);
  let [now, most, read, readAtFirstPart] = [0, 0, 0, 0];
  const { store } = bench;
  const counting: Store = {
    url: store.url,
    async read(key, options) {
      most = Math.max(most, ++now);
      try {
        return await store.read(key, options);
      } finally {
        now--;
        read++;
      }
    },
    stat: (key) => store.stat(key),
    write: (key, bytes, options) => store.write(key, bytes, options),
    list: (prefix) => store.list(prefix),
    remove: (key) => store.remove(key),
    removeAll: (keys) => store.removeAll(keys),
    async writeParts(key, parts) {
      async function* watched() {
        for await (const part of parts) {
          readAtFirstPart ||= read;
          yield part;
        }
      }
      return await store.writeParts(key, watched());
    },
  };
  assert.equal((await bench.prepare({ images: "in" }, counting)).taken, 25_000);
  assert.ok(most <= 32, `${most} at once`);
  assert.ok(readAtFirstPart > 9_900 && readAtFirstPart < 21_000, `${readAtFirstPart} before it`);
});

Deno.test("prepare() converts what is turned and what the engine does not take, and keeps where it was", async () => {
  const bench = new Bench();
  const png = oriented(await photo("image/png", 40, 30), 6);
  bench.store.put("in/a.png", png);
  bench.store.put("in/b.jpg", oriented(await photo("image/jpeg", 40, 30), 3));
  bench.store.put("in/c.jpg", oriented(jpegHeader(40, 30), 8)); // nothing behind the header
  bench.store.put("in/d.jpg", await photo("image/jpeg", 40, 30));
  bench.store.put("in/e.webp", webpHeader(9, 8)); // likewise
  bench.store.put("in/f.webp", await photo("image/webp", 40, 30));
  const gif = "R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==";
  bench.store.put("in/g.gif", Uint8Array.fromBase64(gif));
  const document = await bench.prepare({ images: "in", convert: true });
  assert.deepEqual([document.taken, document.converted], [6, 4]);
  assert.equal(document.media_types["image/png"], 3);
  assert.equal(document.skipped.not_decodable.count, 1);
  assert.equal(Object.values(document.not_converted).reduce((a, b) => a + b), 1);
  const columns = "id, width, height, orientation, image_path, original_path";
  const [a, b, c, d] = await bench.rows(columns);
  assert.deepEqual([a.width, a.height, a.orientation, a.original_path], [
    "30",
    "40",
    "1",
    "in/a.png",
  ]);
  assert.deepEqual([b.width, b.height, b.orientation, b.original_path], [
    "40",
    "30",
    "1",
    "in/b.jpg",
  ]);
  assert.deepEqual([c.orientation, c.image_path, d.image_path], ["8", "in/c.jpg", "in/d.jpg"]);
  // The black corner is at the top left as stored; turned a quarter clockwise, at the top right.
  const { data, channels } = decodePng(
    bench.store.objects.get(a.image_path as string)!,
    { maxPixels: 1e4 },
  );
  assert.deepEqual([data[0], data[29 * channels]], [255, 0]);
  const upright = bench.store.objects.get(b.image_path as string)!;
  const { header } = await readHeader((from, to) => Promise.resolve(upright.subarray(from, to)));
  assert.deepEqual([header?.type, header?.orientation], ["image/jpeg", 1]);
  assert.deepEqual(bench.store.objects.get("in/a.png"), png, "the original is as it was");
  // Converted copies are no images of their own when the whole store is listed.
  const whole = await bench.prepare({ images: "s3://own/", convert: true, replace: true });
  assert.equal(whole.found, 7);
});

Deno.test("prepare() brings what lies elsewhere into the store, and never over something else", async () => {
  const bench = new Bench();
  const image = await photo("image/png", 40, 30);
  bench.other.put("x/a.png", image);
  bench.other.put("x/deep/b.png", await photo("image/png", 40, 30, 1));
  assert.equal((await bench.prepare({ images: "s3://other/x" })).copied, 0);
  assert.equal((await bench.rows("image_path"))[0].image_path, "s3://other/x/a.png");

  const copied = await bench.prepare({ images: "s3://other/x/", copy: true, replace: true });
  assert.equal(copied.copied, 2);
  const [row] = await bench.rows("id, image_path, original_path");
  assert.deepEqual(row, {
    id: "a.png",
    image_path: "images/demo/a.png",
    original_path: "s3://other/x/a.png",
  });
  assert.deepEqual(bench.store.objects.get("images/demo/a.png"), image);

  bench.store.objects.delete(INPUT);
  bench.store.put("images/demo/a.png", "something else");
  const write = bench.store.write.bind(bench.store);
  bench.store.write = (key, bytes) => write(key, bytes); // an old server: conditions mean nothing
  const [exit, message] = await bench.refusal({ images: "s3://other/x", copy: true });
  assert.equal(exit, "conflict");
  assert.match(message, /images\/demo\/a\.png is there already.*--replace$/);
  await bench.prepare({ images: "s3://other/x", copy: true, replace: true });
  assert.deepEqual(bench.store.objects.get("images/demo/a.png"), image);
});

Deno.test("prepare() takes an input as a table, and ends where the store can't be written to", async () => {
  const bench = new Bench();
  bench.store.put("in/a.jpg", jpegHeader(9, 8));
  bench.store.put("data/processed/old.csv", "id,image_path\n7,in/a.jpg\n");
  await bench.prepare({ from: "data/processed/old.csv" });
  assert.deepEqual((await bench.rows("id, width, image_path"))[0], {
    id: "7",
    width: "9",
    image_path: "in/a.jpg",
  });
  bench.other.put("x/a.jpg", jpegHeader(9, 8));
  bench.other.put(`x/${"ü".repeat(300)}.jpg`, jpegHeader(9, 7));
  await bench.prepare({ images: "s3://other/x", copy: true, replace: true });
  const keys = [...bench.store.objects.keys()].filter((key) => key.startsWith("images/"));
  assert.deepEqual(keys.length, 2);
  assert.ok(keys.every((key) => key.length < 120), "a name that no disk takes is not kept");
  bench.store.objects.delete(INPUT);
  bench.store.objects.delete("images/demo/a.jpg");
  bench.store.before = (operation, key) => {
    if (operation === "write" && key.startsWith("images/")) {
      throw new StoreError("denied", `Cannot write s3://own/${key}: 403 AccessDenied`);
    }
  };
  const refusal = await bench.refusal({ images: "s3://other/x", copy: true, replace: true });
  assert.deepEqual(refusal, ["store", "Cannot write s3://own/images/demo/a.jpg: 403 AccessDenied"]);
});

Deno.test("prepare() takes rows of a table in their order, each id once, from everywhere", async () => {
  const folder = await Deno.makeTempDir();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      new URL(request.url).pathname === "/a.png"
        ? new Response(await photo("image/png", 12, 10))
        : new Response("no", { status: 404 }),
  );
  const web = `http://127.0.0.1:${server.addr.port}`;
  try {
    const bench = new Bench();
    await Deno.writeFile(`${folder}/l.png`, await photo("image/png", 14, 10));
    bench.store.put("t/pics/r.png", await photo("image/png", 16, 10));
    bench.other.put("o.png", await photo("image/png", 18, 10));
    const table = [
      { id: 1, image: `${web}/a.png?X-Amz-Signature=secret`, split: "train" },
      { id: 2, image: "./pics/r.png", metadata: { shop: "GS25" } },
      { id: 3, image: "s3://other/o.png" },
      { id: 4, image: `${folder}/l.png` },
      { id: 4, image: "pics/r.png" },
      { id: 5, image: "../x.png" },
      { id: 6, image: `${web}/gone.png` },
      { id: 7, image: "http://example.org/a.png" },
      { image: "pics/r.png" },
      { id: 8 },
      { id: 9, image: "pics/none.png" },
    ];
    bench.store.put("t/t.jsonl", table.map((row) => JSON.stringify(row)).join("\n"));
    const near = await bench.prepare({ from: "t/t.jsonl" });
    assert.deepEqual([near.taken, near.skipped.outside_store.count], [2, 3]);

    const document = await bench.prepare({ from: "t/t.jsonl", copy: true, replace: true });
    const counts = Object.entries(document.skipped).map(([why, { count }]) => `${why} ${count}`);
    assert.deepEqual(counts.sort(), [
      "bad_address 2",
      "duplicate_id 1",
      "no_id 1",
      "no_image 1",
      "not_fetched 1",
      "not_found 1",
    ]);
    const rows = await bench.rows("id, width, split, image_path, original_path, metadata");
    assert.deepEqual(rows.map(({ id, width }) => `${id} ${width}`), [
      "1 12",
      "2 16",
      "3 18",
      "4 14",
    ]);
    assert.deepEqual(rows[1].metadata, '{"shop":"GS25"}');
    assert.equal(rows[0].split, "train");
    assert.ok(!JSON.stringify(rows).includes("secret"), "a signature is in the data set");
    assert.ok(!JSON.stringify(document).includes("secret"), "a signature is in the report");
    for (const { image_path } of rows) {
      assert.ok(bench.store.objects.has(image_path as string), image_path as string);
    }
    // What was fetched before is there, whatever has become of its address.
    await server.shutdown();
    const again = await bench.prepare({ from: "t/t.jsonl", copy: true, replace: true });
    assert.equal(again.taken, 4);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("prepare() refuses what leads nowhere, says what was meant, and writes no input", async () => {
  const bench = new Bench();
  bench.store.put("in/a.txt", "text");
  bench.store.put("in/b.txt", "");
  const cases: [Partial<PrepareWishes>, string, RegExp][] = [
    [{}, "usage", /--images .* or --from .* is required/],
    [{ images: "a\nb" }, "input", /^there is nothing at s3:\/\/own\/a\\nb;/],
    [{ images: "nothing" }, "input", /nothing at s3:\/\/own\/nothing; .*'\.\/nothing'/],
    [{ images: "./lib" }, "usage", /outside of the store.*--copy/],
    [{ images: "gs://x/y" }, "usage", /--images must be a folder/],
    [{ images: "a/../b" }, "usage", /--images must be a key without/],
    [{ images: "in" }, "input", /no image at s3:\/\/own\/in can be taken: 1 × is no image.*a\.txt/],
  ];
  for (const [wishes, exit, message] of cases) {
    const refusal = await bench.refusal(wishes);
    assert.equal(refusal[0], exit, refusal[1]);
    assert.match(refusal[1], message);
  }
  assert.ok(!bench.store.objects.has(INPUT));
  assert.ok(bench.store.objects.has("reports/demo/prepared.json"), "why is kept");
});

Deno.test("prepare() replaces no input while somebody works on it, and none that appeared meanwhile", async () => {
  const bench = new Bench();
  bench.store.put("in/a.jpg", jpegHeader(9, 8));
  bench.store.before = (operation, key) => {
    if (operation === "read" && key === "in/a.jpg") bench.store.put(INPUT, "another's");
  };
  assert.equal((await bench.refusal({ images: "in" }))[0], "conflict");
  assert.deepEqual(bench.store.objects.get(INPUT), new TextEncoder().encode("another's"));

  bench.store.before = () => {};
  let now = 1_795_000_000_000;
  bench.clock = { now: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) };
  const lease = {
    ...{ format: "pseudolabel-lease/1", holder: "h", owner: "a run", generation: 1 },
    ...{ ttl_ms: 1_000, acquired_at: "2026-11-26T00:00:00Z", released: false },
  };
  let renewals = 0;
  bench.store.before = (operation, key) => {
    if (operation !== "read" || !key.endsWith("lease.json")) return;
    const renewed_at = new Date(1_795_000_000_000 + renewals++ * 1_000).toISOString();
    bench.store.put(key, JSON.stringify({ ...lease, renewed_at }));
  };
  bench.store.put(
    "checkpoints/demo/lease.json",
    JSON.stringify({ ...lease, renewed_at: lease.acquired_at }),
  );
  const [exit, message] = await bench.refusal({ images: "in", replace: true });
  assert.equal(exit, "conflict");
  assert.match(message, /a run/);
});

Deno.test("prepare() that is stopped writes no input", async () => {
  const bench = new Bench();
  for (let i = 0; i < 200; i++) bench.store.put(`in/${i}.jpg`, jpegHeader(9, 8));
  const reason = new Error("stopped");
  let reads = 0;
  bench.store.before = (operation) => {
    if (operation === "read" && ++reads === 100) bench.stop.abort(reason);
  };
  await assert.rejects(bench.prepare({ images: "in" }), reason);
  assert.ok(!bench.store.objects.has(INPUT));
});
