/**
 * @module export/files: the files of an export: short ones at once and several at a time, long ones
 * as they grow. A long one is to be seen only when it is whole.
 */

import type { Store } from "../store/store.ts";

/** Takes an export's files. */
export interface Files {
  /**
   * Writes a whole file, some time before {@linkcode FileSink.finish} ends.
   *
   * @throws {StoreError} of this one or one before it
   */
  write(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * Gives a file that lies elsewhere a name here.
   *
   * @param from Its address.
   * @returns Whether it was possible; else it has to be written.
   */
  link?(name: string, from: string): Promise<boolean>;
  /**
   * Adds to a long file, which begins with the first call.
   *
   * @throws {StoreError} of this one or one before it
   */
  append(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<void>;
}

/** The same for whoever ends it. */
export interface FileSink extends Files {
  /** Ends all long files. @throws {StoreError} if any file could not be written */
  finish(): Promise<void>;
  /** Gives up: of long files nothing is written. */
  abort(reason: unknown): Promise<void>;
}

/** Short files that are being written at once. */
const AT_ONCE = 16;
/** Text that is handed on in one piece, bytes. */
const PIECE = 256 << 10;
/** Pieces that wait to be taken. */
const WAITING = 4;

/** Files below a prefix of a store. */
export class StoreFiles implements FileSink {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #writing = new Set<Promise<void>>();
  readonly #growing = new Map<string, Growing>();
  #failed: { readonly error: unknown } | undefined;

  /** Writes nothing yet. @param prefix Empty, or ends with a slash. */
  constructor(store: Store, prefix: string, signal: AbortSignal) {
    [this.#store, this.#prefix, this.#signal] = [store, prefix, signal];
  }

  /** See {@linkcode Files.write}. */
  async write(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    this.#check();
    while (this.#writing.size >= AT_ONCE) await Promise.race(this.#writing);
    const writing: Promise<void> = this.#store
      .write(this.#prefix + name, bytesOf(content), this.#options(name))
      .then(() => {}, (error) => void (this.#failed ??= { error }))
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
    this.#check();
  }

  /** See {@linkcode Files.link}: possible between folders of this machine. */
  async link(name: string, from: string): Promise<boolean> {
    this.#check();
    const { url } = this.#store;
    if (!url.startsWith("file://") || !from.startsWith("file://")) return false;
    const { linkFile } = await import("../store/folder_link.ts");
    return await linkFile(from, fileAddress(url, this.#prefix + name));
  }

  /** See {@linkcode Files.append}. */
  async append(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    this.#check();
    let file = this.#growing.get(name);
    if (!file) {
      const parts = new Pieces();
      const done = this.#store.writeParts(this.#prefix + name, parts, this.#options(name)).then(
        () => {},
        (error) => {
          this.#failed ??= { error };
          parts.end(error); // whoever waits for room is let go
        },
      );
      file = { parts, done, pending: [], size: 0 };
      this.#growing.set(name, file);
    }
    const bytes = bytesOf(content);
    file.pending.push(bytes);
    file.size += bytes.length;
    if (file.size >= PIECE) await file.parts.add(taken(file));
    this.#check();
  }

  /** See {@linkcode FileSink.finish}. */
  async finish(): Promise<void> {
    for (const file of this.#growing.values()) {
      if (file.size > 0) await file.parts.add(taken(file));
      file.parts.end();
    }
    await Promise.all([...this.#writing, ...[...this.#growing.values()].map(({ done }) => done)]);
    this.#check();
  }

  /** See {@linkcode FileSink.abort}. */
  async abort(reason: unknown): Promise<void> {
    for (const { parts } of this.#growing.values()) parts.end(reason ?? new Error("given up"));
    await Promise.all([...this.#writing, ...[...this.#growing.values()].map(({ done }) => done)]);
  }

  #options(name: string) {
    return { contentType: mediaTypeOf(name), signal: this.#signal };
  }

  #check(): void {
    if (this.#failed) throw this.#failed.error;
  }
}

/** One long text, for standard output. */
export class PrintedFile implements FileSink {
  readonly #print: (text: string) => void;
  readonly #decoder = new TextDecoder();
  #name: string | undefined;
  #pending = "";

  /** Prints nothing yet. @param print Takes the text, piece by piece. */
  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  /** Takes no file beside the one. */
  write(name: string): Promise<void> {
    return Promise.reject(new RangeError(`Cannot print '${name}' beside '${this.#name}'`));
  }

  /** See {@linkcode Files.append}. */
  append(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    if (name !== (this.#name ??= name)) return this.write(name);
    this.#pending += typeof content === "string"
      ? content
      : this.#decoder.decode(content, { stream: true });
    if (this.#pending.length >= PIECE) this.#flush();
    return Promise.resolve();
  }

  /** See {@linkcode FileSink.finish}. */
  finish(): Promise<void> {
    this.#flush();
    return Promise.resolve();
  }

  /** What was printed can't be taken back. */
  abort(): Promise<void> {
    return Promise.resolve();
  }

  #flush(): void {
    if (this.#pending !== "") this.#print(this.#pending);
    this.#pending = "";
  }
}

interface Growing {
  readonly parts: Pieces;
  readonly done: Promise<void>;
  pending: Uint8Array<ArrayBuffer>[];
  size: number;
}

function taken(file: Growing): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(file.size);
  let at = 0;
  for (const part of file.pending) {
    bytes.set(part, at);
    at += part.length;
  }
  [file.pending, file.size] = [[], 0];
  return bytes;
}

/** Pieces on their way from who makes them to who takes them; few wait at a time. */
class Pieces implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #ended: { readonly error?: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /** Waits for room. */
  async add(piece: Uint8Array<ArrayBuffer>): Promise<void> {
    while (this.#waiting.length >= WAITING && !this.#ended) await this.#changed.promise;
    if (this.#ended) return;
    this.#waiting.push(piece);
    this.#wake();
  }

  /** No more pieces come. @param error Why, if they should. */
  end(error?: unknown): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (;;) {
      if (this.#ended && "error" in this.#ended) throw this.#ended.error;
      const piece = this.#waiting.shift();
      if (piece) {
        this.#wake();
        yield piece;
      } else if (this.#ended) return;
      else await this.#changed.promise;
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

function bytesOf(content: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  html: "text/html; charset=utf-8",
  xml: "application/xml",
  json: "application/json",
  jsonl: "application/x-ndjson",
  yaml: "application/yaml",
  parquet: "application/vnd.apache.parquet",
  jpg: "image/jpeg",
  png: "image/png",
};

function mediaTypeOf(name: string): string {
  return MEDIA_TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}

/** The address of a file in a folder. @param url Of the folder. */
export function fileAddress(url: string, key: string): string {
  return `${url}/${key.split("/").map(encodeURIComponent).join("/")}`;
}
