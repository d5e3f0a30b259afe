/**
 * @module prepare/table_parquet: Parquet as a table of images: texts, whole numbers, UUIDs, bytes,
 * and the struct of bytes and path that Hugging Face data sets have.
 */

import { RunError } from "../base/errors.ts";
import { checkGroups } from "../dataset/input_columns.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches } from "../parquet/rows.ts";
import { openSource } from "../parquet/source.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { PartOptions, TablePart, TableRow } from "./table_part.ts";

/** Rows that are decoded together at most; heavy ones fewer (`parquet/rows.ts`). */
const BATCH = 256;

/** Opens a Parquet object. Reads the footer only. */
export async function openParquet(
  store: Store,
  info: ObjectInfo,
  { signal }: PartOptions,
): Promise<TablePart> {
  const source = openSource(store, info, { signal });
  const metadata = await readMetadata(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    const message = `${source.name} is no sound Parquet: ${cause.message}`;
    throw new RunError("input", message, { cause });
  });
  const tree = schemaTree(metadata);
  return {
    columns: tree.children.map(({ element }) => element.name),
    async *rows(wanted): AsyncGenerator<TableRow> {
      const columns = new Map(
        tree.children.filter(({ element }) => wanted.has(element.name))
          .map((child) => [child.element.name, child]),
      );
      checkGroups(source.name, metadata, columns);
      const file = { source, metadata, tree, binary: wanted };
      const rows = Number(metadata.num_rows);
      for await (const { start, count, values } of readBatches(file, columns, [[0, rows]], BATCH)) {
        for (let at = 0; at < count; at++) {
          const row = [...wanted].map((name) => [name, values.get(name)?.[at] ?? null] as const);
          yield { values: new Map(row), at: `row ${start + at}`, index: start + at };
        }
      }
    },
  };
}
