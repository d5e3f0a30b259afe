/**
 * @module prepare/table_part: what is known of one object of a table, whatever it is written as.
 */

import type { ObjectInfo, Store } from "../store/store.ts";

/** One row of a table. */
export interface TableRow {
  /** What it holds of the columns that were asked for; a missing one is null. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Where it stands, for people: `line 7`, `row 6`. */
  readonly at: string;
  /** Position in its part, from 0. */
  readonly index: number;
}

/** One object of a table, opened: its columns are known, its rows not yet read. */
export interface TablePart {
  /** Names of the columns, as they stand there. */
  readonly columns: readonly string[];
  /**
   * All rows in order, of each only these columns.
   *
   * @throws {RunError} `input` on damage, naming the row
   * @throws {StoreError} what the store throws
   */
  rows(columns: ReadonlySet<string>): AsyncIterable<TableRow>;
}

/** Opens an object as a table. @throws {RunError} `input` if it is none */
export type OpenPart = (
  store: Store,
  info: ObjectInfo,
  options: PartOptions,
) => Promise<TablePart>;

/** How an object is opened. */
export interface PartOptions {
  /** Ends it; the signal's reason is thrown. */
  readonly signal: AbortSignal;
  /** Whether it is packed. */
  readonly gzip: boolean;
}
