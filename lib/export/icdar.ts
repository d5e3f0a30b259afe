/**
 * @module export/icdar: text files as of the ICDAR 2015 challenge, which most detectors read: DB,
 * EAST, MMOCR's converter, EasyOCR's CRAFT trainer, ICDAR's own evaluation.
 */

import { type Carried, type Format, onOneLine } from "./format.ts";

/** `{split}_gts/gt_{name}.txt`: eight whole numbers and the text, without a byte order mark. */
export const icdar: Format = {
  name: "icdar",
  summary: "ICDAR 2015 text files: {split}_gts/gt_NAME.txt and images",
  pictures: "pages",
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "word",
  imageFile: (split, file) => `${split}_images/${file}`,
  carry(text): Carried {
    const line = onOneLine(text).trim();
    // There is no way to say that the text really is the mark of what is to be ignored.
    return line === "###" ? { lost: "text_is_a_mark" } : { text: line };
  },
  open: ({ files }) => ({
    async page({ split, name, entries }) {
      const lines = entries.map(({ text, quad, ignore }) =>
        `${quad.flat().map(Math.round).join(",")},${ignore ? "###" : text}\n`
      );
      await files.write(`${split}_gts/gt_${name}.txt`, lines.join(""));
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};
