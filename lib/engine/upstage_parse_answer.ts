/**
 * @module engine/upstage_parse_answer: reads answers of Document Parse: elements of a page's layout,
 * with the category as the label. Places are parts of the page, so the picture's header tells where
 * they are; the text is mostly in HTML (`engine/html_text.ts`).
 *
 * An answer is what the API gives at once, or what `engine/upstage_parse_async.ts` has joined:
 * `{request_id, batches: [{id, start_page, end_page, answer}]}`.
 */

import { clockwiseFromFirst } from "../geometry/polygon.ts";
import { parseAs, type Parsed, z } from "../base/json.ts";
import type { Answer, AnswerPage, Picture, Word } from "./engine.ts";
import { unknownFields } from "./drift.ts";
import { textOfHtml } from "./html_text.ts";
import { isBill, MAX_BILLED_PAGES, soundAnswer } from "./sound_answer.ts";

/** So far outside of the page a corner may lie, as part of a side; beyond it is no such part. */
const OUTSIDE = 0.5;

/** Some serialisers leave out what is zero. */
const part = z.number().min(-OUTSIDE).max(1 + OUTSIDE).default(0);
const someText = z.string().nullish();

const element = z.object({
  category: someText,
  page: z.int().min(1).max(MAX_BILLED_PAGES).nullish(),
  content: z.object({ html: someText, markdown: someText, text: someText }).nullish(),
  coordinates: z.array(z.object({ x: part, y: part })).length(4),
});
const partOfAnswer = z.object({
  model: someText,
  elements: z.array(element),
  usage: z.unknown(),
});
const joined = z.object({
  request_id: z.string(),
  batches: z.array(z.object({
    id: z.number(),
    start_page: z.int().min(1).max(MAX_BILLED_PAGES).nullish(),
    end_page: z.int().min(1).max(MAX_BILLED_PAGES).nullish(),
    answer: partOfAnswer,
  })).min(1),
});
type Element = z.infer<typeof element>;
type PartOfAnswer = z.infer<typeof partOfAnswer>;

/** What answers are documented to have; what is beyond is told. */
const KNOWN_FIELDS = {
  answer: new Set("api model content elements usage ocr mimeType merged_tables".split(" ")),
  element: new Set(
    "id category sub_category content coordinates page base64_encoding".split(" "),
  ),
};

/** Reads an answer of any form that can be understood. @param picture Of the image. */
export function parseAnswer(body: unknown, picture: Picture | undefined): Parsed<Answer> {
  if (!picture) return { problem: "the size of the picture is not known" };
  const drift = new Set<string>();
  const parts = partsOf(body);
  if (parts.problem !== undefined) return parts;
  const pages = new Map<number, Word[]>();
  let last = 1;
  let model: string | null = null;
  for (const [at, { first, span, answer }] of parts.value.entries()) {
    model ??= answer.model ?? null;
    // Pages of a batch are counted from the document's first or from its own: its first tells.
    const own = answer.elements.some(({ page }) => (page ?? 1) < first);
    const before = own ? first - 1 : 0;
    last = Math.max(last, first - 1 + Math.min(span, statedPages(answer) ?? 1));
    for (const [n, element] of answer.elements.entries()) {
      const place = parts.value.length > 1 ? `batches.${at}.elements.${n}` : `elements.${n}`;
      if (element.page == null) drift.add("page missing, taken for the first");
      const page = before + (element.page ?? 1);
      if (page > MAX_BILLED_PAGES) return { problem: `${place}.page: ${page} is no page` };
      last = Math.max(last, page);
      const word = wordOf(element, picture, drift);
      if (!word) return { problem: `${place}.content.html: nested too deeply` };
      const words = pages.get(page) ?? [];
      pages.set(page, words);
      words.push(word);
    }
  }
  driftOf(body, drift);
  const { width, height, orientation } = picture;
  const read = Array.from({ length: last }, (_, n): AnswerPage => ({
    width,
    height,
    ...orientation > 1 ? { frame: "unknown" } : {},
    confidence: null,
    words: pages.get(n + 1) ?? [],
  }));
  return soundAnswer({
    modelVersion: model,
    pages: read as unknown as Answer["pages"],
    ...drift.size > 0 ? { drift: [...drift] } : {},
  });
}

/** The bill as the answer states it; an answer that doesn't still costs its pages. */
export function billedPages(body: unknown): number {
  const { batches } = (body ?? {}) as { batches?: unknown };
  if (!Array.isArray(batches)) return billOf(body);
  const bill = batches.reduce<number>((sum, batch) => {
    const { answer, start_page: start, end_page: end } = (batch ?? {}) as Record<string, unknown>;
    // Should a batch state the pages of the whole document, they count once.
    const span = Number.isInteger(start) && Number.isInteger(end)
      ? Math.max(1, (end as number) - (start as number) + 1)
      : Infinity;
    return sum + Math.min(span, billOf(answer));
  }, 0);
  return Math.min(MAX_BILLED_PAGES, batches.length > 0 ? bill : 1);
}

function billOf(body: unknown): number {
  const { elements } = (body ?? {}) as { elements?: unknown };
  const stated = statedPages(body);
  if (stated !== undefined) return stated;
  const pages = Array.isArray(elements) ? elements.map((it) => (it as Element | null)?.page) : [];
  return Math.min(MAX_BILLED_PAGES, Math.max(1, new Set(pages).size));
}

/** The number of pages that an answer states, if it can be one. */
function statedPages(body: unknown): number | undefined {
  const { usage } = (body ?? {}) as { usage?: unknown };
  const { pages } = (usage ?? {}) as { pages?: unknown };
  return isBill(pages) ? pages + 0 : undefined; // −0 + 0 is 0
}

interface PartOfDocument {
  /** The document's page that it begins with, from 1. */
  readonly first: number;
  /** Pages that it has at most. */
  readonly span: number;
  readonly answer: PartOfAnswer;
}

function partsOf(body: unknown): Parsed<readonly PartOfDocument[]> {
  if (typeof body === "object" && body !== null && "batches" in body) {
    const parsed = parseAs(joined, body);
    if (parsed.problem !== undefined) return parsed;
    const batches = parsed.value.batches.toSorted((a, b) => a.id - b.id);
    return {
      value: batches.map(({ start_page, end_page, answer }) => {
        const first = start_page ?? 1;
        return { first, span: Math.max(1, (end_page ?? Infinity) - first + 1), answer };
      }),
    };
  }
  const parsed = parseAs(partOfAnswer, body);
  if (parsed.problem !== undefined) return parsed;
  return { value: [{ first: 1, span: Infinity, answer: parsed.value }] };
}

/** @returns `undefined` where its HTML can't be read. */
function wordOf(
  { category, content, coordinates }: Element,
  { width, height }: Picture,
  drift: Set<string>,
): Word | undefined {
  const text = textOf(content, drift);
  if (text === undefined) return undefined;
  const label = category?.trim().toWellFormed();
  const corners = coordinates.map(({ x, y }) => [x * width, y * height]);
  return {
    text,
    confidence: null,
    polygon: clockwiseFromFirst(corners) as Word["polygon"],
    ...label ? { label } : {},
  };
}

function textOf(content: Element["content"], drift: Set<string>): string | undefined {
  const { text, html, markdown } = content ?? {};
  if (text?.trim()) return text.trim();
  if (html?.trim()) return textOfHtml(html);
  if (markdown?.trim()) {
    drift.add("no text and no HTML, Markdown taken as it is");
    return markdown.trim();
  }
  return "";
}

/** In what an answer that can be read differs from the documented form. */
function driftOf(body: unknown, drift: Set<string>): void {
  const look = unknownFields(KNOWN_FIELDS, drift);
  const { batches } = body as { batches?: { answer: PartOfAnswer }[] };
  const answers = batches ? batches.map(({ answer }) => answer) : [body as PartOfAnswer];
  for (const answer of answers) {
    look("answer", answer);
    if (statedPages(answer) === undefined) {
      drift.add("usage.pages missing or out of range, pages of the answer counted instead");
    }
    for (const element of answer.elements) {
      look("element", element);
      for (const { x, y } of element.coordinates as { x?: number; y?: number }[]) {
        if (x === undefined || y === undefined) drift.add("missing x or y taken for 0");
      }
    }
  }
}
