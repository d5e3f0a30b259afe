/**
 * @module state/agreement: what two engines agree on, as it lies beside an output: written whole,
 * found again, and put beside the output's rows, but only those of the very version that it was
 * made for.
 */

import { RunError, StoreError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import {
  type AgreementFile,
  type AgreementRow,
  encodeAgreement,
  openAgreementFile,
} from "../dataset/agreement_rows.ts";
import type { FlatRow, ScannedRow } from "../dataset/output_scan.ts";
import { openSource } from "../parquet/source.ts";
import type { RowRange } from "../parquet/rows.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import { AGREEMENT_FOOTER_KEY, type AgreementFooter, agreementFooter } from "./documents.ts";
import type { EngineModel } from "./engine_answers.ts";
import { agreementKey, defaultOutputKey } from "./keys.ts";

/** What two engines agree on, on the rows of one output. */
export interface Agreement {
  /** Which engines, and which output. */
  readonly footer: AgreementFooter;
  /** Where it lies. */
  readonly url: string;
  /** Version of the object. */
  readonly etag: string;
  /** The command that makes it anew. */
  readonly again: string;
  /** What stands beside the rows of sorted ranges. @default all of them */
  rows(ranges?: Iterable<RowRange>): AsyncIterable<AgreementRow>;
}

/** What was found beside an output: its agreement, or why that is not its own. */
export type FoundAgreement =
  | { readonly agreement: Agreement; readonly problem?: undefined }
  /** `made`: whether something lies there that can't be used; else nobody has compared. */
  | { readonly agreement?: undefined; readonly problem: string; readonly made: boolean };

/** An engine with its model, as `--engines` takes it. */
export function engineText({ engine, model }: EngineModel): string {
  return `${engine}:${model}`;
}

/** The command that compares. @param engines Absent where they are to be named by the user. */
export function agreeCommand(
  dataset: string,
  outputKey: string,
  engines?: readonly [EngineModel, EngineModel],
): string {
  const named = engines?.map(engineText).join(",") ?? "A,B";
  const output = outputKey === defaultOutputKey(dataset) ? "" : ` --output-s3-key ${outputKey}`;
  return `agree --dataset-name ${dataset} --engines ${named}${output}`;
}

/**
 * Looks for what lies beside an output.
 *
 * @param output The output as it lies there now.
 * @param dataset Whose output it is, for what to do about a problem.
 * @throws {StoreError} if the store fails
 */
export async function findAgreement(
  store: Store,
  output: ObjectInfo,
  dataset: string,
  signal: AbortSignal,
): Promise<FoundAgreement> {
  const key = agreementKey(output.key);
  const info = await store.stat(key, { signal });
  if (!info) {
    const problem = `no engines have been compared on ${store.url}/${output.key}: do that first ` +
      `(${agreeCommand(dataset, output.key)})`;
    return { problem, made: false };
  }
  const url = `${store.url}/${key}`;
  const opened = await open(store, info, signal);
  if (!opened) {
    return {
      problem: `${url} holds no agreement of engines: move it away, then compare anew ` +
        `(${agreeCommand(dataset, output.key)})`,
      made: true,
    };
  }
  const { file, footer } = opened;
  const own = footer.output;
  const again = agreeCommand(dataset, output.key, [footer.a, footer.b]);
  if (own.etag !== output.etag || own.bytes !== output.size || own.rows !== file.rows) {
    return {
      problem: `${url} belongs to another version of ${store.url}/${output.key}: compare anew ` +
        `(${again})`,
      made: true,
    };
  }
  const { etag } = info;
  return { agreement: { footer, url, etag, again, rows: (ranges) => file.scan(ranges) } };
}

/**
 * The agreement that somebody has asked for.
 *
 * @throws {RunError} `conflict` if there is none of this very output, saying what to do
 * @throws {StoreError} if the store fails
 */
export async function needAgreement(
  store: Store,
  output: ObjectInfo,
  dataset: string,
  signal: AbortSignal,
): Promise<Agreement> {
  const found = await findAgreement(store, output, dataset, signal);
  if (found.agreement) return found.agreement;
  throw new RunError("conflict", found.problem);
}

/**
 * Writes what two engines agree on, in place of what lay there.
 *
 * @param rows One for each row of the output, in order.
 * @throws {RunError} `conflict` if something else lies there
 * @throws {StoreError} if the store fails; then nothing is written
 */
export async function writeAgreement(
  store: Store,
  footer: AgreementFooter,
  rows: AsyncIterable<AgreementRow>,
  signal: AbortSignal,
): Promise<ObjectInfo> {
  return await store.writeParts(
    agreementKey(footer.output.key),
    encodeAgreement(rows, { [AGREEMENT_FOOTER_KEY]: JSON.stringify(footer) }),
    { contentType: "application/vnd.apache.parquet", signal },
  );
}

/** Makes sure that nothing else lies in its place. @throws {RunError} `conflict` if it does */
export async function checkAgreementPlace(
  store: Store,
  outputKey: string,
  signal: AbortSignal,
): Promise<void> {
  const info = await store.stat(agreementKey(outputKey), { signal });
  if (!info || await open(store, info, signal)) return;
  throw new RunError(
    "conflict",
    `${store.url}/${info.key}, where the agreement would go, holds something else: it is left as ` +
      "it is; move it away, then run the same command again",
  );
}

async function open(
  store: Store,
  info: ObjectInfo,
  signal: AbortSignal,
): Promise<{ readonly file: AgreementFile; readonly footer: AgreementFooter } | undefined> {
  try {
    const file = await openAgreementFile(openSource(store, info, { signal }));
    const { value } = parseJsonAs(agreementFooter, file.keyValues[AGREEMENT_FOOTER_KEY] ?? "");
    return value && { file, footer: value };
  } catch (error) {
    if (error instanceof StoreError || signal.aborted) throw error;
    return undefined;
  }
}

/**
 * Rows of an output with what another engine says of them.
 *
 * @param rows Of some ranges, in order.
 * @param ranges The same ranges. @default all rows
 * @throws {RunError} `conflict` if the two don't belong together after all
 */
export async function* withAgreement<Row extends ScannedRow | FlatRow>(
  rows: AsyncIterable<Row>,
  agreement: Agreement,
  ranges?: Iterable<RowRange>,
): AsyncGenerator<Row & { readonly agreement: AgreementRow }> {
  const beside = agreement.rows(ranges)[Symbol.asyncIterator]();
  try {
    for await (const row of rows) {
      const { value } = await beside.next();
      const own: AgreementRow | undefined = value;
      const words = "texts" in row ? row.texts.length : row.words.count;
      const fits = own?.id === row.id &&
        (own.state !== "compared" || own.words.length === words && own.others.length === words);
      if (!fits || !own) {
        throw new RunError(
          "conflict",
          `${agreement.url} does not fit row ${row.index} of its output: compare anew ` +
            `(${agreement.again})`,
        );
      }
      yield { ...row, agreement: own };
    }
  } finally {
    await beside.return?.();
  }
}
