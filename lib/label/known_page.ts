/**
 * @module label/known_page: a page that is known to work, because this model has answered it
 * before. Asking for it tells pages that fail from an API that fails (`engine/health.ts`). It costs
 * a page each time it is answered, so it is asked for only where nothing else can tell, and said
 * so. Its answer is not stored: there is one.
 */

import { RunError, StoreError } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import type { OutputRow } from "../dataset/row.ts";
import { wordCount } from "../engine/answer.ts";
import type { Answer, ImageFile, Outcome } from "../engine/engine.ts";
import { type Accepted, ImageLoader } from "./images.ts";
import { Budget } from "../base/budget.ts";

/** Rows that are tried for an image that can still be read. */
const ROWS_TRIED = 5;

/** What {@linkcode KnownPage} works with. */
export interface KnownPageOptions {
  /** Rows that were answered before; read only if this process has met no such image. */
  readonly rows: () => AsyncIterable<OutputRow>;
  /** Where their images may lie. */
  readonly images: ImageSource;
  /** What the engine takes. */
  readonly engine: Accepted;
  /** Told of each page that was paid for to tell failing pages from a failing API. */
  readonly note: (message: string, facts?: Record<string, unknown>) => void;
}

/** Whether nothing was read on an answer's pages: that shows that the API works, and little else. */
export function isBlank({ pages }: Pick<Answer, "pages">): boolean {
  return pages.every((page) => wordCount(page) === 0);
}

/** Holds one image at most: the smallest that was met, if possible with words on it. */
export class KnownPage {
  readonly #options: KnownPageOptions;
  #image: ImageFile | undefined;
  #blank = false;
  #search: Promise<void> | undefined;
  readonly #asking = new Map<unknown, Promise<unknown>>();

  /** Knows none at first. @param options Where to look for one. */
  constructor(options: KnownPageOptions) {
    this.#options = options;
  }

  /**
   * An image whose answer is stored, readable, and of one page. A small one is copied.
   *
   * @param blank Whether nothing was read on it.
   */
  remember(image: ImageFile, blank: boolean): void {
    const known = this.#image?.bytes.byteLength ?? Infinity;
    const better = blank === this.#blank ? image.bytes.byteLength < known : !blank;
    if (this.#image && !better) return;
    this.#image = { ...image, bytes: image.bytes.slice() };
    this.#blank = blank;
  }

  /** Whether nothing was read on the page that is known to work. */
  get blank(): boolean {
    return this.#blank;
  }

  /** The image; `undefined` if none is known, nor found among the rows that are done. */
  async find(signal: AbortSignal): Promise<ImageFile | undefined> {
    if (!this.#image) await (this.#search ??= this.#lookFor(signal));
    return this.#image;
  }

  /** Asks for it, once for all who want to at one time. @param how In the same way. */
  async once<T>(how: unknown, ask: () => Promise<T>): Promise<T> {
    let asking = this.#asking.get(how) as Promise<T> | undefined;
    if (!asking) {
      asking = ask().finally(() => this.#asking.delete(how));
      this.#asking.set(how, asking);
    }
    return await asking;
  }

  /** It was asked for. @param pages Pages billed. */
  asked(outcome: Outcome, pages: number): void {
    if (outcome.kind !== "answered" && outcome.kind !== "accepted") return;
    this.#options.note(
      "the API answered a page that it had answered before, which was asked for to tell failing " +
        `pages from a failing API; pages billed for that: ${pages}`,
      { control_pages: pages },
    );
  }

  async #lookFor(signal: AbortSignal): Promise<void> {
    const { rows, images, engine } = this.#options;
    // A budget of its own: the run's may be full of images that wait for what this one shows.
    const loader = new ImageLoader(images, new Budget(engine.maxBytes), engine);
    const take = async ({ image_path, metadata }: OutputRow) => {
      const { image, release } = await loader.load(image_path, signal);
      if (image && image.sha256 === metadata.image_sha256) {
        this.remember(image, metadata.status === "empty");
      }
      release();
    };
    let tried = 0;
    const blanks: OutputRow[] = [];
    try {
      for await (const row of rows()) {
        const { image_path, metadata } = row;
        if (metadata.status === "failed" || metadata.billed_pages !== 1) continue;
        if (!locateImage(image_path, images)) continue;
        if (metadata.status === "empty") {
          if (blanks.length < ROWS_TRIED) blanks.push(row);
          continue;
        }
        await take(row);
        if (this.#image || ++tried === ROWS_TRIED) break;
      }
      for (const row of blanks) if (!this.#image) await take(row);
    } catch (error) {
      signal.throwIfAborted();
      // A fault of the store is met, and reported, by those who need what it holds. It passes: who
      // asks next looks again.
      this.#search = undefined;
      if (!(error instanceof StoreError || error instanceof RunError)) throw error;
    }
  }
}
