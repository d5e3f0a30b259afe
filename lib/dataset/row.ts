/**
 * @module dataset/row: the rows of a data set as the program holds them, input and output.
 *
 * Field names are the column names (OCRStorageItem, `docs/DATA_CATALOG.md`). How they lie in
 * Parquet is `dataset/output_schema.ts`'s matter.
 */

import type { Frame } from "../image/frame.ts";

/** Version of the row layout, written into every row. */
export const SCHEMA_VERSION = "v1.0";

/** One input row: the flat columns that the job needs, never the input's polygons or texts. */
export interface InputRow {
  /** Position in the input, from 0. */
  readonly index: number;
  /** Unique within the data set; joins a label back to its image. */
  readonly id: string;
  /** `train`, `val`, … as the input says it. */
  readonly split: string | null;
  /** Where the image lies: `s3://bucket/key`, or a key inside the store. */
  readonly image_path: string;
  /** The image's file name, as the input says it. */
  readonly image_filename: string | null;
  /** Width in pixels; 0 or null where the input does not know it. */
  readonly width: number | null;
  /** Height in pixels; 0 or null where the input does not know it. */
  readonly height: number | null;
  /** The input's own `metadata` as JSON text; null where it has none. */
  readonly metadata: string | null;
}

/**
 * Four points `[x, y]` in pixels of the image as the API saw it, clockwise from the text's top
 * left.
 */
export type Polygon = number[][];

/** How a row ended: words found, the page holds no words, or it could not be read. */
export type RowStatus = "ok" | "empty" | "failed";

/** Where a row's labels come from: one constant schema, whatever happened to the row. */
export interface RowMetadata {
  /** Who made the labels: always `pseudolabel`. */
  readonly source: string;
  /** Name of the engine. */
  readonly engine: string;
  /** The model that answered, for example `ocr-260930`; null where none did. */
  readonly model_version: string | null;
  /** How the row ended. */
  readonly status: RowStatus;
  /** Stable code of the failure (`dataset/failure.ts`); null unless `status` is `failed`. */
  readonly error_code: string | null;
  /** The failure in words; null unless `status` is `failed`. */
  readonly error_message: string | null;
  /** Requests that were sent for the answer (or the failure). */
  readonly attempts: number;
  /** The API's confidence in the page, 0 to 1. */
  readonly page_confidence: number | null;
  /** The API's confidence in each word, 0 to 1, aligned with `texts`. */
  readonly word_confidences: readonly (number | null)[];
  /** SHA-256 of the image's bytes, lower-case hex; null where they could not be read. */
  readonly image_sha256: string | null;
  /** Length of the image in bytes. */
  readonly image_bytes: number | null;
  /** Page width in pixels as the API saw it. */
  readonly api_width: number | null;
  /** Page height in pixels as the API saw it. */
  readonly api_height: number | null;
  /** Pages that the API billed for the answer; rows that share a `response_key` share one bill. */
  readonly billed_pages: number | null;
  /** Key of the stored answer. */
  readonly response_key: string | null;
  /** When the answer arrived, or the row failed. */
  readonly processed_at: Date;
  /** The input's own metadata as JSON text. */
  readonly input_metadata: string | null;
  /**
   * Width in pixels of the picture as its file stores it; null where no page was read, where the
   * file is a document, and in rows of earlier versions.
   */
  readonly image_width: number | null;
  /** Height likewise. */
  readonly image_height: number | null;
  /** Its EXIF orientation, 1 to 8. */
  readonly image_orientation: number | null;
  /**
   * In which frame the API has read the picture, as far as the row tells; null where the picture's
   * size is.
   */
  readonly frame: Frame | null;
}

/** One output row. `polygons`, `texts`, `labels` and `word_confidences` have one length. */
export interface OutputRow {
  /** {@linkcode SCHEMA_VERSION}. */
  readonly schema_version: string;
  /** From the input, unchanged. */
  readonly id: string;
  /** From the input, unchanged. */
  readonly split: string | null;
  /** From the input, unchanged. */
  readonly image_path: string;
  /** From the input, unchanged. */
  readonly image_filename: string | null;
  /** From the input; from the answer where the input has none. */
  readonly width: number | null;
  /** From the input; from the answer where the input has none. */
  readonly height: number | null;
  /** One per word. */
  readonly polygons: readonly Polygon[];
  /** One per word. */
  readonly texts: readonly string[];
  /** One per word, always `text`. */
  readonly labels: readonly string[];
  /** Where all this comes from. */
  readonly metadata: RowMetadata;
}
