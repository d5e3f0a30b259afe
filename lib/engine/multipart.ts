/**
 * @module engine/multipart: a form with a file, as it goes over the wire (RFC 7578).
 */

import { RequestBody } from "./request_body.ts";

/** A field of a form: a text, or a file. */
export type FormField = readonly [
  name: string,
  value: string | {
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** As the server is told; no path. */
    readonly filename: string;
    /** Media type. */
    readonly type: string;
  },
];

/**
 * The body that holds these fields; its type has the boundary. A third as dear as the `FormData`
 * that it stands for. Files must stay as they are until the request is over.
 *
 * @param boundary Stands nowhere in the file. @default random
 */
export function multipart(
  fields: readonly FormField[],
  boundary = `pseudolabel-${crypto.randomUUID()}`,
): Blob {
  const encoder = new TextEncoder();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let text = "";
  for (const [name, value] of fields) {
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (typeof value === "string") {
      text += `\r\n\r\n${value}\r\n`;
      continue;
    }
    text += `; filename="${quoted(value.filename)}"\r\nContent-Type: ${value.type}\r\n\r\n`;
    parts.push(encoder.encode(text), value.bytes);
    text = "\r\n";
  }
  parts.push(encoder.encode(`${text}--${boundary}--\r\n`));
  return new RequestBody(parts, `multipart/form-data; boundary=${boundary}`);
}

/** As HTML says it: https://html.spec.whatwg.org/#multipart-form-data */
function quoted(text: string): string {
  return text.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
}
