/**
 * @module dataset/check_row: what must hold of one output row by itself and beside its input row.
 * Pure.
 */

import type { InputRow, OutputRow } from "./row.ts";

/** Something that is wrong. */
export interface Finding {
  /** Stable code. */
  readonly code: string;
  /** In words. */
  readonly message: string;
  /** Position of the row in the input, from 0. */
  readonly row?: number;
  /** `id` of the row. */
  readonly id?: string;
}

/**
 * How far a polygon may leave the page: this share of the page's longer side, and 2 pixels. OCR
 * engines put corners of slanted words at the edge a little outside.
 */
const OUTSIDE_TOLERANCE = 0.01;

/** How far a polygon may leave a page of that size, pixels. */
export function tolerance(width: number, height: number): number {
  return Math.max(2, OUTSIDE_TOLERANCE * Math.max(width, height));
}

/** Everything that is wrong with a row. */
export function checkRow(row: InputRow, output: OutputRow): Finding[] {
  const findings: Finding[] = [];
  const wrong = (code: string, message: string) => findings.push({ code, message });
  for (const name of ["id", "split", "image_path", "image_filename"] as const) {
    if (row[name] === output[name]) continue;
    wrong("input_differs", `${name} is '${output[name]}', in the input '${row[name]}'`);
  }
  const { metadata, polygons, texts, labels } = output;
  const lengths = [polygons, texts, labels, metadata.word_confidences].map((list) => list.length);
  if (new Set(lengths).size > 1) {
    wrong(
      "lengths",
      `polygons, texts, labels, word_confidences have ${lengths.join(", ")} entries`,
    );
  }
  const expected = { ok: texts.length > 0, empty: texts.length === 0, failed: texts.length === 0 };
  if (!expected[metadata.status]) {
    wrong("status", `status '${metadata.status}' with ${texts.length} words`);
  }
  if ((metadata.status === "failed") !== (metadata.error_code !== null)) {
    wrong("status", `status '${metadata.status}' with error_code '${metadata.error_code}'`);
  }
  if (metadata.status !== "failed" && metadata.response_key === null) {
    wrong("answer", `status '${metadata.status}' without a response_key`);
  }
  polygons.forEach((polygon, n) => {
    const problem = checkPolygon(polygon, metadata.api_width, metadata.api_height);
    if (problem) wrong("polygon", `polygon ${n}: ${problem}`);
  });
  return findings;
}

function checkPolygon(
  polygon: readonly (readonly number[])[],
  width: number | null,
  height: number | null,
): string | undefined {
  if (polygon.length !== 4 || polygon.some((point) => point.length !== 2)) return "not four points";
  if (!polygon.flat().every(Number.isFinite)) return "a coordinate is not a number";
  if (width === null || height === null) return "the size of its page is unknown";
  const out = tolerance(width, height);
  const inside = polygon.every(([x, y]) =>
    x >= -out && x <= width + out && y >= -out && y <= height + out
  );
  return inside ? undefined : `outside the page of ${width} × ${height} pixels`;
}
