/**
 * @module engine/base64_body: files as APIs want them that take JSON.
 */

import { Buffer } from "node:buffer";

/** A file as Base64. */
export function base64(bytes: Uint8Array<ArrayBuffer>): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
