/**
 * @module base/json: JSON of other hands, checked against a schema before it is believed. The one
 * file that imports zod: whoever describes a document takes `z` from here.
 */

import { z } from "zod";
import { escaped } from "./text.ts";

export { z };

/** Checks a document and gives it a type. */
export interface Schema<T> {
  /** The value, or where the document is wrong. Never throws. */
  safeParse(data: unknown): { readonly success: true; readonly data: T } | {
    readonly success: false;
    readonly error: {
      readonly issues: readonly { readonly path: PropertyKey[]; readonly message: string }[];
    };
  };
}

/** What parsing gave: the value, or one line that says where the document is wrong. */
export type Parsed<T> = { readonly value: T; readonly problem?: undefined } | {
  readonly value?: undefined;
  readonly problem: string;
};

/** Checks `data` against `schema`; the problem names the first wrong field by its path. */
export function parseAs<T>(schema: Schema<T>, data: unknown): Parsed<T> {
  const result = schema.safeParse(data);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: escaped(`${issue.path.join(".") || "document"}: ${issue.message}`) };
}

/** Like {@linkcode parseAs}, for the JSON text of an object. */
export function parseJsonAs<T>(schema: Schema<T>, text: string | Uint8Array): Parsed<T> {
  let data: unknown;
  try {
    data = JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text));
  } catch (error) {
    return { problem: escaped(`not JSON: ${(error as Error).message}`) };
  }
  return parseAs(schema, data);
}
