/**
 * @module evaluate/truth_json: truths that are JSON: a file of FUNSD for each page, or one for all
 * pages, of COCO-Text or of words by the names of pictures. Pure.
 */

import { parseJsonAs, z } from "../base/json.ts";
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
const cocoText = z.object({
  imgs: z.record(z.string(), image),
  anns: z.record(z.string(), annotation),
});
const coco = z.object({
  images: z.array(image.extend({ id })),
  annotations: z.array(annotation),
});

/** A page of a file for all pages. */
export interface NamedPage extends TruthPage {
  /** Of the picture, with its folder and extension. */
  readonly file: string;
}

/**
 * Reads all pages of COCO-Text, or of COCO with texts (`utf8_string` or `text`). What is illegible,
 * a crowd or without text is don't-care.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` if it is none
 */
export function parseCocoText(bytes: Uint8Array, name: string): NamedPage[] {
  const { value, problem } = parseJsonAs(z.union([cocoText, coco]), bytes);
  if (problem !== undefined) throw badTruth(`${name} is neither COCO-Text nor COCO: ${problem}`);
  const [images, annotations] = "imgs" in value
    ? [
      Object.entries(value.imgs).map(([id, image]) => ({ id, ...image })),
      Object.values(value.anns),
    ]
    : [value.images, value.annotations];
  const boxes = new Map<string, RawBox[]>(images.map(({ id }) => [id, []]));
  for (const each of annotations) {
    const points = pointsOf(each);
    const page = boxes.get(each.image_id);
    if (!points || !page) continue; // of a picture that the file doesn't list
    const written = each.utf8_string ?? each.text ?? "";
    const ignore = isDontCare(written) || each.iscrowd === 1 || Boolean(each.ignore) ||
      each.legibility === "illegible";
    page.push({ points, text: written, ignore });
  }
  return images.map(({ id, file_name: file, width, height }) => ({
    ...{ file, boxes: boxes.get(id) ?? [] },
    ...width !== undefined && height !== undefined && { size: { width, height } },
  }));
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

const words = z.record(
  z.string(),
  z.object({
    width: number.positive().optional(),
    height: number.positive().optional(),
    words: z.array(z.object({ text, polygon: z.array(z.array(number)) })),
  }),
);

/**
 * Reads all pages of the plainest form, `{"picture": {"width", "height", "words": [{"text",
 * "polygon"}]}}`.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` if it is none
 */
export function parseWords(bytes: Uint8Array, name: string): NamedPage[] {
  const { value, problem } = parseJsonAs(words, bytes);
  if (problem !== undefined) {
    throw badTruth(`${name} is no {"picture": {"words": [{"text", "polygon"}]}}: ${problem}`);
  }
  return Object.entries(value).map(([file, { width, height, words }]) => ({
    file,
    boxes: words.map(({ text, polygon }) => ({
      ...{ points: polygon, text, ignore: isDontCare(text) },
    })),
    ...width !== undefined && height !== undefined && { size: { width, height } },
  }));
}

/** What a file of JSON is, by the names at its top. */
export function jsonFormat(bytes: Uint8Array): "coco-text" | "funsd" | "words" {
  const top = parseJsonAs(z.record(z.string(), z.unknown()), bytes).value ?? {};
  if ("imgs" in top || "images" in top) return "coco-text";
  return Array.isArray(top.form) ? "funsd" : "words";
}
