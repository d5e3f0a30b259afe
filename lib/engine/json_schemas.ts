/**
 * @module engine/json_schemas: every JSON document that comes from the API or from storage, as a zod
 * schema. What passes here may be trusted by type; what it means is the reader's matter.
 */

import { type Schema, z } from "../base/json.ts";

const finite = z.number();
const count = z.int().nonnegative();
const confidence = z.number().min(0).max(1).nullish();
/** A stable code; some gateways send a number, and one of no use is as good as none. */
const errorCode = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);

/** Answer of `POST /document-digitization` with `model=ocr`, as far as it is used. */
export interface UpstageOcrAnswer {
  /** The model behind the alias. */
  readonly modelVersion?: string | null;
  /** Pages on the bill. */
  readonly numBilledPages?: number | null;
  /** One at least. */
  readonly pages: readonly {
    readonly width: number;
    readonly height: number;
    readonly confidence?: number | null;
    readonly words: readonly {
      readonly text: string;
      readonly confidence?: number | null;
      readonly boundingBox: {
        readonly vertices: readonly { readonly x: number; readonly y: number }[];
      };
    }[];
  }[];
}

/** Schema of {@linkcode UpstageOcrAnswer}. Unknown fields are let through. */
export const upstageOcrAnswer: Schema<UpstageOcrAnswer> = z.object({
  modelVersion: z.string().nullish(),
  numBilledPages: count.nullish(),
  pages: z.array(z.object({
    width: finite.positive(),
    height: finite.positive(),
    confidence,
    words: z.array(z.object({
      text: z.string(),
      confidence,
      boundingBox: z.object({
        vertices: z.array(z.object({ x: finite, y: finite })).length(4),
      }),
    })),
  })).min(1),
});

/** The API's error body: flat, or inside `error`. */
export const apiErrorBody: Schema<{ readonly code?: string; readonly message: string }> = z.union([
  z.object({ error: z.object({ code: errorCode, message: z.string() }) })
    .transform((body) => body.error),
  z.object({ code: errorCode, message: z.string() }),
]);

/** The value of `AWS_SECRET_ARN`'s secret when it is JSON; parsing gives the key in it. */
export const secretJson: Schema<string> = z.union([
  z.object({ UPSTAGE_API_KEY: z.string().min(1) }).transform((value) => value.UPSTAGE_API_KEY),
  z.object({ api_key: z.string().min(1) }).transform((value) => value.api_key),
]);
