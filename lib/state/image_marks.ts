/**
 * @module state/image_marks: what is kept of a row beside it, so that a later run can take it over
 * without reading its image: the version of the image that was read, and who paid for its answer.
 * It lies in the footer of the row's checkpoint, so that both are written or neither.
 */

import { parseJsonAs } from "../base/json.ts";
import type { ImageVersion } from "../dataset/image_versions.ts";
import type { OutputRow } from "../dataset/row.ts";
import {
  type CheckpointImages,
  checkpointImages,
  IMAGES_FOOTER_KEY,
  type PaidBy,
} from "./documents.ts";
import { RowKeys } from "../dataset/row_keys.ts";

/** What is kept of a row that was made from a stored answer: the image as it was read, and more. */
export interface RowMark extends ImageVersion {
  /** Length of the image, bytes. */
  readonly bytes: number;
  /** SHA-256 of the image, lower-case hex. */
  readonly sha256: string;
  /** Id of the run that paid for the answer, for this very row; null if another row did. */
  readonly payer: string | null;
}

/**
 * The mark of a row; null for one that failed, as it is made anew.
 *
 * @param dataset Name of the data set.
 * @param paidBy From the stored answer; null where there is none.
 * @param version Of the image that was read.
 */
export function markOf(
  dataset: string,
  { id, metadata }: OutputRow,
  paidBy: PaidBy | null,
  { etag, modified }: ImageVersion,
): RowMark | null {
  const { status, image_sha256: sha256, image_bytes: bytes } = metadata;
  if (status === "failed" || sha256 === null || bytes === null || paidBy === null) return null;
  const own = paidBy.dataset === dataset && paidBy.row_id === id;
  return { etag: etag || null, modified, bytes, sha256, payer: own ? paidBy.run_id : null };
}

/** For whom the answer of a marked row was paid, as far as it matters to the row's data set. */
export function payerOf(dataset: string, id: string, payer: RowMark["payer"]): PaidBy {
  // No row has an empty id.
  return payer === null
    ? { dataset: "", run_id: "", row_id: "" }
    : { dataset, run_id: payer, row_id: id };
}

/** What is kept of the rows of a batch, in their order. */
export interface BatchImages {
  /** Null for a failed row. None at all where nothing is known of any. */
  readonly marks: readonly (RowMark | null)[];
  /** Which rows they are; absent where an earlier version has kept no such thing. */
  readonly keys?: RowKeys;
}

/** As it lies in a footer. */
export function encodeImages({ marks, keys }: BatchImages): string {
  const payers: string[] = [];
  const indexOf = new Map<string, number>();
  const index = (payer: string) => {
    const known = indexOf.get(payer);
    if (known !== undefined) return known;
    indexOf.set(payer, payers.length);
    return payers.push(payer) - 1;
  };
  const rows: CheckpointImages["rows"] = marks.map((mark) => {
    if (!mark) return null;
    const { etag, bytes, sha256, payer, modified } = mark;
    return [etag, bytes, sha256, payer === null ? null : index(payer), modified];
  });
  return JSON.stringify({ payers, rows, keys: keys?.encode() } satisfies CheckpointImages);
}

/**
 * What a checkpoint's footer keeps of its rows; `undefined` if there is nothing that this version
 * reads, as in checkpoints of versions before there was any.
 */
export function readImages(
  keyValues: Readonly<Record<string, string>>,
): BatchImages | undefined {
  const parsed = parseJsonAs(checkpointImages, keyValues[IMAGES_FOOTER_KEY] ?? "");
  if (parsed.problem !== undefined) return undefined;
  const { payers, rows, keys } = parsed.value;
  if (rows.some((row) => row?.[3] != null && row[3] >= payers.length)) return undefined;
  const marks = rows.map((row) => {
    if (!row) return null;
    const [etag, bytes, sha256, payer, modified = null] = row;
    return { etag, modified, bytes, sha256, payer: payer === null ? null : payers[payer] };
  });
  return { marks, keys: keys === undefined ? undefined : RowKeys.decode(keys, rows.length) };
}
