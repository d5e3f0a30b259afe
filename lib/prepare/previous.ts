/**
 * @module prepare/previous: the input that was prepared before, whose rows are taken as they are
 * where the listing shows the same image: of a data set that grows, only what is new is looked at.
 */

import { Buffer } from "node:buffer";
import { RunError } from "../base/errors.ts";
import { PREPARED_COLUMNS, type PreparedRow } from "../dataset/input_write.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches } from "../parquet/rows.ts";
import { openSource } from "../parquet/source.ts";
import { PREPARED_FOOTER_KEY } from "../state/documents.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { Found } from "./found.ts";

/** Rows that are decoded together. */
const BATCH = 1_024;

/** Rows of an earlier input, asked for in the order of the listing that they were made from. */
export interface Previous {
  /** The row of an image that is still the same by its version mark and length. */
  take(found: Found): Promise<PreparedRow | undefined>;
}

/**
 * Opens the earlier input.
 *
 * @param how What it must have been made by; anything else serves for nothing.
 * @returns `undefined` if it was made by something else
 */
export async function openPrevious(
  store: Store,
  info: ObjectInfo,
  how: string,
  signal: AbortSignal,
): Promise<Previous | undefined> {
  const source = openSource(store, info, { signal });
  const metadata = await readMetadata(source).catch((error) => {
    if (!(error instanceof ParquetError)) throw error;
  });
  const own = metadata?.key_value_metadata?.find(({ key }) => key === PREPARED_FOOTER_KEY);
  if (!metadata || own?.value !== how) return undefined;
  const tree = schemaTree(metadata);
  const columns = new Map(tree.children.map((child) => [child.element.name, child]));
  if (PREPARED_COLUMNS.some((name) => !columns.has(name))) return undefined;
  async function* all(): AsyncGenerator<PreparedRow> {
    const rows: readonly [number, number] = [0, Number(metadata!.num_rows)];
    const file = { source, metadata: metadata!, tree };
    for await (const { count, values } of readBatches(file, columns, [rows], BATCH)) {
      for (let at = 0; at < count; at++) {
        const row = PREPARED_COLUMNS.map((name) => {
          const value = values.get(name)?.[at] ?? null;
          return [name, typeof value === "bigint" ? Number(value) : value];
        });
        yield Object.fromEntries(row) as unknown as PreparedRow;
      }
    }
  }
  return new Merge(all());
}

class Merge implements Previous {
  readonly #rows: AsyncGenerator<PreparedRow>;
  #next: PreparedRow | undefined;
  #ended = false;

  constructor(rows: AsyncGenerator<PreparedRow>) {
    this.#rows = rows;
  }

  async take({ address, source }: Found): Promise<PreparedRow | undefined> {
    const listed = source.kind === "object" ? source.listed : undefined;
    if (!listed?.etag) return undefined;
    // Both are in the order of the listing; where a store lists in none, this only finds less.
    let row = await this.#peek();
    while (row && before(row.original_path, address)) {
      this.#next = undefined;
      row = await this.#peek();
    }
    if (row?.original_path !== address) return undefined;
    this.#next = undefined;
    const same = row.original_etag === listed.etag && row.original_bytes === listed.size;
    return same ? row : undefined;
  }

  async #peek(): Promise<PreparedRow | undefined> {
    if (this.#next || this.#ended) return this.#next;
    try {
      const { done, value } = await this.#rows.next();
      this.#ended = done === true;
      return this.#next = done ? undefined : value;
    } catch (error) {
      // Damage in what is going to be replaced only means that all is looked at.
      if (!(error instanceof RunError && error.exit === "input")) throw error;
      this.#ended = true;
    }
  }
}

/** Whether a key comes before another one in a listing: by its bytes. */
function before(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}
