/**
 * @module export/export: writes a data set's labels as a trainer reads them. Pages are prepared
 * several at a time and written in order; the mark that everything is there, `export.json`, comes
 * last.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RunError } from "../base/errors.ts";
import { mapOrdered } from "../base/ordered.ts";
import { type ImageSource, parseImagePath } from "../dataset/image_location.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { RowStatus } from "../dataset/row.ts";
import { clockwiseFromFirst } from "../geometry/polygon.ts";
import {
  differsInShape,
  isShapeBorrowed,
  type KnownFrame,
  putUpright,
  type StoredPicture,
} from "../image/frame.ts";
import { toStored, withoutTurn } from "../image/upright.ts";
import type { CheckedPage, ReviewMark } from "../state/documents.ts";
import { frameOfModel, type ProbedFrame } from "../state/known_frame.ts";
import { type Books, checkBooks, count, newBooks } from "./books.ts";
import { cutCrops } from "./crops.ts";
import type { FileSink } from "./files.ts";
import type { Format } from "./format.ts";
import { PageNames } from "./names.ts";
import type { Entry, ExportPage, ExportWord } from "./page.ts";
import { type Picture, type PictureHead, type PictureLost, Pictures } from "./pictures.ts";
import { checkedWords, type PageWords, readWords } from "./reviewed.ts";
import { groupOf, splitOf, type SplitOptions } from "./split.ts";
import {
  hundredths,
  type ReadWord,
  type SortedWords,
  sortWords,
  type WordOptions,
} from "./words.ts";

/** Pages that are being prepared at once. */
const AHEAD = 8;
/** Formats that no reader of images knows. */
const UNREADABLE = ["image/heic"];

/**
 * Which pages reviewers leave: all but those marked as wrong; the same, with checked pages as they
 * were put right; only checked ones, as they were put right.
 */
export type MarksMode = "exclude-wrong" | "corrected" | "only-reviewed";

/** What is done with pictures that EXIF turns and that can't be decoded. */
const LEFT_AS_STORED = "left_as_stored";
/** Why pages are left out whose pictures can't be made anew. */
const NOT_DECODED = ["image_damaged", "image_not_decodable"];

/** Where pictures come from: copied, the same file under a second name, named where they lie. */
export type ImageMode = "copy" | "link" | "paths";

/** What is exported, and how. */
export interface ExportOptions extends Omit<WordOptions, "format"> {
  /** What it is written as. */
  readonly format: Format;
  /** What the data set is called. */
  readonly dataset: string;
  /** Rows that ended so. */
  readonly status: readonly RowStatus[];
  /** Rows that belong to these parts of the data set by what they say; all where absent. */
  readonly splits?: readonly string[];
  /** What pages are for. */
  readonly split: SplitOptions;
  /** Least confidence of a page, 0 to 1; with it a page without one is left out. */
  readonly minPageConfidence?: number;
  /** Which pages count by what reviewers say; all where absent. */
  readonly marks?: MarksMode;
  /** Where the pictures of pages are. */
  readonly images: ImageMode;
  /** Whether the sizes that the engine gave are believed, so that no picture is read. */
  readonly unread: boolean;
  /** In which frame the engine reads pictures whose shape doesn't tell. */
  readonly frame?: KnownFrame;
  /** The same as a probe has shown it, for rows of the model that was probed. */
  readonly probed?: ProbedFrame;
  /** What pictures of words are written as. */
  readonly cropType: "png" | "jpg";
  /** Whether crops are turned where the format's trainer turns them. */
  readonly turn: boolean;
}

/** What an export works with. */
export interface ExportJob {
  /** What is exported, and how. */
  readonly options: ExportOptions;
  /** All rows, in order. */
  readonly rows: AsyncIterable<ScannedRow>;
  /** How many there are. */
  readonly total: number;
  /** Marks of reviewers, by id. */
  readonly marks: ReadonlyMap<string, ReviewMark>;
  /** Pages that were checked, by id. @default none */
  readonly checked?: ReadonlyMap<string, CheckedPage>;
  /** Where pictures lie. */
  readonly source: ImageSource;
  /** Where the files go; ended or given up here. */
  readonly files: FileSink;
  /** Files that an interrupted export of the same has left, which need not be written again. */
  readonly present: (name: string) => boolean;
  /** Bytes of pictures in memory at once. */
  readonly memory: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told of each row that is through. */
  readonly onProgress: (rows: number, total: number) => void;
}

/** What an export came to. */
export interface Exported {
  /** What became of everything. */
  readonly books: Books;
  /** What the user should know: sentences. */
  readonly notes: readonly string[];
}

/** A row on its way into the export. */
interface Prepared {
  readonly page?: ExportPage;
  /** Why it is not in it. */
  readonly lost?: string;
  /** Words that the row has. */
  readonly words: number;
  readonly sorted?: SortedWords;
  /** What was done with the picture. */
  readonly image?: string;
}

/**
 * Writes all files but `export.json`.
 *
 * @throws {RunError} `unsound` if the books don't add up
 * @throws {StoreError} if a store fails
 */
export async function exportLabels(job: ExportJob): Promise<Exported> {
  const { options, files, total, signal } = job;
  const { format, dataset } = options;
  const pictures = new Pictures(job.source, job.memory, signal);
  const names = new PageNames();
  const writer = format.open({ dataset, files });
  const books = newBooks();
  let [written, grouped] = [0, 0];
  async function* named() {
    for await (const row of job.rows) {
      if (groupOf(row, options.split) !== undefined) grouped++;
      yield { row, name: names.next(row.id, row.index) };
    }
  }
  try {
    for await (
      const prepared of mapOrdered(
        named(),
        AHEAD,
        ({ row, name }) => prepare(row, name, job, pictures),
      )
    ) {
      signal.throwIfAborted();
      book(books, prepared);
      if (prepared.page) written += await writer.page(prepared.page);
      job.onProgress(books.pages.in, total);
    }
    const notes = [...await writer.finish()];
    await files.finish();
    checkBooks(books, total, written);
    const groups = options.split.group ?? options.split.column;
    if (groups && grouped < books.pages.in) {
      notes.push(
        `${books.pages.in - grouped} of ${books.pages.in} pages are in no group, as nothing in ` +
          "them matches --group or --group-column: each is split by its id.",
      );
    }
    if (books.pages.dropped.frame_unknown) {
      notes.push(
        "Pages were left out as it is not known how the engine reads pictures that are turned by " +
          "half, mirrored or square (frame_unknown): probe-frame finds it out with one page, " +
          "--frame upright or stored says it. Quarter turns stay unknown where an engine tells no " +
          "size of its own: prepare --convert makes upright pictures, to be labelled anew.",
      );
    }
    if (NOT_DECODED.some((reason) => books.pages.dropped[reason])) {
      notes.push(
        "Pages were left out whose pictures have to be turned upright or cut, and can't be " +
          `decoded (${
            NOT_DECODED.join(", ")
          }): write these anew as JPEG or PNG, turned upright, and label ` +
          "them again.",
      );
    }
    const stored = (books.images[LEFT_AS_STORED] ?? 0) +
      (books.images[`${LEFT_AS_STORED}_inside`] ?? 0);
    if (stored > 0) {
      notes.push(
        `${stored} pictures that have to be turned upright and can't be decoded are there as they ` +
          "are stored, with their EXIF orientation set to 1: their texts don't run from left to " +
          `right (${LEFT_AS_STORED}).`,
      );
    }
    return { books, notes };
  } catch (error) {
    await files.abort(error);
    throw error;
  }
}

function book(books: Books, { page, lost, words, sorted, image }: Prepared): void {
  books.pages.in++;
  books.words.in += words;
  if (image !== undefined) count(books.images, image);
  if (!page || !sorted) {
    count(books.pages.dropped, lost ?? "unknown");
    return count(books.words.dropped, `page_${lost}`, words);
  }
  const { entries, ignored, dropped, changed, kept } = sorted;
  books.pages.out++;
  books.words.out += kept;
  books.entries += entries.length;
  books.splits[page.split].pages++;
  books.splits[page.split].entries += entries.length;
  for (const [what, n] of Object.entries(ignored)) count(books.words.ignored, what, n);
  for (const [what, n] of Object.entries(dropped)) count(books.words.dropped, what, n);
  for (const [what, n] of Object.entries(changed)) count(books.changed, what, n);
}

async function prepare(
  row: ScannedRow,
  name: string,
  job: ExportJob,
  pictures: Pictures,
): Promise<Prepared> {
  const { options } = job;
  const checked = options.marks === "exclude-wrong" ? undefined : job.checked?.get(row.id);
  const lost = refused(row, job, checked !== undefined);
  if (lost !== undefined) return { lost, words: row.texts.length };
  const written = checked ? checkedWords(row, checked) : readWords(row);
  if (!written) return { lost: "review_outdated", words: row.texts.length };
  const words = written.in;
  if (written.texts.length === 0 && !options.format.emptyPages) return { lost: "no_words", words };
  const { format } = options;
  const whole = options.images !== "paths" || format.pictures === "crops";
  const picture = options.unread
    ? believed(row)
    : await (whole ? pictures.read(row.imagePath) : pictures.head(row.imagePath));
  if ("lost" in picture) return { lost: picture.lost, words, image: "failed" };
  using _held = isWhole(picture) ? picture : undefined;
  const changed = imageChanged(row, picture);
  if (changed) return { lost: "image_changed", words, image: "failed" };
  const seen = seenBy(row);
  const placed = isShapeBorrowed(row.metadata.frame, seen, picture.header)
    ? undefined
    : putUpright(written.polygons, seen, picture.header, knownFrame(row, options));
  if (!placed) return { lost: "frame_unknown", words };
  const { width, height, polygons } = placed;
  const read = written.texts.map((text, at): ReadWord => ({
    text,
    confidence: written.confidences[at] ?? null,
    // Words that somebody has put right are not those that were compared.
    agreement: written.checked ? null : row.agreement?.words[at] ?? null,
    points: polygons[at] ?? [],
    checked: written.checked,
  }));
  const sorted = withReview(sortWords(read, width, height, options), written);
  const none = sorted.entries.length === 0;
  const { pageLost = none && !format.emptyPages ? "no_words_left" : undefined } = sorted;
  if (pageLost !== undefined) return { lost: pageLost, words };
  const split = splitOf(row, options.split);
  const page = {
    ...{ index: row.index, id: row.id, name, split, width, height },
    model: row.metadata.model_version,
    confidence: row.metadata.page_confidence,
    entries: sorted.entries,
    image: pathOf(row.imagePath, job.source),
    readAt: row.metadata.processed_at.toISOString(),
  };
  if (!isWhole(picture)) {
    // Lines of labels have no way to say such a path.
    if (/[\t\r\n]/.test(page.image)) return { lost: "image_path", words, image: "failed" };
    // A reader that doesn't turn pictures would see the boxes somewhere else.
    return picture.header.orientation > 1
      ? { lost: "image_turned", words, image: "failed" }
      : { page, sorted, words, image: options.unread ? undefined : "named" };
  }
  const place = { page, format, picture };
  if (format.pictures === "crops") {
    const crops = await cutCrops(place, options, job, pictures);
    return "lost" in crops
      ? { lost: crops.lost, words, image: "failed" }
      : { page: { ...page, crops: crops.names }, sorted, words, image: "cut" };
  }
  const copied = await copy(place, job, pictures);
  return "lost" in copied
    ? { lost: copied.lost, words, image: "failed" }
    : { page: { ...page, ...copied.file }, sorted, words, image: copied.how };
}

/** What became of the words, and of those that a reviewer has taken away. */
function withReview(sorted: SortedWords, { dropped, changed }: PageWords): SortedWords {
  return {
    ...sorted,
    dropped: { ...sorted.dropped, ...dropped },
    changed: { ...sorted.changed, ...changed },
  };
}

/** Why a row is left out whatever its words are. */
function refused(
  row: ScannedRow,
  { options, marks }: ExportJob,
  checked: boolean,
): string | undefined {
  const { status, splits, minPageConfidence } = options;
  if (row.status === "failed") return "failed";
  if (!status.includes(row.status)) return `status_${row.status}`;
  if (splits && !splits.includes(row.split ?? "")) return "other_split";
  // Who has put a page right after it was marked as wrong has answered the mark.
  const wrong = options.marks && !checked && marks.get(row.id)?.verdict === "wrong";
  if (wrong) return "marked_wrong";
  if (options.marks === "only-reviewed" && !checked) return "not_reviewed";
  if (minPageConfidence !== undefined) {
    const sure = row.metadata.page_confidence;
    if (sure === null) return "no_page_confidence";
    if (sure < minPageConfidence) return "low_page_confidence";
  }
  return undefined;
}

/** What is said or was probed of the model that answered for a row. */
function knownFrame(
  { metadata }: ScannedRow,
  { frame, probed }: ExportOptions,
): KnownFrame | undefined {
  return frame ?? frameOfModel(probed, metadata.model_version);
}

/** The page as the engine reports it. */
function seenBy({ metadata: { api_width: width, api_height: height } }: ScannedRow) {
  return width && height ? { width, height } : undefined;
}

/** A picture nobody looks at again. Rows of earlier versions don't say how EXIF turns it. */
function believed(row: ScannedRow): PictureHead | PictureLost {
  const { image_width, image_height, image_orientation } = row.metadata;
  const stored = { width: image_width, height: image_height };
  const { width, height } = image_orientation ? stored : seenBy(row) ?? row;
  if (!width || !height) return { lost: "size_unknown" };
  const orientation = image_orientation ?? 1;
  return { header: { type: "", extension: "", width, height, orientation, pages: 1 } };
}

function isWhole(picture: PictureHead | Picture): picture is Picture {
  return "bytes" in picture;
}

/** Whether the picture is another one than the engine has read. */
function imageChanged(row: ScannedRow, picture: PictureHead | Picture): boolean {
  const { image_sha256: known } = row.metadata;
  if (isWhole(picture) && known) {
    return createHash("sha256").update(picture.bytes).digest("hex") !== known;
  }
  const seen = seenBy(row);
  const { width, height } = picture.header;
  return seen !== undefined && differsInShape(seen, { width, height }) &&
    differsInShape(seen, { width: height, height: width });
}

async function copy(
  { page, format, picture }: {
    readonly page: ExportPage;
    readonly format: Format;
    readonly picture: Picture;
  },
  { files, present, options: { images } }: ExportJob,
  pictures: Pictures,
): Promise<Copied | PictureLost> {
  const { address, header: { type, extension, orientation } } = picture;
  if (UNREADABLE.includes(type)) return { lost: "image_type" };
  const put = async (bytes: Uint8Array<ArrayBuffer>, extension: string, how: string) => {
    const image = format.imageFile(page.split, `${page.name}.${extension}`);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (format.embeds) return { file: { image, sha256, picture: bytes }, how: `${how}_inside` };
    const from = how === "copied" && images === "link" ? address : undefined;
    if (from !== undefined && await files.link?.(image, from)) {
      return { file: { image, sha256 }, how: "linked" };
    }
    if (!present(image)) await files.write(image, bytes);
    return { file: { image, sha256 }, how };
  };
  if (orientation === 1) return await put(picture.bytes, extension, "copied");
  const as = type === "image/jpeg" ? "jpg" : "png";
  const turned = await pictures.decoded(
    picture,
    async (pixels) => await put(await pictures.encode(pixels, as), as, "turned"),
  );
  const { orientationAt } = picture.header;
  const mayStay = "lost" in turned && turned.lost !== "image_damaged";
  if (!mayStay || orientationAt === undefined) return turned;
  // Then all readers see it as it is stored, and its boxes are put there.
  const stays = await put(withoutTurn(picture.bytes, orientationAt), extension, LEFT_AS_STORED);
  return { ...stays, file: { ...stays.file, ...asStored(page, picture.header) } };
}

/** A page with its boxes on the picture as it is stored. */
function asStored(page: ExportPage, { width, height, orientation }: StoredPicture) {
  const placed = <T extends ExportWord>(word: T): T => {
    const points = word.quad.map(([x, y]) => toStored([x, y], width, height, orientation));
    return { ...word, quad: clockwiseFromFirst(points).map((point) => point.map(hundredths)) };
  };
  const entries = page.entries.map((entry): Entry => ({
    ...placed(entry),
    words: entry.words.map(placed),
  }));
  return { width, height, entries };
}

interface Copied {
  readonly file:
    & Pick<ExportPage, "image" | "sha256" | "picture">
    & Partial<Pick<ExportPage, "width" | "height" | "entries">>;
  /** What was done. */
  readonly how: string;
}

/** Where a picture lies, as a path or an address that can be used from anywhere. */
function pathOf(imagePath: string, { local }: ImageSource): string {
  const location = parseImagePath(imagePath);
  if (!location || location.bucket !== null || !local) return imagePath;
  return local.url.startsWith("file://")
    ? join(fileURLToPath(local.url), location.key)
    : `${local.url}/${location.key}`;
}

/** That a command line asks for what can't be. */
export function usage(message: string): RunError {
  return new RunError("usage", `${message}. Try export --help.`);
}
