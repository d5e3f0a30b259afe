/**
 * @module dataset/row_keys: which rows a checkpoint holds, as hashes of `id` and `image_path` that lie
 * in its footer, 20 bytes a row: so that a later run finds its rows without reading them.
 */

import { Buffer } from "node:buffer";
import { hash53 } from "../base/hash_index.ts";

/** Bytes of a row: its key, a second hash of the same, and that of its image's path. */
const ROW_BYTES = 20;

/** Stands for a row: of several inputs, too. */
export function rowKey(id: string, path: string): number {
  return hash53(`${id}\0${path}`);
}

/**
 * 32 bits that have nothing to do with {@linkcode rowKey} (FNV-1a, the other way round): among
 * millions of rows two may be equal by chance in one of them, never in both.
 */
export function rowCheck(id: string, path: string): number {
  const text = `${path}\0${id}`;
  let hash = 0x811c9dc5;
  for (let at = text.length - 1; at >= 0; at--) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** The hashes of the rows of a batch. */
export class RowKeys {
  readonly #bytes: Buffer;

  /** All are zero at first. @param rows Rows of the batch. */
  constructor(rows: number) {
    this.#bytes = Buffer.alloc(ROW_BYTES * rows);
  }

  /** Notes which row is at a position. */
  set(at: number, { id, image_path: path }: { id: string; image_path: string }): void {
    this.#bytes.writeDoubleLE(rowKey(id, path), ROW_BYTES * at);
    this.#bytes.writeUint32LE(rowCheck(id, path), ROW_BYTES * at + 8);
    this.#bytes.writeDoubleLE(hash53(path), ROW_BYTES * at + 12);
  }

  /** The hashes at a position. */
  get(at: number): { readonly key: number; readonly check: number; readonly path: number } {
    return {
      key: this.#bytes.readDoubleLE(ROW_BYTES * at),
      check: this.#bytes.readUint32LE(ROW_BYTES * at + 8),
      path: this.#bytes.readDoubleLE(ROW_BYTES * at + 12),
    };
  }

  /** As they lie in a footer, Base64. */
  encode(): string {
    return this.#bytes.toString("base64");
  }

  /** Of a footer; `undefined` if they are not those of so many rows. */
  static decode(text: string, rows: number): RowKeys | undefined {
    const bytes = Buffer.from(text, "base64");
    if (bytes.length !== ROW_BYTES * rows) return undefined;
    const keys = new RowKeys(rows);
    bytes.copy(keys.#bytes);
    return keys;
  }
}
