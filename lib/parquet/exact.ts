/**
 * @module parquet/exact: values as they are: what a number or a Date of JavaScript would cut
 * (decimals of many digits, microseconds, years beyond 275,000) or has no word for (intervals)
 * becomes text. For columns that are kept as JSON; where a plain number or time holds the value, it
 * is that.
 */

import type { SchemaElement, Values } from "./types.ts";

/** Converts one decoded value. */
type Convert = (value: never) => unknown;

/** Days from the epoch of INT96 timestamps, the Julian calendar's, to 1970. */
const JULIAN_DAYS = 2_440_588n;
const NANOS_A_DAY = 86_400_000_000_000n;
/** Names of the units of time, and how many make a millisecond. */
const [MILLIS, MICROS, NANOS] = [["ms", 1n], ["us", 1_000n], ["ns", 1_000_000n]] as const;

/**
 * How the values of a leaf are converted exactly; `undefined` where the usual conversion already is
 * exact. Values of types that only bytes can show become base64.
 *
 * @param text Decodes a text's bytes.
 * @param textByDefault Whether bytes without an annotation are text.
 */
export function exactConversion(
  element: SchemaElement,
  text: (bytes: Uint8Array) => string,
  textByDefault: boolean,
): ((values: Values) => Values) | undefined {
  const convert = conversion(element, text, textByDefault) as
    | ((value: unknown) => unknown)
    | undefined;
  return convert && ((values) => Array.from(values, convert));
}

function conversion(
  { type, converted_type, logical_type, scale }: SchemaElement,
  text: (bytes: Uint8Array) => string,
  textByDefault: boolean,
): Convert | undefined {
  switch (logical_type?.type ?? converted_type) {
    case "DECIMAL":
      return (value: number | bigint | Uint8Array) =>
        decimal(
          value instanceof Uint8Array ? bigEndian(value) : BigInt(value),
          logical_type?.scale ?? scale ?? 0,
        );
    case "TIMESTAMP":
      return (value: bigint) => time(BigInt(value), ...unitOf(logical_type?.unit));
    case "TIMESTAMP_MILLIS":
      return (value: bigint) => time(BigInt(value), ...MILLIS);
    case "TIMESTAMP_MICROS":
      return (value: bigint) => time(BigInt(value), ...MICROS);
    case "DATE":
      return (days: number) => {
        const date = new Date(days * 86_400_000);
        return Number.isNaN(date.getTime()) ? `${days} d since 1970-01-01` : date.toISOString();
      };
    case "INTERVAL":
      return interval;
    case "STRING":
    case "UTF8":
    case "ENUM":
    case "JSON":
      return text;
    case "BSON":
      return base64;
    case undefined:
      if (type === "INT96") {
        return (value: bigint) => {
          const days = (value >> 64n) - JULIAN_DAYS;
          return time(days * NANOS_A_DAY + (value & 0xffff_ffff_ffff_ffffn), ...NANOS);
        };
      }
      if (type === "BYTE_ARRAY") return textByDefault ? text : base64;
      if (type === "FIXED_LEN_BYTE_ARRAY") return base64;
  }
  return undefined;
}

function unitOf(name: string | undefined): readonly [string, bigint] {
  return name === "NANOS" ? NANOS : name === "MICROS" ? MICROS : MILLIS;
}

/** `unscaled` / 10 ** `scale`: a number if its digits are the value's, else its digits as text. */
function decimal(unscaled: bigint, scale: number): number | string {
  const digits = `${unscaled < 0n ? -unscaled : unscaled}`.padStart(scale + 1, "0");
  const point = digits.length - scale;
  const whole = digits.slice(0, point);
  const fraction = digits.slice(point).replace(/0+$/, "");
  const text = `${unscaled < 0n ? "-" : ""}${whole}${fraction && "."}${fraction}`;
  const number = Number(text);
  // Every decimal of 15 digits comes back from a 64-bit float as it was; some longer ones do, too.
  const short = `${whole}${fraction}`.replace(/^0+|0+$/g, "").length <= 15;
  return short || String(number) === text ? number : text;
}

/** A two's complement number. */
function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toHex()}`));
}

/** ISO 8601 with as many digits as the value has; a count of units where no calendar reaches. */
function time(value: bigint, unit: string, perMilli: bigint): string {
  const rest = ((value % perMilli) + perMilli) % perMilli;
  const date = new Date(Number((value - rest) / perMilli));
  if (Number.isNaN(date.getTime())) return `${value} ${unit} since 1970-01-01T00:00:00Z`;
  const iso = date.toISOString();
  if (rest === 0n) return iso;
  return `${iso.slice(0, -1)}${`${rest}`.padStart(`${perMilli}`.length - 1, "0")}Z`;
}

/** Three numbers of 32 bits as an ISO 8601 duration: months, days, milliseconds. */
function interval(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [months, days, millis] = [0, 4, 8].map((at) => view.getUint32(at, true));
  return `P${months}M${days}DT${decimal(BigInt(millis), 3)}S`;
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}
