/**
 * @module prepare/table_json: JSON lines: one object a line.
 */

import { RunError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { PartOptions, TablePart, TableRow } from "./table_part.ts";
import { readText } from "./table_text.ts";

/** Characters of a line at most. */
const MAX_LINE = 64 << 20;

/** Lines whose fields are taken for the columns: a field may be missing where it says nothing. */
const COLUMN_LINES = 1_000;

/** Opens a JSON lines object; the columns are the fields of its first lines. */
export async function openJsonLines(
  store: Store,
  info: ObjectInfo,
  options: PartOptions,
): Promise<TablePart> {
  const url = `${store.url}/${info.key}`;
  const objects = () => readObjects(url, readText(store, info, options));
  const columns = new Set<string>();
  let looked = 0;
  for await (const { value } of objects()) {
    for (const name of Object.keys(value)) columns.add(name);
    if (++looked === COLUMN_LINES) break;
  }
  if (looked === 0) throw new RunError("input", `${url} is empty`);
  return {
    columns: [...columns],
    async *rows(wanted): AsyncGenerator<TableRow> {
      let index = 0;
      for await (const { value, line } of objects()) {
        const values = new Map(
          [...wanted].map((name) =>
            [name, Object.hasOwn(value, name) ? value[name] : null] as const
          ),
        );
        yield { values, at: `line ${line}`, index: index++ };
      }
    },
  };
}

/** Whether there may be a whole number that a double doesn't hold. */
const LONG_NUMBER = /\d{16}/;

/** Keeps whole numbers of many digits, such as ids, as they are written. */
function exact(_key: string, value: unknown, { source = "" }: { source?: string } = {}): unknown {
  return typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
    ? BigInt(source)
    : value;
}

async function* readObjects(
  url: string,
  text: AsyncIterable<string>,
): AsyncGenerator<{ readonly value: Record<string, unknown>; readonly line: number }> {
  let line = 0;
  for await (const one of lines(url, text)) {
    line++;
    if (one.trim() === "") continue;
    let value: unknown;
    try {
      value = LONG_NUMBER.test(one) ? JSON.parse(one, exact) : JSON.parse(one);
    } catch (cause) {
      const array = line === 1 && one.trimStart().startsWith("[");
      throw new RunError(
        "input",
        array
          ? `${url} is one JSON array: write one object a line (jq -c '.[]')`
          : `${url}, line ${line} is no JSON: ${escaped((cause as Error).message)}`,
        { cause },
      );
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const what = Array.isArray(value) ? "an array: write one object a line" : "no object";
      throw new RunError("input", `${url}, line ${line} is ${what}`);
    }
    yield { value: value as Record<string, unknown>, line };
  }
}

async function* lines(url: string, text: AsyncIterable<string>): AsyncGenerator<string> {
  let pieces: string[] = [];
  let held = 0;
  for await (const piece of text) {
    let from = 0;
    for (let end; (end = piece.indexOf("\n", from)) >= 0; from = end + 1) {
      pieces.push(piece.slice(from, end));
      yield pieces.join("");
      [pieces, held] = [[], 0];
    }
    pieces.push(piece.slice(from));
    if ((held += piece.length - from) > MAX_LINE) {
      throw new RunError("input", `${url} has a line of more than ${MAX_LINE >> 20} MiB`);
    }
  }
  if (held > 0) yield pieces.join("");
}
