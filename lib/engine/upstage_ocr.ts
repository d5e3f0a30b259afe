/**
 * @module engine/upstage_ocr: Upstage Document OCR: word quads with confidence.
 *
 * https://console.upstage.ai/docs/capabilities/document-ocr
 */

import type { Answer, Engine, Page } from "./engine.ts";
import type { Polygon } from "../dataset/row.ts";
import { parseAs } from "../base/json.ts";
import { upstageOcrAnswer } from "./json_schemas.ts";

/** Upstage Document OCR. */
export const upstageOcr: Engine = {
  name: "upstage-ocr",
  defaultModel: "ocr",
  documentedRate: 3,
  path: "/document-digitization",

  form(image, model) {
    const form = new FormData();
    const name = `document.${image.mediaType.extension}`;
    form.append("document", new Blob([image.bytes], { type: image.mediaType.type }), name);
    form.append("model", model);
    return form;
  },

  parse(body) {
    const parsed = parseAs(upstageOcrAnswer, body);
    if (parsed.problem !== undefined) return parsed;
    const answer = parsed.value;
    const pages = answer.pages.map((page): Page => ({
      width: Math.round(page.width),
      height: Math.round(page.height),
      confidence: page.confidence ?? null,
      words: page.words.map((word) => ({
        text: word.text,
        confidence: word.confidence ?? null,
        polygon: clockwise(word.boundingBox.vertices.map(({ x, y }) => [x, y])),
      })),
    }));
    return {
      value: {
        modelVersion: answer.modelVersion ?? null,
        pages: pages as unknown as Answer["pages"],
      },
    };
  },

  billedPages,
};

/** The bill as the answer states it; an answer that doesn't still cost its pages. */
function billedPages(body: unknown): number {
  const { numBilledPages: stated, pages } = (body ?? {}) as Record<string, unknown>;
  if (typeof stated === "number" && Number.isSafeInteger(stated) && stated >= 0) return stated;
  return Array.isArray(pages) ? Math.max(1, pages.length) : 1;
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
