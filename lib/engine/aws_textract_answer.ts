/**
 * @module engine/aws_textract_answer: reads what DetectDocumentText answers: a flat list of blocks,
 * of which lines name their words, with places as parts of the page.
 */

import type { Answer, AnswerPage, Picture, Word } from "./engine.ts";
import { MAX_BILLED_PAGES, soundAnswer } from "./sound_answer.ts";
import { parseAs, type Parsed, z } from "../base/json.ts";
import type { Polygon } from "../dataset/row.ts";
import { boxPoints, clockwiseFromFirst } from "../geometry/polygon.ts";

/** A confidence is computed with few digits: so far above 100 or below 0 it still means that. */
const ROUNDING = 0.1;
/** No document that Textract takes has more. */
const MAX_PAGES = 3_000;

const confidence = z.number().min(-ROUNDING).max(100 + ROUNDING).nullish();
/** Some serialisers leave out what is zero. */
const part = z.number().default(0);

/**
 * The first point is the text's top left: readers tell the angle of a turned word by the way from
 * the first to the second.
 */
const polygon = z.array(z.object({ X: part, Y: part })).length(4);
const box = z.object({ Left: part, Top: part, Width: part, Height: part });

const wordBlock = z.object({
  Id: z.string().optional(),
  Text: z.string(),
  Confidence: confidence,
  Page: z.number().int().min(1).nullish(),
  Geometry: z.object({ Polygon: polygon.nullish(), BoundingBox: box.nullish() })
    .refine((it) => it.Polygon || it.BoundingBox, "it has neither Polygon nor BoundingBox"),
});

const lineBlock = z.object({
  Relationships: z.array(z.object({
    Type: z.string().nullish(),
    Ids: z.array(z.string()).nullish(),
  })).nullish(),
});

const answerBody = z.object({
  DetectDocumentTextModelVersion: z.string().nullish(),
  Blocks: z.array(z.looseObject({ BlockType: z.string() })),
});

/** Reads an answer. @param picture Whose parts places are. */
export function parseTextract(body: unknown, picture?: Picture): Parsed<Answer> {
  const parsed = parseAs(answerBody, body);
  if (parsed.problem !== undefined) return parsed;
  if (!picture) return { problem: "the size of the picture, whose parts places are, is not known" };
  const { Blocks: blocks, DetectDocumentTextModelVersion: model } = parsed.value;
  const drift = new Set<string>();
  const ids: string[] = [];
  const found: FoundWord[] = [];
  let pages = 0;
  for (const [at, block] of blocks.entries()) {
    if (block.BlockType === "PAGE") pages++;
    if (block.BlockType !== "WORD" && block.BlockType !== "LINE") continue;
    const read = block.BlockType === "LINE" ? parseAs(lineBlock, block) : parseAs(wordBlock, block);
    if (read.problem !== undefined) return { problem: `Blocks.${at}.${read.problem}` };
    if ("Geometry" in read.value) found.push(wordOf(read.value, picture, drift));
    else {
      for (const { Type, Ids } of read.value.Relationships ?? []) {
        if (Type === "CHILD") ids.push(...Ids ?? []);
      }
    }
  }
  if (pages === 0) drift.add("no block of type PAGE");
  const last = found.reduce((last, { page }) => Math.max(last, page), Math.max(1, pages));
  if (last > MAX_PAGES) return { problem: `page ${last} is not one of this document` };
  const inOrder = readingOrder(found, ids, drift);
  const [first, ...others] = Array.from(
    { length: last },
    (_, n) => pageOf(picture, inOrder, n + 1),
  );
  return soundAnswer({
    modelVersion: model ?? null,
    pages: [first, ...others],
    ...drift.size > 0 ? { drift: [...drift] } : {},
  });
}

/** Pages that an answer cost: as many as the document has. */
export function textractPages(body: unknown): number {
  const pages = (body as { DocumentMetadata?: { Pages?: unknown } } | null | undefined)
    ?.DocumentMetadata?.Pages;
  const isCount = Number.isSafeInteger(pages) && pages as number >= 1;
  return isCount ? Math.min(MAX_BILLED_PAGES, pages as number) : 1;
}

interface FoundWord {
  readonly id: string | undefined;
  readonly page: number;
  readonly word: Word;
}

function wordOf(
  { Id, Text, Confidence, Page, Geometry }: z.infer<typeof wordBlock>,
  { width, height }: Picture,
  drift: Set<string>,
): FoundWord {
  if (Confidence! > 100) drift.add("confidence above 100 taken for 100");
  if (Confidence! < 0) drift.add("confidence below 0 taken for 0");
  const points = Geometry.Polygon?.map(({ X, Y }) => [X * width, Y * height]) ??
    around(Geometry.BoundingBox!, width, height);
  if (!Geometry.Polygon) drift.add("Polygon missing, BoundingBox taken");
  return {
    id: Id,
    page: Page ?? 1,
    word: {
      text: Text,
      confidence: Confidence == null ? null : Math.min(1, Math.max(0, Confidence / 100)),
      polygon: clockwiseFromFirst(points).map(([x, y]) => [pixels(x), pixels(y)]) as Polygon,
    },
  };
}

/** Parts are told with seven digits: beyond a hundredth of a pixel they mean nothing. */
function pixels(value: number): number {
  return Math.round(value * 100) / 100;
}

function around(
  { Left, Top, Width, Height }: z.infer<typeof box>,
  width: number,
  height: number,
): number[][] {
  return boxPoints([Left * width, Top * height, (Left + Width) * width, (Top + Height) * height]);
}

/** Words as the lines name them; those that no line names come last, as they stand. */
function readingOrder(
  found: readonly FoundWord[],
  ids: readonly string[],
  drift: Set<string>,
): FoundWord[] {
  const left = new Set(found);
  const byId = new Map(found.map((it) => [it.id, it]));
  const inOrder: FoundWord[] = [];
  for (const id of ids) {
    const word = byId.get(id);
    if (word && left.delete(word)) inOrder.push(word);
  }
  if (left.size > 0) drift.add("words that belong to no line, put last");
  return [...inOrder, ...left];
}

/** Nobody documents whether Textract turns pictures as their EXIF says. */
function pageOf(
  { width, height, orientation }: Picture,
  words: readonly FoundWord[],
  page: number,
): AnswerPage {
  return {
    ...{ width, height },
    ...orientation > 1 && { frame: "unknown" as const },
    confidence: null,
    words: words.filter((it) => it.page === page).map(({ word }) => word),
  };
}
