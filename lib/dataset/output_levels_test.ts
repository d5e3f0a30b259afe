import assert from "node:assert/strict";
import fc from "fast-check";
import type { SchemaTree } from "hyparquet";
import { encodeNestedValues } from "hyparquet-writer/src/dremel.js";
import { anyRow } from "../../dev/testing/any_row.ts";
import { OUTPUT_LEAVES } from "./output_levels.ts";
import { ITEM_SCHEMA } from "./output_schema.ts";
import type { OutputRow } from "./row.ts";

/** What the library goes by; of a leaf's tree it looks at the path alone. */
function trees(path: readonly unknown[]): SchemaTree[] {
  return path.map((element, at) => ({
    element,
    children: at + 1 < path.length ? trees(path.slice(at + 1)).slice(0, 1) : [],
  })) as unknown as SchemaTree[];
}

Deno.test("OUTPUT_LEAVES are all leaves of the schema, in its order", () => {
  const leaves = ITEM_SCHEMA.filter(({ num_children }) => !num_children);
  assert.deepEqual(OUTPUT_LEAVES.map(({ path }) => path.at(-1)), leaves);
});

Deno.test("OUTPUT_LEAVES give the levels that the library finds by walking the schema", () => {
  const integers = new Set(
    ITEM_SCHEMA.filter(({ type, converted_type: as }) => type === "INT64" && !as)
      .map(({ name }) => name),
  );
  const whole = (value: unknown) => typeof value === "number" ? BigInt(value) : value;
  const wanted = (row: OutputRow, column: keyof OutputRow) => {
    if (column === "width" || column === "height") return whole(row[column]);
    if (column !== "metadata") return row[column];
    return Object.fromEntries(
      Object.entries(row.metadata)
        .map(([name, value]) => [name, integers.has(name) ? whole(value) : value]),
    );
  };
  fc.assert(fc.property(fc.array(anyRow, { minLength: 1, maxLength: 5 }), (rows) => {
    for (const { column, path, of } of OUTPUT_LEAVES) {
      const theirs = encodeNestedValues(trees(path), rows.map((row) => wanted(row, column)));
      const ours = of(rows);
      const name = path.slice(1).map((element) => element.name).join(".");
      assert.deepEqual(Array.from(ours.definitionLevels), theirs.definitionLevels, name);
      assert.equal(ours.maxDefinitionLevel, theirs.maxDefinitionLevel, name);
      assert.deepEqual(
        // Of numbers any may stand where there is none.
        Array.from(
          ours.values,
          (value, i) => ours.definitionLevels[i] < ours.maxDefinitionLevel ? null : value,
        ),
        Array.from(theirs.values, (value) => value ?? null),
        name,
      );
      // Where nothing repeats the library may write noughts, which mean the same.
      const flat = theirs.repetitionLevels.every((level) => level === 0);
      if (ours.repetitionLevels.length > 0 || !flat) {
        assert.deepEqual(Array.from(ours.repetitionLevels), theirs.repetitionLevels, name);
      }
    }
  }));
});
