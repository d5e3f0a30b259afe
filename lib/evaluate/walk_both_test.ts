import assert from "node:assert/strict";
import fc from "fast-check";
import { labelledRow } from "../../dev/testing/labelled.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { LabelSource } from "./pages.ts";
import { walkBoth, type WalkOptions } from "./walk_both.ts";

/** Labels that count how many of their rows are read. */
class Source implements LabelSource {
  read = 0;
  readonly ids: readonly string[];

  constructor(ids: readonly string[]) {
    this.ids = ids;
  }

  async *rows(ranges: Iterable<readonly [number, number]> = [[0, this.ids.length]]) {
    for (const [from, to] of ranges) {
      for (let index = from; index < to; index++, this.read++) {
        yield scanned(index, this.ids[index]);
      }
    }
  }

  async *names() {
    for (const [index, id] of this.ids.entries()) yield { index, id, imagePath: "x" };
  }
}

function scanned(index: number, id: string): ScannedRow {
  const { metadata: { status, ...metadata }, ...row } = labelledRow(index, { id });
  return { ...row, index, imagePath: row.image_path, status, confidences: [], metadata };
}

async function walk(a: Source, b: Source, options?: WalkOptions) {
  const met = { both: [] as string[], a: [] as string[], b: [] as string[] };
  for await (const { a: one, b: other } of walkBoth(a, b, options)) {
    if (one && other) {
      assert.deepEqual([one.id, other.id], [a.ids[one.index], b.ids[other.index]]);
      assert.equal(one.id, other.id);
      met.both.push(one.id);
    } else if (one) met.a.push(one.id);
    else met.b.push(other!.id);
  }
  return met;
}

const IDS = Array.from({ length: 10_000 }, (_, i) => `id ${i}`);

Deno.test("rows in nearly one order are read once each, and a subset costs no more", async () => {
  const some = IDS.filter((_, i) => i % 3 === 0);
  // Neighbours change places.
  const mixed = some.map((_, i) => some[i % 2 ? i - 1 : i + 1] ?? some[i]);
  const [a, b] = [new Source(IDS), new Source([...mixed, "extra"])];
  const met = await walk(a, b, { onDisorder: () => assert.fail("they are near") });
  assert.deepEqual([met.both.length, met.a.length, met.b], [some.length, 6_666, ["extra"]]);
  assert.equal(a.read, IDS.length);
  assert.ok(b.read < 1.2 * b.ids.length, `${b.read} rows of ${b.ids.length} were read`);
});

Deno.test("rows in any other order are paired in the memory that is given, and that is said", async () => {
  for (const others of [IDS.toReversed(), IDS.toSorted((x, y) => hash(x) - hash(y))]) {
    let told = 0;
    const [a, b] = [new Source(IDS), new Source(others)];
    const met = await walk(a, b, { memory: 4 << 20, onDisorder: () => told++ });
    assert.deepEqual(met.both.toSorted(), IDS.toSorted());
    assert.deepEqual([met.a, met.b, a.read], [[], [], IDS.length]);
    if (others[0] !== IDS.at(-1)) assert.equal(told, 1);
    assert.ok(b.read <= 4 * IDS.length, `${b.read} rows were read`);
  }
});

Deno.test("every row is met exactly once, in whatever orders, with ids that are there twice", async () => {
  const ids = fc.array(fc.nat(30).map((n) => `${n}`), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(ids, ids, fc.constantFrom(1, 3_000, 1 << 20), async (one, other, memory) => {
      const met = await walk(new Source(one), new Source(other), { memory });
      assert.deepEqual([...met.both, ...met.a].toSorted(), one.toSorted());
      assert.deepEqual([...met.both, ...met.b].toSorted(), other.toSorted());
      assert.equal(met.both.length, new Set(one).intersection(new Set(other)).size);
    }),
    { numRuns: 60 },
  );
});

function hash(text: string): number {
  let sum = 7;
  for (const char of text) sum = Math.imul(sum, 31) + char.charCodeAt(0) | 0;
  return Math.imul(sum, 2_654_435_761) | 0;
}
