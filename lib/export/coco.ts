/**
 * @module export/coco: COCO annotation files with texts as extra keys, which pycocotools keeps.
 */

import { gunzipSync, gzipSync } from "node:zlib";
import { area, boundingBox } from "../geometry/polygon.ts";
import type { Format } from "./format.ts";
import { ListFile, PerSplit } from "./list_file.ts";
import { hundredths } from "./words.ts";

/** Pictures of a piece that is kept packed. */
const PACKED = 1_000;

/** `annotations/{split}.json`; file names are relative to the export. */
export const coco: Format = {
  name: "coco",
  summary: "COCO: annotations/{split}.json with segmentation, bbox and text, and images",
  pictures: "pages",
  namesPaths: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "word",
  imageFile: (split, file) => `images/${split}/${file}`,
  open({ files, dataset }) {
    const info = JSON.stringify({ description: `pseudo-labels of ${dataset}` });
    const categories = JSON.stringify([{ id: 1, name: "text", supercategory: "text" }]);
    const head = `{"info":${info},"licenses":[],"categories":${categories},"annotations":[`;
    const parts = new PerSplit((split) => ({
      list: new ListFile(files, `annotations/${split}.json`, head, ""),
      images: new PackedLines(),
      id: 0,
      image: 0,
    }));
    return {
      async page({ split, id, image, width, height, entries }) {
        const part = parts.of(split);
        part.image++;
        part.images.add(
          JSON.stringify({ id: part.image, file_name: image, width, height, row: id }),
        );
        await part.list.addAll(entries.map(({ text, quad, ignore, confidence }) => {
          const [x1, y1, x2, y2] = boundingBox(quad);
          return {
            id: ++part.id,
            image_id: part.image,
            category_id: 1,
            bbox: [x1, y1, hundredths(x2 - x1), hundredths(y2 - y1)],
            area: hundredths(area(quad)),
            iscrowd: ignore ? 1 : 0,
            segmentation: [quad.flat()],
            text,
            attributes: { text },
            score: confidence,
          };
        }));
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [split, { list, images }] of parts.all) {
          await list.finish('],\n"images":[');
          for (const piece of images.pieces()) {
            await files.append(`annotations/${split}.json`, piece);
          }
          await files.append(`annotations/${split}.json`, "\n]}\n");
        }
        return [];
      },
    };
  },
};

/** Lines that are needed at the end, in a tenth of their room. */
class PackedLines {
  readonly #packed: Uint8Array[] = [];
  #lines: string[] = [];

  add(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length < PACKED) return;
    this.#packed.push(gzipSync(this.#lines.join(",\n")));
    this.#lines = [];
  }

  /** All lines, with commas between them. */
  *pieces(): Generator<string> {
    let before = "";
    for (const packed of this.#packed) {
      yield before + new TextDecoder().decode(gunzipSync(packed));
      before = ",\n";
    }
    if (this.#lines.length > 0) yield before + this.#lines.join(",\n");
  }
}
