import assert from "node:assert/strict";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import { duckdb, quote } from "../../dev/testing/duckdb.ts";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { setImmediate } from "node:timers";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { StoreError } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import { encodeRows, RowEncoder } from "../dataset/output_write.ts";
import { Checkpoints } from "./checkpoints.ts";
import { CHECKPOINT_FOOTER_KEY, type CheckpointFooter } from "./documents.ts";
import { CheckpointKeys } from "./keys.ts";
import { nothingSpent } from "./ledger.ts";
import { countRow, noRows } from "./row_counts.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");

/** Six rows in batches of four. */
const INPUT = { ...manifestOf().input, rows: 6 };
const MANIFEST = manifestOf({ batch_size: 4, input: INPUT });

const ROWS: readonly OutputRow[] = [okRow(0), failedRow(1), okRow(2), okRow(3)];

function footerOf(rows: readonly OutputRow[], change: Partial<CheckpointFooter> = {}): string {
  const counts = noRows();
  for (const row of rows) countRow(counts, row);
  return JSON.stringify({ run_id: "run-1", batch: 0, counts, spent: nothingSpent(), ...change });
}

async function batch(
  rows: readonly OutputRow[],
  footer = footerOf(rows),
): Promise<Uint8Array<ArrayBuffer>> {
  return await encodeRows(rows, { keyValues: { [CHECKPOINT_FOOTER_KEY]: footer } });
}

/** A file of another program with the footer of a checkpoint and as many rows. */
async function foreign(): Promise<Uint8Array<ArrayBuffer>> {
  const file = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await duckdb(
      `COPY (SELECT i AS id FROM range(4) t(i)) TO ${quote(file)} (FORMAT parquet, ` +
        `KV_METADATA {${quote(CHECKPOINT_FOOTER_KEY)}: ${quote(footerOf(ROWS))}})`,
    );
    return await Deno.readFile(file);
  } finally {
    await Deno.remove(file);
  }
}

/** What a survey finds where this is batch 0. */
async function survey(bytes: Uint8Array<ArrayBuffer>, key = KEYS.batch(0)) {
  const store = new MemoryStore();
  store.put(key, bytes);
  const problems: string[] = [];
  const done = await new Checkpoints(store, KEYS, MANIFEST)
    .survey(({ problem }) => problems.push(problem));
  return { done: [...done.keys()], problems, copies: store.writes };
}

Deno.test("a batch is believed if it is this run's, in its place, whole and of this layout", async () => {
  assert.deepEqual(await survey(await batch(ROWS)), { done: [0], problems: [], copies: [] });
  const { counts } = JSON.parse(footerOf(ROWS));
  const cases: Record<string, readonly [Uint8Array<ArrayBuffer>, RegExp]> = {
    "of another run": [
      await batch(ROWS, footerOf(ROWS, { run_id: "run-2" })),
      /belongs to another run/,
    ],
    "of another place": [await batch(ROWS, footerOf(ROWS, { batch: 1 })), /holds batch 1/],
    "a row too few": [await batch(ROWS.slice(1)), /holds 3 rows of 4/],
    "a row too few, the footer says otherwise": [
      await batch(ROWS.slice(1), footerOf(ROWS)),
      /holds 3 rows of 4/,
    ],
    "a footer that counts other rows": [
      await batch(ROWS, footerOf(ROWS, { counts: { ...counts, rows: 3 } })),
      /its footer counts 3 rows, it holds 4/,
    ],
    "a footer that is none": [await batch(ROWS, "{}"), /its footer is foreign/],
    "of another layout": [await foreign(), /columns are not those of this version/],
  };
  for (const [what, [bytes, problem]] of Object.entries(cases)) {
    const { done, problems, copies } = await survey(bytes);
    assert.deepEqual(done, [], what);
    assert.equal(problems.length, 1, what);
    assert.match(problems[0], problem, what);
    assert.equal(copies.length, 1, what);
  }
});

Deno.test("a batch beyond the last one is neither believed nor touched", async () => {
  const beyond = await batch(ROWS, footerOf(ROWS, { batch: 2 }));
  assert.deepEqual(await survey(beyond, KEYS.batch(2)), { done: [], problems: [], copies: [] });
});

Deno.test("save() fails where the store has kept another length than was written", async () => {
  const store = new class extends MemoryStore {
    override async stat(key: string) {
      const info = await super.stat(key);
      return info && { ...info, size: info.size - 1 };
    }
  }();
  const rows = new RowEncoder();
  for (const row of ROWS) await rows.add(row);
  const { counts, spent } = JSON.parse(footerOf(ROWS)) as CheckpointFooter;
  await assert.rejects(
    new Checkpoints(store, KEYS, MANIFEST).save(0, rows, counts, spent, { marks: [] }),
    (error) =>
      error instanceof StoreError && error.kind === "unavailable" &&
      /batch_000000\.parquet has \d+ bytes after writing \d+/.test(error.message),
  );
});

Deno.test("the last batch is looked at when it is joined: whole, this run's, in its place", async () => {
  const spoilt: Record<string, readonly [Uint8Array<ArrayBuffer> | undefined, RegExp | undefined]> =
    {
      "as it was": [await batch(ROWS), undefined],
      "lost": [undefined, /batch_000000\.parquet has disappeared/],
      "cut": [
        (await batch(ROWS)).slice(0, -1),
        /batch_000000\.parquet has \d+ bytes after writing/,
      ],
      "of another run, as long": [
        await batch(ROWS, footerOf(ROWS, { run_id: "run-2" })),
        /is not what was written: it belongs to another run/,
      ],
    };
  for (const [what, [bytes, problem]] of Object.entries(spoilt)) {
    const store = new MemoryStore();
    const manifest = manifestOf({ input: { ...INPUT, rows: ROWS.length } });
    const checkpoints = new Checkpoints(store, KEYS, manifest);
    const rows = new RowEncoder();
    for (const row of ROWS) await rows.add(row);
    const { counts, spent } = JSON.parse(footerOf(ROWS)) as CheckpointFooter;
    await checkpoints.save(0, rows, counts, spent, { marks: [] });
    if (bytes) store.put(KEYS.batch(0), bytes);
    else await store.remove(KEYS.batch(0));
    const joined = Array.fromAsync(checkpoints.sources());
    if (problem) {
      const kind = (error: StoreError) => error.kind === "not_found" && problem.test(error.message);
      await assert.rejects(joined, kind, what);
    } else assert.equal((await joined).length, 1, what);
  }
});

Deno.test("a batch counts as done only once it is written, however it is looked at, and not if that fails", async () => {
  for (const isFree of [false, true]) {
    for (const fault of [undefined, new StoreError("denied", "403")]) {
      const store = new MemoryStore();
      const checkpoints = new Checkpoints(store, KEYS, MANIFEST);
      store.before = async (operation) => {
        if (operation !== "write") return;
        for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
        if (fault) throw fault;
      };
      const rows = new RowEncoder();
      for (const row of ROWS) await rows.add(row);
      const { counts } = JSON.parse(footerOf(ROWS));
      const images = { marks: [] };
      const [end] = await Promise.allSettled([
        checkpoints.save(0, rows, counts, nothingSpent(), images, undefined, isFree),
      ]);
      assert.equal(store.objects.has(KEYS.batch(0)), !fault);
      assert.equal(end.status, fault ? "rejected" : "fulfilled");
    }
  }
});

Deno.test("batches of earlier inputs that may not be removed are left, as the output is written; other faults are none to be passed over", async () => {
  for (const kind of ["denied", "unavailable"] as const) {
    const store = new MemoryStore();
    const later = new Checkpoints(store, KEYS, { ...MANIFEST, generation: 2 });
    store.put(KEYS.batch(0), await batch(ROWS));
    await later.listEarlier();
    assert.equal(later.earlier.length, 1);
    store.before = (operation) => {
      if (operation === "remove") throw new StoreError(kind, "no");
    };
    const removing = later.removeEarlier();
    if (kind === "denied") await removing;
    else await assert.rejects(removing, { kind });
  }
});
