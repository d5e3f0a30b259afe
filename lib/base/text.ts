/**
 * @module base/text: other people's texts, made fit for a message. Ids, keys, owners, servers'
 * words and numbers come from outside: whatever of them goes into a message stays on its line,
 * within bounds, and can't give orders to a terminal.
 */

/**
 * What a terminal or a reader of lines takes for more than a character: controls (C0, C1, DEL),
 * line separators, and marks that turn the direction of writing or hide.
 */
const UNPRINTABLE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
/** The same but for line breaks. */
const UNPRINTABLE_IN_LINES = new RegExp(
  UNPRINTABLE.source.replace("\\x00-\\x1f", "\\x00-\\x09\\x0b-\\x1f"),
  "g",
);

/**
 * A text as one line: white space as one space, what can't be printed as U+FFFD.
 *
 * @param max Characters.
 */
export function oneLine(text = "", max = 200): string {
  return shortened(
    withoutSignatures(text).replace(/\s+/g, " ").replace(UNPRINTABLE, "\ufffd"),
    max,
  );
}

/** A text as one line that shows what is in it: `a\nb`, `\x1b[2J`. @param max Characters. */
export function escaped(text: string, max = 200): string {
  return shortened(withoutSignatures(text), max).replace(UNPRINTABLE, escape);
}

/** The same in quotes, for ids, keys and values in a sentence. @param max Characters. */
export function quoted(text: string, max = 200): string {
  return `'${escaped(text, max)}'`;
}

/**
 * A whole message for people: its lines stay lines, but none of them begins where a log line would.
 * The last line of defence; what comes from outside is {@linkcode quoted} before.
 *
 * @param max Characters.
 */
export function printable(message: string, max = 4_000): string {
  return shortened(withoutSignatures(message), max).trimEnd().replace(UNPRINTABLE_IN_LINES, escape)
    .replace(/\n */g, "\n  ");
}

/** A value as one line of JSON without anything that a terminal could take for an order. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNPRINTABLE, unicode);
}

/**
 * Whether a text may be, or hold, a key: a word that begins like one, or is long and mixed as only
 * made-up ones are. Such a value in the wrong place is not repeated; at worst a name isn't.
 */
export function mayBeKey(text: string): boolean {
  return text.split(/[^A-Za-z0-9+/=_-]+/).some((word) =>
    /^-*[A-Za-z]{2,5}[-_](?=.*\d)[A-Za-z0-9_-]{16,}$/.test(word) ||
    /(^|[^A-Za-z0-9])A[KS]IA[A-Z0-9]{12,}/.test(word) ||
    /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word) &&
      /[A-Za-z0-9+=]{20,}/.test(word) ||
    /^[A-Za-z0-9+/]{40}$/.test(word) && /[A-Z]/.test(word) ||
    /A[KS]IA(?=[A-Z]*[2-7])[A-Z2-7]{16}/.test(word) ||
    word.split(/[-_]/).slice(1).some(isMadeUp)
  );
}

/**
 * Whether a part of a word is long and mixed, whatever stands before it (`keyup_…`). A hash in
 * hexadecimal digits is no key but often a name (`backup_d41d…`), as is a time.
 */
function isMadeUp(part: string): boolean {
  return part.length >= 20 && /^[A-Za-z0-9]+$/.test(part) && !/^[0-9a-fA-F]+$/.test(part) &&
    part.replace(/\D/g, "").length >= 2 && part.replace(/\d/g, "").length >= 4;
}

/** A value in quotes, or in its place that it isn't repeated. */
export function shown(text: string): string {
  return mayBeKey(text) ? "'[looks like a key: not repeated]'" : quoted(text);
}

/** The name or ARN of a secret for a message; a key that stands in its place is not repeated. */
export function secretName(id: string): string {
  return mayBeKey(id.replace(/^arn:[^:]*:secretsmanager:[^:]*:\d+:secret:/, ""))
    ? "[the name looks like a key: not repeated]"
    : escaped(id);
}

/** Cut where no character is broken, and marked as cut. */
function shortened(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = text.charCodeAt(max - 2) >> 10 === 0x36 ? max - 2 : max - 1;
  return `${text.slice(0, end)}…`;
}

function escape(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : unicode(character);
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function unicode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Whether a text holds the signature of a presigned URL. */
export function isSigned(text: string): boolean {
  return withoutSignatures(text) !== text;
}

/**
 * The same text without the signatures of presigned URLs (S3, Google, Azure): whoever reads one in
 * a log may fetch what it was made for.
 */
export function withoutSignatures(text: string): string {
  return text.replace(
    /([?&](?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|sig|token)=)[^&\s'"]+/gi,
    "$1…",
  );
}
