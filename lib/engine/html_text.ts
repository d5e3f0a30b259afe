/**
 * @module engine/html_text: the text of a piece of HTML in which an engine has put what it read. How
 * a page looks is left behind; what lies on a line, and in which cell, is kept.
 */

import { Parser } from "htmlparser2";

/** Elements that begin and end a line. */
const BLOCKS: ReadonlySet<string> = new Set(
  ("address article aside blockquote body caption center dd details div dl dt fieldset figcaption " +
    "figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section " +
    "summary table tbody tfoot thead tr ul").split(" "),
);
/** Elements whose text nobody sees. */
const UNSEEN: ReadonlySet<string> = new Set(["script", "style", "template", "head"]);

/** No page's elements lie deeper within one another; what does takes the parser for ever. */
const DEEPEST = 1_000;

/** Elements lie too deep. */
class TooDeep extends Error {}

/**
 * The text of a piece of HTML; of what is no HTML, the text itself. Lines end where a browser would
 * end them: at `<br>` and around paragraphs, headings, items of a list. A table has a line for each
 * row that holds any text, its cells separated by a tab, empty ones included; a cell that spans
 * others is one cell, and what is several lines in it is one. White space is one blank, entities are
 * what they stand for, pictures the text that was read in them (`alt`).
 *
 * @returns `undefined` where more than a thousand elements lie within one another.
 */
export function textOfHtml(html: string): string | undefined {
  const text = new Lines();
  let unseen = 0;
  let pre = 0;
  let depth = 0;
  const parser = new Parser({
    onopentag(name, attributes) {
      if (++depth > DEEPEST) throw new TooDeep();
      if (UNSEEN.has(name)) unseen++;
      else if (unseen > 0) return;
      else if (name === "br") text.end();
      else if (name === "td" || name === "th") text.openCell();
      else if (name === "img") text.add(` ${attributes.alt ?? ""} `);
      else if (BLOCKS.has(name)) text.end();
      if (name === "pre") pre++;
    },
    ontext(part) {
      if (unseen > 0) return;
      const [first, ...rest] = pre > 0 ? part.split("\n") : [part];
      text.add(first);
      for (const line of rest) {
        text.end();
        text.add(line);
      }
    },
    onclosetag(name) {
      depth--;
      if (UNSEEN.has(name)) unseen--;
      else if (unseen > 0) return;
      else if (name === "td" || name === "th") text.closeCell();
      else if (name === "tr" || name === "table") text.endRow();
      else if (BLOCKS.has(name)) text.end();
      if (name === "pre") pre--;
    },
  });
  try {
    parser.end(html);
  } catch (error) {
    if (error instanceof TooDeep) return undefined;
    throw error;
  }
  text.endRow();
  return text.lines.join("\n");
}

/** Lines as they grow. */
class Lines {
  /** Those that are whole, without white space around them. */
  readonly lines: string[] = [];
  #line = "";
  /** Cells of the row of a table, while there is one. */
  #row: string[] | undefined;
  /** In how many cells we are: those of a table inside a cell are part of its text. */
  #cells = 0;

  add(text: string): void {
    this.#line += text;
  }

  end(): void {
    if (this.#cells > 0) {
      this.#line += " ";
      return;
    }
    const line = plain(this.#line);
    if (line !== "") this.lines.push(line);
    this.#line = "";
  }

  openCell(): void {
    this.end();
    this.#cells++;
    if (this.#cells === 1) this.#row ??= [];
  }

  closeCell(): void {
    if (this.#cells > 1) this.#line += " ";
    this.#cells = Math.max(0, this.#cells - 1);
    if (this.#cells > 0 || !this.#row) return;
    this.#row.push(plain(this.#line));
    this.#line = "";
  }

  endRow(): void {
    this.end();
    if (this.#cells > 0 || !this.#row) return;
    if (this.#row.some((cell) => cell !== "")) this.lines.push(this.#row.join("\t"));
    this.#row = undefined;
  }
}

/** Without white space around it, and with one blank for each run of it inside. */
function plain(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
