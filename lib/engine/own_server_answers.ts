/**
 * @module engine/own_server_answers: reads what servers of one's own answer. Which of the formats of
 * `engine/own_server_formats.ts` an answer is of shows by its form, so a stored one needs no note.
 */

import type { Answer, AnswerPage, Picture, Word } from "./engine.ts";
import { soundAnswer } from "./sound_answer.ts";
import { parseAs, type Parsed, z } from "../base/json.ts";
import { tolerance } from "../dataset/check_row.ts";
import type { Polygon } from "../dataset/row.ts";
import { boundingBox, boxPoints, clockwiseFromFirst } from "../geometry/polygon.ts";
import { swapsSides } from "../image/upright.ts";

/** What lines and blocks are labelled as; words keep the usual label. */
const LABELS = { word: undefined, line: "line", block: "block" } as const;

/** A confidence is computed with few digits: so far above 1 or below 0 it still means 1 or 0. */
const ROUNDING = 0.001;
const confidence = z.number().min(-ROUNDING).max(1 + ROUNDING)
  .transform((value) => Math.min(1, Math.max(0, value))).nullish();
const point = z.tuple([z.number(), z.number()]);
const points = z.array(point).min(3);
const box = z.tuple([z.number(), z.number(), z.number(), z.number()]);
const side = z.number().positive();
/** What a server may say of its model, under any of the usual names. */
const modelFields = {
  model_version: z.string().nullish(),
  modelVersion: z.string().nullish(),
  model: z.string().nullish(),
};

/**
 * LiteParse's form. Width, height and granularity are none of its fields: they are believed where
 * they are there.
 */
const liteparse = z.object({
  ...modelFields,
  results: z.array(z.object({
    text: z.string(),
    confidence,
    bbox: box.nullish(),
    polygon: points.nullish(),
  })),
  width: side.nullish(),
  height: side.nullish(),
  granularity: z.enum(["word", "line", "block"]).nullish(),
});

/** docTR's: places are shares of the page, of which it tells height and width in pixels. */
const doctr = z.array(z.object({
  ...modelFields,
  dimensions: z.tuple([side, side]),
  items: z.array(z.object({
    blocks: z.array(z.object({
      lines: z.array(z.object({
        words: z.array(z.object({
          value: z.string(),
          confidence,
          geometry: z.array(z.number()).refine(({ length }) => length === 4 || length === 8, {
            message: "expected 4 or 8 numbers",
          }),
        })),
      })),
    })),
  })),
})).min(1);

/** PaddleX's: lists that run beside each other. */
const paddlex = z.object({
  ...modelFields,
  result: z.object({
    ocrResults: z.array(z.object({
      prunedResult: z.object({
        rec_texts: z.array(z.string()),
        rec_scores: z.array(confidence).nullish(),
        rec_polys: z.array(points).nullish(),
        rec_boxes: z.array(box).nullish(),
        dt_polys: z.array(points).nullish(),
        doc_preprocessor_res: z.object({
          angle: z.number().nullish(),
          model_settings: z.object({ use_doc_unwarping: z.boolean().nullish() }).nullish(),
        }).nullish(),
      }),
    })).min(1),
    dataInfo: z.object({ width: side.nullish(), height: side.nullish() }).nullish(),
  }),
});

/**
 * Reads an answer.
 *
 * @param picture Header of the picture; needed where the answer tells no size.
 */
export function parseOwn(body: unknown, picture: Picture | undefined): Parsed<Answer> {
  const reading = new Reading(picture);
  const read = Array.isArray(body)
    ? readDoctr(body, reading)
    : typeof body === "object" && body !== null && "result" in body
    ? readPaddlex(body, reading)
    : readLiteparse(body, reading);
  if (read.problem !== undefined) return read;
  const { model, pages } = read.value;
  const [first, ...others] = pages;
  return soundAnswer({
    modelVersion: model ?? null,
    pages: [first, ...others],
    ...reading.drift.size > 0 ? { drift: [...reading.drift] } : {},
  });
}

/** The model that an answer names, if it does. */
export function toldModel(body: unknown): string | undefined {
  const from = Array.isArray(body) ? body[0] : body;
  return modelOf(parseAs(z.object(modelFields), from).value ?? {});
}

type ModelFields = Partial<Record<keyof typeof modelFields, string | null>>;

function modelOf({ model_version, modelVersion, model }: ModelFields): string | undefined {
  return model_version || modelVersion || model || undefined;
}

type Read = Parsed<{ readonly model: string | undefined; readonly pages: readonly AnswerPage[] }>;

function readLiteparse(body: unknown, reading: Reading): Read {
  const { value, problem } = parseAs(liteparse, body);
  if (problem !== undefined) return { problem };
  const { results, width, height, granularity } = value;
  const words: Word[] = [];
  for (const [at, { text, confidence, bbox, polygon }] of results.entries()) {
    const place = polygon ? reading.quad(polygon) : bbox && reading.box(bbox);
    if (!place) return { problem: `results.${at}: it has neither bbox nor polygon` };
    words.push(word(text, confidence, place, granularity ?? "line"));
  }
  const told = width && height ? { width, height } : undefined;
  const page = reading.page(words, told);
  if (page.problem !== undefined) return page;
  return { value: { model: modelOf(value), pages: [page.value] } };
}

function readDoctr(body: unknown, reading: Reading): Read {
  const { value, problem } = parseAs(doctr, body);
  if (problem !== undefined) return { problem };
  const pages = value.map(({ dimensions: [height, width], items }): AnswerPage => ({
    ...{ width, height, confidence: null },
    words: items.flatMap(({ blocks }) => blocks).flatMap(({ lines }) => lines)
      .flatMap(({ words }) => words).map(({ value, confidence, geometry }) => {
        const on = geometry.map((share, n) => share * (n % 2 === 0 ? width : height));
        const [x1, y1, x2, y2] = on;
        const place = on.length === 4
          ? reading.box([x1, y1, x2, y2])
          : reading.quad([[x1, y1], [x2, y2], [on[4], on[5]], [on[6], on[7]]]);
        return word(value, confidence, place, "word");
      }),
  }));
  return { value: { model: modelOf(value[0]), pages } };
}

function readPaddlex(body: unknown, reading: Reading): Read {
  const { value, problem } = parseAs(paddlex, body);
  if (problem !== undefined) return { problem };
  const { ocrResults, dataInfo } = value.result;
  const told = dataInfo?.width && dataInfo.height
    ? { width: dataInfo.width, height: dataInfo.height }
    : undefined;
  const pages: AnswerPage[] = [];
  for (const [at, { prunedResult: of }] of ocrResults.entries()) {
    const { rec_texts: texts, rec_scores, rec_polys, rec_boxes, dt_polys } = of;
    const wrong = (what: string) => ({ problem: `ocrResults.${at}.prunedResult: ${what}` });
    const { angle, model_settings } = of.doc_preprocessor_res ?? {};
    if (angle && angle > 0 || model_settings?.use_doc_unwarping) {
      return wrong(
        "the server has turned or unrolled the page, so its boxes lie on another picture",
      );
    }
    // Pieces that were found and not kept are in `dt_polys` alone.
    const polygons = [rec_polys, rec_boxes?.map(boxPoints), dt_polys]
      .find((places) => places?.length === texts.length);
    if (!polygons) return wrong(`${texts.length} texts, but not as many places`);
    const scores = rec_scores ?? texts.map(() => null);
    if (scores.length !== texts.length) {
      return wrong(`${texts.length} texts, but ${scores.length} scores`);
    }
    const words = texts.map((text, n) => word(text, scores[n], reading.quad(polygons[n]), "line"));
    const page = reading.page(words, told);
    if (page.problem !== undefined) return page;
    pages.push(page.value);
  }
  return { value: { model: modelOf(value), pages } };
}

function word(
  text: string,
  confidence: number | null | undefined,
  polygon: Polygon,
  granularity: keyof typeof LABELS,
): Word {
  const label = LABELS[granularity];
  return { text, confidence: confidence ?? null, polygon, ...label && { label } };
}

/** The reading of one answer: of what kind its oddities were, and where its page is. */
class Reading {
  readonly drift = new Set<string>();
  readonly #picture: Picture | undefined;

  constructor(picture: Picture | undefined) {
    this.#picture = picture;
  }

  box([x1, y1, x2, y2]: readonly [number, number, number, number]): Polygon {
    if (x2 < x1 || y2 < y1) this.drift.add("corners of boxes in another order");
    const [left, right] = [Math.min(x1, x2), Math.max(x1, x2)];
    const [top, bottom] = [Math.min(y1, y2), Math.max(y1, y2)];
    return quadOf(boxPoints([left, top, right, bottom]));
  }

  quad(polygon: readonly (readonly number[])[]): Polygon {
    if (polygon.length === 4) return quadOf(clockwiseFromFirst(polygon));
    this.drift.add(`polygons of ${polygon.length} points taken as the boxes around them`);
    return quadOf(boxPoints(boundingBox(polygon)));
  }

  /**
   * A page whose words lie in pixels of the picture as the server has decoded it.
   *
   * @param told The size that it tells; without one it is the header's. Of a picture that EXIF turns
   *   nobody knows then whether it was, but words may show it, as they must lie on it.
   */
  page(
    words: readonly Word[],
    told: { readonly width: number; readonly height: number } | undefined,
  ): Parsed<AnswerPage> {
    const picture = this.#picture;
    if (!told && !picture) return { problem: "neither the answer nor the picture tells a size" };
    const { width, height } = told ?? picture!;
    const orientation = told ? 1 : picture!.orientation;
    const turned = { width: height, height: width };
    const frames = swapsSides(orientation) && width !== height
      ? [{ width, height }, turned].filter((size) => liesOn(words, size))
      : [{ width, height }];
    const [size = { width, height }] = frames;
    const off = words.findIndex((word) => isOff(word, size));
    if (off >= 0) {
      return {
        problem:
          `word ${off} lies outside the picture of ${width} × ${height} pixels: the server ` +
          "must answer in pixels of the file that it was sent, or tell width and height",
      };
    }
    const unknown = orientation > 1 && !(swapsSides(orientation) && frames.length === 1);
    const frame = unknown ? { frame: "unknown" as const } : {};
    return { value: { ...size, ...frame, confidence: null, words } };
  }
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Whether all words lie on a page of that size. */
function liesOn(words: readonly Word[], { width, height }: Size): boolean {
  const out = tolerance(width, height);
  return words.every(({ polygon }) =>
    polygon.every(([x, y]) => x <= width + out && y <= height + out)
  );
}

/** Whether nothing of a word lies on a page of that size. */
function isOff({ polygon }: Word, { width, height }: Size): boolean {
  const [left, top, right, bottom] = boundingBox(polygon);
  const out = tolerance(width, height);
  return left > width + out || top > height + out || right < -out || bottom < -out;
}

function quadOf(points: readonly (readonly number[])[]): Polygon {
  return points.map(([x, y]) => [x, y]);
}
