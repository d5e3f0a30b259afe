/**
 * @module export/doctr: label files of docTR's reference scripts: detection, recognition, and both.
 */

import { boundingBox } from "../geometry/polygon.ts";
import { Charset } from "./charset.ts";
import type { Carried, Format } from "./format.ts";
import { ListFile, PerSplit } from "./list_file.ts";

const inFolder = (split: string, file: string) => `${split}/images/${file}`;
const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** Detection: `{split}/labels.json` beside `{split}/images` (`DetectionDataset`). */
export const doctrDet: Format = {
  name: "doctr-det",
  summary: "docTR text detection: {split}/labels.json and images",
  pictures: "pages",
  texts: false,
  ignores: false,
  whenIgnored: "drop-page", // a box left out is a false negative
  emptyPages: false, // one of them breaks the loader
  granularity: "word",
  imageFile: inFolder,
  open({ files }) {
    const lists = new PerSplit((split) => new ListFile(files, `${split}/labels.json`, "{", "}"));
    return {
      async page({ split, image, sha256, width, height, entries }) {
        await lists.of(split).add({
          img_dimensions: [height, width],
          img_hash: sha256 ?? null,
          polygons: entries.map(({ quad }) => quad),
        }, nameOf(image));
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, list] of lists.all) await list.finish();
        return [];
      },
    };
  },
};

/** Recognition: `{split}/labels.json`, and the vocabulary that it needs. */
export const doctrRec: Format = {
  name: "doctr-rec",
  summary: "docTR text recognition: {split}/labels.json, crops, vocab.txt",
  pictures: "crops",
  texts: true,
  ignores: false,
  whenIgnored: "drop-word",
  emptyPages: false,
  granularity: "word",
  imageFile: inFolder,
  carry(text): Carried {
    return /\s/.test(text.trim()) ? { lost: "blank_in_text" } : { text: text.trim() };
  },
  open({ files }) {
    const charset = new Charset();
    const lists = new PerSplit((split) => new ListFile(files, `${split}/labels.json`, "{", "}"));
    return {
      async page({ split, entries, crops = [] }) {
        for (const [at, { text }] of entries.entries()) {
          charset.add(text);
          await lists.of(split).add(text, nameOf(crops[at]));
        }
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, list] of lists.all) await list.finish();
        await files.write("vocab.txt", `${charset.line()}\n`);
        return [
          "Training needs a vocabulary (VOCABS in doctr/datasets) with all that vocab.txt has.",
        ];
      },
    };
  },
};

/** Both, for evaluation: `{split}/labels.json` (`OCRDataset`). */
export const doctrOcr: Format = {
  name: "doctr-ocr",
  summary: "docTR end to end (OCRDataset): {split}/labels.json and images",
  pictures: "pages",
  texts: true,
  ignores: false,
  whenIgnored: "drop-page",
  emptyPages: true,
  granularity: "word",
  imageFile: inFolder,
  open({ files }) {
    const lists = new PerSplit((split) => new ListFile(files, `${split}/labels.json`, "{", "}"));
    return {
      async page({ split, image, entries }) {
        await lists.of(split).add({
          typed_words: entries.map(({ text, quad }) => ({
            value: text,
            geometry: boundingBox(quad),
          })),
        }, nameOf(image));
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, list] of lists.all) await list.finish();
        return [];
      },
    };
  },
};
