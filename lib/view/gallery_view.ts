/**
 * @module view/gallery_view: one page of a gallery as the browser gets it: the words and their
 * boxes on the upright picture, what is known of the page, and what should be known of the picture.
 */

import { flatRow, type ScannedRow } from "../dataset/output_scan.ts";
import {
  differsInShape,
  type Frame,
  frameOf,
  isShapeBorrowed,
  type KnownFrame,
  type Size,
} from "../image/frame.ts";
import { swapsSides } from "../image/upright.ts";
import type { CheckedPage, ReviewMark } from "../state/documents.ts";
import { type CheckedView, editsOf } from "./gallery_check.ts";
import { place, type Placed } from "./gallery_frame.ts";
import type { Picture } from "./gallery_images.ts";
import { doubtOf } from "./report_doubts.ts";
import { measurePage } from "./report_measures.ts";

/** Characters of an id, a path or a message that go to the browser. */
const MAX_TEXT = 2_000;

/** A page for the browser. Texts are as they came: the browser shows them as texts only. */
export interface PageView {
  /** Position in the output, from 0. */
  readonly row: number;
  /** Of the row, cut where it is very long. */
  readonly id: string;
  /** Likewise. */
  readonly imagePath: string;
  /** How it ended. */
  readonly status: string;
  /** Why it failed. */
  readonly code: string | null;
  /** The failure in words. */
  readonly message: string | null;
  /** The API's confidence in the page, 0 to 1. */
  readonly confidence: number | null;
  /** Requests that it took. */
  readonly attempts: number;
  /** The model that answered. */
  readonly model: string | null;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Why it is doubtful by itself, without a look at the others. */
  readonly reasons: readonly string[];
  /** By word. */
  readonly texts: readonly string[];
  /** By word, 0 to 1. */
  readonly confidences: readonly (number | null)[];
  /** How far another engine agrees; null where nothing was compared. */
  readonly agreement: {
    /** On the page, 0 to 1. */
    readonly page: number;
    /** By word, 0 to 1. */
    readonly words: readonly number[];
    /** By word what the other engine has read there; null for nothing. */
    readonly others: readonly (string | null)[];
    /** Words that the other engine alone has. */
    readonly onlyOther: number;
  } | null;
  /** Where the words lie. */
  readonly placed: Placed;
  /** Where they would lie had the API read the picture the other way; where that can't be told. */
  readonly otherwise?: Placed;
  /** Whether there is a picture to be asked for. */
  readonly picture: boolean;
  /** What people should know of picture and boxes. */
  readonly notes: readonly string[];
  /** What a reviewer has said. */
  readonly mark: ReviewMark | null;
  /** What somebody has put right. */
  readonly checked: CheckedView | null;
}

/**
 * Makes a page for the browser.
 *
 * @param mark What reviewers have said of it.
 * @param checked What somebody has put right.
 * @param known How its model reads pictures whose shape doesn't tell.
 */
export function pageView(
  row: ScannedRow,
  picture: Picture,
  mark?: ReviewMark,
  checked?: CheckedPage,
  known?: KnownFrame,
): PageView {
  const { metadata, texts, polygons, confidences } = row;
  const { stored, orientation } = picture;
  const seen = sizeOf(metadata.api_width, metadata.api_height);
  const notes = picture.problem === undefined ? [] : [picture.problem];
  const borrowed = seen && stored &&
    isShapeBorrowed(metadata.frame, seen, { ...stored, orientation });
  const shape: Frame = seen && stored ? frameOf(seen, stored, orientation) : "upright";
  const frame = borrowed ? "unknown" : shape === "unknown" ? known ?? shape : shape;
  const size = seen ?? shownSize(stored, orientation) ?? sizeOf(row.width, row.height) ?? PAPER;
  const placed = place(polygons, size, orientation, frame === "stored");
  const otherwise = frame === "unknown" ? place(polygons, size, orientation, true) : undefined;
  if (frame === "unknown" && texts.length > 0) {
    notes.push(
      `the picture is turned by its EXIF orientation (${orientation}), and the answer doesn't ` +
        "tell whether its boxes are: press o to see them the other way",
    );
  }
  const shown = shownSize(stored, orientation);
  if (seen && shown && differsInShape(placed, shown)) {
    notes.push(
      `the API saw ${seen.width} × ${seen.height} pixels, the picture has ${shown.width} × ` +
        `${shown.height}: it is shown in the API's shape`,
    );
  }
  const edits = checked && editsOf(row, checked);
  if (checked && !edits) {
    notes.push(
      `this page was checked by ${
        cut(checked.by)
      } when it had other labels: that stays the truth ` +
        "until it is checked again",
    );
  }
  const usual = { coverage: 0, span: 0 };
  return {
    row: row.index,
    id: cut(row.id),
    imagePath: cut(row.imagePath),
    status: row.status,
    code: metadata.error_code,
    message: metadata.error_message && cut(metadata.error_message),
    confidence: metadata.page_confidence,
    attempts: metadata.attempts,
    model: metadata.model_version,
    at: metadata.processed_at.toISOString(),
    reasons: row.status === "ok" ? doubtOf(measurePage(flatRow(row)), usual).reasons : [],
    texts,
    confidences: texts.map((_, i) => confidences[i] ?? null),
    agreement: agreementOf(row),
    placed,
    ...otherwise && { otherwise },
    picture: picture.bytes !== undefined,
    notes,
    mark: mark ?? null,
    checked: checked && edits ? { by: cut(checked.by), at: checked.at, edits } : null,
  };
}

function agreementOf({ agreement }: ScannedRow): PageView["agreement"] {
  if (!agreement || agreement.agreement === null) return null;
  const { agreement: page, words, others, onlyOther } = agreement;
  return { page, words, others, onlyOther: onlyOther ?? 0 };
}

/** Where nothing tells how large a page is. */
const PAPER: Size = { width: 1_000, height: 1_400 };

function sizeOf(width: number | null, height: number | null): Size | undefined {
  return width && height && width > 0 && height > 0 ? { width, height } : undefined;
}

function shownSize(stored: Size | undefined, orientation: number): Size | undefined {
  return stored && swapsSides(orientation)
    ? { width: stored.height, height: stored.width }
    : stored;
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
