/**
 * @module dataset/input_values: which types the input's columns may have, and how a decoded value becomes
 * a text, a whole number or JSON. Pure; `dataset/input.ts` adds the file's name and the row.
 */
import { type SchemaTree, typeName } from "../parquet/types.ts";

/** Whether a column has the type "null", and so no values at all. */
export function isNothing({ element }: SchemaTree): boolean {
  return element.logical_type?.type === "NULL";
}

const TEXT = new Set(["STRING", "UTF8", "ENUM", "JSON"]);
const INTEGER = /^(INTEGER|U?INT_(8|16|32|64))$/;

/** Why a column can't serve as text or as whole numbers; `undefined` if it can. */
export function unfit(column: SchemaTree, as: "text" | "number"): string | undefined {
  const { element, children } = column;
  if (isNothing(column)) return undefined;
  const annotation = element.logical_type?.type ?? element.converted_type;
  const flat = children.length === 0 && element.repetition_type !== "REPEATED";
  if (as === "text") {
    // Bytes without an annotation are text in the files of some older writers.
    const text = annotation === undefined || TEXT.has(annotation);
    if (flat && element.type === "BYTE_ARRAY" && text) return undefined;
    return `must hold strings, found ${typeName(column)}; cast it to string`;
  }
  const integer = element.type === "INT32" || element.type === "INT64";
  const float = element.type === "FLOAT" || element.type === "DOUBLE";
  const plain = annotation === undefined || integer && INTEGER.test(annotation);
  if (flat && (integer || float) && plain) return undefined;
  return `must hold whole numbers, found ${typeName(column)}; cast it to int64`;
}

/** A decoded text. */
export function toText(value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`a ${typeof value} where a string should be`);
  return value;
}

/**
 * A decoded number as a whole one; null for NaN, as pandas writes missing integers.
 *
 * @throws {RangeError} if it has a fraction or more than 53 bits
 */
export function toWhole(value: unknown): number | null {
  const number = Number(value);
  if (Number.isNaN(number)) return null;
  if (Number.isSafeInteger(number)) return number;
  throw new RangeError(`${value} is no whole number of pixels`);
}

/**
 * A decoded value of any shape as JSON text. A string that is JSON already is taken as it is. Whole
 * numbers of more than 53 bits become strings, dates ISO 8601, bytes base64, NaN and infinities null.
 */
export function toJsonText(value: unknown): string {
  if (typeof value === "string" && isJson(value)) return value;
  return JSON.stringify(value, replace);
}

function replace(_key: string, value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Uint8Array) return value.toBase64();
  return value;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
