/**
 * @module export/charset: the dictionary file of a recognition export: the characters that there
 * are, by code point, one a line.
 */

/** Collects characters. */
export class Charset {
  readonly #seen = new Set<string>();

  /** Adds those of a text. */
  add(text: string): void {
    for (const character of text) this.#seen.add(character);
  }

  /** The dictionary as a file, without the blank, for which trainers have a switch. */
  file(): string {
    return [...this.#seen].filter((c) => c !== " ")
      .sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!).map((c) => `${c}\n`).join("");
  }

  /** All of them in one line, the blank left out. */
  line(): string {
    return this.file().replaceAll("\n", "");
  }
}

/**
 * Reads a dictionary: one character a line; empty lines are skipped; a blank is always allowed.
 *
 * @returns What is wrong with it, for a message, if it is none.
 */
export function readCharset(text: string): ReadonlySet<string> | { readonly problem: string } {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/).filter((line) => line !== "");
  const long = lines.findIndex((line) => [...line].length !== 1);
  if (long >= 0) return { problem: `line ${long + 1} has more than one character` };
  return lines.length > 0 ? new Set([...lines, " "]) : { problem: "it is empty" };
}
