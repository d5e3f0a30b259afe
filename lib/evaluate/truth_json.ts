/**
 * @module evaluate/truth_json: truths that are JSON: a file of FUNSD for each page, or one for all
 * pages, of COCO-Text or of words by the names of pictures. Pure.
 */

import { parseJsonAs, type Schema, z } from "../base/json.ts";
import { beginsObject, type JsonSpan, jsonSpans, spanText } from "../base/json_spans.ts";
import { escaped, shown } from "../base/text.ts";
import { boxPoints, type Points } from "../geometry/polygon.ts";
import { badTruth, isDontCare, type RawBox, type TruthPage } from "./truth.ts";

const number = z.number();
const rectangle = z.tuple([number, number, number, number]);
const text = z.string();

const funsd = z.object({
  form: z.array(z.object({
    box: rectangle,
    text,
    words: z.array(z.object({ box: rectangle, text })).optional(),
  })),
});

/**
 * Reads a page of FUNSD: words, and the pieces that they make.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` if it is none
 */
export function parseFunsd(bytes: Uint8Array, name: string): TruthPage {
  const { value, problem } = parseJsonAs(funsd, bytes);
  if (problem !== undefined) throw badTruth(`${name} is no page of FUNSD: ${problem}`);
  const box = (each: { box: [number, number, number, number]; text: string }): RawBox => ({
    points: boxPoints(each.box),
    text: each.text,
    ignore: isDontCare(each.text),
  });
  const words = value.form.flatMap((piece) =>
    piece.words && piece.words.length > 0 ? piece.words.map(box) : [box(piece)]
  );
  return { boxes: words, segments: value.form.map(box) };
}

const id = z.union([z.string(), number]).transform(String);
const image = z.object({
  file_name: text,
  width: number.positive().optional(),
  height: number.positive().optional(),
});
const listedImage = image.extend({ id });
const annotation = z.object({
  image_id: id,
  bbox: rectangle.optional(),
  /** A polygon of COCO-Text: x1, y1, x2, y2, … */
  mask: z.array(number).optional(),
  /** Polygons of COCO; or an encoded mask, which is not read. */
  segmentation: z.unknown().optional(),
  legibility: text.optional(),
  utf8_string: text.nullish(),
  text: text.nullish(),
  iscrowd: number.optional(),
  ignore: z.union([number, z.boolean()]).optional(),
});
/** A file for all pages: its pages are parsed one by one, as it may have a hundred megabytes. */
export interface PagesFile {
  /** Pictures of the pages, with folder and extension, in the order of the file. */
  readonly pictures: readonly string[];
  /** Reads a page. @throws {RunError} `input` if it is none */
  page(at: number): TruthPage;
}

/**
 * Reads COCO-Text, or COCO with texts (`utf8_string` or `text`). What is illegible, a crowd or
 * without text is don't-care.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` if it is none
 */
export function parseCocoText(bytes: Uint8Array, name: string): PagesFile {
  const bad = (problem: string) => badTruth(`${name} is neither COCO-Text nor COCO: ${problem}`);
  const top = new Map(Array.from(spansOf(bytes, bad), (span) => [span.name, span]));
  const isText = top.has("imgs");
  const [imagesName, annotationsName] = isText ? ["imgs", "anns"] : ["images", "annotations"];
  const below = (of: string) => {
    const span = top.get(of);
    if (!span) throw bad(`it has no '${of}'`);
    return spansOf(bytes, (problem) => bad(`${of}: ${problem}`), span);
  };
  const pictures: string[] = [];
  const sizes: TruthPage["size"][] = [];
  const pageOf = new Map<string, number>();
  const picture = isText ? image : listedImage;
  for (const span of below(imagesName)) {
    const value = parsed(
      bytes,
      span,
      picture,
      (problem) => bad(`${imagesName}.${span.name}.${problem}`),
    );
    pageOf.set("id" in value ? value.id as string : span.name, pictures.length);
    const { file_name, width, height } = value;
    pictures.push(file_name);
    sizes.push(width !== undefined && height !== undefined ? { width, height } : undefined);
  }
  const annotations = new SpanList(below(annotationsName));
  const read = (at: number) =>
    parsed(
      bytes,
      annotations.at(at),
      annotation,
      (problem) => bad(`${annotationsName}, number ${at + 1}: ${problem}`),
    );
  /** By page the first annotation, and by annotation the next one of its page; -1 for none. */
  const first = new Int32Array(pictures.length).fill(-1);
  const next = new Int32Array(annotations.length).fill(-1);
  // From the last one back, so that the chains run forward.
  for (let at = annotations.length - 1; at >= 0; at--) {
    const page = pageOf.get(read(at).image_id);
    if (page === undefined) continue; // of a picture that the file doesn't list
    [next[at], first[page]] = [first[page], at];
  }
  return {
    pictures,
    page(page) {
      const boxes: RawBox[] = [];
      for (let at = first[page] ?? -1; at >= 0; at = next[at]) {
        const each = read(at);
        const points = pointsOf(each);
        if (!points) continue;
        const written = each.utf8_string ?? each.text ?? "";
        const ignore = isDontCare(written) || each.iscrowd === 1 || Boolean(each.ignore) ||
          each.legibility === "illegible";
        boxes.push({ points, text: written, ignore });
      }
      const size = sizes[page];
      return { boxes, ...size && { size } };
    },
  };
}

/** Where values lie, in 8 bytes each, as there may be a million annotations. */
class SpanList {
  #starts = new Uint32Array(1 << 10);
  #ends = new Uint32Array(1 << 10);
  /** How many. */
  length = 0;

  constructor(spans: Iterable<JsonSpan>) {
    for (const { start, end } of spans) {
      if (this.length === this.#starts.length) {
        [this.#starts, this.#ends] = [this.#starts, this.#ends].map((from) => {
          const to = new Uint32Array(2 * from.length);
          to.set(from);
          return to;
        });
      }
      [this.#starts[this.length], this.#ends[this.length]] = [start, end];
      this.length++;
    }
  }

  /** One of them. */
  at(index: number): Omit<JsonSpan, "name"> {
    return { start: this.#starts[index], end: this.#ends[index] };
  }
}

/** The values of an object or array, or what is wrong with it. */
function* spansOf(
  bytes: Uint8Array,
  bad: (problem: string) => Error,
  within?: JsonSpan,
): Generator<JsonSpan> {
  try {
    yield* jsonSpans(bytes, within?.start, within?.end);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw bad(escaped(`not JSON: ${error.message}`));
  }
}

function parsed<T>(
  bytes: Uint8Array,
  span: Omit<JsonSpan, "name">,
  schema: Schema<T>,
  bad: (problem: string) => Error,
): T {
  const { value, problem } = parseJsonAs(schema, spanText(bytes, span));
  if (problem !== undefined) throw bad(problem);
  return value;
}

function pointsOf({ mask, segmentation, bbox }: z.infer<typeof annotation>): Points | undefined {
  const first: unknown = Array.isArray(segmentation) ? segmentation[0] : undefined;
  for (const flat of [mask, first]) {
    if (!Array.isArray(flat) || flat.length < 6 || flat.length % 2 === 1) continue;
    if (!flat.every((each) => typeof each === "number")) continue;
    return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  }
  if (!bbox) return undefined;
  const [x, y, width, height] = bbox;
  return boxPoints([x, y, x + width, y + height]);
}

const wordsPage = z.object({
  width: number.positive().optional(),
  height: number.positive().optional(),
  words: z.array(z.object({ text, polygon: z.array(z.array(number)) })),
});

/**
 * Reads the plainest form, `{"picture": {"width", "height", "words": [{"text", "polygon"}]}}`.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` if it is none
 */
export function parseWords(bytes: Uint8Array, name: string): PagesFile {
  const bad = (problem: string) =>
    badTruth(`${name} is no {"picture": {"words": [{"text", "polygon"}]}}: ${problem}`);
  if (!beginsObject(bytes)) throw bad("it is no object");
  const spans = [...spansOf(bytes, bad)];
  const pageAt = (at: number): TruthPage => {
    const { width, height, words } = parsed(
      bytes,
      spans[at],
      wordsPage,
      (problem) => bad(`${shown(spans[at].name)}: ${problem}`),
    );
    return {
      boxes: words.map(({ text, polygon }) => ({
        ...{ points: polygon, text, ignore: isDontCare(text) },
      })),
      ...width !== undefined && height !== undefined && { size: { width, height } },
    };
  };
  // What is something else altogether is to be known at once.
  if (spans.length > 0) pageAt(0);
  return { pictures: spans.map((span) => span.name), page: pageAt };
}

/** What a file of JSON is, by the names at its top. */
export function jsonFormat(bytes: Uint8Array): "coco-text" | "funsd" | "words" {
  let found: "coco-text" | "funsd" | "words" = "words";
  try {
    for (const { name, start } of jsonSpans(bytes)) {
      if (name === "imgs" || name === "images") return "coco-text";
      if (name === "form" && bytes[start] === "[".charCodeAt(0)) found = "funsd";
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return found;
}
