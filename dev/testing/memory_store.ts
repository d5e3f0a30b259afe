/**
 * @module testing/memory_store: a store in memory, for tests: instant, with a hook before every
 * operation and a log of the writes.
 */

import { createHash } from "node:crypto";
import { StoreError } from "../../lib/base/errors.ts";
import type {
  ListOptions,
  ObjectInfo,
  ReadOptions,
  StatOptions,
  Store,
  StoredObject,
  WriteOptions,
} from "../../lib/store/store.ts";

/** An operation, as the hook sees it. */
export type Operation = "read" | "stat" | "write" | "writeParts" | "list" | "remove";

/** A store in memory that keeps the contract. */
export class MemoryStore implements Store {
  /** @inheritdoc */
  readonly url: string;
  /** The objects by key. */
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  /** The store's own clock; without one it doesn't say how old objects are. */
  clock: (() => number) | undefined;
  /** When objects were written, by that clock. */
  readonly #written = new Map<string, number>();
  /** Keys written, in order. */
  readonly writes: string[] = [];
  /** Called before every operation; what it throws is what the caller gets. */
  before: (operation: Operation, key: string) => void | Promise<void> = () => {};

  /** @param url Root for messages. */
  constructor(url = "s3://memory") {
    this.url = url;
  }

  /** Puts text or bytes without passing the hook. */
  put(key: string, content: string | Uint8Array<ArrayBuffer>): void {
    this.#written.set(key, this.clock?.() ?? 0);
    this.objects.set(
      key,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  }

  /** @inheritdoc */
  async read(key: string, options: ReadOptions = {}): Promise<StoredObject> {
    options.signal?.throwIfAborted();
    await this.before("read", key);
    const info = this.#info(key);
    if (!info) throw new StoreError("not_found", `${this.url}/${key} does not exist`);
    if (options.ifMatch !== undefined && options.ifMatch !== info.etag) {
      throw new StoreError("precondition", `${this.url}/${key} has changed`);
    }
    if (info.size > (options.maxBytes ?? Infinity)) {
      throw new StoreError("too_large", `${this.url}/${key} has ${info.size} bytes`);
    }
    await options.admit?.(info.size);
    const { start = 0, end = info.size } = options.range ?? {};
    const bytes = this.objects.get(key)!.slice(start, end);
    if (options.modified) Object.assign(info, this.#modified(key));
    if (!options.age || !this.clock) return { ...info, bytes };
    return { ...info, bytes, ageMs: this.clock() - (this.#written.get(key) ?? 0) };
  }

  /** @inheritdoc */
  async stat(key: string, { modified }: StatOptions = {}): Promise<ObjectInfo | undefined> {
    await this.before("stat", key);
    const info = this.#info(key);
    return info && modified ? { ...info, ...this.#modified(key) } : info;
  }

  /** @inheritdoc */
  async write(
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    options: WriteOptions = {},
  ): Promise<ObjectInfo> {
    options.signal?.throwIfAborted();
    await this.before("write", key);
    const { onlyIf } = options;
    const etag = this.#info(key)?.etag;
    if (onlyIf === "absent" ? etag !== undefined : onlyIf !== undefined && onlyIf.etag !== etag) {
      throw new StoreError("precondition", `${this.url}/${key} exists or has changed`);
    }
    return this.#put(key, bytes.slice());
  }

  /** @inheritdoc */
  async writeParts(
    key: string,
    parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
  ): Promise<ObjectInfo> {
    await this.before("writeParts", key);
    const all: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of parts) all.push(part.slice());
    return this.#put(key, new Uint8Array(await new Blob(all).arrayBuffer()));
  }

  /** @inheritdoc */
  async *list(prefix: string, { shallow, modified }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    await this.before("list", prefix);
    const folders = new Set<string>();
    for (const key of [...this.objects.keys()]) {
      if (!key.startsWith(prefix) || !this.objects.has(key)) continue;
      const slash = shallow ? key.indexOf("/", prefix.length) : -1;
      if (slash < 0) yield { ...this.#info(key)!, ...modified && this.#modified(key) };
      else folders.add(key.slice(0, slash + 1));
    }
    for (const key of folders) yield { key, size: 0, etag: "" };
  }

  /** @inheritdoc */
  async remove(key: string): Promise<void> {
    await this.before("remove", key);
    this.objects.delete(key);
  }

  /** @inheritdoc */
  async removeAll(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.remove(key);
  }

  #modified(key: string): { modified?: number } {
    return this.clock ? { modified: this.#written.get(key) } : {};
  }

  #put(key: string, bytes: Uint8Array<ArrayBuffer>): ObjectInfo {
    this.objects.set(key, bytes);
    this.#written.set(key, this.clock?.() ?? 0);
    this.writes.push(key);
    return this.#info(key)!;
  }

  #info(key: string): ObjectInfo | undefined {
    const bytes = this.objects.get(key);
    if (!bytes) return undefined;
    return { key, size: bytes.byteLength, etag: createHash("md5").update(bytes).digest("hex") };
  }
}
