/**
 * @module doubles/s3/list: ListObjectsV2 of `dev/doubles/s3/server.ts`.
 *
 * Keys come in the order of their UTF-8 bytes, which differs from that of JavaScript strings, in
 * pages that may be shorter than was asked.
 */
import { Buffer } from "node:buffer";
import type { DoubleObject, DoubleRequest, DoubleState } from "./types.ts";
import { escapeXml, tag, xml } from "./xml.ts";

/** ListObjectsV2: prefix, delimiter, start-after, continuation-token, max-keys, encoding-type. */
export function list(
  state: DoubleState,
  request: DoubleRequest,
  objects: Map<string, DoubleObject>,
): Response {
  const { query } = request;
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const limit = Math.min(Number(query.get("max-keys") ?? 1000), state.pageSize);
  const token = query.get("continuation-token");
  const after = token === null
    ? query.get("start-after") ?? ""
    : Buffer.from(token, "base64url").toString("utf8");
  const encode = query.get("encoding-type") === "url"
    ? (text: string) => encodeURIComponent(text).replaceAll("%2F", "/")
    : escapeXml;

  const keys = inOrder([...objects.keys()].filter((key) => key.startsWith(prefix)));
  const entries: string[] = [];
  let last = "";
  let truncated = false;
  for (const key of keys) {
    if (after !== "" && compare(key, after) <= 0) continue;
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
    // The page before may have ended with this group: its members sort after the group's own name.
    if (common !== undefined && (common === last || common === after)) continue;
    if (entries.length >= limit) {
      truncated = true;
      break;
    }
    last = common ?? key;
    entries.push(
      common === undefined
        ? contents(encode(key), objects.get(key)!)
        : tag("CommonPrefixes", tag("Prefix", encode(common))),
    );
  }
  return xml(tag(
    "ListBucketResult",
    tag("Name", escapeXml(request.bucket)) + tag("Prefix", encode(prefix)) +
      tag("MaxKeys", String(limit)) + tag("KeyCount", String(entries.length)) +
      (delimiter === "" ? "" : tag("Delimiter", encode(delimiter))) +
      (query.has("encoding-type") ? tag("EncodingType", "url") : "") +
      tag("IsTruncated", String(truncated)) + entries.join("") +
      (truncated ? tag("NextContinuationToken", Buffer.from(last).toString("base64url")) : ""),
  ));
}

/** Sorts by the bytes of keys, which is how strings compare where nothing is beyond the BMP. */
function inOrder(keys: string[]): string[] {
  return keys.some((key) => /[\ud800-\uffff]/.test(key)) ? keys.sort(compare) : keys.sort();
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function contents(key: string, object: DoubleObject): string {
  return tag(
    "Contents",
    tag("Key", key) + tag("LastModified", object.modified.toISOString()) +
      tag("ETag", `&quot;${object.etag}&quot;`) + tag("Size", String(object.bytes.length)) +
      tag("StorageClass", "STANDARD"),
  );
}
