/**
 * @module evaluate/truth_place: where a truth lies by the user's words, and which format it has: a
 * file for all pages, a folder with one for each, or what reviewers have corrected.
 */

import { RunError, StoreError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { openSource } from "../parquet/source.ts";
import { openFolder } from "../store/folder.ts";
import { isPath, splitPath, toPath } from "../store/folder_place.ts";
import { isSafeKey, type ObjectInfo, type Store } from "../store/store.ts";
import { NameList } from "./name_list.ts";
import {
  badTruth,
  type Truth,
  type TruthFormat,
  type TruthPage,
  withoutExtension,
} from "./truth.ts";
import { jsonFormat, parseCocoText, parseFunsd, parseWords } from "./truth_json.ts";
import { openParquetTruth } from "./truth_parquet.ts";
import { parseQuads } from "./truth_quads.ts";

/** What places are looked for in. */
export interface TruthPlaces {
  /** The run's own store. */
  readonly store: Store;
  /** Where its images may lie. */
  readonly images: ImageSource;
  /** Its reason is thrown once it aborts. */
  readonly signal: AbortSignal;
}

/** The file of one page may have so many bytes, that of all pages so many. */
const MAX_PAGE_BYTES = 16 << 20;
const MAX_FILE_BYTES = 128 << 20;

/** Formats with a file for each page, by the extension of these files. */
const BY_EXTENSION = [["csv", "sroie"], ["txt", "icdar"], ["json", "funsd"]] as const;

/**
 * Opens a truth in a file or a folder: `./truth` and `/truth` are on this machine,
 * `s3://bucket/truth` in that bucket, anything else in the store.
 *
 * @param words As the user wrote them.
 * @param format Undefined to find it out.
 * @throws {RunError} `usage` if the words mean no place, `input` if nothing of a known format is
 *   there
 * @throws {StoreError} when the store fails
 */
export async function openTruth(
  words: string,
  format: Exclude<TruthFormat, "reviews"> | undefined,
  places: TruthPlaces,
): Promise<Truth> {
  const { signal } = places;
  const { store, key, advice } = findPlace(words, places);
  const url = key === "" ? store.url : `${store.url}/${key}`;
  const file = key === "" ? undefined : await statFile(store, key, signal);
  if (file) return await openFile(store, file, format, signal);
  const folder = key === "" ? "" : `${key.replace(/\/$/, "")}/`;
  // Names alone, as there may be a million.
  const found: string[] = [];
  for await (const { key, size } of store.list(folder, { signal, etag: false })) {
    if (/\.(csv|txt|json|parquet)$/i.test(key) && size > 0) found.push(key);
  }
  found.sort();
  if (found.length === 0) {
    throw badTruth(`${url} holds no truth: there is no file that could be one${advice}`);
  }
  for (const [extension, candidate] of BY_EXTENSION) {
    if (format !== undefined && format !== candidate) continue;
    const keys = found.filter((key) => key.toLowerCase().endsWith(`.${extension}`));
    const fine = keys.length > 0 && (format !== undefined ||
      await isReadable(store, keys[keys.length >> 1], candidate, signal));
    if (fine) return pageFiles(store, folder, url, keys, candidate, signal);
  }
  const whole = found.filter((key) => /\.(json|parquet)$/i.test(key));
  const one = whole.length === 1 ? await store.stat(whole[0], { signal }) : undefined;
  if (one) return await openFile(store, one, format, signal);
  throw badTruth(
    `${url} holds no truth of a known format, but ${found.length} files such as ` +
      `${quoted(found[0].slice(folder.length))}: name the file, or the format (--truth-format)`,
  );
}

/** A folder is no file: asking a folder's store for one is refused rather than not found. */
async function statFile(
  store: Store,
  key: string,
  signal: AbortSignal,
): Promise<ObjectInfo | undefined> {
  if (key.endsWith("/")) return undefined;
  try {
    return await store.stat(key, { signal });
  } catch (error) {
    if (error instanceof StoreError && error.kind === "unsupported") return undefined;
    throw error;
  }
}

async function openFile(
  store: Store,
  info: ObjectInfo,
  format: TruthFormat | undefined,
  signal: AbortSignal,
): Promise<Truth> {
  const url = `${store.url}/${info.key}`;
  const extension = /\.([^./]*)$/.exec(info.key)?.[1].toLowerCase();
  const byName = extension === "parquet"
    ? "parquet"
    : BY_EXTENSION.find(([each]) => each === extension)?.[1];
  if ((format ?? byName) === "parquet") {
    return await openParquetTruth(openSource(store, info, { signal }), signal);
  }
  let kind = format ?? byName;
  if (format === undefined && extension === "json" || kind === "coco-text" || kind === "words") {
    if (info.size > MAX_FILE_BYTES) {
      throw badTruth(
        `${url} has ${info.size} bytes, more than the ${MAX_FILE_BYTES} that can be read of JSON: ` +
          "split it, or give Parquet or a folder with a file for each page",
      );
    }
    const { bytes } = await store.read(info.key, { signal, maxBytes: MAX_FILE_BYTES });
    kind = format ?? jsonFormat(bytes);
    if (kind !== "funsd") {
      const pages = kind === "coco-text" ? parseCocoText(bytes, url) : parseWords(bytes, url);
      const names = new NameList();
      for (const picture of pages.pictures) names.push({ path: withoutExtension(picture) });
      // deno-lint-ignore require-await -- what it throws is a rejection
      return { ...{ url, format: kind }, names, page: async (at) => pages.page(at) };
    }
  }
  if (kind !== "icdar" && kind !== "sroie" && kind !== "funsd") {
    throw badTruth(
      `${url} is of no known format: it must be .parquet, .json, .csv or .txt, or of the format ` +
        "that --truth-format names",
    );
  }
  const folder = info.key.slice(0, info.key.lastIndexOf("/") + 1);
  return pageFiles(store, folder, url, [info.key], kind, signal);
}

function pageFiles(
  store: Store,
  folder: string,
  url: string,
  keys: readonly string[],
  format: "sroie" | "icdar" | "funsd",
  signal: AbortSignal,
): Truth {
  return {
    ...{ url, format },
    names: {
      length: keys.length,
      at: (index) =>
        index in keys ? { path: withoutExtension(keys[index].slice(folder.length)) } : undefined,
    },
    page: (at) => readPage(store, keys[at], format, signal),
  };
}

async function readPage(
  store: Store,
  key: string,
  format: "sroie" | "icdar" | "funsd",
  signal: AbortSignal,
): Promise<TruthPage> {
  const name = `${store.url}/${key}`;
  const { bytes } = await store.read(key, { signal, maxBytes: MAX_PAGE_BYTES });
  if (format === "funsd") return parseFunsd(bytes, name);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badTruth(`${name} is not UTF-8: convert it first (iconv -t UTF-8)`);
  }
  return { boxes: parseQuads(text, name) };
}

async function isReadable(
  store: Store,
  key: string,
  format: "sroie" | "icdar" | "funsd",
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await readPage(store, key, format, signal);
    return true;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    return false;
  }
}

function findPlace(
  words: string,
  { store, images }: TruthPlaces,
): { readonly store: Store; readonly key: string; readonly advice: string } {
  if (isPath(words)) {
    const { folder, name } = splitPath(toPath(words));
    return { store: openFolder(folder), key: name, advice: "" };
  }
  const bucket = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?(.*)$/s.exec(words);
  const key = bucket ? bucket[2] : words;
  const place = bucket && store.url !== `s3://${bucket[1]}` ? images.bucket?.(bucket[1]) : store;
  const other = !bucket && /^[a-z][a-z0-9+.-]*:/i.test(words);
  if (!place || other || key !== "" && !isSafeKey(key.replace(/\/$/, ""))) {
    throw new RunError(
      "usage",
      `--truth must be a file or a folder: ./truth, s3://bucket/truth, or a key in the store; it ` +
        `is ${quoted(words)}${bucket && !place ? ", but the local profile has no buckets" : ""}`,
    );
  }
  const advice = bucket ? "" : `; a folder on this machine is written ${quoted(`./${key}`)}`;
  return { store: place, key, advice };
}
