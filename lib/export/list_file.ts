/**
 * @module export/list_file: a JSON file with one long list (or object) in it, written as it grows.
 */

import type { Files } from "./files.ts";

/** Adds items, and closes the file when all are there. */
export class ListFile {
  readonly #files: Files;
  readonly #name: string;
  readonly #head: string;
  readonly #tail: string;
  #items = 0;

  /**
   * Nothing is written yet.
   *
   * @param head What stands before the items, `{"list":[`.
   * @param tail What stands behind them, `]}`.
   */
  constructor(files: Files, name: string, head: string, tail: string) {
    [this.#files, this.#name, this.#head, this.#tail] = [files, name, head, tail];
  }

  /** Adds an item, as JSON; in an object with its name. */
  async add(item: unknown, name?: string): Promise<void> {
    const label = name === undefined ? "" : `${JSON.stringify(name)}:`;
    await this.#append(label + JSON.stringify(item));
  }

  /** Adds several items in one go. */
  async addAll(items: readonly unknown[]): Promise<void> {
    if (items.length > 0) await this.#append(items.map((item) => JSON.stringify(item)).join(",\n"));
  }

  async #append(text: string): Promise<void> {
    await this.#files.append(this.#name, (this.#items++ === 0 ? `${this.#head}\n` : ",\n") + text);
  }

  /** Ends the file. @param tail What stands behind the items, if not what was said at first. */
  async finish(tail = this.#tail): Promise<void> {
    await this.#files.append(this.#name, `${this.#items === 0 ? this.#head : ""}\n${tail}\n`);
  }
}

/** One of something for each part that has pages, made when it is first asked for. */
export class PerSplit<T> {
  readonly #made = new Map<string, T>();
  readonly #make: (split: string) => T;

  /** Nothing is made yet. */
  constructor(make: (split: string) => T) {
    this.#make = make;
  }

  /** That of a part. */
  of(split: string): T {
    let made = this.#made.get(split);
    if (made === undefined) this.#made.set(split, made = this.#make(split));
    return made;
  }

  /** All there are. */
  get all(): Iterable<readonly [split: string, made: T]> {
    return this.#made;
  }
}
