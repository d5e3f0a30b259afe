/**
 * @module prepare/table_csv: CSV and TSV (RFC 4180 and what spreadsheets make of it); the one file
 * that knows csv-parse. A library, as quoting, line ends and bounds have been thought through
 * there, and it is one file without dependencies.
 */

import { Readable } from "node:stream";
import { CsvError, type Options, parse } from "csv-parse";
import { RunError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { PartOptions, TablePart, TableRow } from "./table_part.ts";
import { readText } from "./table_text.ts";

/** Characters of a row at most: a quote that is never closed would take the whole file for one. */
const MAX_ROW = 4 << 20;
/** What may stand between fields. */
const DELIMITERS = [",", ";", "\t", "|"];

/** Opens a CSV object; its first line names the columns. */
export async function openCsv(
  store: Store,
  info: ObjectInfo,
  options: PartOptions,
): Promise<TablePart> {
  const url = `${store.url}/${info.key}`;
  const records = () => readRecords(url, readText(store, info, options));
  let columns: string[] = [];
  for await (const { fields } of records()) {
    columns = fields;
    break;
  }
  if (columns.length === 0) throw new RunError("input", `${url} is empty`);
  return {
    columns,
    async *rows(wanted): AsyncGenerator<TableRow> {
      const picked = columns.flatMap((name, at) => wanted.has(name) ? [[name, at] as const] : []);
      let index = -1; // the first line names the columns
      for await (const { fields, line } of records()) {
        if (index >= 0) {
          const values = new Map(picked.map(([name, at]) => [name, fields[at] || null]));
          yield { values, at: `line ${line}`, index };
        }
        index++;
      }
    },
  };
}

async function* readRecords(
  url: string,
  text: AsyncGenerator<string>,
): AsyncGenerator<{ readonly fields: string[]; readonly line: number }> {
  const first = await text.next();
  if (first.done) return;
  const options = {
    delimiter: delimiterOf(first.value),
    max_record_size: MAX_ROW,
    skip_empty_lines: true,
    info: true,
  } satisfies Options;
  async function* whole() {
    yield first.value as string;
    yield* text;
  }
  const source = Readable.from(whole());
  const parser = parse(options);
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const { record, info } of parser) yield { fields: record, line: info.lines };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new RunError("input", `${url} is no sound CSV: ${escaped(error.message)}`, {
      cause: error,
    });
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** The character that the first line has most often outside of quotes. */
function delimiterOf(text: string): string {
  const line = (/^[^\r\n]*/.exec(text)?.[0] ?? "").replace(/"[^"]*"/g, "");
  const counts = DELIMITERS.map((delimiter) => line.split(delimiter).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))];
}
