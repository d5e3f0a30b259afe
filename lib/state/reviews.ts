/**
 * @module state/reviews: what reviewers say of a data set's pages. Several may be at it at once, so
 * each mark is put into what lies there at that moment, on the condition that it still does.
 */

import { StoreError } from "../base/errors.ts";
import type { Store, WriteOptions } from "../store/store.ts";
import { readDocument, writeDocument } from "./document.ts";
import { type ReviewMark, reviews as schema, type ReviewsDocument } from "./documents.ts";
import { reviewsKey } from "./keys.ts";

/** Another reviewer may be faster so often. */
const TRIES = 10;
/** Marks of a data set at most; with notes that is some megabytes. */
const MAX_MARKS = 50_000;

/** The marks of one data set. */
export class Reviews {
  readonly #store: Store;
  readonly #dataset: string;
  #marks = new Map<string, ReviewMark>();
  /** One change after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(store: Store, dataset: string) {
    this.#store = store;
    this.#dataset = dataset;
  }

  /** Reads the marks that there are. @throws {StoreError} also if what lies there is none */
  static async open(store: Store, dataset: string): Promise<Reviews> {
    const opened = new Reviews(store, dataset);
    await opened.#read();
    return opened;
  }

  /** The marks as they were last read, by id. */
  get marks(): ReadonlyMap<string, ReviewMark> {
    return this.#marks;
  }

  /**
   * Sets a page's mark, or takes it away; what others have marked meanwhile stays.
   *
   * @param id Of the row.
   * @throws {StoreError} if it can't be stored; then nothing has changed
   */
  async set(id: string, mark: ReviewMark | undefined): Promise<void> {
    const change = this.#last.catch(() => {}).then(() => this.#change(id, mark));
    this.#last = change;
    await change;
  }

  async #change(id: string, mark: ReviewMark | undefined): Promise<void> {
    const key = reviewsKey(this.#dataset);
    for (let tries = 1;; tries++) {
      const etag = await this.#read();
      const marks = new Map(this.#marks);
      if (mark) marks.set(id, mark);
      else if (!marks.delete(id)) return;
      if (marks.size > MAX_MARKS) {
        throw new StoreError("unsupported", `${this.#url} has ${MAX_MARKS} marks: no more fit`);
      }
      const document: ReviewsDocument = {
        format: "pseudolabel-reviews/1",
        dataset: this.#dataset,
        marks: [...marks.values()],
      };
      const onlyIf: WriteOptions["onlyIf"] = etag === undefined ? "absent" : { etag };
      try {
        await writeDocument(this.#store, key, document, { onlyIf });
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.kind === "precondition" && tries < TRIES) continue;
        // A store without conditions: what was just read is the best that can be had.
        if (error.kind !== "unsupported" && error.kind !== "precondition") throw error;
        await writeDocument(this.#store, key, document);
      }
      this.#marks = marks;
      return;
    }
  }

  get #url(): string {
    return `${this.#store.url}/${reviewsKey(this.#dataset)}`;
  }

  /** @returns Version of the object; `undefined` where there is none. */
  async #read(): Promise<string | undefined> {
    const found = await readDocument(this.#store, reviewsKey(this.#dataset), schema);
    if (found?.problem !== undefined) {
      throw new StoreError(
        "unsupported",
        `${this.#url} holds no reviews (${found.problem}); move it away to begin anew`,
      );
    }
    this.#marks = new Map(found?.value?.marks.map((mark) => [mark.id, mark]));
    return found?.etag;
  }
}
