/**
 * @module doubles/s3/api: what each S3 request does to the objects of `dev/doubles/s3/server.ts`.
 *
 * A synchronous function from a request to its answer over a state in memory. It follows the S3
 * API reference where this project or its tests depend on it: conditions, ranges, error bodies.
 * Listings are `dev/doubles/s3/list.ts`, multipart uploads `dev/doubles/s3/multipart.ts`.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { checkWriteConditions, matches } from "./conditions.ts";
import { list } from "./list.ts";
import { completeUpload, createUpload, listParts, putPart } from "./multipart.ts";
import type { DoubleObject, DoubleRequest, DoubleState } from "./types.ts";
import { escapeXml, fail, ok, S3Fault, tag, unescapeXml, xml } from "./xml.ts";

const META = "x-amz-meta-";

/** Carries a request out. `fault` is answered instead where given. */
export function answer(
  state: DoubleState,
  request: DoubleRequest,
  body: Uint8Array<ArrayBuffer>,
  fault?: {
    readonly status: number;
    readonly code: string;
    readonly message?: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Response {
  let response: Response;
  try {
    if (fault !== undefined) throw new S3Fault(fault.status, fault.code, fault.message);
    authorise(state, request.headers);
    response = route(state, request, decodeBody(request.headers, body));
  } catch (error) {
    if (!(error instanceof S3Fault)) throw error;
    response = fail(error, request);
  }
  for (const [name, value] of Object.entries(fault?.headers ?? {})) {
    response.headers.set(name, value);
  }
  response.headers.set("x-amz-request-id", requestId(request));
  return response;
}

/** The id that the answer's header and an error's body name. */
function requestId(request: DoubleRequest): string {
  return `DOUBLE${String(request.index).padStart(10, "0")}`;
}

function authorise(state: DoubleState, headers: Headers): void {
  const key = /Credential=([^/,\s]+)\//.exec(headers.get("authorization") ?? "")?.[1];
  if (key === undefined) throw new S3Fault(403, "AccessDenied");
  if (key !== state.accessKeyId) throw new S3Fault(403, "InvalidAccessKeyId");
}

function route(
  state: DoubleState,
  request: DoubleRequest,
  body: Uint8Array<ArrayBuffer>,
): Response {
  const { method, bucket, key, query } = request;
  if (bucket === "") {
    const names = [...state.objects.keys()].map((n) => tag("Bucket", tag("Name", escapeXml(n))));
    return xml(tag("ListAllMyBucketsResult", tag("Buckets", names.join(""))));
  }
  if (key === "" && method === "PUT") return createBucket(state, bucket);
  const objects = state.objects.get(bucket);
  if (objects === undefined) throw new S3Fault(404, "NoSuchBucket");
  if (key === "") {
    if (method === "HEAD") return ok();
    if (method === "POST" && query.has("delete")) return deleteMany(objects, body);
    if (method === "GET" && query.get("list-type") === "2") return list(state, request, objects);
    if (method === "DELETE") return deleteBucket(state, bucket, objects);
    throw new S3Fault(501, "NotImplemented");
  }
  if (method === "POST" && query.has("uploads")) return createUpload(state, request);
  if (query.has("uploadId")) {
    if (method === "PUT") return putPart(state, request, body);
    if (method === "POST") return completeUpload(state, request, objects, body);
    if (method === "GET") return listParts(state, request);
    if (method === "DELETE") {
      if (!state.uploads.delete(query.get("uploadId")!)) throw new S3Fault(404, "NoSuchUpload");
      return new Response(null, { status: 204 });
    }
  }
  if (method === "GET" || method === "HEAD") return get(request, objects);
  if (method === "PUT") return put(request, objects, body);
  if (method === "DELETE") {
    objects.delete(key);
    return new Response(null, { status: 204 });
  }
  throw new S3Fault(405, "MethodNotAllowed");
}

function createBucket(state: DoubleState, bucket: string): Response {
  if (state.objects.has(bucket)) throw new S3Fault(409, "BucketAlreadyOwnedByYou");
  state.objects.set(bucket, new Map());
  return ok({ location: `/${bucket}` });
}

function deleteBucket(
  state: DoubleState,
  bucket: string,
  objects: Map<string, DoubleObject>,
): Response {
  if (objects.size > 0) throw new S3Fault(409, "BucketNotEmpty");
  state.objects.delete(bucket);
  return new Response(null, { status: 204 });
}

function get(request: DoubleRequest, objects: Map<string, DoubleObject>): Response {
  const object = objects.get(request.key);
  if (object === undefined) throw new S3Fault(404, "NoSuchKey");
  const wanted = request.headers.get("if-match");
  if (wanted !== null && !matches(wanted, object.etag)) {
    throw new S3Fault(412, "PreconditionFailed");
  }
  const known = request.headers.get("if-none-match");
  const headers: Record<string, string> = {
    etag: `"${object.etag}"`,
    "last-modified": object.modified.toUTCString(),
    "accept-ranges": "bytes",
    "content-type": object.contentType,
  };
  for (const [name, value] of Object.entries(object.metadata ?? {})) {
    headers[META + name] = value;
  }
  if (known !== null && matches(known, object.etag)) {
    return new Response(null, { status: 304, headers });
  }
  let { bytes } = object;
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (range !== null && (range[1] !== "" || range[2] !== "")) {
    const size = bytes.length;
    const start = range[1] === "" ? Math.max(size - Number(range[2]), 0) : Number(range[1]);
    const last = range[1] === "" || range[2] === ""
      ? size - 1
      : Math.min(Number(range[2]), size - 1);
    if (start > last) throw new S3Fault(416, "InvalidRange");
    bytes = bytes.subarray(start, last + 1);
    headers["content-range"] = `bytes ${start}-${last}/${size}`;
  }
  headers["content-length"] = String(bytes.length);
  const status = range === null ? 200 : 206;
  return new Response(request.method === "HEAD" ? null : bytes, { status, headers });
}

function put(
  request: DoubleRequest,
  objects: Map<string, DoubleObject>,
  body: Uint8Array<ArrayBuffer>,
): Response {
  checkWriteConditions(request, objects.get(request.key));
  const etag = createHash("md5").update(body).digest("hex");
  const contentType = request.headers.get("content-type") ?? "binary/octet-stream";
  const metadata = Object.fromEntries(
    [...request.headers].filter(([name]) => name.startsWith(META))
      .map(([name, value]) => [name.slice(META.length), value]),
  );
  objects.set(request.key, { bytes: body, etag, contentType, modified: new Date(), metadata });
  return ok({ etag: `"${etag}"` });
}

function deleteMany(objects: Map<string, DoubleObject>, body: Uint8Array): Response {
  const text = new TextDecoder().decode(body);
  const keys = [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map((m) => unescapeXml(m[1]));
  for (const key of keys) objects.delete(key);
  const quiet = text.includes("<Quiet>true</Quiet>");
  const deleted = keys.map((key) => tag("Deleted", tag("Key", escapeXml(key))));
  return xml(tag("DeleteResult", quiet ? "" : deleted.join("")));
}

/** Unpacks an `aws-chunked` body: `SIZE[;signature]CRLF bytes CRLF … 0 CRLF trailers`. */
function decodeBody(headers: Headers, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const chunked = headers.get("x-amz-content-sha256")?.startsWith("STREAMING-") ||
    headers.get("content-encoding")?.includes("aws-chunked");
  if (!chunked) return body;
  const chunks: Uint8Array[] = [];
  for (let at = 0;;) {
    const end = body.indexOf(13, at);
    const size = parseInt(new TextDecoder().decode(body.subarray(at, end)), 16);
    if (end < 0 || Number.isNaN(size)) throw new S3Fault(400, "IncompleteBody");
    if (size === 0) break;
    if (end + 2 + size > body.length) throw new S3Fault(400, "IncompleteBody");
    chunks.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return new Uint8Array(Buffer.concat(chunks));
}
