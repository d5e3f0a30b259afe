/**
 * @module testing/duckdb: one-shot queries against an in-memory DuckDB, for tests and development
 * tools.
 */
import { DuckDBInstance } from "@duckdb/node-api";

/** A value as it comes back: JSON, with whole numbers of 64 bits as decimal strings. */
export type Row = Record<string, unknown>;

/**
 * Runs statements one after another in a database of its own and closes it.
 *
 * @returns The rows of the last statement.
 */
export async function duckdb(...statements: string[]): Promise<Row[]> {
  const instance = await DuckDBInstance.create(":memory:");
  try {
    const connection = await instance.connect();
    try {
      let rows: Row[] = [];
      for (const statement of statements) {
        const reader = await connection.runAndReadAll(statement);
        rows = reader.getRowObjectsJson() as Row[];
      }
      return rows;
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** A text as an SQL literal. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
