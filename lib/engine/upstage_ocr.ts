/**
 * @module engine/upstage_ocr: Upstage Document OCR: word quads with confidence.
 *
 * https://console.upstage.ai/docs/capabilities/document-ocr
 */

import type { Answer, AnswerPage, Engine, ScannedAnswer, Word } from "./engine.ts";
import type { HttpReply } from "./http.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";
import { isBill, MAX_BILLED_PAGES, MAX_SIDE, soundAnswer } from "./sound_answer.ts";
import { tolerance } from "../dataset/check_row.ts";
import type { Polygon } from "../dataset/row.ts";
import { parseAs, type Parsed, z } from "../base/json.ts";
import { unknownFields } from "./drift.ts";
import { scanAnswer, Scanned } from "./upstage_ocr_scan.ts";
import { connectWith, documentForm, judge, PICTURES, UPSTAGE } from "./upstage_api.ts";

const { pdf, docx, pptx, xlsx } = MEDIA_TYPES;

/**
 * The server gives a page up after 3 minutes; a client that is faster to give up pays for nothing.
 */
const TIMEOUT_MS = 210_000;

/** Upstage Document OCR. */
export const upstageOcr: Engine = {
  name: "upstage-ocr",
  defaultModel: "ocr",
  documentedRate: 3,
  price: { perPage: 0.0015, asOf: "November 2026" },
  granularity: "word",
  ...UPSTAGE,
  mediaTypes: new Set([...PICTURES, pdf, docx, pptx, xlsx]),

  load: () => Promise.resolve(upstageOcr),

  connect: (options) =>
    connectWith(options, TIMEOUT_MS, ({ request, client, now }) => ({
      send: (image, model, signal) =>
        client.post(
          request("", documentForm(image, [["model", model]])),
          (reply) => scanned(reply) ?? judge(reply, now(), "pages"),
          signal,
        ),
    })),

  scan: scanAnswer,

  parse(body) {
    if (body instanceof Scanned) return { value: body.answer };
    const plain = plainAnswer(body);
    return plain ? { value: plain } : parseAny(body);
  },

  billedPages,
};

/** An answer that is as documented; `undefined` for what is to be judged. */
function scanned({ status, utf8, holdsNoKey }: HttpReply): ScannedAnswer | undefined {
  if (status !== 200 || !utf8 || !holdsNoKey) return undefined;
  const body = scanAnswer(utf8);
  return body && { kind: "answered", utf8, body };
}

/** A confidence is computed with few digits: so far above 1 or below 0 it still means 1 or 0. */
const ROUNDING = 0.001;

/** Some serialisers write numbers as text. */
const asNumber = (value: unknown) => isNumberText(value) ? Number(value) : value;

const confidence = z.preprocess(
  asNumber,
  z.number().min(-ROUNDING).max(1 + ROUNDING)
    .transform((value) => Math.min(1, Math.max(0, value))).nullish(),
);
/** Some serialisers leave out what is zero. */
const coordinate = z.preprocess(asNumber, z.number().default(0));
const side = z.preprocess(asNumber, z.number().positive());

/**
 * An answer as far as it is used; unknown fields are let through, and what has one obvious meaning
 * is taken for that ({@linkcode driftOf} tells). The bill is none of it: one that is no bill spoils
 * no words ({@linkcode billedPages}).
 */
const answerBody = z.object({
  modelVersion: z.string().nullish(),
  pages: z.array(z.preprocess(
    withWords,
    z.object({
      width: side,
      height: side,
      confidence,
      words: z.array(z.object({
        text: z.string().default(""),
        confidence,
        boundingBox: z.object({
          vertices: z.array(z.object({ x: coordinate, y: coordinate })).length(4),
        }),
      })),
    }),
  )).min(1),
});

function isNumberText(value: unknown): value is string {
  return typeof value === "string" && /^-?\d{1,15}(\.\d{1,20})?$/.test(value);
}

/**
 * The list of words may be left out by a serialiser, or null, only where the page says that it has
 * no text.
 */
function withWords(page: unknown): unknown {
  if (typeof page !== "object" || page === null) return page;
  if ((page as RawPage).words !== undefined && (page as RawPage).words !== null) return page;
  return (page as RawPage).text === "" ? { ...page, words: [] } : page;
}

/** The documented fields of an answer, which {@linkcode answerBody} has accepted. */
interface RawAnswer {
  readonly numBilledPages?: unknown;
  readonly pages: readonly RawPage[];
}
interface RawPage {
  readonly width?: number | string;
  readonly height?: number | string;
  readonly confidence?: number | string | null;
  readonly text?: unknown;
  readonly words?:
    | readonly {
      readonly text?: string;
      readonly confidence?: number | string | null;
      readonly boundingBox: {
        readonly vertices: readonly {
          readonly x?: number | string;
          readonly y?: number | string;
        }[];
      };
    }[]
    | null;
}

const KNOWN_FIELDS = {
  answer: new Set(
    "apiVersion modelVersion mimeType confidence numBilledPages stored metadata text pages".split(
      " ",
    ),
  ),
  page: new Set("id width height confidence text words".split(" ")),
  word: new Set("id text confidence boundingBox".split(" ")),
};

/** In what an answer that can be read differs from the documented form. */
function driftOf(body: RawAnswer): string[] {
  const drift = new Set<string>();
  const look = unknownFields(KNOWN_FIELDS, drift);
  const number = (value: unknown) => {
    if (typeof value === "string") drift.add("numbers written as text");
  };
  const measure = (value: number | string | null | undefined) => {
    number(value);
    if (Number(value) > 1) drift.add("confidence above 1 taken for 1");
    if (Number(value) < 0) drift.add("confidence below 0 taken for 0");
  };
  look("answer", body);
  if (!isBill(body.numBilledPages)) {
    drift.add("numBilledPages missing or out of range, pages of the answer counted instead");
  }
  for (const page of body.pages) {
    look("page", page);
    measure(page.confidence);
    number(page.width);
    number(page.height);
    if (!page.words) drift.add("words missing on a page without text");
    for (const word of page.words ?? []) {
      look("word", word);
      measure(word.confidence);
      if (word.text === undefined) drift.add("missing text of a word taken for none");
      for (const { x, y } of word.boundingBox.vertices) {
        number(x);
        number(y);
        if (x === undefined || y === undefined) drift.add("missing x or y taken for 0");
      }
    }
  }
  return [...drift];
}

/**
 * Reads an answer of any form that can be understood, and says what was wrong or unusual about it.
 */
export function parseAny(body: unknown): Parsed<Answer> {
  const parsed = parseAs(answerBody, body);
  if (parsed.problem !== undefined) return parsed;
  const answer = parsed.value;
  const pages = answer.pages.map((page): AnswerPage => ({
    width: page.width,
    height: page.height,
    confidence: page.confidence ?? null,
    words: page.words.map((word) => ({
      text: word.text,
      confidence: word.confidence ?? null,
      polygon: clockwise(word.boundingBox.vertices.map(({ x, y }) => [x, y])),
    })),
  }));
  const drift = driftOf(body as RawAnswer);
  return soundAnswer({
    modelVersion: answer.modelVersion ?? null,
    pages: pages as unknown as Answer["pages"],
    ...drift.length > 0 ? { drift } : {},
  });
}

/**
 * Reads an answer that is to the letter as documented, as almost all are, in one go: a tenth of
 * what {@linkcode parseAny} takes, and the same result.
 *
 * @returns `undefined` where anything is missing, unknown, out of range or unusual in any other
 *   way.
 */
export function plainAnswer(body: unknown): Answer | undefined {
  if (!hasOnly("answer", body)) return undefined;
  const { modelVersion, numBilledPages, pages } = body;
  if (!isText(modelVersion) || !isBill(numBilledPages)) return undefined;
  if (!Array.isArray(pages) || pages.length === 0) return undefined;
  const made: AnswerPage[] = [];
  for (const page of pages as unknown[]) {
    if (!hasOnly("page", page)) return undefined;
    const { width, height, confidence, words } = page;
    if (!isSide(width) || !isSide(height)) return undefined;
    if (!isConfidence(confidence) || !Array.isArray(words)) return undefined;
    const out = tolerance(width, height);
    const list: Word[] = [];
    for (const word of words as unknown[]) {
      if (!hasOnly("word", word) || !isText(word.text)) return undefined;
      if (!isConfidence(word.confidence)) return undefined;
      const vertices = (word.boundingBox as { vertices?: unknown } | null | undefined)?.vertices;
      if (!Array.isArray(vertices) || vertices.length !== 4) return undefined;
      for (const vertex of vertices) {
        const { x, y } = (vertex ?? {}) as { x?: unknown; y?: unknown };
        if (!isWithin(x, width, out) || !isWithin(y, height, out)) return undefined;
      }
      const [a, b, c, d] = vertices as { x: number; y: number }[];
      // At once: a list that grows by a point has room for seventeen.
      const quad: Polygon = [[a.x, a.y], [b.x, b.y], [c.x, c.y], [d.x, d.y]];
      list.push({ text: word.text, confidence: word.confidence, polygon: clockwise(quad) });
    }
    made.push({ width, height, confidence, words: list });
  }
  return { modelVersion, pages: made as unknown as Answer["pages"] };
}

function hasOnly(
  what: keyof typeof KNOWN_FIELDS,
  value: unknown,
): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const known = KNOWN_FIELDS[what];
  for (const field in value) if (!known.has(field)) return false;
  return true;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

function isConfidence(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 1 && !Object.is(value, -0);
}

function isSide(value: unknown): value is number {
  return Number.isInteger(value) && value as number >= 1 && value as number <= MAX_SIDE;
}

/** Whether a coordinate lies on a side of that length, or at most so far outside. */
function isWithin(value: unknown, side: number, out: number): value is number {
  return typeof value === "number" && value >= -out && value <= side + out &&
    !Object.is(value, -0);
}

/** The bill as the answer states it; an answer that doesn't still costs its pages. */
function billedPages(body: unknown): number {
  if (body instanceof Scanned) return body.billedPages;
  const { numBilledPages: stated, pages } = (body ?? {}) as Record<string, unknown>;
  if (isBill(stated)) return stated + 0; // −0 + 0 is 0
  return Array.isArray(pages) ? Math.min(MAX_BILLED_PAGES, Math.max(1, pages.length)) : 1;
}

/**
 * The same quadrilateral in clockwise order from the same first point. The API promises that order
 * already; trainers depend on it, so it does not rest on a promise. A crossed quadrilateral or one
 * without area has no direction and stays as it is.
 */
export function clockwise(quad: Polygon): Polygon {
  let doubleArea = 0; // positive is clockwise, as y grows downward
  for (let i = 0; i < quad.length; i++) {
    const [x1, y1] = quad[i];
    const [x2, y2] = quad[(i + 1) % quad.length];
    doubleArea += x1 * y2 - x2 * y1;
  }
  return doubleArea < 0 ? [quad[0], ...quad.slice(1).reverse()] : quad;
}
