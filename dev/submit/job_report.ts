/**
 * @module submit/job_report: what a finished run came to, from the `result.json` and `ledger.json`
 * that it left in the bucket: as text, as Markdown for a step summary, and as files to keep.
 */

import {
  type Ledger,
  ledger as ledgerSchema,
  type RunResult,
  runResult as resultSchema,
} from "../../lib/state/documents.ts";
import { parseJsonAs, type Schema } from "../../lib/base/json.ts";
import { CheckpointKeys } from "../../lib/state/keys.ts";
import { totalBilled } from "../../lib/state/ledger.ts";
import type { Settings } from "../../lib/base/settings.ts";
import { type AwsCli, AwsError } from "./aws_cli.ts";

/** An output beyond this is not downloaded, only named: 500 MiB, in bytes. */
export const LARGEST_DOWNLOAD = 500 * 1024 * 1024;

/** What a run left behind. */
export interface JobReport {
  /** That the output is written, and what it holds. */
  readonly result: RunResult;
  /** What the data set has cost, all runs together; undefined if that can't be read. */
  readonly ledger: Ledger | undefined;
}

/**
 * Reads the report; `undefined` if there is no result.
 *
 * @throws {AwsError} if the bucket can't be read
 */
export async function readReport(
  aws: AwsCli,
  bucket: string,
  { checkpointPrefix, datasetName }: Pick<Settings, "checkpointPrefix" | "datasetName">,
): Promise<JobReport | undefined> {
  const keys = new CheckpointKeys(checkpointPrefix, datasetName);
  const result = await readDocument(aws, `s3://${bucket}/${keys.result}`, resultSchema);
  if (!result) return undefined;
  return { result, ledger: await readDocument(aws, `s3://${bucket}/${keys.ledger}`, ledgerSchema) };
}

async function readDocument<T>(
  aws: AwsCli,
  url: string,
  schema: Schema<T>,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await aws.text("s3", "cp", url, "-");
  } catch (error) {
    if (error instanceof AwsError && error.kind === "missing") return undefined;
    throw error;
  }
  const { value, problem } = parseJsonAs(schema, text);
  if (value === undefined) throw new AwsError("other", `${url} is damaged: ${problem}`);
  return value;
}

/** The report as lines of label and value. @param pricePerPage US dollars. */
export function reportLines(
  { result, ledger }: JobReport,
  pricePerPage: number,
): [label: string, value: string][] {
  const { counts, output } = result;
  const cost = (pages: number) => `${pages} ($${(pages * pricePerPage).toFixed(2)})`;
  return [
    ["rows", `${counts.rows}`],
    ["ok", `${counts.ok}`],
    ["empty", `${counts.empty}`],
    ["failed", `${counts.failed}`],
    ...Object.entries(counts.failures).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([code, n]): [string, string] => [`failed: ${code}`, `${n}`]),
    ["pages billed for these rows", cost(totalBilled(result.spent))],
    ...(ledger
      ? [["pages billed for the data set, ever", cost(totalBilled(ledger))] as [string, string]]
      : []),
    ["answers reused", `${result.spent.answers_reused}`],
    ["output", output.url],
    ["output bytes", `${output.bytes}`],
    ["finished", result.finished_at],
  ];
}

/** The lines as text in two columns. */
export function asText(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join("\n");
}

/** The lines as a Markdown table. */
export function asMarkdown(title: string, lines: readonly (readonly [string, string])[]): string {
  const cell = (text: string) => text.replace(/[|\\`<>]/g, "\\$&").replace(/\s+/g, " ");
  const rows = lines.map(([label, value]) => `| ${cell(label)} | ${cell(value)} |`);
  return [`### ${cell(title)}`, "", "| | |", "| --- | --- |", ...rows, ""].join("\n");
}

/**
 * Writes `result.json`, `ledger.json` and, up to {@linkcode LARGEST_DOWNLOAD}, the output's Parquet
 * file into a folder.
 *
 * @returns What to tell people about it, in one line.
 */
export async function saveReport(
  aws: AwsCli,
  { result, ledger }: JobReport,
  folder: string,
): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  const write = (name: string, document: unknown) =>
    Deno.writeTextFile(`${folder}/${name}`, JSON.stringify(document, null, 2) + "\n");
  await write("result.json", result);
  if (ledger) await write("ledger.json", ledger);
  const { url, bytes } = result.output;
  if (bytes > LARGEST_DOWNLOAD) {
    return `The output has ${bytes} bytes, more than ${LARGEST_DOWNLOAD}: it stays at ${url} only`;
  }
  const name = url.slice(url.lastIndexOf("/") + 1);
  await aws.text("s3", "cp", "--only-show-errors", url, `${folder}/${name}`);
  return `Report and output are in ${folder}`;
}
