/**
 * @module state/ranges: a set of whole numbers as a short text, `0-11,13`: which batches are
 * finished. Batches are finished nearly in order, so the text stays short however many there are.
 */

/** The text; empty for none. @param numbers At least 0, each once, in any order. */
export function ranges(numbers: Iterable<number>): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length;) {
    let end = at;
    while (sorted[end + 1] === sorted[end] + 1) end++;
    parts.push(end > at ? `${sorted[at]}-${sorted[end]}` : `${sorted[at]}`);
    at = end + 1;
  }
  return parts.join(",");
}

/** Whether a number is in the set; what can't be read holds none. */
export function inRanges(text: string): (n: number) => boolean {
  const pairs = text.split(",").flatMap((part): [number, number][] => {
    const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part) ?? [];
    return from === undefined ? [] : [[Number(from), Number(to)]];
  });
  return (n) => pairs.some(([from, to]) => from <= n && n <= to);
}
