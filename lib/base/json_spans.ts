/**
 * @module base/json_spans: where the values of a long JSON text lie, so that they can be parsed one
 * by one: parsed as a whole, a text takes several times its bytes. The bytes are UTF-8; what is
 * inside a value is looked at by whoever parses it.
 */

/** A value of an object or an array. */
export interface JsonSpan {
  /** Its name in the object; its position in the array. */
  readonly name: string;
  /** Where it begins, bytes. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The values of an object or array, in the order of the text.
 *
 * @param start Where the object or array begins. @default at the start of the text
 * @param end Where it ends. @default at the end of the text
 * @throws {SyntaxError} if it is neither, or its own commas and brackets are wrong
 */
export function* jsonSpans(
  bytes: Uint8Array,
  start: number = textStart(bytes),
  end: number = bytes.length,
): Generator<JsonSpan> {
  let at = blanks(bytes, start, end);
  const isObject = bytes[at] === OPEN_OBJECT;
  if (!isObject && bytes[at] !== OPEN_ARRAY) throw wrong("no object or array begins", at);
  const close = isObject ? CLOSE_OBJECT : CLOSE_ARRAY;
  at = blanks(bytes, at + 1, end);
  const isEmpty = at < end && bytes[at] === close;
  for (let position = 0; !isEmpty; position++) {
    let name = String(position);
    if (isObject) {
      const from = at;
      if (bytes[at] !== QUOTE) throw wrong("no name stands", at);
      at = textEnd(bytes, at, end);
      name = JSON.parse(spanText(bytes, { start: from, end: at }));
      at = blanks(bytes, at, end);
      if (bytes[at] !== COLON) throw wrong("no colon stands", at);
      at = blanks(bytes, at + 1, end);
    }
    const from = at;
    at = valueEnd(bytes, at, end);
    if (at === from) throw wrong("no value stands", at);
    yield { name, start: from, end: at };
    at = blanks(bytes, at, end);
    if (at < end && bytes[at] === close) break;
    if (at >= end || bytes[at] !== COMMA) throw wrong("no comma or end stands", at);
    at = blanks(bytes, at + 1, end);
  }
  if (blanks(bytes, at + 1, end) < end) throw wrong("it goes on", at + 1);
}

/** Whether a text begins as an object does. */
export function beginsObject(bytes: Uint8Array): boolean {
  return bytes[blanks(bytes, textStart(bytes), bytes.length)] === OPEN_OBJECT;
}

/** The text of a value as it was found, which need not be JSON. */
export function spanText(bytes: Uint8Array, { start, end }: Omit<JsonSpan, "name">): string {
  return UTF8.decode(bytes.subarray(start, end));
}

/** Behind a byte-order mark. */
function textStart(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/** The first byte from `at` on that is no white space. */
function blanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && isBlank(bytes[at])) at++;
  return at;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Behind the text in quotes that begins at `at`. */
function textEnd(bytes: Uint8Array, at: number, end: number): number {
  const from = at;
  for (at++; at < end; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  throw wrong("a text has no end that begins", from);
}

/** Behind the value that begins at `at`: its brackets are counted, nothing else of it is looked at. */
function valueEnd(bytes: Uint8Array, at: number, end: number): number {
  const from = at;
  let depth = 0;
  while (at < end) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = textEnd(bytes, at, end);
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || isBlank(byte))) return at;
    at++;
  }
  if (depth > 0) throw wrong("a value has no end that begins", from);
  return at;
}

function wrong(what: string, at: number): SyntaxError {
  return new SyntaxError(`${what} at byte ${at}`);
}
