/**
 * @module view/gallery_file: a gallery as one file for a colleague: the picked pages with their
 * words and small pictures inside, nothing loaded from anywhere.
 */

import type { Gallery } from "./gallery.ts";
import { SmallPictures } from "./gallery_images.ts";
import { galleryInFile } from "./gallery_shell.ts";
import { wholePage } from "./html.ts";

/** A file may become so long, characters; pages that no longer fit are left out. */
const MAX_FILE = 96 << 20;

/** A gallery that was written, or what there is of it. */
export interface GalleryFile {
  /** The page. */
  readonly html: string;
  /** Pages in it. */
  readonly pages: number;
  /** Pages that found no room. */
  readonly left: number;
}

/**
 * Makes the file.
 *
 * @param onProgress Told of each page that is done.
 * @throws {StoreError} when the store fails, but for single images, whose pages say so
 */
export async function galleryFile(
  gallery: Gallery,
  dataset: string,
  signal: AbortSignal,
  onProgress: (pages: number, total: number) => void = () => {},
): Promise<GalleryFile> {
  const list = gallery.list(true);
  const small = new SmallPictures();
  const pages: unknown[] = [];
  let length = 0;
  for (const { row } of list.pages) {
    signal.throwIfAborted();
    const view = await gallery.page(row);
    const picture = await gallery.picture(row);
    if (!view || !picture) continue;
    const data = await small.dataUrl(picture);
    const notes = data === undefined && view.picture
      ? [...view.notes, "the picture is too large for this file"]
      : view.notes;
    const page = { ...view, picture: data !== undefined, notes, ...data && { data } };
    length += JSON.stringify(page).length;
    if (length > MAX_FILE) break;
    pages.push(page);
    onProgress(pages.length, list.pages.length);
  }
  const shown = { ...list, pages: list.pages.slice(0, pages.length) };
  return {
    html: wholePage(galleryInFile(dataset, { list: shown, pages })),
    pages: pages.length,
    left: list.pages.length - pages.length,
  };
}
