import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { readMetadata, schemaTree } from "./decode.ts";
import { readBatches } from "./rows.ts";
import { memorySource } from "./source.ts";

/** Optional lists of optional lists … of optional numbers, and beside them a struct with a list. */
function listSchema(name: string, depth: number): { name: string; [key: string]: unknown }[] {
  if (depth === 0) return [{ name, type: "DOUBLE", repetition_type: "OPTIONAL" }];
  return [
    { name, num_children: 1, repetition_type: "OPTIONAL", converted_type: "LIST" },
    { name: "list", num_children: 1, repetition_type: "REPEATED" },
    ...listSchema("element", depth - 1),
  ];
}

function lists(depth: number): fc.Arbitrary<unknown> {
  if (depth === 0) return fc.option(fc.integer({ min: -9, max: 9 }));
  return fc.array(lists(depth - 1), { maxLength: 3 });
}

for (const depth of [1, 2, 3]) {
  Deno.test(`lists of depth ${depth} that are nested at once are those that the library nests`, async () => {
    const pages = fc.constantFrom(1, 40, 1 << 20);
    const rows = fc.array(lists(depth), { minLength: 1, maxLength: 30 });
    await fc.assert(fc.asyncProperty(rows, pages, fc.nat(4), async (data, pageSize, size) => {
      const writer = new ByteWriter();
      const parquet = new ParquetWriter({
        writer,
        schema: [
          { name: "schema", num_children: 1, repetition_type: "REQUIRED" },
          ...listSchema("a", depth),
        ] as ParquetWriter["schema"],
      });
      await parquet.write({ columnData: [{ name: "a", data }], rowGroupSize: 100, pageSize });
      await parquet.finish();
      const source = memorySource("x", writer.getBytes().slice());
      const metadata = await readMetadata(source);
      const tree = schemaTree(metadata);
      const columns = new Map(tree.children.map((column) => [column.element.name, column]));
      const read = async (quick: boolean) => {
        const got: unknown[] = [];
        const file = { source, metadata, tree, quick };
        for await (const { values } of readBatches(file, columns, [[0, data.length]], size + 1)) {
          got.push(...values.get("a")!);
        }
        return got;
      };
      const quick = await read(true);
      assert.deepEqual(quick, data);
      assert.deepEqual(quick, await read(false));
    }));
  });
}
