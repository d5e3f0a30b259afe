/**
 * @module doubles/ocr/scripted: what servers that stand for OCR APIs have in common, whatever
 * protocol they speak: a test scripts what becomes of each page, and the server says it in its
 * vendor's words.
 */

import type { AwsAccess } from "../../../lib/engine/engine.ts";
import type { Environment } from "../../../lib/base/settings.ts";
import type { ReadPage } from "../../testing/read_page.ts";

/**
 * What becomes of a page.
 *
 * - `page`: a right answer, billed
 * - `drift`: a right answer with fields that nobody has documented, and without what serialisers
 *   leave out, billed
 * - `throttled`: too fast; after so many seconds it may be asked again, where the vendor says so
 * - `unavailable`: the API fails just now
 * - `rejected`: this page will never work
 * - `refused`: the key, the credit or the right is missing
 * - `garbage`: status 200 with HTML
 * - `truncated`: half of a right answer, then the connection drops, billed
 * - `reset`: the connection is reset without an answer
 * - `hang`: no answer until the client goes or the server closes
 */
export type Script =
  | { readonly kind: "page" | "drift" | "truncated"; readonly page: ReadPage }
  | { readonly kind: "throttled"; readonly seconds?: number }
  | { readonly kind: "unavailable" | "rejected" | "refused" | "garbage" | "reset" | "hang" };

/** A page as it arrived. */
export interface ScriptedPage {
  /** The file's bytes. */
  readonly bytes: Uint8Array;
  /** How many pages arrived before this one; the first has 0. */
  readonly index: number;
}

/** A running server. Disposing it drops all connections. */
export interface ScriptedServer extends AsyncDisposable {
  /** The variables with which the engine reaches it, its credentials among them. */
  readonly env: Environment;
  /** AWS as the engine may use it, for one that finds its credentials there. */
  readonly aws?: AwsAccess;
  /** What must show up in no message and in no object. */
  readonly secrets: readonly string[];
  /** Pages that it was asked for, whatever became of them; asking for a result is none. */
  readonly requests: number;
  /** Pages on the bill. */
  readonly billedPages: number;
}

/** Starts a server on 127.0.0.1 that asks what becomes of each page. */
export type StartScripted = (
  answer: (page: ScriptedPage) => Script | Promise<Script>,
) => Promise<ScriptedServer>;

/** An answer (a JSON value) without coordinates that are zero, as some serialisers leave them out. */
export function withoutZeros(answer: unknown): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(answer),
    (key, value) => /^[xy]$/i.test(key) && value === 0 ? undefined : value,
  );
}
