/**
 * @module export/mmocr: annotation files of MMOCR 1.x for detection (or spotting, as texts are in
 * it) and recognition.
 */

import { boundingBox } from "../geometry/polygon.ts";
import { Charset } from "./charset.ts";
import { type Format, onOneLine } from "./format.ts";
import { ListFile, PerSplit } from "./list_file.ts";

/** Detection: `textdet_{split}.json` (`OCRDataset`, `TextDetDataset`). */
export const mmocrDet: Format = {
  name: "mmocr-det",
  summary: "MMOCR 1.x text detection and spotting: textdet_{split}.json and images",
  pictures: "pages",
  namesPaths: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "word",
  imageFile: (split, file) => `textdet_imgs/${split}/${file}`,
  open({ files }) {
    const meta = {
      dataset_type: "TextDetDataset",
      task_name: "textdet",
      category: [{ id: 0, name: "text" }],
    };
    const lists = new PerSplit((split) =>
      new ListFile(files, `textdet_${split}.json`, head(meta), "]}")
    );
    return {
      async page({ split, image, width, height, entries }) {
        await lists.of(split).add({
          img_path: image,
          height,
          width,
          instances: entries.map(({ text, quad, ignore }) => ({
            polygon: quad.flat(),
            bbox: boundingBox(quad),
            bbox_label: 0,
            ignore,
            text,
          })),
        });
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, list] of lists.all) await list.finish();
        return [];
      },
    };
  },
};

/** Recognition: `textrecog_{split}.json`, and `dict.txt`. */
export const mmocrRec: Format = {
  name: "mmocr-rec",
  summary: "MMOCR 1.x text recognition: textrecog_{split}.json, crops, dict.txt",
  pictures: "crops",
  texts: true,
  ignores: false,
  whenIgnored: "drop-word",
  emptyPages: false,
  granularity: "word",
  imageFile: (split, file) => `textrecog_imgs/${split}/${file}`,
  // A line break would be a line of the dictionary.
  carry: (text) => ({ text: onOneLine(text).trim() }),
  open({ files }) {
    const charset = new Charset();
    const meta = { dataset_type: "TextRecogDataset", task_name: "textrecog" };
    const lists = new PerSplit((split) =>
      new ListFile(files, `textrecog_${split}.json`, head(meta), "]}")
    );
    return {
      async page({ split, entries, crops = [] }) {
        for (const { text } of entries) charset.add(text);
        await lists.of(split).addAll(
          entries.map(({ text }, at) => ({ img_path: crops[at], instances: [{ text }] })),
        );
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, list] of lists.all) await list.finish();
        await files.write("dict.txt", charset.file());
        return [];
      },
    };
  },
};

function head(metainfo: unknown): string {
  return `{"metainfo":${JSON.stringify(metainfo)},"data_list":[`;
}
