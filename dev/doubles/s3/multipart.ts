/**
 * @module doubles/s3/multipart: multipart uploads of `dev/doubles/s3/server.ts`.
 *
 * Create, upload, list and complete; aborting is one line in `dev/doubles/s3/api.ts`. Refuses what
 * S3 refuses: unknown uploads and parts, wrong order, short parts before the last, wrong sums.
 */
import { Buffer } from "node:buffer";
import { createHash, randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import { checkWriteConditions } from "./conditions.ts";
import type { DoubleObject, DoubleRequest, DoubleState, DoubleUpload } from "./types.ts";
import { escapeXml, ok, S3Fault, tag, unescapeXml, xml } from "./xml.ts";

const CRC = "x-amz-checksum-crc32";

/** CreateMultipartUpload. */
export function createUpload(state: DoubleState, request: DoubleRequest): Response {
  const { bucket, key } = request;
  const contentType = request.headers.get("content-type") ?? "binary/octet-stream";
  const id = randomUUID();
  const summed = request.headers.get("x-amz-checksum-algorithm") === "CRC32";
  state.uploads.set(id, { bucket, key, contentType, summed, parts: new Map() });
  return xml(tag(
    "InitiateMultipartUploadResult",
    tag("Bucket", escapeXml(bucket)) + tag("Key", escapeXml(key)) + tag("UploadId", id),
  ));
}

/** UploadPart: a part that is sent again replaces the earlier one. */
export function putPart(
  state: DoubleState,
  request: DoubleRequest,
  bytes: Uint8Array<ArrayBuffer>,
): Response {
  const upload = find(state, request);
  const number = Number(request.query.get("partNumber"));
  if (!(Number.isInteger(number) && number >= 1 && number <= 10_000)) {
    throw new S3Fault(400, "InvalidArgument");
  }
  const etag = createHash("md5").update(bytes).digest("hex");
  const sum = crcBase64(bytes);
  const claimed = request.headers.get(CRC);
  // S3 says "Checksum Type mismatch occurred" where the upload did not announce sums.
  if (claimed !== null && !upload.summed) throw new S3Fault(400, "InvalidRequest");
  if (claimed !== null && claimed !== sum) throw new S3Fault(400, "BadDigest");
  upload.parts.set(number, { bytes, etag, sum });
  return ok({ etag: `"${etag}"`, ...(claimed === null ? {} : { [CRC]: sum }) });
}

/** ListParts, in one page. */
export function listParts(state: DoubleState, request: DoubleRequest): Response {
  const parts = [...find(state, request).parts].sort(([a], [b]) => a - b).map(([number, part]) =>
    tag(
      "Part",
      tag("PartNumber", String(number)) + tag("ETag", `&quot;${part.etag}&quot;`) +
        tag("Size", String(part.bytes.length)),
    )
  );
  return xml(tag("ListPartsResult", tag("IsTruncated", "false") + parts.join("")));
}

/** CompleteMultipartUpload: the object appears, the upload is gone. */
export function completeUpload(
  state: DoubleState,
  request: DoubleRequest,
  objects: Map<string, DoubleObject>,
  body: Uint8Array,
): Response {
  const upload = find(state, request);
  const wanted = [...new TextDecoder().decode(body).matchAll(/<Part>(.*?)<\/Part>/gs)].map((m) => ({
    number: Number(/<PartNumber>(\d+)</.exec(m[1])?.[1]),
    sum: /<ChecksumCRC32>([^<]*)</.exec(m[1])?.[1],
    etag: unescapeXml(/<ETag>([^<]*)</.exec(m[1])?.[1] ?? "").replaceAll('"', ""),
  }));
  if (wanted.length === 0) throw new S3Fault(400, "MalformedXML");
  const parts = wanted.map(({ number, etag, sum }, i) => {
    if (i > 0 && number <= wanted[i - 1].number) throw new S3Fault(400, "InvalidPartOrder");
    const part = upload.parts.get(number);
    if (part === undefined || part.etag !== etag) throw new S3Fault(400, "InvalidPart");
    if (upload.summed && part.sum !== sum) throw new S3Fault(400, "InvalidRequest");
    if (i < wanted.length - 1 && part.bytes.length < state.minPartSize) {
      throw new S3Fault(400, "EntityTooSmall");
    }
    return part;
  });
  checkWriteConditions(request, objects.get(request.key));
  const digests = Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex")));
  const etag = `${createHash("md5").update(digests).digest("hex")}-${parts.length}`;
  objects.set(request.key, {
    bytes: new Uint8Array(Buffer.concat(parts.map((part) => part.bytes))),
    etag,
    contentType: upload.contentType,
    modified: new Date(),
  });
  state.uploads.delete(request.query.get("uploadId")!);
  return xml(tag(
    "CompleteMultipartUploadResult",
    tag("Bucket", escapeXml(request.bucket)) + tag("Key", escapeXml(request.key)) +
      tag("ETag", `&quot;${etag}&quot;`),
  ));
}

/** CRC-32 as S3 writes it: big-endian, base64. */
function crcBase64(bytes: Uint8Array): string {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(crc32(bytes));
  return buffer.toString("base64");
}

function find(state: DoubleState, request: DoubleRequest): DoubleUpload {
  const upload = state.uploads.get(request.query.get("uploadId") ?? "");
  if (upload === undefined || upload.bucket !== request.bucket || upload.key !== request.key) {
    throw new S3Fault(404, "NoSuchUpload");
  }
  return upload;
}
