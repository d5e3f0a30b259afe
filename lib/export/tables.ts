/**
 * @module export/tables: labels for everybody else: a word a line as CSV, a page a line as JSON.
 */

import type { Format } from "./format.ts";

/** What both have in common. */
const COMMON = {
  pictures: "pages",
  namesPaths: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  granularity: "word",
  single: true,
  imageFile: (split: string, file: string) => `images/${split}/${file}`,
} as const;

const COLUMNS = "id,split,image,width,height,text,confidence,ignore,x1,y1,x2,y2,x3,y3,x4,y4";

/** `labels.csv`: an entry a line, RFC 4180, in UTF-8 without a byte order mark. */
export const csv: Format = {
  ...COMMON,
  name: "csv",
  summary: "a word a line: labels.csv, and images",
  emptyPages: false,
  open({ files }) {
    let lines = 0;
    return {
      async page({ id, split, image, width, height, entries }) {
        const text = entries.map(({ text, confidence, ignore, quad }) =>
          [id, split, image, width, height, text, confidence ?? "", ignore, ...quad.flat()]
            .map(cell).join(",") + "\r\n"
        ).join("");
        await files.append("labels.csv", lines++ === 0 ? `${COLUMNS}\r\n${text}` : text);
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        if (lines === 0) await files.append("labels.csv", `${COLUMNS}\r\n`);
        return [];
      },
    };
  },
};

function cell(value: string | number | boolean): string {
  const text = String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** `labels.jsonl`: a page a line. */
export const jsonl: Format = {
  ...COMMON,
  name: "jsonl",
  summary: "a page a line: labels.jsonl, and images",
  emptyPages: true,
  open({ files }) {
    let lines = 0;
    return {
      async page({ id, split, image, width, height, model, confidence, entries }) {
        lines++;
        const words = entries.map(({ text, confidence, ignore, quad }) => ({
          text,
          confidence,
          ...(ignore ? { ignore } : {}),
          polygon: quad,
        }));
        const line = { id, split, image, width, height, model, confidence, words };
        await files.append("labels.jsonl", `${JSON.stringify(line)}\n`);
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        if (lines === 0) await files.append("labels.jsonl", "");
        return [];
      },
    };
  },
};
