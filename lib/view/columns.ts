/**
 * @module view/columns: text in columns, for terminals of any width: labels with their sentences
 * beside them, and tables. Nothing of it is longer than a line.
 */

/** A label and what stands beside it; an empty label goes on with the one before. */
export type Field = readonly [label: string, text: string];

/**
 * Fields, one below the other, wrapped at blanks.
 *
 * @param columns Characters of a line at most, at least 20.
 * @param wholeUrls As for {@linkcode wrap}.
 */
export function renderFields(
  fields: readonly Field[],
  columns: number,
  wholeUrls = false,
): string[] {
  const width = Math.max(...fields.map(([label]) => label.length)) + 4;
  return fields.flatMap(([label, text]) =>
    wrap(text, Math.max(16, columns - width), wholeUrls)
      .map((line, n) => `  ${n === 0 ? label : ""}`.padEnd(width) + line)
  );
}

/**
 * Lines of at most `width` characters; a longer word is broken.
 *
 * @param wholeUrls Whether URLs stay whole all the same, so that they can be copied.
 */
export function wrap(text: string, width: number, wholeUrls = false): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    let rest = word;
    const line = lines[lines.length - 1];
    if (line !== "" && line.length + 1 + rest.length <= width) {
      lines[lines.length - 1] = `${line} ${rest}`;
      continue;
    }
    if (line !== "") lines.push("");
    while (rest.length > width && !(wholeUrls && rest.includes("://"))) {
      lines[lines.length - 1] = rest.slice(0, width);
      rest = rest.slice(width);
      lines.push("");
    }
    lines[lines.length - 1] = rest;
  }
  return lines;
}

/**
 * A table with a head. What is too wide for the line is cut in the columns that may be cut.
 *
 * @param head Names of the columns; those that begin with a blank hold numbers, set to the right.
 * @param cut Index of the column that is cut where the table is too wide.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
  cut: number,
): string[] {
  const names = head.map((name) => name.trim());
  const right = head.map((name) => name.startsWith(" "));
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)));
  const room = columns - widths.reduce((sum, width) => sum + width + 2, -2);
  widths[cut] = Math.max(8, Math.min(widths[cut], widths[cut] + room));
  const fit = (text: string, i: number) => {
    const short = text.length > widths[i] ? `${text.slice(0, widths[i] - 1)}…` : text;
    return right[i] ? short.padStart(widths[i]) : short.padEnd(widths[i]);
  };
  return [names, ...rows].map((row) => row.map(fit).join("  ").trimEnd());
}
