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
  return { id, metadata: { billed_pages, attempts } } as OutputRow;
}

function paidBy(row_id: string, run_id = "run-2", dataset = "demo") {
  return { row_id, run_id, dataset };
}

Deno.test("addRow() counts an answer for the one row and run that paid for it", () => {
  const spent = nothingSpent();
  addRow(spent, MANIFEST, item("a", 1, 2), paidBy("a"));
  addRow(spent, MANIFEST, item("twin of a", 1, 2), paidBy("a"));
  addRow(spent, MANIFEST, item("b", 3), paidBy("b", "run-1"));
  addRow(spent, MANIFEST, item("c", 1), paidBy("c", "run-9", "another data set"));
  addRow(spent, MANIFEST, item("failed", null, 4), null);
  assert.deepEqual(spent, {
    answers_reused: 3,
    failed_attempts: 4,
    runs: {
      "run-2": { answers: 1, billed_pages: 1, attempts: 2 },
      "run-1": { answers: 1, billed_pages: 3, attempts: 1 },
    },
  });
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
      addRow(spent, MANIFEST, item(id, pages), payer && paidBy(payer.row, payer.run));
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
      addRow(spent, MANIFEST, item(id, pages, attempts), payer);
    }
    const without = structuredClone(spent);
    addRow(spent, MANIFEST, item(one.id, one.pages, one.attempts), one.payer);
    takeOutRow(spent, MANIFEST, item(one.id, one.pages, one.attempts), one.payer);
    const { runs, ...rest } = spent;
    const some = Object.entries(runs).filter(([, run]) => run.answers > 0);
    assert.deepEqual({ ...rest, runs: Object.fromEntries(some) }, without);
  }));
});

Deno.test("a ledger can be read again whatever the answers say that they bill", async () => {
  const store = new MemoryStore();
  const spent = nothingSpent();
  for (let n = 0; n < 20; n++) {
    addRow(spent, MANIFEST, item(`${n}`, 1e15, 2 ** 53 - 1), paidBy(`${n}`));
  }
  const twice = nothingSpent();
  addSpent(twice, spent);
  addSpent(twice, spent);
  await bookSpent(store, "ledger.json", MANIFEST, twice, 0);
  const ledger = (await readLedger(store, "ledger.json"))!;
  assert.equal(totalBilled(ledger), 40, "what can't be is one page");
  assert.equal(ledger.runs["run-2"].attempts, Number.MAX_SAFE_INTEGER);
});
