import assert from "node:assert/strict";
import { message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, queryParquet, queryRows } from "../../dev/testing/fixtures.ts";

const INPUT = "data/processed/demo.parquet";

/**
 * The rows of the stage with another column, by DuckDB.
 *
 * @param columns SQL over the row number `i`.
 */
async function inputWith(columns: string, n: number): Promise<Uint8Array<ArrayBuffer>> {
  return await queryParquet(
    `SELECT 'row-' || i AS id, 's3://bench/images/' || i || '.png' AS image_path, ${columns} ` +
      `FROM range(${n}) t(i)`,
  );
}

Deno.test("whatever is wrong with a value of the last row is said before anything is paid", async () => {
  await using bench = await openBench(rows(90));
  const cases: [columns: string, message: RegExp][] = [
    ["if(i = 70, 1700.5, 1700) AS width", /row 70 .*"width": 1700\.5 is no whole number/],
    ["if(i = 89, 0.5, 1)::DECIMAL(9, 2) AS height", /row 89 .*"height": 0\.5 is no whole number/],
    ["if(i = 89, 'inf'::DOUBLE, 1) AS height", /row 89 .*"height"/],
    ["if(i = 89, 1e12, 1) AS width", /row 89 .*"width": 1000000000000 is no size in pixels/],
  ];
  for (const [columns, expected] of cases) {
    await bench.store.write(INPUT, await inputWith(columns, 90));
    const ended = await bench.run();
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(message(ended), expected);
  }
  const bytes = await inputWith("repeat('x', i::INT) AS split", 90);
  // Damage in a column that isn't needed to find images.
  bytes.fill(0xff, bytes.length - 1_400, bytes.length - 1_300);
  await bench.store.write(INPUT, bytes);
  const damaged = await bench.run();
  assert.equal(damaged.code, 3, damaged.stderr);
  assert.equal(bench.api.requests, 0);
});

Deno.test("sizes below 0 and NaN are unknown ones, and the output has the answer's", async () => {
  await using bench = await openBench(rows(3));
  const columns = "[-3, -1, 0][i + 1]::BIGINT AS width, " +
    "if(i = 1, 'NaN'::DOUBLE, -1) AS height";
  await bench.store.write(INPUT, await inputWith(columns, 3));
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  assert.doesNotMatch(ended.stdout, /differ/);
  const { bytes } = await bench.store.read(OUTPUT);
  const sizes = await queryRows(
    bytes,
    "SELECT DISTINCT width::INT w, height::INT h FROM parquet_file",
  );
  assert.deepEqual(sizes, [{ w: 300, h: 100 }]);
  assert.equal((await bench.run(["verify"])).code, 0);
});

Deno.test("widths of decimal and unsigned types are read", async () => {
  await using bench = await openBench(rows(4));
  const columns = "(300 + i)::DECIMAL(18, 5) AS width, (100 + i)::UINTEGER AS height";
  await bench.store.write(INPUT, await inputWith(columns, 4));
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^Note: in 3 rows the input's width and height differ/m);
});

Deno.test("metadata comes out of a run as it went in: exactly, or as text", async () => {
  await using bench = await openBench(rows(3));
  const metadata = "{'d': 9007199254740993::DECIMAL(18, 0), 'm': 12.50::DECIMAL(9, 2), " +
    "'t': TIMESTAMP '2026-01-02 03:04:05.123456', 'i': INTERVAL '1 day', 'a.b': i} AS metadata";
  await bench.store.write(INPUT, await inputWith(metadata, 3));
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  const output = await queryRows(
    (await bench.store.read(OUTPUT)).bytes,
    "SELECT metadata.input_metadata AS text FROM parquet_file",
  );
  const expected = (i: number) =>
    `{"d":"9007199254740993","m":12.5,"t":"2026-01-02T03:04:05.123456Z","i":"P0M1DT0S","a.b":${i}}`;
  assert.deepEqual(output.map(({ text }) => text), [0, 1, 2].map(expected));
});

Deno.test("a folder of parts, a URL or a folder for a key, and no rows each say what is the matter", async () => {
  await using bench = await openBench(rows(2));
  const part = await encodeInput(rows(1));
  for (const n of [0, 1, 2]) {
    await bench.store.write(`data/processed/spark.parquet/${n}.parquet`, part);
  }
  for (const n of [0, 1]) await bench.store.write(`data/processed/parts/${n}.parquet`, part);
  for (const [name, folder, parts] of [["spark", "spark.parquet", 3], ["parts", "parts", 2]]) {
    const ended = await bench.run(["--dataset-name", `${name}`]);
    assert.equal(ended.code, 3, ended.stderr);
    const expected = `the folder s3://bench/data/processed/${folder}/ holds ${parts} objects.\n`;
    assert.ok(message(ended).includes(expected), ended.stderr);
    assert.match(message(ended), /join the parts.*--input-s3-key/);
  }
  const url = await bench.run(["--input-s3-key", `s3://bench/${INPUT}`]);
  assert.equal(url.code, 2, url.stderr);
  assert.match(message(url), /must be the key alone, 'data\/processed\/demo\.parquet'/);
  const folder = await bench.run(["--input-s3-key", "data/processed/parts/"]);
  assert.equal(folder.code, 2, folder.stderr);
  assert.match(message(folder), /one Parquet object, not of a folder/);
  await bench.store.write(INPUT, new TextEncoder().encode("no parquet, but of some length"));
  const other = await bench.run();
  assert.equal(other.code, 3, other.stderr);
  assert.match(message(other), /\n {2}Name a Parquet object with --input-s3-key/);

  await bench.store.write(INPUT, await inputWith("1 AS width", 0));
  const empty = await bench.run();
  assert.equal(empty.code, 0, empty.stderr);
  assert.match(empty.stderr, /demo\.parquet has no rows: the output will have none either/);
});

Deno.test("a run with nothing left to do says how to do what one may have meant", async () => {
  await using bench = await openBench(rows(3));
  assert.equal((await bench.run()).code, 0);
  const whole = await bench.run();
  assert.match(
    whole.stdout,
    /^Nothing to do: .* \(--fresh makes all of it anew; what was paid for is reused\.\)/,
  );
  await bench.store.remove("images/1.png");
  assert.equal((await bench.run(["--fresh", "--max-failure-rate", "1"])).code, 0);
  const failed = await bench.run(["--max-failure-rate", "1"]);
  assert.match(failed.stdout, /^Nothing to do: .*--retry-failed makes its 1 failed row anew/);
});
