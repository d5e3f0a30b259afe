/**
 * @module doubles/s3/conditions: the conditions of a request to `dev/doubles/s3/server.ts`.
 */
import type { DoubleObject, DoubleRequest } from "./types.ts";
import { S3Fault } from "./xml.ts";

/** `If-None-Match: *` and `If-Match` of PutObject and CompleteMultipartUpload. */
export function checkWriteConditions(request: DoubleRequest, present?: DoubleObject): void {
  if (request.headers.get("if-none-match") === "*" && present !== undefined) {
    throw new S3Fault(412, "PreconditionFailed");
  }
  const wanted = request.headers.get("if-match");
  if (wanted === null) return;
  if (present === undefined) throw new S3Fault(404, "NoSuchKey");
  if (!matches(wanted, present.etag)) throw new S3Fault(412, "PreconditionFailed");
}

/** Whether a condition's header names an ETag. */
export function matches(header: string, etag: string): boolean {
  return header.split(",").some((t) => t.trim() === "*" || t.trim().replaceAll('"', "") === etag);
}
