/**
 * @module prepare/table_images: the rows of a table as images that were found: by address, or with
 * their bytes in the table.
 */

import { withoutSignatures } from "../base/text.ts";
import { SeenTexts } from "../base/seen.ts";
import { parseImagePath } from "../dataset/image_location.ts";
import { isAbsolutePath } from "../store/folder_place.ts";
import { isSafeKey } from "../store/store.ts";
import { findColumns, idText, imageCell, metadataText, splitText } from "./columns.ts";
import { isFetchable } from "./fetch_image.ts";
import type { Found, Item, Source } from "./found.ts";
import { beside, findPlace, type Place, type Places } from "./place.ts";
import { findParts } from "./table.ts";

/** What {@linkcode tableImages} works with. */
export interface TableOptions {
  /** The table. */
  readonly table: Place;
  /**
   * Where relative paths start; if nobody said, where the table lies (or what an input goes by).
   */
  readonly base: Place | undefined;
  /** Columns that the user named. */
  readonly named: { readonly image?: string; readonly id?: string };
  /** What places are looked for in. */
  readonly places: Places;
  /** Ends it; the signal's reason is thrown. */
  readonly signal: AbortSignal;
}

/**
 * Every row of every part, in order.
 *
 * An id is the one of the table. Without a column for it, it is the image's path; for images whose
 * bytes are in the table the name of its part and their row.
 */
export async function* tableImages(options: TableOptions): AsyncGenerator<Item> {
  const { table, named, places, signal } = options;
  const seen = new SeenTexts();
  const parts = await findParts(table, signal);
  for (const { info, open } of parts) {
    const part = await open(signal);
    const url = `${table.store.url}/${info.key}`;
    const columns = findColumns(url, part.columns, named);
    const wanted = new Set(Object.values(columns).filter((name) => name !== undefined));
    const name = info.key.slice(info.key.lastIndexOf("/") + 1).replace(/(\.\w+)?\.\w+$/, "");
    // What an input calls `image_path` starts at the store.
    const inputLike = table.own && columns.image === "image_path";
    const base = options.base ?? beside({ ...table, key: inputLike ? "" : info.key });
    for await (const { values, at, index } of part.rows(wanted)) {
      signal.throwIfAborted();
      const where = `${url}, ${at}`;
      const value = (column: string | undefined) =>
        column === undefined ? null : values.get(column) ?? null;
      const cell = imageCell(value(columns.image));
      if (!cell) {
        yield { skipped: { reason: "no_image", address: where } };
        continue;
      }
      const inside = cell.bytes !== undefined;
      const numbered = `${name}_${String(index).padStart(6, "0")}`;
      const path = inside
        ? { path: `${name}/${cell.path ?? numbered}`, filename: lastPart(cell.path ?? numbered) }
        : { path: cell.path, filename: lastPart(cell.path) };
      const id = columns.id === undefined
        ? inside ? numbered : withoutSignatures(cell.path)
        : idText(value(columns.id));
      if (id === undefined) {
        yield { skipped: { reason: "no_id", address: where } };
        continue;
      }
      if (!seen.add(id)) {
        yield { skipped: { reason: "duplicate_id", address: where, detail: id } };
        continue;
      }
      const source = inside
        ? { kind: "bytes" as const, bytes: new Uint8Array(cell.bytes) }
        : sourceOf(cell.path, base, places);
      if (!source) {
        yield { skipped: { reason: "bad_address", address: where, detail: cell.path } };
        continue;
      }
      yield {
        found: {
          id,
          source,
          address: inside ? where : addressOf(source, cell.path),
          ...path,
          split: splitText(value(columns.split)),
          metadata: metadataText(value(columns.metadata)),
        } satisfies Found,
      };
    }
  }
}

/** Where an address of a table leads; `undefined` if nowhere. */
function sourceOf(path: string, base: Place, places: Places): Source | undefined {
  if (/^https?:\/\//i.test(path)) {
    return isFetchable(path) ? { kind: "url", url: path } : undefined;
  }
  if (isAbsolutePath(path) || path.startsWith("s3://")) {
    if (path.startsWith("s3://") && (!parseImagePath(path) || !places.images.bucket)) {
      return undefined;
    }
    try {
      const place = findPlace(path, "the image's column", places);
      return object(place, place.key);
    } catch {
      return undefined; // what no path can hold
    }
  }
  const relative = path.replaceAll("\\", "/").replace(/^(\.\/)+/, "");
  if (/^[a-z][a-z0-9+.-]*:/i.test(relative) || !isSafeKey(relative)) return undefined;
  return object(base, base.folder + relative);
}

function object({ store, imagePath, own }: Place, key: string): Source {
  return { kind: "object", store, key, imagePath: imagePath(key), own };
}

function addressOf(source: Source, path: string): string {
  if (source.kind !== "object") return withoutSignatures(path);
  return source.own ? source.key : `${source.store.url}/${source.key}`;
}

function lastPart(path: string): string {
  const plain = /^https?:\/\//i.test(path) ? path.replace(/[?#].*$/s, "") : path;
  return plain.replace(/\/+$/, "").split(/[/\\]/).at(-1) || "image";
}
