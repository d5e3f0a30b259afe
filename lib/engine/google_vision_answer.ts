/**
 * @module engine/google_vision_answer: reads what Google Cloud Vision answers: pages of blocks of
 * paragraphs of words of symbols. What is empty or zero is left out of its JSON: coordinates, lists,
 * and of a picture without text everything.
 */

import type { Answer, AnswerPage, Picture, Word } from "./engine.ts";
import { soundAnswer } from "./sound_answer.ts";
import { parseAs, type Parsed, z } from "../base/json.ts";
import { boundingBox, boxPoints, clockwiseFromFirst } from "../geometry/polygon.ts";

/** A confidence is computed with few digits: so far above 1 or below 0 it still means 1 or 0. */
const ROUNDING = 0.001;

const confidence = z.number().min(-ROUNDING).max(1 + ROUNDING).nullish();
const vertices = z.array(z.object({ x: z.number().default(0), y: z.number().default(0) }));

/** A list of such, which is left out where it is empty. */
function list<T extends z.ZodType>(of: T) {
  return z.array(of).default([]);
}

const page = z.object({
  width: z.number().min(0).default(0),
  height: z.number().min(0).default(0),
  confidence,
  blocks: list(z.object({
    paragraphs: list(z.object({
      words: list(z.object({
        confidence,
        /** The first is the text's top left, however it is turned. */
        boundingBox: z.object({
          vertices: vertices.nullish(),
          normalizedVertices: vertices.nullish(),
        }),
        symbols: list(z.object({ text: z.string().default("") })),
      })),
    })),
  })),
});

const answerBody = z.object({
  responses: z.array(z.object({
    fullTextAnnotation: z.object({ pages: z.array(page).min(1) }).nullish(),
  })).length(1),
});
type RawPage = z.infer<typeof page>;
type RawWord = RawPage["blocks"][number]["paragraphs"][number]["words"][number];

/** Reads an answer. @param picture Its size is that of a page that tells none. */
export function parseVision(body: unknown, picture?: Picture): Parsed<Answer> {
  const parsed = parseAs(answerBody, body);
  if (parsed.problem !== undefined) return parsed;
  const drift = new Set<string>();
  const [{ fullTextAnnotation }] = parsed.value.responses;
  const pages: AnswerPage[] = [];
  for (const [at, raw] of (fullTextAnnotation?.pages ?? [EMPTY]).entries()) {
    const read = pageOf(raw, picture, drift);
    if (read.problem !== undefined) return { problem: `pages.${at}: ${read.problem}` };
    pages.push(read.value);
  }
  const [first, ...others] = pages;
  return soundAnswer({
    modelVersion: null,
    pages: [first, ...others],
    ...drift.size > 0 ? { drift: [...drift] } : {},
  });
}

const EMPTY: RawPage = { width: 0, height: 0, blocks: [] };

function pageOf(
  raw: RawPage,
  picture: Picture | undefined,
  drift: Set<string>,
): Parsed<AnswerPage> {
  const told = raw.width > 0 && raw.height > 0;
  const size = told ? raw : picture;
  if (!size) return { problem: "neither the answer nor the picture tells a size" };
  const { width, height } = size;
  const words: Word[] = [];
  for (const word of raw.blocks.flatMap((it) => it.paragraphs).flatMap((it) => it.words)) {
    const text = word.symbols.map((symbol) => symbol.text).join("");
    const points = pointsOf(word.boundingBox, width, height, drift);
    if (points === undefined) return { problem: "a word has no place" };
    if (text === "") drift.add("words without a symbol, left out");
    else {
      const [first, second, third, fourth] = clockwiseFromFirst(points);
      words.push({
        text,
        confidence: measure(word.confidence, drift),
        polygon: [first, second, third, fourth].map(([x, y]) => [x, y]),
      });
    }
  }
  if (!told && fullOf(raw)) drift.add("a page that tells no size, that of the picture taken");
  return {
    value: {
      ...{ width, height },
      ...!told && picture!.orientation > 1 && { frame: "unknown" as const },
      confidence: measure(raw.confidence, drift),
      words,
    },
  };
}

function fullOf({ blocks }: RawPage): boolean {
  return blocks.length > 0;
}

/** Four points in pixels; `undefined` where there is no place. */
function pointsOf(
  { vertices, normalizedVertices }: RawWord["boundingBox"],
  width: number,
  height: number,
  drift: Set<string>,
): number[][] | undefined {
  const points = vertices?.length
    ? vertices.map(({ x, y }) => [x, y])
    : (normalizedVertices ?? []).map(({ x, y }) => [x * width, y * height]);
  if (points.length === 0) return undefined;
  if (!vertices?.length) drift.add("normalizedVertices instead of vertices");
  if (points.length === 4) return points;
  drift.add(`polygons of ${points.length} points taken as the boxes around them`);
  return boxPoints(boundingBox(points));
}

function measure(value: number | null | undefined, drift: Set<string>): number | null {
  if (value! > 1) drift.add("confidence above 1 taken for 1");
  if (value! < 0) drift.add("confidence below 0 taken for 0");
  return value == null ? null : Math.min(1, Math.max(0, value));
}
