/**
 * @module dataset/failure: why a page could not be read, as data. A failed page is a row with one
 * of these codes; it is never thrown. `docs/DATA_CATALOG.md` explains each to the people who use
 * the rows.
 */

/** Every value of `metadata.error_code`, with what it means. */
export const FAILURE_CODES = {
  image_not_found: "the image object, or its bucket, does not exist",
  image_denied: "the credentials may not read the image object",
  image_archived: "the image object must be restored from an archive before it can be read",
  image_unreadable: "the store refuses or fails to give the image object, and gives others",
  image_empty: "the image object has no bytes",
  image_too_large: "the image is larger than the API accepts",
  image_unsupported: "the bytes are not of a type the API accepts",
  api_rejected: "the API rejected this page for good",
  api_unavailable: "the API failed on this page at every attempt",
  api_error: "the API answered with an error under status 200 at every attempt",
  invalid_answer: "the API's answer does not have the promised form (it is kept for diagnosis)",
  response_unreadable:
    "the stored answer is of a newer version, or too long to be one; it was left alone",
  multiple_pages: "the document has several pages, but a row describes one image",
} as const;

/** A value of `metadata.error_code`. */
export type FailureCode = keyof typeof FAILURE_CODES;

/** A page that could not be read. */
export interface Failure {
  /** Stable code. */
  readonly code: FailureCode;
  /** In words, with what the API or the store said. */
  readonly message: string;
}
