import assert from "node:assert/strict";
import { writtenByDuckdb } from "../../dev/testing/parquet_readers.ts";
import { memorySource } from "../parquet/source.ts";
import { openInput } from "./input.ts";

/** The metadata of a row that DuckDB wrote, as the JSON text that the program makes of it. */
async function metadataOf(sql: string): Promise<string | null> {
  const query = `SELECT 'a' AS id, 'b' AS image_path, ${sql} AS metadata`;
  const input = await openInput(memorySource("in.parquet", await writtenByDuckdb(query)));
  const [row] = await Array.fromAsync(input.read([[0, 1]]));
  return row.metadata;
}

/** SQL, and the JSON that stands for its value exactly. */
const VALUES: readonly [sql: string, json: string][] = [
  ["12.50::DECIMAL(9, 2)", "12.5"],
  ["0.3::DECIMAL(4, 1)", "0.3"],
  ["-0.07::DECIMAL(4, 2)", "-0.07"],
  ["0::DECIMAL(9, 4)", "0"],
  ["123456789012345::DECIMAL(18, 0)", "123456789012345"],
  ["9007199254740991::DECIMAL(18, 0)", "9007199254740991"],
  ["9007199254740993::DECIMAL(18, 0)", '"9007199254740993"'],
  ["1234567890123456.78::DECIMAL(18, 2)", '"1234567890123456.78"'],
  [
    "-12345678901234567890123456789.123456789::DECIMAL(38, 9)",
    '"-12345678901234567890123456789.123456789"',
  ],
  ["TIMESTAMP '2026-01-02 03:04:05.123456'", '"2026-01-02T03:04:05.123456Z"'],
  ["TIMESTAMP '1969-12-31 23:59:59.999999'", '"1969-12-31T23:59:59.999999Z"'],
  ["TIMESTAMP '2026-01-02 03:04:05.120'", '"2026-01-02T03:04:05.120Z"'],
  ["TIMESTAMP_NS '2026-01-02 03:04:05.123456789'", '"2026-01-02T03:04:05.123456789Z"'],
  ["TIMESTAMPTZ '2026-01-02 03:04:05.000001+00'", '"2026-01-02T03:04:05.000001Z"'],
  ["'infinity'::TIMESTAMP", '"9223372036854775807 us since 1970-01-01T00:00:00Z"'],
  ["'infinity'::DATE", '"2147483647 d since 1970-01-01"'],
  ["INTERVAL '14 months 3 days 4.5 seconds'", '"P14M3DT4.5S"'],
  ["'y'::ENUM('x', 'y')", '"y"'],
  ["18446744073709551615::UBIGINT", '"18446744073709551615"'],
  ["'-infinity'::DOUBLE", '"-Infinity"'],
];

Deno.test("metadata holds every number and time exactly, or as text", async () => {
  const fields = VALUES.map(([sql], at) => `'v${at}': ${sql}`).join(", ");
  const json = VALUES.map(([, json], at) => `"v${at}":${json}`).join(",");
  assert.equal(await metadataOf(`{${fields}}`), `{${json}}`);
});

Deno.test("metadata that is one value, in a list or a map's key is as exact", async () => {
  assert.equal(await metadataOf("INTERVAL '1 day'"), '"P0M1DT0S"');
  assert.equal(await metadataOf("9007199254740993::DECIMAL(18, 0)"), "9007199254740993");
  assert.equal(
    await metadataOf("{'l': [TIMESTAMP '2026-01-02 03:04:05.000001', NULL]}"),
    '{"l":["2026-01-02T03:04:05.000001Z",null]}',
  );
  assert.equal(
    await metadataOf("MAP {TIMESTAMP '2026-01-02 03:04:05.000001': 1.10::DECIMAL(4, 2)}"),
    '{"2026-01-02T03:04:05.000001Z":1.1}',
  );
});

Deno.test("metadata's fields keep their names and values apart, dots or not", async () => {
  const fields = "{'a.b': 1, 'a': {'b': 2, 'b.c': [3]}, 'a%2Eb': 4, 'a.b.c': {'d.e': 5}}";
  assert.deepEqual(JSON.parse((await metadataOf(fields))!), {
    "a.b": 1,
    a: { b: 2, "b.c": [3] },
    "a%2Eb": 4,
    "a.b.c": { "d.e": 5 },
  });
});
