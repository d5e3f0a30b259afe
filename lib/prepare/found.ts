/**
 * @module prepare/found: an image as it was found in a listing or a table, before anybody looked at
 * it, and the reasons for which one is left out.
 */

import type { Store } from "../store/store.ts";

/** Where the bytes of an image are. */
export type Source =
  | {
    readonly kind: "object";
    /** What holds it. */
    readonly store: Store;
    /** Its key there. */
    readonly key: string;
    /** What a listing says of it; absent where nobody listed. */
    readonly listed?: { readonly size: number; readonly etag: string };
    /** Its `image_path`; absent where a run can't read it. */
    readonly imagePath?: string;
    /** Whether it lies in the run's own store. */
    readonly own: boolean;
  }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array<ArrayBuffer> };

/** An image that was found. */
export interface Found {
  /** Its id in the data set. */
  readonly id: string;
  /** Where its bytes are. */
  readonly source: Source;
  /** Where it was found, for people. */
  readonly address: string;
  /** Its path below what was named, for patterns of splits, and as the name of a copy. */
  readonly path: string;
  /** Its file name. */
  readonly filename: string;
  /** What a table says of its split. */
  readonly split: string | null;
  /** JSON text of what else a table says. */
  readonly metadata: string | null;
}

/** Why an image that was found is no row, with what to do about it. */
export const REASONS = {
  not_image: "is no image by its content",
  document: "is a document; make an image of each page",
  empty: "has no bytes",
  damaged: "begins like an image and then makes no sense",
  several_pages: "holds several pages, and a row is one image; split it",
  too_large: "is larger than the engine takes",
  type_not_taken: "is of a type that the engine does not take; --convert makes a PNG of most",
  not_decodable: "is of a type that the engine does not take, and can't be converted here",
  not_found: "is not there; --images says where the relative paths of a table start",
  denied: "may not be read with these credentials",
  unreadable: "can't be read",
  not_fetched: "can't be fetched",
  outside_store: "lies where a run can't read it; --copy brings it into the store",
  bad_address: "is said to be where no image can be: a key without '..', an https address",
  no_image: "has nothing in the image's column",
  no_id: "has no usable id",
  duplicate_id: "has the id of an earlier row",
} as const satisfies Record<string, string>;

/** A key of {@linkcode REASONS}. */
export type Reason = keyof typeof REASONS;

/** An image that is left out. */
export interface Skipped {
  /** Why. */
  readonly reason: Reason;
  /** Where it was found, for people. */
  readonly address: string;
  /** What is known beyond the reason. */
  readonly detail?: string;
}

/** What a listing or a table gives, one by one. */
export type Item =
  | { readonly found: Found; readonly skipped?: undefined }
  | { readonly found?: undefined; readonly skipped: Skipped };
