/**
 * @module parquet/row_groups: the row groups that a footer tells of, decoded a few at a time. As
 * objects they take ten times their bytes: a million rows of 60 words are 10,000 groups of 27
 * columns, 20 MB of footer and 400 MB of objects. So the footer stays as it is and is only looked
 * through for where each group begins. How a group is decoded is `parquet/decode.ts`'s matter.
 */
import { ParquetError } from "./footer.ts";
import type { RowGroup, RowGroups } from "./types.ts";

/** Groups that are decoded at a time, and bytes of them; a single one may have more. */
const [AT_ONCE, BYTES_AT_ONCE] = [32, 128 << 10];

/** Thrift's compact protocol: types of fields. */
const [STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, STRUCT] = [0, 1, 2, 3, 7, 8, 9, 12];
/** Types that are a number of up to ten bytes. */
const NUMBERS: ReadonlySet<number> = new Set([4, 5, 6]);
/** Nothing of a footer is nested as deeply. */
const MAX_DEPTH = 32;
/** Fields of a footer and of a row group. */
const [ROW_GROUPS, NUM_ROWS] = [4, 3];

/** Where a footer's row groups lie in its bytes. */
export interface GroupIndex {
  /** Where the list of them begins; its fields before are schema and number of rows. */
  readonly start: number;
  /** Of each group where it begins, and of the last one where it ends. */
  readonly groups: Float64Array;
  /** Rows of each group. */
  readonly rows: Float64Array;
}

/**
 * Looks through a footer; `undefined` if it has no list of row groups.
 *
 * @param bytes Its thrift bytes; what follows is not looked at.
 * @throws {ParquetError} if they are damaged
 */
export function indexGroups(bytes: Uint8Array): GroupIndex | undefined {
  const reader = new Skipper(bytes);
  let id = 0;
  for (;;) {
    const [type, next] = reader.field(id);
    if (type === STOP) return undefined;
    id = next;
    if (id !== ROW_GROUPS || type !== LIST) {
      reader.skip(type, 0);
      continue;
    }
    const start = reader.at;
    const [count, of] = reader.list();
    if (of !== STRUCT && count > 0) return undefined; // some writers give no groups another type
    const groups = new Float64Array(count + 1);
    const rows = new Float64Array(count);
    for (let n = 0; n < count; n++) {
      groups[n] = reader.at;
      rows[n] = reader.rowsOfGroup();
    }
    groups[count] = reader.at;
    return { start, groups, rows };
  }
}

/** The bytes of a list's header. */
export function listOfStructs(length: number): Uint8Array<ArrayBuffer> {
  if (length < 15) return Uint8Array.of(length << 4 | STRUCT);
  const bytes = [0xf0 | STRUCT];
  for (let rest = length; rest > 0; rest >>>= 7) bytes.push(rest > 127 ? rest & 127 | 128 : rest);
  return Uint8Array.from(bytes);
}

/**
 * Row groups that are decoded as they are looked at, some at a time.
 *
 * @param decode Decodes groups `[start, end)`.
 */
export function lazyGroups(
  { groups, rows }: GroupIndex,
  decode: (start: number, end: number) => readonly RowGroup[],
): RowGroups {
  let decoded: readonly RowGroup[] = [];
  let first = 0;
  const at = (index: number): RowGroup => {
    if (index < first || index >= first + decoded.length) {
      let end = index + 1;
      while (
        end < rows.length && end < index + AT_ONCE &&
        groups[end + 1] - groups[index] <= BYTES_AT_ONCE
      ) end++;
      decoded = decode(index, end);
      first = index;
    }
    return decoded[index - first];
  };
  return {
    length: rows.length,
    rows,
    at,
    *[Symbol.iterator]() {
      for (let n = 0; n < rows.length; n++) yield at(n);
    },
  };
}

/** Passes over values of the compact protocol. */
class Skipper {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next field's type and number. @param id Number of the one before. */
  field(id: number): readonly [type: number, id: number] {
    const byte = this.#byte();
    const type = byte & 15;
    if (type === STOP) return [STOP, id];
    return [type, byte >> 4 ? id + (byte >> 4) : unZigzag(this.#varint())];
  }

  /** The header of a list: how many, of which type. */
  list(): readonly [count: number, of: number] {
    const byte = this.#byte();
    const count = byte >> 4 === 15 ? this.#varint() : byte >> 4;
    // Each item takes a byte at least.
    if (count > this.#bytes.length - this.at) throw new ParquetError("a list longer than it");
    return [count, byte & 15];
  }

  /** Passes over a row group; tells its number of rows. */
  rowsOfGroup(): number {
    let rows = 0;
    let id = 0;
    for (;;) {
      const [type, next] = this.field(id);
      if (type === STOP) return rows;
      id = next;
      if (id === NUM_ROWS && NUMBERS.has(type)) rows = unZigzag(this.#varint());
      else this.skip(type, 1);
    }
  }

  skip(type: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new ParquetError("it is nested too deeply");
    if (type === TRUE || type === FALSE) return;
    if (NUMBERS.has(type)) this.#varint();
    else if (type === BYTE) this.#move(1);
    else if (type === DOUBLE) this.#move(8);
    else if (type === BINARY) this.#move(this.#varint());
    else if (type === LIST) {
      const [count, of] = this.list();
      const each = of === TRUE || of === FALSE ? BYTE : of; // in a list they have a byte each
      for (let n = 0; n < count; n++) this.skip(each, depth + 1);
    } else if (type === STRUCT) {
      for (let id = 0;;) {
        const [of, next] = this.field(id);
        if (of === STOP) return;
        id = next;
        this.skip(of, depth + 1);
      }
    } else throw new ParquetError(`a field of type ${type}`);
  }

  #byte(): number {
    if (this.at >= this.#bytes.length) throw new ParquetError("it ends early");
    return this.#bytes[this.at++];
  }

  #move(count: number): void {
    if (!(count <= this.#bytes.length - this.at)) throw new ParquetError("it ends early");
    this.at += count;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new ParquetError("a number of more than ten bytes");
  }
}

function unZigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
