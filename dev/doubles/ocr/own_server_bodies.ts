/**
 * @module doubles/ocr/own_server_bodies: requests and answers of the formats that OCR servers of
 * one's own speak, on the server's side: LiteParse's OCR API, docTR's API, PaddleX's basic serving.
 */

import { Buffer } from "node:buffer";
import type { Format } from "../../../lib/engine/own_server_address.ts";
import type { ReadPage, ReadWord } from "../../testing/read_page.ts";
import { parseForm } from "./upstage.ts";

/** Where each takes pages. */
export const PATHS: Readonly<Record<Format, string>> = {
  liteparse: "/ocr",
  doctr: "/ocr/",
  paddlex: "/ocr",
};

/** A page as it came, or what is wrong with the request, as the framework below would say it. */
export type Received =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly language?: string }
  | { readonly missing: string };

/** Takes a request apart. */
export async function receive(
  format: Format,
  body: Uint8Array<ArrayBuffer>,
  contentType: string | undefined,
): Promise<Received> {
  if (format === "paddlex") {
    const { file, fileType } = contentType === "application/json"
      ? JSON.parse(new TextDecoder().decode(body))
      : {} as Record<string, unknown>;
    if (typeof file !== "string") return { missing: "file" };
    if (fileType !== 1) return { missing: "fileType" };
    return { bytes: new Uint8Array(Buffer.from(file, "base64")) };
  }
  const name = format === "doctr" ? "files" : "file";
  const form = await parseForm(body, contentType);
  const file = form?.get(name);
  if (!(file instanceof File)) return { missing: name };
  const language = form!.get("language");
  return {
    bytes: new Uint8Array(await file.arrayBuffer()),
    ...typeof language === "string" && { language },
  };
}

/** What a server says of itself with each answer; only our own does. */
export interface Told {
  /** Its model. */
  readonly model?: string;
  /** Whether it tells the size of the page and what its pieces are. */
  readonly complete?: boolean;
}

/** The answer (a JSON value) for a page. */
export function bodyOf(format: Format, page: ReadPage, told: Told = {}): unknown {
  return BODIES[format](page, told);
}

const BODIES: Readonly<Record<Format, (page: ReadPage, told: Told) => unknown>> = {
  liteparse: ({ width, height, words }, { model, complete }) => ({
    results: words.map((word) => ({
      text: word.text,
      bbox: boxOf(word),
      confidence: word.confidence,
      polygon: polygonOf(word),
    })),
    ...model !== undefined && { model },
    ...complete && { width, height, granularity: "word" },
  }),
  doctr: ({ width, height, words }) => [{
    name: "page.png",
    orientation: { value: null, confidence: null },
    language: { value: null, confidence: null },
    dimensions: [height, width],
    layout: [],
    tables: [],
    items: [{
      blocks: [{
        geometry: [0, 0, 1, 1],
        objectness_score: 0.9,
        lines: words.map((word) => ({
          geometry: [0, 0, 1, 1],
          objectness_score: 0.9,
          words: [{
            value: word.text,
            geometry: word.vertices.flatMap(({ x, y }) => [x / width, y / height]),
            objectness_score: 0.9,
            confidence: word.confidence,
            crop_orientation: { value: 0, confidence: null },
          }],
        })),
      }],
    }],
  }],
  paddlex: ({ width, height, words }, { model }) => ({
    logId: "5b1c7f1e-0000-4000-8000-000000000000",
    result: {
      ocrResults: [{
        prunedResult: {
          model_settings: { use_doc_preprocessor: false, use_textline_orientation: false },
          dt_polys: words.map(polygonOf),
          text_type: "general",
          rec_texts: words.map(({ text }) => text),
          rec_scores: words.map(({ confidence }) => confidence),
          rec_polys: words.map(polygonOf),
          rec_boxes: words.map(boxOf),
        },
      }],
      dataInfo: { width, height, type: "image" },
    },
    errorCode: 0,
    errorMsg: "Success",
    ...model !== undefined && { model },
  }),
};

/** An error as each words it. */
export function errorBody(format: Format, status: number, message: string): unknown {
  return format === "paddlex"
    ? { logId: "5b1c7f1e-0000-4000-8000-000000000000", errorCode: status, errorMsg: message }
    : { detail: message };
}

/** What FastAPI says of a request that lacks something. */
export function missingBody(format: Format, name: string): unknown {
  const detail = [{ type: "missing", loc: ["body", name], msg: "Field required", input: null }];
  return format === "paddlex" ? errorBody(format, 422, JSON.stringify(detail)) : { detail };
}

function polygonOf({ vertices }: ReadWord): number[][] {
  return vertices.map(({ x, y }) => [x, y]);
}

function boxOf({ vertices }: ReadWord): number[] {
  const [xs, ys] = [vertices.map(({ x }) => x), vertices.map(({ y }) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
