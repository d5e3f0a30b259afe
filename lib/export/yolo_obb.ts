/**
 * @module export/yolo_obb: oriented boxes as Ultralytics YOLO reads them. No texts.
 */

import type { Format } from "./format.ts";
import { SPLITS } from "./page.ts";

/** `labels/{split}/{name}.txt`: class and four corners, 0 to 1; and `data.yaml`. */
export const yoloObb: Format = {
  name: "yolo-obb",
  summary: "Ultralytics YOLO oriented boxes: labels/{split}/NAME.txt, data.yaml and images",
  pictures: "pages",
  rewritesPictures: true, // JPEGs that end oddly
  texts: false,
  ignores: false,
  whenIgnored: "drop-page",
  emptyPages: true, // an empty file says that there is nothing
  granularity: "word",
  imageFile: (split, file) => `images/${split}/${file}`,
  open({ files }) {
    const there = new Set<string>();
    return {
      async page({ split, name, width, height, entries }) {
        there.add(split);
        const lines = entries.map(({ quad }) =>
          `0 ${quad.map(([x, y]) => `${share(x, width)} ${share(y, height)}`).join(" ")}\n`
        );
        await files.write(`labels/${split}/${name}.txt`, lines.join(""));
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        const [train] = SPLITS.filter((split) => there.has(split));
        // It wants both; a data set without one says so by naming the other.
        const val = there.has("val") ? "val" : train;
        const test = there.has("test") ? "test: images/test\n" : "";
        const paths = `train: images/${train ?? "train"}\nval: images/${val ?? "train"}\n${test}`;
        await files.write("data.yaml", `path: .\n${paths}names:\n  0: text\n`);
        if (val === "val") return [];
        return [`There are no pages for validation: data.yaml names ${val ?? "train"} for it.`];
      },
    };
  },
};

/** A coordinate as a share of its side, within 0 and 1. */
function share(value: number, side: number): string {
  return Math.min(1, Math.max(0, value / side)).toFixed(6);
}
