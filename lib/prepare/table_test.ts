import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { writtenByDuckdb } from "../../dev/testing/parquet_readers.ts";
import { RunError } from "../base/errors.ts";
import { findPlace } from "./place.ts";
import { findParts } from "./table.ts";
import type { TableRow } from "./table_part.ts";

const never = new AbortController().signal;

/** All rows of a table, of each what it holds of these columns, and where. */
async function read(store: MemoryStore, key: string, ...columns: string[]): Promise<unknown[]> {
  const place = findPlace(key, "--from", { store, images: {}, wrap: (store) => store });
  const rows: TableRow[] = [];
  for (const part of await findParts(place, never)) {
    const opened = await part.open(never);
    for await (const row of opened.rows(new Set(columns))) rows.push(row);
  }
  return rows.map(({ values, at }) => [...columns.map((name) => values.get(name)), at]);
}

async function refusal(content: string | Uint8Array<ArrayBuffer>, key: string): Promise<string> {
  const store = new MemoryStore();
  store.put(key, content);
  const error = await read(store, key, "image").then(() => undefined, (error) => error);
  assert.ok(error instanceof RunError, String(error));
  assert.equal(error.exit, "input");
  assert.ok(error.message.length < 600, "one or two lines");
  return error.message;
}

Deno.test("a CSV is read as spreadsheets write it: quotes, line ends, marks, delimiters", async () => {
  const store = new MemoryStore();
  store.put("a.csv", '\ufeffid,image,note\r\n1,"a, b.png","x ""y""\nz"\r\n\r\n2,b.png,\r\n');
  assert.deepEqual(await read(store, "a.csv", "id", "image", "note"), [
    ["1", "a, b.png", 'x "y"\nz', "line 3"],
    ["2", "b.png", null, "line 5"],
  ]);
  store.put("b.tsv", "id\timage\n1\ta;b,c.png");
  assert.deepEqual(await read(store, "b.tsv", "image", "none"), [[
    "a;b,c.png",
    undefined,
    "line 2",
  ]]);
  store.put("c.csv", '"id, the";image\n1;a,b.png\n');
  assert.deepEqual(await read(store, "c.csv", "image"), [["a,b.png", "line 2"]]);
  const wide = Uint8Array.from("\ufeffimage\na\u00e9.png\n", (c) => c.charCodeAt(0) & 255);
  const utf16 = new Uint8Array(wide.length * 2);
  [..."\ufeffimage\na\u00e9.png\n"].forEach((c, i) => {
    utf16.set([c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8], 2 * i);
  });
  store.put("d.csv", utf16);
  assert.deepEqual(await read(store, "d.csv", "image"), [["aé.png", "line 2"]]);
  store.put("e.csv.gz", new Uint8Array(gzipSync("image\nx.png\n")));
  assert.deepEqual(await read(store, "e.csv.gz", "image"), [["x.png", "line 2"]]);
});

Deno.test("a CSV that makes no sense is refused with its line", async () => {
  assert.match(await refusal('image\n"a\nb\n', "a.csv"), /no sound CSV: Quote Not Closed/);
  assert.match(await refusal("image,b\n1\n", "a.csv"), /no sound CSV: .*line 2/);
  assert.match(await refusal('image\n"' + "x".repeat(5 << 20), "a.csv"), /no sound CSV/);
  assert.match(
    await refusal(Uint8Array.of(105, 10, 0xff, 0xfe, 0xfd), "a.csv"),
    /no text in UTF-8/,
  );
  assert.match(await refusal("no gzip", "a.csv.gz"), /no sound gzip/);
  assert.match(await refusal("", "a.csv"), /is empty/);
});

Deno.test("JSON lines are read a line at a time, and refused with the line", async () => {
  const store = new MemoryStore();
  const long = "x".repeat(3 << 20); // longer than a piece that is read
  store.put(
    "a.jsonl",
    `{"id":1,"image":"a"}\n\n{"id":2,"extra":"${long}"}\r\n{"image":{"path":"b"}}`,
  );
  assert.deepEqual(await read(store, "a.jsonl", "id", "image"), [
    [1, "a", "line 1"],
    [2, null, "line 3"],
    [null, { path: "b" }, "line 4"],
  ]);
  // Ids of more digits than a number holds keep them all.
  store.put("ids.jsonl", '{"id":12345678901234567890,"image":1.12345678901234567890}');
  assert.deepEqual(await read(store, "ids.jsonl", "id", "image"), [
    [12345678901234567890n, 1.1234567890123457, "line 1"],
  ]);
  assert.match(await refusal('{"image":"a"}\n{"image":\n', "a.jsonl"), /line 2 is no JSON/);
  assert.match(await refusal("[1]\n", "a.jsonl"), /line 1 is an array/);
  assert.match(await refusal("[\n{}\n]", "a.json"), /one JSON array.*jq/);
  assert.match(await refusal("\n\n", "a.ndjson"), /is empty/);
});

Deno.test("a Parquet table gives texts, whole numbers, UUIDs, bytes and structs as they are", async () => {
  const store = new MemoryStore();
  const uuid = "0b1e5c3e-8a55-4f5c-9d0a-0123456789ab";
  store.put(
    "a.parquet",
    await writtenByDuckdb(
      `SELECT '${uuid}'::UUID AS u, 7::BIGINT AS n, 'a'::BLOB AS raw,
        {'bytes': 'bc'::BLOB, 'path': NULL::VARCHAR} AS image, 'skipped' AS other`,
    ) as Uint8Array<ArrayBuffer>,
  );
  const [[u, n, raw, image, at]] = await read(store, "a.parquet", "u", "n", "raw", "image") as [
    unknown[],
  ];
  assert.deepEqual([u, n, at], [uuid, 7n, "row 0"]);
  assert.deepEqual(new Uint8Array(raw as Uint8Array), Uint8Array.of(97));
  const { bytes, path } = image as { bytes: Uint8Array; path: unknown };
  assert.deepEqual([new Uint8Array(bytes), path ?? null], [Uint8Array.of(98, 99), null]);
  assert.match(await refusal("PAR1 not", "b.parquet"), /no sound Parquet/);
});

Deno.test("parts of a folder are read in the order of their names, what lies beside them is not", async () => {
  const store = new MemoryStore();
  store.put("t/part-1.csv", "image\nb\n");
  store.put("t/part-0.csv", "image\na\n");
  store.put("t/_SUCCESS", "");
  store.put("t/.part-0.csv.crc", "x");
  store.put("t/_tmp/part-9.csv", "image\nz\n");
  store.put("t/images/a.png", "x");
  assert.deepEqual(await read(store, "t", "image"), [["a", "line 2"], ["b", "line 2"]]);
  assert.deepEqual(await read(store, "t/", "image"), [["a", "line 2"], ["b", "line 2"]]);
  store.put("t/more.jsonl", "{}");
  await assert.rejects(read(store, "t"), /several kinds \(CSV, JSON lines\): name one/);
  await assert.rejects(read(store, "nothing"), /no table at.*'\.\/nothing'/s);
  store.put("x.xlsx", "x");
  await assert.rejects(read(store, "x.xlsx"), /no table by its name/);
});
