/**
 * @module engine/multipart: a form with a file, as it goes over the wire (RFC 7578).
 */

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
 * The body that holds these fields; its type has the boundary. Half as dear as the `FormData` that
 * it stands for: Deno copies the file once less and needs no stream for each part.
 *
 * @param boundary Stands nowhere in the file. @default random
 */
export function multipart(
  fields: readonly FormField[],
  boundary = `pseudolabel-${crypto.randomUUID()}`,
): Blob {
  const parts: BlobPart[] = [];
  let text = "";
  for (const [name, value] of fields) {
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (typeof value === "string") {
      text += `\r\n\r\n${value}\r\n`;
      continue;
    }
    text += `; filename="${quoted(value.filename)}"\r\nContent-Type: ${value.type}\r\n\r\n`;
    parts.push(text, value.bytes);
    text = "\r\n";
  }
  parts.push(`${text}--${boundary}--\r\n`);
  // A Blob's type is in lower case, and so is the boundary.
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

/** As HTML says it: https://html.spec.whatwg.org/#multipart-form-data */
function quoted(text: string): string {
  return text.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
}
