import assert from "node:assert/strict";
import { byDuckdb } from "../../dev/testing/parquet_readers.ts";
import { boxPoints } from "../geometry/polygon.ts";
import { hf } from "./hf.ts";
import type { Entry, ExportPage } from "./page.ts";

/** Writes pages and gives the files. */
async function write(pages: readonly ExportPage[]): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array[]>();
  const writer = hf.open({
    dataset: "demo",
    files: {
      write: () => Promise.reject(new Error("no short files")),
      append(name, content) {
        assert.ok(typeof content !== "string");
        files.set(name, [...files.get(name) ?? [], content.slice()]);
        return Promise.resolve();
      },
    },
  });
  for (const page of pages) await writer.page(page);
  await writer.finish();
  return new Map(
    await Promise.all(
      [...files].map(async ([name, parts]) =>
        [name, new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer())] as const
      ),
    ),
  );
}

function page(index: number, texts: readonly string[], bytes = 8): ExportPage {
  const entries = texts.map((text, at): Entry => {
    const quad = boxPoints([10.25, 20 * at, 50, 20 * at + 15]);
    const confidence = at === 1 ? null : 0.5;
    return { text, confidence, quad, ignore: at === 2, words: [{ text, confidence, quad }] };
  });
  return {
    ...{ index, id: `id-${index}`, name: `n${index}`, image: `n${index}.png`, entries },
    split: index % 2 === 0 ? "train" : "val",
    ...{ width: 100, height: 80, model: null, confidence: null, readAt: "" },
    picture: new Uint8Array(bytes).fill(index),
  };
}

Deno.test("hf: rows come back with their pictures, typed, also where the first page has no word", async () => {
  const hostile = ['a,"b"', "합계\u0000", "x\ty"];
  const files = await write([page(0, []), page(1, ["one"]), page(2, hostile)]);
  assert.deepEqual([...files.keys()].sort(), [
    "data/train-00000-of-00001.parquet",
    "data/validation-00000-of-00001.parquet",
  ]);
  const train = files.get("data/train-00000-of-00001.parquet")!;
  const rows = await byDuckdb(train, "SELECT * EXCLUDE image, image.path FROM FILE");
  assert.deepEqual(rows[0], {
    ...{ id: "id-0", width: "100", height: "80", texts: [], polygons: [], confidences: [] },
    ...{ ignored: [], path: "n0.png" },
  });
  assert.deepEqual(rows[1].texts, hostile);
  assert.deepEqual(rows[1].confidences, [0.5, null, 0.5]);
  assert.deepEqual(rows[1].ignored, [false, false, true]);
  assert.deepEqual((rows[1].polygons as number[][][])[0], [[10.25, 0], [50, 0], [50, 15], [
    10.25,
    15,
  ]]);
  const [{ hex }] = await byDuckdb(
    train,
    "SELECT hex(image.bytes) AS hex FROM FILE WHERE id = 'id-2'",
  );
  assert.equal(hex, "02".repeat(8));
  const types = await byDuckdb(train, "SELECT column_type AS t FROM (DESCRIBE SELECT * FROM FILE)");
  assert.deepEqual(types.map(({ t }) => t), [
    "STRUCT(bytes BLOB, path VARCHAR)",
    ...["VARCHAR", "BIGINT", "BIGINT", "VARCHAR[]", "DOUBLE[][][]", "DOUBLE[]", "BOOLEAN[]"],
  ]);
});

Deno.test("hf: the features that the library goes by are in the file, a type for every column", async () => {
  const [file] = (await write([page(0, ["a"])])).values();
  const query =
    "SELECT decode(value) AS v FROM parquet_kv_metadata(FILE) WHERE decode(key) = 'huggingface'";
  const [{ v }] = await byDuckdb(file, query);
  const { info: { features } } = JSON.parse(String(v));
  assert.deepEqual(features.image, { _type: "Image" });
  assert.deepEqual(features.texts, {
    feature: { dtype: "string", _type: "Value" },
    _type: "Sequence",
  });
  const columns = await byDuckdb(
    file,
    "SELECT column_name AS n FROM (DESCRIBE SELECT * FROM FILE)",
  );
  assert.deepEqual(Object.keys(features), columns.map(({ n }) => n));
});

Deno.test("hf: row groups stay small, by rows and by bytes", async () => {
  const groups = async (pages: readonly ExportPage[]) => {
    const [file] = (await write(pages)).values();
    const query = "SELECT DISTINCT row_group_id, row_group_num_rows AS n " +
      "FROM parquet_metadata(FILE) ORDER BY 1";
    return (await byDuckdb(file, query)).map(({ n }) => Number(n));
  };
  const even = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, at) => page(2 * at, ["a"], bytes));
  assert.deepEqual(await groups(even(230, 1)), [100, 100, 30]);
  assert.deepEqual(await groups(even(3, 20 << 20)), [1, 1, 1]);
});
