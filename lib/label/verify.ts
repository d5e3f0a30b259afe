/**
 * @module label/verify: reads everything that a run has written and proves it: every input row once
 * and in order, every row what its stored answer says, all counts what the rows add up to. Only
 * reads.
 */

import { isDeepStrictEqual } from "node:util";
import { batchDigest, BatchDigests } from "../dataset/batch_digests.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, StoredAnswer } from "../state/documents.ts";
import { findEngine } from "../engine/engines.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import { findInput } from "../dataset/check_input.ts";
import { rowKey } from "../dataset/row_keys.ts";
import { RowSample, sampleText } from "../dataset/row_sample.ts";
import { type InputRow, type OutputRow } from "../dataset/row.ts";
import { outputBytes } from "../dataset/row_bytes.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { addRow, nothingSpent } from "../state/ledger.ts";
import { readManifest } from "../state/manifest.ts";
import { readFooter, readRows } from "../dataset/output_read.ts";
import { openInput } from "../dataset/input.ts";
import { openSource } from "../parquet/source.ts";
import { countedPayments, openAnswers } from "./other_answers.ts";
import { outputRow } from "./output_row.ts";
import { restoreRow } from "./restore_row.ts";
import {
  checkCheckpointFooter,
  checkManifest,
  checkOutputFooter,
  checkTotals,
  difference,
  type Found,
  type Shown,
} from "./verify_documents.ts";
import { checkMarks } from "./verify_marks.ts";
import { checkRow, type Finding } from "../dataset/check_row.ts";
import type { Engine } from "../engine/engine.ts";
import { FAILURE_CODES, type FailureCode } from "../dataset/failure.ts";
import type { Settings } from "../base/settings.ts";
import { infoOf, type Store } from "../store/store.ts";
import { countRow, noRows } from "../state/row_counts.ts";

/** Rows whose stored answers are read at once. */
const ROWS_AT_ONCE = 32;
/** Memory of the rows among them, bytes; a single row may take more. */
const BYTES_AT_ONCE = 16 << 20;

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
 * @param onProgress Told from time to time how many rows are through.
 * @throws {RunError} `input` or `conflict` if there is nothing to verify
 */
export async function verify(
  store: Store,
  settings: Settings,
  report: (finding: Finding) => void,
  stop: AbortSignal,
  onProgress: (rows: number, total: number) => void = () => {},
): Promise<Verified> {
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const manifest = await readManifest(store, keys.manifest);
  if (!manifest) {
    throw new RunError("conflict", `there is no run in ${store.url}/${keys.root} to verify`);
  }
  let findings = 0;
  const found: Found = (finding) => {
    findings++;
    report(finding);
  };
  const nothing = () => ({ rows: 0, answers: 0, findings });
  const foundInput = await findInput(store, settings.inputKey);
  const input = await openInput(openSource(store, foundInput, { signal: stop }));
  const info = infoOf(foundInput);
  const manifestUrl = `${store.url}/${keys.manifest}`;
  const given = { url: `${store.url}/${info.key}`, info, rows: input.rows };
  checkManifest(manifestUrl, manifest, settings.datasetName, given, found);
  const engine = await findEngine(manifest.engine)?.load();
  if (!engine) {
    const message = `${manifestUrl}: this version knows no engine '${manifest.engine}'`;
    found({ code: "manifest", message });
    return nothing();
  }
  const outputInfo = await store.stat(settings.outputKey);
  if (!outputInfo) {
    found({ code: "no_output", message: `${store.url}/${settings.outputKey} does not exist` });
    return nothing();
  }
  const inputRows = input.read([[0, input.rows]]);
  const responses = await openAnswers(store, manifest);
  const whole = showing();
  /** What the rows of each batch come to. */
  const batches: Shown[] = [];
  const batchOf = (n: number) => batches[Math.floor(n / manifest.batch_size)] ??= showing();
  const digests = new BatchDigests(manifest.batch_size);
  let answers = 0;

  const checkpoints = new Checkpoints(store, keys, manifest);
  const inspected = await Array.fromAsync(checkpoints.inspect());
  /** Rows for which other engines than their own are in what their batches have cost. */
  const othersIn = new Map(
    inspected.flatMap(({ index, footer }) => footer?.others ? [[index, footer.others]] : []),
  );
  const enginesOf = ({ index }: InputRow) => {
    const others = othersIn.get(Math.floor(index / manifest.batch_size)) ?? {};
    const offset = index % manifest.batch_size;
    return Object.keys(others).filter((engine) => others[engine].includes(offset));
  };

  const check = async (row: InputRow, output: OutputRow) => {
    const problems = checkRow(row, output);
    let stored: StoredAnswer | undefined;
    const watched = responses.map(({ engine, answers }) => ({
      engine,
      answers: {
        key: (sha256: string) => answers.key(sha256),
        find: async (sha256: string, signal?: AbortSignal) => {
          const found = await answers.find(sha256, signal);
          const { processed_at: at } = output.metadata;
          // One that could not be used may have given way since, to whoever asked for it again.
          const gaveWay = found?.value && Date.parse(found.value.received_at) !== at.getTime() &&
            await answers.findReceived(sha256, at, signal);
          const answer = gaveWay ? { value: gaveWay, etag: undefined } : found;
          stored = answer?.value;
          return answer;
        },
      },
    }));
    const restored = await restoreRow(row, output, watched, stop);
    const others = await countedPayments(output, manifest.dataset, enginesOf(row), responses, stop);
    const { response_key: key, image_bytes, image_sha256: sha256 } = output.metadata;
    const by = responses.find(({ answers }) => answers.key(sha256 ?? "") === key);
    if (key !== null) answers++;
    if (restored.problem !== undefined) {
      problems.push({ code: "answer", message: restored.problem });
      return { problems, paidBy: undefined, others };
    }
    if (stored && by) checkEnvelope(`${store.url}/${key}`, stored, by, image_bytes, problems);
    const expected = stored ? restored.output : unanswered(row, output, engine);
    const { error_code: code } = output.metadata;
    if (code !== null && !Object.hasOwn(FAILURE_CODES, code)) {
      problems.push({ code: "status", message: `this version knows no error_code '${code}'` });
    }
    if (isDeepStrictEqual(expected, output)) {
      // What the API itself put outside of the page is not the run's fault.
      return {
        problems: problems.filter(({ code }) => code !== "polygon"),
        paidBy: restored.paidBy,
        others,
      };
    }
    problems.push({ code: "row_differs", message: difference(expected, output) });
    return { problems, paidBy: restored.paidBy, others };
  };
  const checkEnvelope = (
    url: string,
    stored: StoredAnswer,
    { engine: { name, mediaTypes }, model }: { readonly engine: Engine; readonly model: string },
    imageBytes: number | null,
    problems: Finding[],
  ) => {
    const expected = { ...stored, engine: name, model, image_bytes: imageBytes };
    if (!isDeepStrictEqual(expected, stored)) {
      problems.push({ code: "answer", message: `${url}: ${difference(expected, stored)}` });
    }
    if (!mediaTypes.has(stored.media_type)) {
      const message = `${url}: ${name} does not take media_type '${stored.media_type}'`;
      problems.push({ code: "answer", message });
    }
  };
  const chunk: { row: InputRow; output: OutputRow; batch: Shown }[] = [];
  let chunkBytes = 0;
  const flush = async () => {
    const checked = await Promise.all(chunk.map(({ row, output }) => check(row, output)));
    checked.forEach(({ problems, paidBy, others }, i) => {
      const { row, output, batch } = chunk[i];
      for (const problem of problems) found({ ...problem, row: row.index, id: row.id });
      for (const shown of [whole, batch]) {
        if (paidBy === undefined) shown.known = false;
        addRow(shown.spent, manifest, { row: output, paidBy: paidBy ?? null, others });
      }
    });
    chunk.length = chunkBytes = 0;
    onProgress(whole.counts.rows, input.rows);
  };
  const outputUrl = `${store.url}/${outputInfo.key}`;
  const footer = await readable(readFooter(openSource(store, outputInfo, { signal: stop })));
  if (footer) checkOutputFooter(outputUrl, footer.keyValues, manifest, found);
  const outputRows = readRows(openSource(store, outputInfo, { signal: stop }));
  let damaged = false;
  const sample = new RowSample();
  const onDamage = (message: string) => {
    damaged = true;
    found({ code: "output", message });
  };
  for await (const output of untilDamaged(outputRows, onDamage)) {
    stop.throwIfAborted();
    const batch = batchOf(whole.counts.rows);
    for (const shown of [whole, batch]) countRow(shown.counts, output);
    digests.add(output);
    const next = await inputRows.next();
    if (next.done) {
      found({ code: "row_invented", message: "the input has no such row", id: output.id });
      continue;
    }
    sample.add(rowKey(next.value.id, next.value.image_path));
    chunk.push({ row: next.value, output, batch });
    chunkBytes += outputBytes(output);
    if (chunk.length === ROWS_AT_ONCE || chunkBytes > BYTES_AT_ONCE) await flush();
  }
  await flush();
  for await (const row of inputRows) {
    if (damaged) break; // what it holds behind the damage is not known
    sample.add(rowKey(row.id, row.image_path));
    const message = "the output has no such row";
    found({ code: "row_lost", message, row: row.index, id: row.id });
  }
  const isItsInput = info.etag === manifest.input.etag && !damaged;
  if (isItsInput && (manifest.sample ?? sampleText(sample.hashes)) !== sampleText(sample.hashes)) {
    found({ code: "manifest", message: `${manifestUrl}: sample: it is not of the input's rows` });
  }

  const footers: CheckpointFooter[] = [];
  const inOutput = digests.finish();
  for (const { key, index, footer, problem } of inspected) {
    const url = `${store.url}/${key}`;
    if (problem !== undefined) {
      found({ code: "checkpoint", message: `${url}: ${problem}` });
      continue;
    }
    footers.push(footer);
    // Its rows are those of the output, or a later --retry-failed would bring others into it.
    const images = await readable(checkpoints.images(index));
    const rows = checkMarks(checkpoints.rows(index), images, footer, (wrong) => {
      found({ code: "checkpoint", message: `${url}: its footer: ${escaped(wrong)}` });
    });
    const digest = await readable(batchDigest(rows));
    if (damaged) continue;
    if (digest === inOutput[index]) {
      checkCheckpointFooter(url, footer, batches[index] ?? showing(), found);
    } else {
      found({ code: "checkpoint", message: `${url}: its rows are not those of the output` });
    }
  }
  const complete = footers.length === checkpoints.batches;
  if (!complete) {
    const message = `${store.url}/${keys.root}: ${footers.length} of ${checkpoints.batches} ` +
      "batches are done";
    found({ code: "checkpoint", message });
  }
  const finished = { store, keys, manifest, output: outputInfo };
  await checkTotals(finished, damaged ? undefined : whole, complete ? footers : undefined, found);
  return { rows: whole.counts.rows, answers, findings };
}

function showing(): Shown {
  return { counts: noRows(), spent: nothingSpent(), known: true };
}

/** What a row without a stored answer must be, but for what became of its page and when. */
function unanswered(row: InputRow, { metadata }: OutputRow, engine: Engine): OutputRow {
  const { error_code: code, error_message: message, attempts, processed_at: at } = metadata;
  const failure = { code: code as FailureCode, message: message ?? "" };
  const image = { failure, sha256: metadata.image_sha256, size: metadata.image_bytes };
  const obtained = { answerKey: null, billedPages: null, attempts, at };
  return outputRow(row, engine.name, image, obtained, 0);
}

/**
 * What a file holds; `undefined` if it is damaged. A store that fails says nothing about the file.
 */
async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  return await reading.catch((error) => {
    if (error instanceof StoreError) throw error;
    return undefined;
  });
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
