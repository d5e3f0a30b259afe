/**
 * @module label/verify: reads everything that a run has written and proves it: every input row once and in
 * order, every row what its stored answer says, all counts what the rows add up to. Only reads.
 */

import { isDeepStrictEqual } from "node:util";
import { batchDigest, BatchDigests } from "../dataset/batch_digests.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import type { Ledger, RowCounts, Spent } from "../state/documents.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { findInput } from "../dataset/check_input.ts";
import { type InputRow, type OutputRow } from "../dataset/row.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { addRow, addSpent, nothingSpent, readLedger } from "../state/ledger.ts";
import { engineOf, readManifest } from "../state/manifest.ts";
import { readRows } from "../dataset/output_read.ts";
import { openInput } from "../dataset/input.ts";
import { openSource } from "../parquet/source.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { restoreRow } from "./restore_row.ts";
import { findResult } from "../state/finish.ts";
import { checkRow, type Finding } from "../dataset/check_row.ts";
import type { Settings } from "../base/settings.ts";
import type { Store } from "../store/store.ts";
import { countRow, noRows } from "../state/row_counts.ts";

/** Rows whose stored answers are read at once. */
const ROWS_AT_ONCE = 32;

/** What a verification came to. */
export interface Verified {
  /** Rows of the output that were read. */
  readonly rows: number;
  /** Stored answers that were read. */
  readonly answers: number;
  /** Findings, all of them reported already. */
  readonly findings: number;
}

/**
 * Verifies a finished data set.
 *
 * @param report Told of each finding as it is found.
 * @throws {RunError} `input` or `conflict` if there is nothing to verify
 */
export async function verify(
  store: Store,
  settings: Settings,
  report: (finding: Finding) => void,
  stop: AbortSignal,
): Promise<Verified> {
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const manifest = await readManifest(store, keys.manifest);
  if (!manifest) {
    throw new RunError("conflict", `there is no run in ${store.url}/${keys.root} to verify`);
  }
  let findings = 0;
  const found = (finding: Finding) => {
    findings++;
    report(finding);
  };
  const info = await findInput(store, settings.inputKey);
  if (info.etag !== manifest.input.etag) {
    found({
      code: "input_changed",
      message: `${store.url}/${info.key} is not the input of the run: ETag ${info.etag}, ` +
        `in the manifest ${manifest.input.etag}`,
    });
  }
  const outputInfo = await store.stat(settings.outputKey);
  if (!outputInfo) {
    found({ code: "no_output", message: `${store.url}/${settings.outputKey} does not exist` });
    return { rows: 0, answers: 0, findings };
  }
  const input = await openInput(openSource(store, info, { signal: stop }));
  const inputRows = input.read([[0, input.rows]]);
  const engine = engineOf(manifest, `${store.url}/${keys.root}`);
  const responses = new AnswerStore(store, engine.name, manifest.model);
  const counts = noRows();
  const spent = nothingSpent();
  const digests = new BatchDigests(manifest.batch_size);
  let answers = 0;

  const check = async (row: InputRow, output: OutputRow) => {
    const problems = checkRow(row, output);
    const restored = await restoreRow(row, output, engine, responses, stop);
    if (restored.problem !== undefined) {
      problems.push({ code: "answer", message: restored.problem });
    } else if (!isDeepStrictEqual(restored.output, output)) {
      problems.push({ code: "row_differs", message: difference(restored.output, output) });
    }
    if (output.metadata.response_key !== null) answers++;
    return { problems, paidBy: restored.problem === undefined ? restored.paidBy : null };
  };
  const chunk: { row: InputRow; output: OutputRow }[] = [];
  const flush = async () => {
    const checked = await Promise.all(chunk.map(({ row, output }) => check(row, output)));
    checked.forEach(({ problems, paidBy }, i) => {
      const { row, output } = chunk[i];
      for (const problem of problems) found({ ...problem, row: row.index, id: row.id });
      addRow(spent, manifest, output, paidBy);
    });
    chunk.length = 0;
  };
  const outputRows = readRows(openSource(store, outputInfo, { signal: stop }));
  let damaged = false;
  const onDamage = (message: string) => {
    damaged = true;
    found({ code: "output", message });
  };
  for await (const output of untilDamaged(outputRows, onDamage)) {
    stop.throwIfAborted();
    countRow(counts, output);
    digests.add(output);
    const next = await inputRows.next();
    if (next.done) {
      found({ code: "row_invented", message: "the input has no such row", id: output.id });
      continue;
    }
    chunk.push({ row: next.value, output });
    if (chunk.length === ROWS_AT_ONCE) await flush();
  }
  await flush();
  for await (const row of inputRows) {
    if (damaged) break; // what it holds behind the damage is not known
    const message = "the output has no such row";
    found({ code: "row_lost", message, row: row.index, id: row.id });
  }

  const checkpoints = new Checkpoints(store, keys, manifest);
  const batches = { spent: nothingSpent(), done: 0 };
  const inOutput = digests.finish();
  for await (const { index, footer, problem } of checkpoints.inspect()) {
    if (problem !== undefined) {
      found({ code: "checkpoint", message: `${store.url}/${keys.batch(index)}: ${problem}` });
      continue;
    }
    batches.done++;
    addSpent(batches.spent, footer.spent);
    // Its rows are those of the output, or a later --retry-failed would bring others into it.
    const digest = await checkpoints.rows(index).then(batchDigest, (error) => {
      if (error instanceof StoreError) throw error;
      return "";
    });
    if (damaged || digest === inOutput[index]) continue;
    const message = `${store.url}/${keys.batch(index)}: its rows are not those of the output`;
    found({ code: "checkpoint", message });
  }
  if (batches.done !== checkpoints.batches) {
    const message = `${batches.done} of ${checkpoints.batches} batches are done`;
    found({ code: "checkpoint", message });
  }
  await checkTotals(store, keys, manifest, settings.outputKey, counts, spent, batches.spent, found);
  return { rows: counts.rows, answers, findings };
}

/** The rows up to where the file is damaged; a store that fails says nothing about the file. */
async function* untilDamaged(
  rows: AsyncIterable<OutputRow>,
  onDamage: (message: string) => void,
): AsyncGenerator<OutputRow> {
  try {
    yield* rows;
  } catch (error) {
    if (error instanceof StoreError || error instanceof RunError) throw error;
    onDamage((error as Error).message);
  }
}

async function checkTotals(
  store: Store,
  keys: CheckpointKeys,
  manifest: Parameters<typeof findResult>[2],
  outputKey: string,
  counts: RowCounts,
  spent: Spent,
  inCheckpoints: Spent,
  found: (finding: Finding) => void,
): Promise<void> {
  const result = await findResult(store, keys, manifest, outputKey);
  if (!result) {
    found({ code: "result", message: `${store.url}/${keys.result} does not vouch for the output` });
  } else if (!isDeepStrictEqual({ ...result.counts }, { ...counts })) {
    found({ code: "counts", message: `result.json: ${difference(counts, result.counts)}` });
  }
  let ledger: Ledger | undefined;
  try {
    ledger = await readLedger(store, keys.ledger);
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === "unsupported")) throw error;
    found({ code: "ledger", message: error.message });
    return;
  }
  for (const [runId, run] of Object.entries(spent.runs)) {
    const places: [name: string, pages: number | undefined][] = [
      ["the checkpoints", inCheckpoints.runs[runId]?.billed_pages],
      ["the ledger", ledger?.runs[runId]?.billed_pages],
    ];
    for (const [name, pages] of places) {
      // The ledger may know of more: rows of an earlier input that are gone.
      if (
        pages === run.billed_pages || (name === "the ledger" && (pages ?? 0) > run.billed_pages)
      ) {
        continue;
      }
      const message = `run ${runId}: the stored answers bill ${run.billed_pages} pages, ${name} ` +
        `${pages ?? "none"}`;
      found({ code: "ledger", message });
    }
  }
}

/** The first field that differs, with both values, shortened. */
function difference(expected: object, actual: object, path = ""): string {
  for (const key of Object.keys(expected)) {
    const a = (expected as Record<string, unknown>)[key];
    const b = (actual as Record<string, unknown>)[key];
    if (isDeepStrictEqual(a, b)) continue;
    if (a && b && typeof a === "object" && typeof b === "object" && !(a instanceof Date)) {
      return difference(a, b, `${path}${key}.`);
    }
    const short = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 60);
    return `${path}${key} should be ${short(a)}: it is ${short(b)}`;
  }
  return `${path || "the row "}differs`;
}
