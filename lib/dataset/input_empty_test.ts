import assert from "node:assert/strict";
import * as zlib from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { encodeInput, inputRow } from "../../dev/testing/fixtures.ts";
import { type RawStruct, readRawFooter } from "../parquet/decode.ts";
import { memorySource } from "../parquet/source.ts";
import { encodeThrift } from "../parquet/encode.ts";
import { type InputRow } from "./row.ts";
import { openInput } from "./input.ts";

async function readAll(bytes: Uint8Array): Promise<InputRow[]> {
  const input = await openInput(memorySource("in.parquet", bytes));
  const rows = await Array.fromAsync(input.read([[0, input.rows]]));
  const keys = (await Array.fromAsync(input.scan())).flat();
  assert.deepEqual(keys.map(({ id }) => id), rows.map(({ id }) => id));
  return rows;
}

/** The file with other row groups in its footer. */
async function withGroups(
  bytes: Uint8Array,
  change: (groups: RawStruct[]) => RawStruct[],
): Promise<Uint8Array> {
  const footer = await readRawFooter(memorySource("file", bytes));
  const thrift = encodeThrift({ ...footer, field_4: change(footer.field_4) });
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
  const end = new Uint8Array(8);
  new DataView(end.buffer).setUint32(0, thrift.length, true);
  end.set(new TextEncoder().encode("PAR1"), 4);
  const data = bytes.slice(0, bytes.length - 8 - length);
  return new Uint8Array(await new Blob([data, thrift, end]).arrayBuffer());
}

/** A row group without rows, whose columns are nowhere. */
function emptied(group: RawStruct): RawStruct {
  const columns = (group.field_1 as RawStruct[]).map((column) => ({
    ...column,
    field_3: {
      ...column.field_3,
      ...{ field_5: 0n, field_6: 0n, field_7: 0n, field_9: 0n, field_11: undefined },
      field_12: undefined,
    },
  }));
  return { ...group, field_1: columns, field_2: 0n, field_3: 0n, field_6: 0n };
}

Deno.test("openInput() reads over row groups without rows, wherever they are", async () => {
  const rows = Array.from({ length: 3 }, (_, index) => inputRow(index, { metadata: "{}" }));
  const bytes = await encodeInput(rows);
  const plain = (await readAll(bytes)).map(({ id }) => id);
  const changed = await withGroups(
    bytes,
    ([group]) => [emptied(group), group, emptied(group), emptied(group)],
  );
  assert.deepEqual((await readAll(changed)).map(({ id }) => id), plain);
});

/** Compresses nothing to nothing, as some writers do; no codec takes that for its own. */
function nothingAsNothing(compress: (bytes: Uint8Array) => Uint8Array) {
  return (bytes: Uint8Array) => bytes.length === 0 ? bytes : compress(bytes);
}

const COMPRESSORS = {
  SNAPPY: undefined,
  GZIP: zlib.gzipSync,
  BROTLI: zlib.brotliCompressSync,
  ZSTD: zlib.zstdCompressSync,
  LZ4: undefined,
  LZ4_RAW: undefined,
  UNCOMPRESSED: (bytes: Uint8Array) => bytes,
} as const;

for (const [codec, compress] of Object.entries(COMPRESSORS)) {
  Deno.test(`openInput() reads a page of nulls only, which has no bytes: ${codec}`, () => {
    const text = {
      type: "BYTE_ARRAY",
      converted_type: "UTF8",
      repetition_type: "OPTIONAL",
    } as const;
    const names = ["id", "image_path", "split", "metadata"];
    const writer = new ByteWriter();
    const parquet = new ParquetWriter({
      writer,
      schema: [
        { name: "schema", num_children: names.length },
        ...names.map((name) => ({ name, ...text })),
      ],
      compressors: {
        [codec]: nothingAsNothing(compress ?? (() => assert.fail("there are only nulls"))),
      },
    });
    const written = (name: string, data: (string | null)[]) =>
      ({ name, data, ...(name === "split" ? { codec } : { codec: "UNCOMPRESSED" }) }) as never;
    parquet.write({
      columnData: [
        written("id", ["a", "b", "c"]),
        written("image_path", ["1", "2", "3"]),
        written("split", [null, null, null]),
        written("metadata", ["{}", null, "1"]),
      ],
    });
    parquet.finish();
    return readAll(writer.getBytes().slice()).then((rows) => {
      assert.deepEqual(rows.map(({ id, split, metadata }) => [id, split, metadata]), [
        ["a", null, "{}"],
        ["b", null, null],
        ["c", null, "1"],
      ]);
    });
  });
}
