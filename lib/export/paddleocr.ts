/**
 * @module export/paddleocr: label files of PaddleOCR for detection and recognition
 * (`SimpleDataSet`).
 */

import { Charset } from "./charset.ts";
import { type Carried, type Format, onOneLine } from "./format.ts";

/** Detection: `{split}.txt`, a page a line; paths are relative to the export (`data_dir`). */
export const paddleocrDet: Format = {
  name: "paddleocr-det",
  summary: "PaddleOCR text detection: {split}.txt and images",
  pictures: "pages",
  namesPaths: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: false, // the reader puts a random other page in its place
  granularity: "word",
  imageFile: (_split, file) => `images/${file}`,
  carry(text): Carried {
    // Both are "do not care" to the reader, so a word that really is one gets a blank behind it.
    return { text: text === "###" || text === "*" ? `${text} ` : text };
  },
  open: ({ files }) => ({
    async page({ split, image, entries }) {
      const boxes = entries.map(({ text, quad, ignore }) => ({
        transcription: ignore ? "###" : text,
        points: quad,
      }));
      await files.append(`${split}.txt`, `${image}\t${JSON.stringify(boxes)}\n`);
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};

/**
 * The longest text that PaddleOCR's configurations take; of longer ones it takes others instead.
 */
const USUAL_LENGTH = 25;

/** Recognition: `{split}.txt`, a crop a line, and `dict.txt`. */
export const paddleocrRec: Format = {
  name: "paddleocr-rec",
  summary: "PaddleOCR text recognition: {split}.txt, crops, dict.txt",
  pictures: "crops",
  texts: true,
  ignores: false,
  whenIgnored: "drop-word",
  emptyPages: false,
  granularity: "word",
  turnsCrops: true,
  imageFile: (split, file) => `crops/${split}/${file}`,
  carry: (text) => ({ text: onOneLine(text).trim() }),
  open({ files }) {
    const charset = new Charset();
    let long = 0;
    return {
      async page({ split, entries, crops = [] }) {
        for (const [at, { text }] of entries.entries()) {
          charset.add(text);
          if ([...text].length > USUAL_LENGTH) long++;
          await files.append(`${split}.txt`, `${crops[at]}\t${text}\n`);
        }
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        await files.write("dict.txt", charset.file());
        if (long === 0) return [];
        return [
          `${long} texts have more than ${USUAL_LENGTH} characters: raise max_text_length, or ` +
          "the trainer takes other samples in their place (--max-length leaves them out).",
        ];
      },
    };
  },
};
