import assert from "node:assert/strict";
import fc from "fast-check";
import { parquetMetadata } from "hyparquet";
import { okRow } from "../../dev/testing/any_row.ts";
import { encodeNothing, encodeRows } from "../dataset/output_write.ts";
import { readMetadata } from "./decode.ts";
import { ParquetError } from "./footer.ts";
import { indexGroups, lazyGroups, listOfStructs } from "./row_groups.ts";
import { memorySource } from "./source.ts";

/** Statistics as they are, as the reader wants them. */
const RAW = { stringFromBytes: (bytes: Uint8Array) => bytes };

/** Everything in it, as a text: comparing thousands of objects takes seconds. */
const said = (value: unknown) =>
  JSON.stringify(value, (_, each) => typeof each === "bigint" ? `${each}n` : each);

const fileOf = (rows: number, rowGroupSize: number) =>
  encodeRows(Array.from({ length: rows }, (_, i) => okRow(i, i % 3)), {
    rowGroupSize,
    keyValues: { a: "b" },
  });

Deno.test("row groups that are decoded as they are looked at are those of the whole footer", async () => {
  for (const [rows, size] of [[1, 5], [14, 1], [15, 1], [70, 2]]) {
    const bytes = await fileOf(rows, size);
    const { row_groups: groups, ...rest } = await readMetadata(memorySource("x", bytes));
    const whole = parquetMetadata(bytes, { parsers: RAW, geoparquet: false });
    assert.equal(said([...groups]), said(whole.row_groups));
    assert.equal(groups.length, whole.row_groups.length);
    assert.deepEqual(
      [...groups.rows as Float64Array],
      whole.row_groups.map((g) => +`${g.num_rows}`),
    );
    assert.equal(said(groups.at(groups.length - 1)), said(whole.row_groups.at(-1)));
    assert.equal(said(groups.at(0)), said(whole.row_groups[0]));
    const { row_groups: _, ...others } = whole;
    assert.deepEqual(rest, others);
  }
});

Deno.test("a damaged footer is an error or another footer, never anything else, and found at once", async () => {
  const bytes = await fileOf(6, 2);
  const length = new DataView(bytes.buffer).getUint32(bytes.length - 8, true);
  const change = fc.tuple(fc.nat(length - 1), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const damaged = bytes.slice();
      for (const [at, value] of changes) damaged[bytes.length - 8 - length + at] = value;
      try {
        const { row_groups: groups } = await readMetadata(memorySource("x", damaged));
        assert.equal([...groups].length, groups.length);
      } catch (error) {
        assert.ok(error instanceof ParquetError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("a footer without row groups, cut, too deep or with too long a list is told", () => {
  assert.equal(indexGroups(Uint8Array.of(0x15, 2, 0)), undefined);
  assert.equal(indexGroups(encodeNothing().subarray(4, -8))?.rows.length, 0);
  const damaged: [number[], RegExp][] = [
    [[0x15], /ends early/],
    [[0x18, 9, 1], /ends early/],
    [[0x19, 0xfc, 0xff, 0xff, 0xff, 0x0f], /longer than it/],
    [[0x1d, 0], /a field of type 13/],
    [[0x16, ...new Array(11).fill(0xff)], /more than ten bytes/],
    [new Array(100).fill(0x1c), /nested too deeply/],
  ];
  for (const [bytes, message] of damaged) {
    assert.throws(() => indexGroups(Uint8Array.from(bytes)), (error: Error) => {
      assert.ok(error instanceof ParquetError);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.deepEqual([...listOfStructs(14)], [0xec]);
  assert.deepEqual([...listOfStructs(300)], [0xfc, 0xac, 0x02]);
});

Deno.test("few row groups are decoded at a time, and those alone that are looked at", () => {
  const length = 1_000;
  const index = {
    start: 0,
    groups: Float64Array.from({ length: length + 1 }, (_, n) => n * 2_000),
    rows: new Float64Array(length).fill(100),
  };
  const decoded: number[][] = [];
  const groups = lazyGroups(index, (start, end) => {
    decoded.push([start, end]);
    return Array.from({ length: end - start }, () => ({ num_rows: 100n, columns: [] }));
  });
  assert.deepEqual([groups.length, groups.rows[999]], [length, 100]);
  assert.equal(decoded.length, 0, "their rows are known without");
  groups.at(500);
  groups.at(531);
  assert.deepEqual(decoded, [[500, 532]]);
  assert.equal([...groups].length, length);
  assert.ok(decoded.every(([start, end]) => end - start <= 32), "about 1 MB of objects");
  const heavy = lazyGroups(
    { ...index, groups: index.groups.map((at) => 1_000 * at) },
    (from, to) => {
      assert.equal(to - from, 1, "a single one may be long");
      return [{ num_rows: 100n, columns: [] }];
    },
  );
  assert.ok(heavy.at(7));
});
