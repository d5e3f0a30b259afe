import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { Manifest, Spent } from "./documents.ts";
import { StoreError } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import {
  addRow,
  addSpent,
  bookSpent,
  nothingSpent,
  readLedger,
  takeOutRow,
  totalBilled,
  updateLedger,
} from "./ledger.ts";

const MANIFEST = {
  dataset: "demo",
  run_id: "run-2",
  engine: "upstage-ocr",
  model: "ocr",
} as Manifest;

function item(id: string, billed_pages: number | null, attempts = 1): OutputRow {
  return { id, metadata: { engine: "upstage-ocr", billed_pages, attempts } } as OutputRow;
}

function paidBy(row_id: string, run_id = "run-2", dataset = "demo") {
  return { row_id, run_id, dataset };
}

Deno.test("addRow() counts an answer for the one row and run that paid for it", () => {
  const spent = nothingSpent();
  addRow(spent, MANIFEST, { row: item("a", 1, 2), paidBy: paidBy("a") });
  addRow(spent, MANIFEST, { row: item("twin of a", 1, 2), paidBy: paidBy("a") });
  addRow(spent, MANIFEST, { row: item("b", 3), paidBy: paidBy("b", "run-1") });
  addRow(spent, MANIFEST, { row: item("c", 1), paidBy: paidBy("c", "run-9", "another data set") });
  addRow(spent, MANIFEST, { row: item("failed", null, 4), paidBy: null });
  assert.deepEqual(spent, {
    answers_reused: 3,
    failed_attempts: 4,
    runs: {
      "run-2": { answers: 1, billed_pages: 1, attempts: 2 },
      "run-1": { answers: 1, billed_pages: 3, attempts: 1 },
    },
  });
});

Deno.test("addRow() books what other engines were paid under their names, within the sum", () => {
  const spent = nothingSpent();
  const payment = (id: string, engine: string, model: string, pages: number) => ({
    ...{ engine, model, paidBy: paidBy(id), billedPages: pages, attempts: 2 },
  });
  // The first engine found the page empty, the other one made the row.
  const row = item("a", 1);
  const sha = "ab".repeat(32);
  Object.assign(row.metadata, {
    ...{ engine: "other", image_sha256: sha, response_key: `responses/other/m2/ab/${sha}.json.gz` },
  });
  const others = [
    payment("a", "upstage-ocr", "ocr", 1),
    payment("a", "third", "m3", 4),
    payment("b", "third", "m3", 9), // for another row
  ];
  const paid = { row, paidBy: paidBy("a"), others };
  addRow(spent, MANIFEST, paid);
  const expected = {
    ...{ answers_reused: 0, failed_attempts: 0 },
    runs: { "run-2": { answers: 3, billed_pages: 6, attempts: 5 } },
    others: {
      "run-2": {
        "other/m2": { answers: 1, billed_pages: 1, attempts: 1 },
        "third/m3": { answers: 1, billed_pages: 4, attempts: 2 },
      },
    },
  };
  assert.deepEqual(spent, expected);
  const { ledger } = updateLedger(undefined, MANIFEST, spent, 0);
  assert.deepEqual(ledger.runs["run-2"].others, expected.others["run-2"]);
  // It never shrinks, and a sum is the sum of its parts.
  const less = updateLedger(ledger, MANIFEST, nothingSpent(), 0);
  assert.deepEqual(less.ledger.runs["run-2"].others, expected.others["run-2"]);
  const twice = nothingSpent();
  addSpent(twice, spent);
  addSpent(twice, spent);
  assert.deepEqual(twice.others!["run-2"]["third/m3"], {
    ...{ answers: 2, billed_pages: 8, attempts: 4 },
  });
  takeOutRow(spent, MANIFEST, paid);
  assert.deepEqual(spent, nothingSpent(), "what was taken out leaves a trace");
});

Deno.test("addSpent() gives the same sum however the rows are cut into batches", () => {
  const row = fc.record({
    id: fc.nat(20).map(String),
    pages: fc.nat(5),
    payer: fc.option(
      fc.record({ row: fc.nat(20).map(String), run: fc.constantFrom("run-1", "run-2") }),
    ),
  });
  fc.assert(fc.property(fc.array(row), fc.integer({ min: 1, max: 7 }), (rows, size) => {
    const add = (spent: Spent, { id, pages, payer }: (typeof rows)[number]) =>
      addRow(spent, MANIFEST, {
        row: item(id, pages),
        paidBy: payer && paidBy(payer.row, payer.run),
      });
    const whole = nothingSpent();
    for (const row of rows) add(whole, row);
    const sum = nothingSpent();
    for (let at = 0; at < rows.length; at += size) {
      const batch = nothingSpent();
      for (const row of rows.slice(at, at + size)) add(batch, row);
      addSpent(sum, batch);
    }
    assert.deepEqual(sum, whole);
  }));
});

Deno.test("updateLedger() never shrinks an entry, and says when nothing has changed", () => {
  const spent: Spent = {
    ...nothingSpent(),
    runs: { "run-2": { answers: 2, billed_pages: 3, attempts: 2 } },
  };
  const first = updateLedger(undefined, MANIFEST, spent, 1_000);
  assert.equal(first.changed, true);
  assert.equal(totalBilled(first.ledger), 3);
  assert.equal(updateLedger(first.ledger, MANIFEST, spent, 2_000).changed, false);
  const less = updateLedger(first.ledger, MANIFEST, nothingSpent(), 3_000);
  assert.equal(totalBilled(less.ledger), 3);
  const other = { ...MANIFEST, run_id: "run-3", model: "ocr-2" };
  const next = updateLedger(first.ledger, other, {
    ...nothingSpent(),
    runs: { ...spent.runs, "run-3": { answers: 1, billed_pages: 1, attempts: 1 } },
  }, 4_000);
  assert.equal(totalBilled(next.ledger), 4);
  assert.deepEqual(next.ledger.runs["run-2"], first.ledger.runs["run-2"]);
  assert.equal(next.ledger.runs["run-3"].model, "ocr-2");
});

Deno.test("bookSpent() writes only what changes, and refuses a damaged ledger by name", async () => {
  const store = new MemoryStore();
  await bookSpent(store, "ledger.json", MANIFEST, nothingSpent(), 0);
  await bookSpent(store, "ledger.json", MANIFEST, nothingSpent(), 1);
  assert.deepEqual(store.writes, ["ledger.json"]);
  assert.deepEqual(Object.keys((await readLedger(store, "ledger.json"))!.runs), ["run-2"]);
  store.put("ledger.json", "{}");
  await assert.rejects(readLedger(store, "ledger.json"), (error: StoreError) => {
    assert.match(error.message, /s3:\/\/memory\/ledger\.json is no ledger.*move it away/);
    return true;
  });
});

Deno.test("takeOutRow() undoes addRow(), whatever the row was and whoever paid", () => {
  const row = fc.record({
    id: fc.constantFrom("a", "b"),
    pages: fc.option(fc.constantFrom(0, 1, 3, 1e15)),
    attempts: fc.nat(4),
    payer: fc.option(fc.record({
      row_id: fc.constantFrom("a", "b"),
      run_id: fc.constantFrom("run-1", "run-2"),
      dataset: fc.constantFrom("demo", "other"),
    })),
  });
  fc.assert(fc.property(fc.array(row), row, (others, one) => {
    const spent = nothingSpent();
    for (const { id, pages, attempts, payer } of others) {
      addRow(spent, MANIFEST, { row: item(id, pages, attempts), paidBy: payer });
    }
    const without = structuredClone(spent);
    addRow(spent, MANIFEST, { row: item(one.id, one.pages, one.attempts), paidBy: one.payer });
    takeOutRow(spent, MANIFEST, { row: item(one.id, one.pages, one.attempts), paidBy: one.payer });
    const { runs, ...rest } = spent;
    const some = Object.entries(runs).filter(([, run]) => run.answers > 0);
    assert.deepEqual({ ...rest, runs: Object.fromEntries(some) }, without);
  }));
});

Deno.test("a ledger can be read again whatever the answers say that they bill", async () => {
  const store = new MemoryStore();
  const spent = nothingSpent();
  for (let n = 0; n < 20; n++) {
    addRow(spent, MANIFEST, { row: item(`${n}`, 1e15, 2 ** 53 - 1), paidBy: paidBy(`${n}`) });
  }
  const twice = nothingSpent();
  addSpent(twice, spent);
  addSpent(twice, spent);
  await bookSpent(store, "ledger.json", MANIFEST, twice, 0);
  const ledger = (await readLedger(store, "ledger.json"))!;
  assert.equal(totalBilled(ledger), 40, "what can't be is one page");
  assert.equal(ledger.runs["run-2"].attempts, Number.MAX_SAFE_INTEGER);
});
