/**
 * @module label/output_row: makes an output row of an input row, its image and its answer. Pure.
 */

import type { Parsed } from "../base/json.ts";
import type { Failure } from "../dataset/failure.ts";
import { flatRow } from "../dataset/quads.ts";
import type { ImageVersion } from "../dataset/image_versions.ts";
import { type InputRow, type OutputRow, type RowMetadata, SCHEMA_VERSION } from "../dataset/row.ts";
import { wordCount } from "../engine/answer.ts";
import type { Answer, AnswerPage, Engine } from "../engine/engine.ts";
import { markedFrame, type Size, type StoredPicture } from "../image/frame.ts";
import type { PaidBy, StoredAnswer } from "../state/documents.ts";
import type { Payment } from "../state/ledger.ts";
import type { LoadedImage } from "./images.ts";

/** What a word is labelled as of which the engine says nothing else. */
const WORD_LABEL = "text";
/** `metadata.source` of every row. */
export const SOURCE = "pseudolabel";

/** The page as the API saw it, if it says so. */
function sized({ width, height }: AnswerPage): Size | undefined {
  return width > 0 && height > 0 ? { width, height } : undefined;
}

/** A row that is made. */
export interface LabeledRow {
  /** The row. */
  readonly output: OutputRow;
  /** For whom its answer was paid; null where none is stored. */
  readonly paidBy: PaidBy | null;
  /** Answers that were asked for besides, of other engines. @default none */
  readonly others?: readonly Payment[];
  /**
   * Version of the image that was read for it; absent where none was read: then what was kept of it
   * before still holds.
   */
  readonly imageVersion?: ImageVersion;
  /** Whether it was taken over from an earlier input: nothing was asked for it. @default false */
  readonly takenOver?: boolean;
}

/** What an image came to: `answer` or `failure`. */
export interface Obtained {
  /** The answer, read. */
  readonly answer?: Answer;
  /** Why there is none. */
  readonly failure?: Failure;
  /** Whether that says nothing of the image: its engine was not to be had. @default false */
  readonly elsewhere?: boolean;
  /** Whether nothing shows if it is the image's or the engine's failure. @default false */
  readonly unsure?: boolean;
  /** Key of the stored answer; null where none is stored. */
  readonly answerKey: string | null;
  /** Pages on the bill for the stored answer, readable or not; null where none is stored. */
  readonly billedPages: number | null;
  /** The picture that it is of, where that was kept with it. */
  readonly picture?: StoredPicture;
  /** Requests that were sent for it, whenever that was; throttled ones don't count. */
  readonly attempts: number;
  /** When the answer arrived or the page failed. */
  readonly at: Date;
  /** For which row of which run the answer was paid; null where none is stored. */
  readonly paidBy: PaidBy | null;
}

/**
 * Reads a stored answer: the same result whether it just arrived or came long ago. Pure.
 *
 * @param read What the engine makes of its body, where that is known already.
 * @param billedPages Pages on its bill; where both are known the body is not looked at.
 */
export function readAnswer(
  engine: Engine,
  stored: Pick<StoredAnswer, "attempts" | "received_at" | "paid_by" | "picture" | "body">,
  answerKey: string,
  read: Parsed<Answer> = engine.parse(stored.body, stored.picture),
  billedPages: number = engine.billedPages(stored.body),
): Obtained {
  return {
    answerKey,
    billedPages,
    attempts: stored.attempts,
    picture: stored.picture,
    at: new Date(stored.received_at),
    paidBy: stored.paid_by,
    ...(read.problem === undefined
      ? { answer: read.value }
      : { failure: { code: "invalid_answer" as const, message: read.problem } }),
  };
}

/**
 * Whether no other engine need be asked: there are words, or pages of which none could make a row.
 */
export function hasWords({ answer }: Pick<Obtained, "answer">): boolean {
  return answer !== undefined && (answer.pages.length > 1 || wordCount(answer.pages[0]) > 0);
}

/** Joins a row with what became of its image. Pure. @param now Milliseconds since the epoch. */
export function outputRow(
  row: InputRow,
  engine: string,
  loaded: Pick<LoadedImage, "failure" | "sha256" | "size" | "picture">,
  obtained: Omit<Obtained, "paidBy"> | undefined,
  now: number,
): OutputRow {
  const answer = obtained?.answer;
  const [page, failure] = onePage(answer?.pages, loaded.failure ?? obtained?.failure);
  const flat = page?.flat;
  const words = flat ? undefined : page?.words ?? [];
  const texts = flat?.texts ?? words!.map((word) => word.text);
  const picture = page && (obtained?.picture ?? loaded.picture);
  const metadata: RowMetadata = {
    source: SOURCE,
    engine,
    model_version: answer?.modelVersion ?? null,
    status: failure ? "failed" : texts.length > 0 ? "ok" : "empty",
    error_code: failure?.code ?? null,
    error_message: failure?.message.toWellFormed() ?? null,
    attempts: obtained?.attempts ?? 0,
    page_confidence: page?.confidence ?? null,
    word_confidences: flat?.confidences ?? words!.map((word) => word.confidence),
    image_sha256: loaded.sha256,
    image_bytes: loaded.size,
    api_width: page?.width ?? null,
    api_height: page?.height ?? null,
    billed_pages: obtained?.billedPages ?? null,
    response_key: obtained?.answerKey ?? null,
    processed_at: obtained?.at ?? new Date(now),
    input_metadata: row.metadata,
    image_width: picture?.width ?? null,
    image_height: picture?.height ?? null,
    image_orientation: picture?.orientation ?? null,
    frame: picture ? page.frame ?? markedFrame(sized(page), picture) : null,
  };
  const made = {
    schema_version: SCHEMA_VERSION,
    id: row.id,
    split: row.split,
    image_path: row.image_path,
    image_filename: row.image_filename,
    width: sizeOf(row.width, page?.width),
    height: sizeOf(row.height, page?.height),
    texts,
    labels: words?.map(({ label = WORD_LABEL }) => label) ?? texts.map(() => WORD_LABEL),
    metadata,
  };
  return flat
    ? flatRow(made, flat.quads)
    : { ...made, polygons: words!.map((word) => word.polygon) };
}

/**
 * The row that was made before, as it would be made of the input row now: what it takes from the
 * input is the input's, what it takes from image and answer stays. Pure.
 */
export function takeOver(row: InputRow, { metadata, ...previous }: OutputRow): OutputRow {
  return {
    ...previous,
    split: row.split,
    image_filename: row.image_filename,
    width: sizeOf(row.width, metadata.api_width),
    height: sizeOf(row.height, metadata.api_height),
    metadata: { ...metadata, input_metadata: row.metadata },
  };
}

/** A side of the image. 0 is how the input says that it doesn't know. */
function sizeOf(given: number | null, seen: number | null | undefined): number | null {
  return given || (seen ?? unsignedZero(given));
}

/** A column of floating-point numbers may hold −0, which is not read back as such. */
function unsignedZero(size: number | null): number | null {
  return size === null ? null : size + 0;
}

function onePage(
  pages: readonly AnswerPage[] | undefined,
  failure: Failure | undefined,
): [AnswerPage | undefined, Failure | undefined] {
  if (failure || !pages) return [undefined, failure];
  if (pages.length === 1) return [pages[0], undefined];
  const message = `the document has ${pages.length} pages, a row describes one image`;
  return [undefined, { code: "multiple_pages", message }];
}
