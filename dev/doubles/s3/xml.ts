/**
 * @module doubles/s3/xml: the XML that `dev/doubles/s3/server.ts` answers, errors included.
 *
 * Text in, `Response` out. S3's XML is flat enough for templates; nothing here knows an operation.
 */
import type { DoubleRequest } from "./types.ts";

/** A refusal in S3's terms; `answer()` turns it into a response. */
export class S3Fault extends Error {
  /**
   * @param status HTTP status
   * @param code S3 error code, for example `NoSuchKey`
   * @param message In words.
   */
  constructor(readonly status: number, readonly code: string, message = `${code} by the double`) {
    super(message);
  }
}

/** `<name>content</name>`; the content is XML already. */
export function tag(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

/** Text as XML content. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("\r", "&#13;");
}

/** The reverse of {@linkcode escapeXml}, numeric references included. */
export function unescapeXml(text: string): string {
  return text.replace(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCodePoint(parseInt(hex, 16)))
    .replace(/&#(\d+);/g, (_, digits) => String.fromCodePoint(Number(digits)))
    .replaceAll("&quot;", '"').replaceAll("&apos;", "'").replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

/** A 200 with this XML document. */
export function xml(root: string, status = 200): Response {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  return new Response(head + root, { status, headers: { "content-type": "application/xml" } });
}

/** A 200 without a body. */
export function ok(headers: Record<string, string> = {}): Response {
  return new Response(null, { headers: { "content-length": "0", ...headers } });
}

/** The error document; HEAD answers have none, as on S3. */
export function fail(fault: S3Fault, request: DoubleRequest): Response {
  if (request.method === "HEAD") return new Response(null, { status: fault.status });
  const resource = escapeXml(`/${request.bucket}/${request.key}`);
  return xml(
    tag(
      "Error",
      tag("Code", fault.code) + tag("Message", escapeXml(fault.message)) +
        tag("Resource", resource) + tag("RequestId", String(request.index)),
    ),
    fault.status,
  );
}
