/**
 * @module export/crops: the pictures of words or lines, cut out of a page that is decoded once.
 */

import { cutOut, cutSize, quarterTurn } from "../image/warp.ts";
import type { FileSink } from "./files.ts";
import type { Format } from "./format.ts";
import type { ExportPage } from "./page.ts";
import type { Picture, PictureLost, Pictures } from "./pictures.ts";

/** Text as tall as that, in widths, is turned to lie by trainers that turn (PaddleOCR). */
const TALL = 1.5;

/** Where crops come from. */
export interface CropPlace {
  /** Whose entries are cut out. */
  readonly page: ExportPage;
  /** Which says where crops go and whether they are turned. */
  readonly format: Format;
  /** The page's picture. */
  readonly picture: Picture;
}

/**
 * Cuts the entries of a page out and writes them.
 *
 * @returns The names of their files.
 * @throws {StoreError} if a store fails
 */
export async function cutCrops(
  { page, format, picture }: CropPlace,
  { cropType, turn }: { readonly cropType: "png" | "jpg"; readonly turn: boolean },
  { files, present }: {
    readonly files: FileSink;
    readonly present: (name: string) => boolean;
  },
  pictures: Pictures,
): Promise<{ readonly names: readonly string[] } | PictureLost> {
  const names = page.entries.map((_, at) =>
    format.imageFile(page.split, `${page.name}_${at}.${cropType}`)
  );
  const missing = new Set(names.filter((name) => !present(name)));
  if (missing.size === 0) return { names };
  return await pictures.decoded(picture, async (pixels) => {
    for (const [at, { quad }] of page.entries.entries()) {
      if (!missing.has(names[at])) continue;
      const size = cutSize(quad);
      const cut = cutOut(pixels, quad, size);
      const lies = format.turnsCrops && turn && size.height >= size.width * TALL;
      await files.write(
        names[at],
        await pictures.encode(lies ? quarterTurn(cut) : cut, cropType),
      );
    }
    return { names };
  });
}
