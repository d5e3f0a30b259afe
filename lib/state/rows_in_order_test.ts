import assert from "node:assert/strict";
import fc from "fast-check";
import { okRow } from "../../dev/testing/any_row.ts";
import { StoreError } from "../base/errors.ts";
import { READ_AT_ONCE, RowsInOrder } from "./rows_in_order.ts";

const ROWS = 12;

/** Batches of rows, which count how many rows were read of each. */
function shelves(words = 0) {
  const read = new Map<number, number>();
  let open = 0;
  return {
    read,
    get open() {
      return open;
    },
    async *rows(batch: number) {
      open++;
      try {
        for (let at = 0; at < ROWS; at++) {
          read.set(batch, (read.get(batch) ?? 0) + 1);
          yield await Promise.resolve(okRow(batch * ROWS + at, words));
        }
      } finally {
        open--;
      }
    },
  };
}

Deno.test("RowsInOrder gives the row that is asked for or none, and lets go of everything", async () => {
  const place = fc.tuple(fc.nat(9), fc.nat(ROWS - 1));
  await fc.assert(fc.asyncProperty(fc.uniqueArray(place, { selector: String }), async (places) => {
    const shelf = shelves();
    {
      await using rows = new RowsInOrder({
        open: (batch) => shelf.rows(batch),
        wanted: (batch, offset) => places.some(([b, o]) => b === batch && o === offset),
      });
      for (const [batch, offset] of places) {
        const row = await rows.take(batch, offset);
        if (row) assert.equal(row.id, okRow(batch * ROWS + offset).id);
        assert.ok(shelf.open <= READ_AT_ONCE);
      }
    }
    assert.equal(shelf.open, 0);
  }));
});

Deno.test("RowsInOrder reads a batch once for rows in any order within it", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(Array.from({ length: ROWS }, (_, at) => at)),
      async (at) => {
        const shelf = shelves();
        await using rows = new RowsInOrder({
          open: (batch) => shelf.rows(batch),
          wanted: (_, offset) => at.includes(offset),
        });
        for (const offset of at) assert.equal((await rows.take(0, offset))?.id, okRow(offset).id);
        assert.ok((shelf.read.get(0) ?? 0) <= ROWS);
      },
    ),
  );
});

Deno.test("RowsInOrder holds no more rows than fit, and says of the others that they are gone", async () => {
  const shelf = shelves(10_000); // 5 MB each
  await using rows = new RowsInOrder({ open: (batch) => shelf.rows(batch), wanted: () => true });
  assert.ok(await rows.take(0, 6));
  const held = [];
  for (let at = 0; at < 6; at++) if (await rows.take(0, at)) held.push(at);
  assert.deepEqual(held, [0, 1]);
});

Deno.test("RowsInOrder takes a damaged batch for one without rows; that the store fails is an error", async () => {
  const failing = (error: Error) =>
    new RowsInOrder({
      // deno-lint-ignore require-yield
      open: async function* () {
        throw await Promise.resolve(error);
      },
      wanted: () => true,
    });
  assert.equal(await failing(new Error("damaged")).take(0, 1), undefined);
  assert.equal(await failing(new StoreError("precondition", "changed")).take(0, 1), undefined);
  await assert.rejects(failing(new StoreError("unavailable", "503")).take(0, 1), /503/);
});
