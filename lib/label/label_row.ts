/**
 * @module label/label_row: turns one input row into one output row: image, answer, item. The item depends
 * on the row and the stored answer alone, so it comes out the same whenever and however often it
 * is made.
 */

import type { Answers, Obtained } from "./obtain.ts";
import type { PaidBy } from "../state/documents.ts";
import type { Page } from "../engine/engine.ts";
import type { Failure } from "../dataset/failure.ts";
import type { ImageLoader, LoadedImage } from "./images.ts";
import { type InputRow, type ItemMetadata, type OcrItem, SCHEMA_VERSION } from "../dataset/row.ts";

/** What every word is labelled as. */
export const WORD_LABEL = "text";
/** `metadata.source` of every row. */
export const SOURCE = "pseudolabel";

/** A row that is made. */
export interface Labeled {
  /** The row. */
  readonly item: OcrItem;
  /** For whom its answer was paid; null where none is stored. */
  readonly paidBy: PaidBy | null;
}

/** Labels rows with one engine. */
export class Labeler {
  readonly #engine: string;
  readonly #images: ImageLoader;
  readonly #answers: Answers;
  readonly #now: () => number;

  /**
   * Keeps nothing of the rows it labels.
   *
   * @param engine Name for `metadata.engine`.
   * @param now Milliseconds since the epoch, for failures that never reached the API.
   */
  constructor(engine: string, images: ImageLoader, answers: Answers, now: () => number) {
    this.#engine = engine;
    this.#images = images;
    this.#answers = answers;
    this.#now = now;
  }

  /**
   * Labels one row.
   *
   * @throws Whatever ends the run; a page that can't be read is a row.
   */
  async label(row: InputRow, stop: AbortSignal): Promise<Labeled> {
    const loaded = await this.#images.load(row.image_path, stop);
    try {
      const obtained = loaded.image ? await this.#answers.obtain(loaded.image, row.id) : undefined;
      const item = makeItem(row, this.#engine, loaded, obtained, this.#now());
      return { item, paidBy: obtained?.paidBy ?? null };
    } finally {
      loaded.release();
    }
  }
}

/** Joins a row with what became of its image. Pure. @param now Milliseconds since the epoch. */
export function makeItem(
  row: InputRow,
  engine: string,
  loaded: Pick<LoadedImage, "failure" | "sha256" | "size">,
  obtained: Omit<Obtained, "paidBy"> | undefined,
  now: number,
): OcrItem {
  const answer = obtained?.answer;
  const [page, failure] = onePage(answer?.pages, loaded.failure ?? obtained?.failure);
  const words = page?.words ?? [];
  const metadata: ItemMetadata = {
    source: SOURCE,
    engine,
    model_version: answer?.modelVersion ?? null,
    status: failure ? "failed" : words.length > 0 ? "ok" : "empty",
    error_code: failure?.code ?? null,
    error_message: failure?.message ?? null,
    attempts: obtained?.attempts ?? 0,
    page_confidence: page?.confidence ?? null,
    word_confidences: words.map((word) => word.confidence),
    image_sha256: loaded.sha256,
    image_bytes: loaded.size,
    api_width: page?.width ?? null,
    api_height: page?.height ?? null,
    billed_pages: obtained?.billedPages ?? null,
    response_key: obtained?.responseKey ?? null,
    processed_at: obtained?.at ?? new Date(now),
    input_metadata: row.metadata,
  };
  return {
    schema_version: SCHEMA_VERSION,
    id: row.id,
    split: row.split,
    image_path: row.image_path,
    image_filename: row.image_filename,
    // 0 is how the input says that it doesn't know.
    width: row.width || (page?.width ?? row.width),
    height: row.height || (page?.height ?? row.height),
    polygons: words.map((word) => word.polygon),
    texts: words.map((word) => word.text),
    labels: words.map(() => WORD_LABEL),
    metadata,
  };
}

function onePage(
  pages: readonly Page[] | undefined,
  failure: Failure | undefined,
): [Page | undefined, Failure | undefined] {
  if (failure || !pages) return [undefined, failure];
  if (pages.length === 1) return [pages[0], undefined];
  const message = `the document has ${pages.length} pages, a row describes one image`;
  return [undefined, { code: "multiple_pages", message }];
}
