import assert from "node:assert/strict";
import { inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { HeartbeatDocument, LeaseDocument, RowCounts } from "../state/documents.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { nothingSpent } from "../state/ledger.ts";
import { outputRow } from "../label/output_row.ts";
import { readStatus } from "./status.ts";
import { renderStatus } from "./status_text.ts";
import type { Status } from "./status_types.ts";

const HOUR = 3_600_000;
const KEYS = new CheckpointKeys("checkpoints/", "demo");

/** A data set whose documents tests put there; time passes only when everybody waits. */
class Bench {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly requests: string[] = [];
  readonly #rows: number;
  readonly #batch: number;

  constructor(rows = 1_000, batch = 100) {
    this.#rows = rows;
    this.#batch = batch;
    this.store.clock = this.clock.now;
    this.store.before = (operation, key) => void this.requests.push(`${operation} ${key}`);
    this.put("manifest", {
      format: "pseudolabel-manifest/1",
      ...{ run_id: "run-1", dataset: "demo", batch_size: batch, engine: "upstage-ocr" },
      input: { url: "s3://memory/data/processed/demo.parquet", etag: "e", bytes: 1, rows },
      output: "s3://memory/data/processed/demo_pseudo_labels.parquet",
      ...{ model: "ocr", schema_version: "v1.0", created_at: this.time(), created_by: "p/1" },
      batch_job_id: null,
    });
  }

  /** @param lag How far that clock is behind, milliseconds. */
  time(lag = 0): string {
    return new Date(this.clock.now() - lag).toISOString();
  }

  put(name: string, document: object): void {
    this.store.put(`${KEYS.root}${name}.json`, JSON.stringify(document));
  }

  lease(change: Partial<LeaseDocument> = {}, lag = 0): void {
    this.put("lease", {
      ...{ format: "pseudolabel-lease/1", holder: "p1", owner: "Batch job abc, attempt 2" },
      ...{ generation: 3, ttl_ms: 30_000, acquired_at: this.time(lag), renewed_at: this.time(lag) },
      released: false,
      ...change,
    });
  }

  beat(change: Partial<HeartbeatDocument> = {}, lag = 0): void {
    this.put("heartbeat", {
      ...{
        format: "pseudolabel-heartbeat/1",
        run_id: "run-1",
        holder: "p1",
        owner: "Batch job abc",
      },
      ...{ leased: true, started_at: this.time(lag + 60_000), at: this.time(lag), elapsed_s: 60 },
      ...{
        quiet_s: 0,
        total: this.#rows,
        done_before: 0,
        counts: counts(230, 10),
        revising: false,
      },
      ...{
        finished: { batches: "0-1", counts: counts(200, 9) },
        rows_per_s: 4,
        eta_s: 190,
        rate: 4,
      },
      ...{ requests: 250, throttled: 7, throttled_lately: 2, retries: 1, in_flight: 3 },
      ...{ answers_reused: 5, pages_billed: 220, pages_billed_run: 320, price_per_page: 0.01 },
      ...{ max_pages: 500, limit: "--max-cost 5 (500 pages)", max_failure_rate: 0.1, paused: null },
      ...{ stopping: false, failures: [], ended: null },
      ...change,
    });
  }

  /** Names of finished batches, without anything in them. */
  batches(...indices: number[]): void {
    for (const index of indices) this.store.put(KEYS.batch(index), "");
  }

  /** A finished batch as a run writes it, each of whose rows has failed. */
  async failedBatch(index: number): Promise<void> {
    const bytes = this.store.objects.get(KEYS.manifest)!;
    const manifest = JSON.parse(new TextDecoder().decode(bytes));
    const encoder = new RowEncoder();
    const failure = { code: "image_empty", message: "it is \x1b[2J empty" } as const;
    for (let n = 0; n < this.#batch; n++) {
      const row = inputRow(index * this.#batch + n);
      await encoder.add(
        outputRow(row, "upstage-ocr", { failure, sha256: null, size: 0 }, undefined, 0),
      );
    }
    const failed = this.#batch;
    const of = { ...counts(failed, 0), ok: 0, failed, failures: { image_empty: failed } };
    await new Checkpoints(this.store, KEYS, manifest).save(index, encoder, of, nothingSpent(), {
      marks: [],
    });
  }

  /** The output and its mark. */
  async output(of: RowCounts): Promise<void> {
    const key = "data/processed/demo_pseudo_labels.parquet";
    this.store.put(key, "the output");
    const { etag } = (await this.store.stat(key))!;
    this.put("result", {
      ...{ format: "pseudolabel-result/1", run_id: "run-1", finished_at: this.time() },
      output: { url: `s3://memory/${key}`, etag, bytes: 10 },
      ...{ counts: of, spent: nothingSpent() },
    });
  }

  async pass(ms: number): Promise<void> {
    await this.clock.run(this.clock.sleep(ms));
  }

  async status(brief = false): Promise<Status> {
    this.requests.length = 0;
    const stop = new AbortController().signal;
    const settings = settingsOf(["--dataset-name", "demo"]);
    const { store, clock } = this;
    return await clock.run(readStatus({ settings, store, clock, stop, brief }));
  }
}

function counts(rows: number, failed: number): RowCounts {
  const failures: Record<string, number> = failed > 0 ? { image_not_found: failed } : {};
  return { rows, ok: rows - failed, empty: 0, failed, failures, size_mismatches: 0 };
}

Deno.test("status: a run that renews its lease is running, with all that its heartbeat tells", async () => {
  const bench = new Bench();
  bench.batches(0, 1);
  bench.lease();
  bench.beat({
    failures: [{ code: "image_not_found", row: 7, id: "a", image_path: "x", message: "no" }],
  });
  bench.put("spending", {
    ...{ format: "pseudolabel-spending/1", run_id: "run-1", reserved_pages: 350 },
  });
  bench.put("ledger", {
    ...{ format: "pseudolabel-ledger/1", dataset: "demo" },
    runs: {
      "run-0": ledgerEntry(bench.time(), 1_000),
      "run-1": ledgerEntry(bench.time(), 200),
    },
  });
  await bench.pass(10_000);
  const status = await bench.status();
  assert.equal(status.state, "running");
  assert.deepEqual(status.rows, {
    ...{ total: 1_000, done: 230, safe: 200, counted: 230, ok: 220, empty: 0, failed: 10 },
  });
  assert.deepEqual(status.batches, { total: 10, done: 2, size: 100 });
  assert.equal(status.last_sign_of_life_s, 10);
  assert.equal(status.process!.eta_s, 180, "10 s of the 190 have passed");
  assert.equal(status.process!.throttled_lately, 2);
  assert.deepEqual(status.pages, {
    ...{ billed: 320, billed_at_most: 350, billed_in_all: 1_320, limit: 500 },
    ...{ limit_option: "--max-cost 5 (500 pages)", price_per_page: 0.01 },
    ...{ cost: 3.2, cost_in_all: 13.2, cost_limit: 5 },
  });
  assert.equal(status.lease!.owner, "Batch job abc, attempt 2");
  assert.equal(status.failures[0].examples[0].row, 7);
  assert.ok(bench.requests.length <= 10, bench.requests.join("\n"));
  assert.deepEqual(bench.requests.filter((one) => /^(write|remove)/.test(one)), []);
  const lines = renderStatus(status, 80);
  assert.match(
    lines.join("\n"),
    /^demo: running: somebody is at work; last sign of life 10 s ago$/m,
  );
  assert.match(lines.join("\n"), /230 of 1,000 \(23 %\): 220 ok, 0 empty, 10 failed; 200 in/);
  assert.match(lines.join("\n"), /ETA 3 min 00 s/);
});

function ledgerEntry(updated_at: string, billed_pages: number) {
  return {
    ...{ engine: "upstage-ocr", model: "ocr", answers: 1, attempts: 1, answers_reused: 0 },
    ...{ billed_pages, updated_at },
  };
}

Deno.test("status: what was killed is stalled once its lease is over, however lively its heartbeat looks", async () => {
  const bench = new Bench();
  bench.batches(0, 1, 2);
  bench.lease();
  await bench.pass(25_000);
  bench.beat();
  await bench.pass(10_000); // the heartbeat is 10 s old, the lease 35 s
  const status = await bench.status();
  assert.equal(status.state, "stalled");
  assert.match(
    status.reason,
    /no sign of life for 1\d s: the process was killed.*run the same command/,
  );
  assert.equal(status.rows.done, 300, "the batches tell, not the heartbeat");
});

Deno.test("status: clocks that differ by hours neither revive the dead nor bury the living", async () => {
  for (const lag of [-5 * HOUR, 5 * HOUR]) {
    const living = new Bench();
    living.lease({}, lag);
    living.beat({}, lag);
    await living.pass(5_000);
    const status = await living.status();
    assert.equal(status.state, "running", `${lag}`);
    assert.match(
      status.notes.join(),
      lag > 0 ? /clock of the run is 5 h 00 min behind/ : /ahead of/,
    );
    const dead = new Bench();
    dead.lease({}, lag);
    dead.beat({}, lag);
    await dead.pass(100_000);
    assert.equal((await dead.status()).state, "stalled", `${lag}`);
  }
});

Deno.test("status: where the store tells no ages, only a lease that is seen to change lives", async () => {
  for (const alive of [true, false]) {
    const bench = new Bench();
    bench.store.clock = undefined;
    bench.lease({}, 5 * HOUR);
    bench.beat({}, 5 * HOUR);
    const stop = new AbortController();
    const renew = async () => {
      for (;;) {
        await bench.clock.sleep(10_000, stop.signal);
        bench.lease({}, 5 * HOUR);
      }
    };
    if (alive) renew().catch(() => {});
    assert.equal((await bench.status()).state, alive ? "running" : "stalled");
    stop.abort();
  }
});

Deno.test("status: without conditional writes the heartbeat is the sign of life, as no lease is renewed", async () => {
  const bench = new Bench();
  bench.lease();
  await bench.pass(HOUR);
  bench.beat({ leased: false });
  await bench.pass(20_000);
  assert.equal((await bench.status()).state, "running");
  await bench.pass(40_000);
  assert.equal((await bench.status()).state, "stalled");
});

Deno.test("status: the heartbeat of an earlier process or run says nothing of this one", async () => {
  const bench = new Bench();
  bench.batches(0);
  bench.lease({ holder: "p2" });
  bench.beat({ ended: { exit: 5, reason: "the key was refused" } });
  const other = await bench.status();
  assert.deepEqual([other.state, other.process, other.exit], ["running", null, null]);
  assert.match(other.notes.join(), /no heartbeat yet/);
  bench.lease();
  bench.beat({ run_id: "run-0" });
  const earlier = await bench.status();
  assert.deepEqual([earlier.process, earlier.rows.done], [null, 100]);
});

Deno.test("status: a process that lives and gets nowhere is stalled, and why", async () => {
  const of = async (change: Partial<HeartbeatDocument>) => {
    const bench = new Bench();
    bench.batches(0, 1);
    bench.lease();
    bench.beat(change);
    const { state, reason } = await bench.status();
    return `${state}: ${reason}`;
  };
  assert.match(
    await of({ paused: { what: "the API is down", for_s: 120 } }),
    /^stalled: the API is down, since 2 min 00 s/,
  );
  assert.match(await of({ quiet_s: 400 }), /^stalled: .* no row was done for 6 min 40 s/);
  assert.match(await of({ quiet_s: 400, rate: 0.002 }), /^running/); // one request in 500 s
  assert.match(await of({ quiet_s: 200 }), /^running/);
  const all = { counts: counts(1_000, 0), quiet_s: 900 };
  assert.match(await of(all), /^running: all rows are done, the output is being written/);
  assert.match(await of({ stopping: true, quiet_s: 900 }), /^running: it was asked to stop/);
});

Deno.test("status: how a process ended is told by its last heartbeat", async () => {
  const bench = new Bench();
  bench.batches(0, 1);
  bench.lease({ released: true });
  const ended = async (exit: number, reason: string) => {
    bench.beat({ ended: { exit, reason } });
    await bench.pass(HOUR);
    return await bench.status();
  };
  const failed = await ended(5, "the key was refused");
  assert.deepEqual([failed.state, failed.exit], ["failed", 5]);
  assert.match(renderStatus(failed, 80)[0], /^demo: failed, exit code 5: the key was refused/);
  const limit = await ended(8, "stopped before --max-pages 500");
  assert.deepEqual([limit.state, limit.exit], ["failed", 8]);
  const again = await ended(75, "stopped by SIGTERM; run the same command again");
  assert.deepEqual([again.state, again.exit], ["stalled", 75]);
  assert.equal(again.rows.done, 200);
  assert.match(again.notes.join(), /about 30 rows more were read/);
  const gone = await ended(0, "");
  assert.equal(gone.state, "stalled");
  assert.match(gone.reason, /the output that was written is not in/);
});

Deno.test("status: a written output is done, or failed where too many rows are", async () => {
  const bench = new Bench();
  bench.lease({ released: true });
  bench.beat({ ended: { exit: 0, reason: "" }, max_failure_rate: 0.1 });
  await bench.output(counts(1_000, 100));
  const done = await bench.status();
  assert.deepEqual([done.state, done.exit, done.rows.failed], ["done", 0, 100]);
  assert.equal(bench.requests.filter((one) => one.startsWith("list")).length, 0);
  await bench.output(counts(1_000, 101));
  const failed = await bench.status();
  assert.deepEqual([failed.state, failed.exit], ["failed", 6]);
  assert.match(failed.reason, /101 of 1,000 rows failed/);
  bench.store.put("data/processed/demo_pseudo_labels.parquet", "something else");
  assert.equal((await bench.status()).state, "stalled", "another object lies there");
});

Deno.test("status: nothing, or a run that is about to begin", async () => {
  const bench = new Bench();
  await bench.store.remove(KEYS.manifest);
  const none = await bench.status();
  assert.deepEqual([none.state, none.run, none.rows.total], ["none", null, 0]);
  assert.match(
    renderStatus(none, 80).join("\n"),
    /nothing has run here\n +looked in +s3:\/\/memory/,
  );
  bench.lease();
  assert.equal((await bench.status()).state, "running");
  bench.store.put(KEYS.manifest, "{}");
  await assert.rejects(bench.status(), /manifest.json is not a manifest this version can read/);
});

Deno.test("status: failed rows are found in the batches where no heartbeat tells of any", async () => {
  const bench = new Bench(12, 4);
  await bench.failedBatch(0);
  await bench.failedBatch(2);
  bench.store.put(KEYS.batch(1), "torn");
  bench.lease({ released: true });
  const status = await bench.status();
  assert.equal(status.rows.counted, 8);
  assert.deepEqual(status.failures.map(({ code, rows }) => [code, rows]), [["image_empty", 8]]);
  const [first] = status.failures[0].examples;
  assert.equal(first.id, `row-${first.row}`);
  assert.match(status.notes.join(), /1 batch object can't be used/);
  const text = renderStatus(status, 80).join("\n");
  assert.match(text, /image_empty: 8 rows/);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /\x1b/);
});

Deno.test("status: of a run of a million rows, ten requests where a heartbeat tells, a bounded number where none does", async () => {
  const bench = new Bench(1_000_000, 500);
  bench.batches(...Array.from({ length: 1_999 }, (_, n) => n));
  bench.lease();
  const finished = { batches: "0-1997", counts: counts(999_000, 12) };
  bench.beat({ total: 1_000_000, counts: counts(999_600, 12), finished });
  assert.equal((await bench.status()).rows.done, 999_600);
  assert.ok(bench.requests.length <= 10, `${bench.requests.length}`);
  bench.lease({ released: true });
  const after = await bench.status();
  assert.deepEqual([after.rows.done, after.rows.counted], [999_500, 999_000]);
  assert.ok(bench.requests.length <= 12, `${bench.requests.length}`);
  await bench.store.remove(KEYS.heartbeat);
  const blind = await bench.status();
  assert.equal(blind.rows.done, 999_500);
  assert.ok(bench.requests.length <= 520, `${bench.requests.length}`);
});

Deno.test("status: lines fit a terminal of any width, whatever names and messages hold", async () => {
  const bench = new Bench();
  bench.batches(0, 1);
  const owner = `process 1 on ${"x".repeat(300)}\x1b[31m\n`;
  bench.lease({ owner });
  const message = "m".repeat(200) + "\u202e\x07";
  const example = {
    code: "image_not_found",
    row: 7,
    id: "i\n".repeat(50),
    image_path: "x",
    message,
  };
  bench.beat({ owner, failures: [example], limit: "l".repeat(200) });
  const status = await bench.status();
  for (const columns of [40, 60, 80, 120, 300]) {
    for (const line of [...renderStatus(status, columns), ...renderStatus(status, columns, true)]) {
      assert.ok(line.length <= columns, `${line.length} of ${columns}: ${line}`);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(line, /[\x00-\x1f\u202e]/);
    }
  }
  await bench.output(counts(1_000, 0));
  bench.lease({ released: true });
  const done = await bench.status();
  assert.ok(renderStatus(done, 40, true).every((line) => line.length <= 40));
  assert.match(
    renderStatus(done, 40).join("\n"),
    /s3:\/\/memory\/data\/processed\/demo_pseudo_labels/,
  );
});
