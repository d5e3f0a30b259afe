/**
 * @module testing/wrapped_store: a store whose operations pass through a test, which may count
 * them, hold them up or let them fail.
 */

import type {
  ListOptions,
  ReadOptions,
  StatOptions,
  Store,
  WriteOptions,
} from "../../lib/store/store.ts";
import type { Operation } from "./memory_store.ts";

/** Told of each operation; `work` carries it out. */
export type Around = <T>(operation: Operation, key: string, work: () => Promise<T>) => Promise<T>;

/** A store that passes everything on. */
export class WrappedStore implements Store {
  /** As the store's own. */
  readonly url: string;
  readonly #store: Store;
  readonly #around: Around;

  /** Wraps. @param around What each operation passes through. */
  constructor(store: Store, around: Around) {
    this.url = store.url;
    this.#store = store;
    this.#around = around;
  }

  /** @inheritdoc */
  read(key: string, options?: ReadOptions) {
    return this.#around("read", key, () => this.#store.read(key, options));
  }
  /** @inheritdoc */
  stat(key: string, options?: StatOptions) {
    return this.#around("stat", key, () => this.#store.stat(key, options));
  }
  /** @inheritdoc */
  write(key: string, bytes: Uint8Array<ArrayBuffer>, options?: WriteOptions) {
    return this.#around("write", key, () => this.#store.write(key, bytes, options));
  }
  /** @inheritdoc */
  writeParts(key: string, parts: AsyncIterable<Uint8Array<ArrayBuffer>>) {
    return this.#around("writeParts", key, () => this.#store.writeParts(key, parts));
  }
  /** @inheritdoc */
  async *list(prefix: string, options?: ListOptions) {
    const all = () => Array.fromAsync(this.#store.list(prefix, options));
    yield* await this.#around("list", prefix, all);
  }
  /** @inheritdoc */
  remove(key: string) {
    return this.#around("remove", key, () => this.#store.remove(key));
  }
  /** @inheritdoc One after another, so that a test can come between. */
  async removeAll(keys: readonly string[]) {
    for (const key of keys) await this.remove(key);
  }
}
