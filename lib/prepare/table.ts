/**
 * @module prepare/table: a table of images, whatever it is written as: the parts that it consists
 * of, and how each kind is read. Rows come one by one; what their columns mean is
 * `prepare/columns.ts`'s matter.
 */

import { RunError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { Place } from "./place.ts";
import type { OpenPart, TablePart } from "./table_part.ts";

/** The kinds of tables, by what their names end with. */
const KINDS: readonly (readonly [endings: RegExp, kind: string, load: () => Promise<OpenPart>])[] =
  [
    [
      /\.(csv|tsv)(\.gz)?$/i,
      "CSV",
      async () => (await import("./table_csv.ts")).openCsv,
    ],
    [
      /\.(jsonl|ndjson|json)(\.gz)?$/i,
      "JSON lines",
      async () => (await import("./table_json.ts")).openJsonLines,
    ],
    [
      /\.(parquet|parq)$/i,
      "Parquet",
      async () => (await import("./table_parquet.ts")).openParquet,
    ],
  ];

/** A part of a table that was found. */
export interface FoundPart {
  /** The object. */
  readonly info: ObjectInfo;
  /** Opens it. */
  open(signal: AbortSignal): Promise<TablePart>;
}

/**
 * The parts of a table: the object itself, or those of a folder whose names say that they are
 * tables. Names that begin with `_` or a dot are left out, as Spark and others write beside their
 * parts.
 *
 * @throws {RunError} `input` if there is none, or there are several kinds
 */
export async function findParts(place: Place, signal: AbortSignal): Promise<FoundPart[]> {
  const { store, key, url } = place;
  const single = key === "" || key.endsWith("/") ? undefined : await store.stat(key, { signal });
  if (single) {
    const kind = kindOf(single.key);
    if (kind) return [part(store, single, kind)];
    throw new RunError(
      "input",
      `${url} is no table by its name: it must end with .csv, .tsv, .jsonl, .ndjson or .parquet`,
    );
  }
  const found: [ObjectInfo, (typeof KINDS)[number]][] = [];
  for await (const info of store.list(place.folder, { signal })) {
    const hidden = /(^|\/)[._]/.test(info.key.slice(place.folder.length));
    const kind = hidden ? undefined : kindOf(info.key);
    if (kind) found.push([info, kind]);
  }
  const kinds = new Set(found.map(([, [, kind]]) => kind));
  if (kinds.size === 0) {
    throw new RunError(
      "input",
      `there is no table at ${url}: neither an object of that name, nor below it one that ends ` +
        "with .csv, .tsv, .jsonl, .ndjson or .parquet" + place.advice,
    );
  }
  if (kinds.size > 1) {
    throw new RunError(
      "input",
      `${url} holds tables of several kinds (${[...kinds].join(", ")}): name one of them, ` +
        `for example ${quoted(`${store.url}/${found[0][0].key}`)}`,
    );
  }
  // Stores promise no order, and rows should come in the same one each time.
  found.sort(([a], [b]) => a.key < b.key ? -1 : 1);
  return found.map(([info, kind]) => part(store, info, kind));
}

function kindOf(key: string): (typeof KINDS)[number] | undefined {
  return KINDS.find(([endings]) => endings.test(key));
}

function part(store: Store, info: ObjectInfo, [, , load]: (typeof KINDS)[number]): FoundPart {
  const gzip = /\.gz$/i.test(info.key);
  return { info, open: async (signal) => (await load())(store, info, { signal, gzip }) };
}
