/**
 * @module view/html: texts of anybody as parts of a page, and the pieces that report and gallery
 * share: the frame of a page with its policy, and its colours in light, dark and print.
 */

import { createHash } from "node:crypto";
import { oneLine } from "../base/text.ts";

/** A text as content or as a quoted attribute of HTML: nothing in it is markup. */
export function html(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`)
    // Neither HTML nor XML has words for these.
    // deno-lint-ignore no-control-regex
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, "\ufffd").toWellFormed();
}

/** A text of anybody as one line, in its own direction of writing, which ends where it ends. */
export function foreign(text: string, max = 2_000): string {
  return `<bdi>${html(oneLine(text, max))}</bdi>`;
}

/** A value as JSON inside of a `script` element, where no `<` may begin its end. */
export function jsonScript(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What a page is made of. */
export interface PageParts {
  /** Shown by the browser as the window's title. */
  readonly title: string;
  /** The style sheet. */
  readonly style: string;
  /** The content of `body`, as HTML. */
  readonly body: string;
  /** The only script, if there is one. */
  readonly script?: string;
  /** Attributes for `body`. */
  readonly attributes?: string;
  /** Whether the page may load pictures and data from where it comes from. @default false */
  readonly served?: boolean;
}

/** A source of the policy that allows exactly this text. */
function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/**
 * The policy of a page: of script and style only what is written in it, whatever texts it shows,
 * and nothing from anywhere else.
 */
export function policyOf({ style, script, served = false }: PageParts): string {
  return [
    "default-src 'none'",
    `style-src ${hashSource(style)}`,
    ...script ? [`script-src ${hashSource(script)}`] : [],
    served ? "img-src 'self' data:" : "img-src data:",
    ...served ? ["connect-src 'self'"] : [],
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

/** A whole page, with its policy inside. */
export function wholePage(parts: PageParts): string {
  const { title, style, body, script, attributes = "" } = parts;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${html(policyOf(parts))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${html(title)}</title>
<style>${style}</style>
</head>
<body${attributes}>
${body}
${script ? `<script>${script}</script>\n` : ""}</body>
</html>
`;
}

/** Colours and type of all pages; contrasts of text are 4.5 : 1 or more. */
export const BASE_STYLE = `
:root{color-scheme:light dark;--fg:#1c1d20;--soft:#5c6068;--bg:#fff;--panel:#f5f6f8;--line:#dfe1e6;
--accent:#2b63b0;--warn:#b4590a;--bad:#b3261e;--good:#1d7a46;--mark:#ffe08a}
@media(prefers-color-scheme:dark){:root{--fg:#e7e8ea;--soft:#a3a7af;--bg:#15161a;--panel:#1f2126;
--line:#34373e;--accent:#86b4f0;--warn:#f0a45c;--bad:#ff8f86;--good:#6fcf97;--mark:#6b5410}}
@media print{:root{color-scheme:light;--fg:#000;--soft:#444;--bg:#fff;--panel:#fff;--line:#bbb;
--accent:#2b63b0;--warn:#b4590a;--bad:#b3261e;--good:#1d7a46}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans KR",
"Malgun Gothic","Apple SD Gothic Neo",sans-serif;color:var(--fg);background:var(--bg)}
a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
`;
