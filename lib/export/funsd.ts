/**
 * @module export/funsd: annotation files of FUNSD, as loaders for LayoutLM and its kin read them.
 * What a text means is not known: every entity is `other`, and nothing is linked.
 */

import type { Format } from "./format.ts";
import type { SplitName } from "./page.ts";
import { wholeBox } from "./xml.ts";

const FOLDERS: Readonly<Record<SplitName, string>> = {
  train: "training_data",
  val: "validation_data",
  test: "testing_data",
};

/** `training_data/annotations/{name}.json` beside `training_data/images`. */
export const funsd: Format = {
  name: "funsd",
  summary: "FUNSD (LayoutLM): training_data/annotations/NAME.json and images",
  pictures: "pages",
  texts: true,
  ignores: true, // readers leave out what has no text
  whenIgnored: "drop-word",
  emptyPages: false,
  granularity: "line",
  imageFile: (split, file) => `${FOLDERS[split]}/images/${file}`,
  open: ({ files }) => ({
    async page({ split, name, entries }) {
      const form = entries.map(({ text, quad, words, ignore }, id) => ({
        box: wholeBox(quad),
        text: ignore ? "" : text,
        label: "other",
        words: words.map((word) => ({ box: wholeBox(word.quad), text: ignore ? "" : word.text })),
        linking: [],
        id,
      }));
      const file = `${FOLDERS[split]}/annotations/${name}.json`;
      await files.write(file, `${JSON.stringify({ form })}\n`);
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};
