/**
 * @module export/easyocr: labels of EasyOCR's recognition trainer: a file that looks like CSV and
 * knows no quotes.
 */

import { Charset } from "./charset.ts";
import { type Format, onOneLine } from "./format.ts";
import { PerSplit } from "./list_file.ts";

/** `{split}/labels.csv` beside the crops, split at the first comma; and `characters.txt`. */
export const easyocr: Format = {
  name: "easyocr",
  summary: "EasyOCR text recognition: {split}/labels.csv beside crops, characters.txt",
  pictures: "crops",
  texts: true,
  ignores: false,
  whenIgnored: "drop-word",
  emptyPages: false,
  granularity: "word",
  imageFile: (split, file) => `${split}/${file}`,
  carry: (text) => ({ text: onOneLine(text).trim() }),
  open({ files }) {
    const charset = new Charset();
    const parts = new PerSplit(() => ({ lines: 0, other: 0 }));
    return {
      async page({ split, entries, crops = [] }) {
        const part = parts.of(split);
        for (const [at, { text }] of entries.entries()) {
          charset.add(text);
          if (!/^[\d.,+-]+$/.test(text)) part.other++;
          const head = part.lines++ === 0 ? "filename,words\n" : "";
          const name = crops[at].slice(crops[at].lastIndexOf("/") + 1);
          await files.append(`${split}/labels.csv`, `${head}${name},${text}\n`);
        }
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        await files.write("characters.txt", `${charset.line()}\n`);
        return [...parts.all].filter(([, { other }]) => other === 0).map(([split]) =>
          `All texts of ${split} are numbers: the trainer reads them as such and breaks, so it ` +
          "needs at least one other text."
        );
      },
    };
  },
};
