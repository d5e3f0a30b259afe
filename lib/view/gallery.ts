/**
 * @module view/gallery: a gallery of one data set: the pages that were picked, each looked up when
 * it is asked for, and what reviewers say of them. How it reaches a browser is
 * `view/gallery_server.ts`'s and `view/gallery_file.ts`'s matter.
 */

import type { Clock } from "../base/clock.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { findChecked, removeChecked, writeChecked } from "../state/checked_pages.ts";
import type { CheckedPage, ReviewMark } from "../state/documents.ts";
import { reportKey } from "../state/keys.ts";
import type { Reviews } from "../state/reviews.ts";
import { findObject, type Store } from "../store/store.ts";
import { type Picture, Pictures } from "./gallery_images.ts";
import type { Picked, PickedPage, Selection } from "./gallery_pick.ts";
import { checkedContent, type CheckedView, editsOf, type PageEdits } from "./gallery_check.ts";
import { type PageView, pageView } from "./gallery_view.ts";
import type { Labels } from "./labels.ts";
import { shortId } from "./report_measures.ts";

/** What a gallery is made of. */
export interface GalleryOptions {
  /** Its name. */
  readonly dataset: string;
  /** Where its report lies. */
  readonly store: Store;
  /** Where its images may lie. */
  readonly images: ImageSource;
  /** Its labels. */
  readonly labels: Labels;
  /** The pages that are shown. */
  readonly picked: Picked;
  /** What was wanted. */
  readonly selection: Selection;
  /** What reviewers say of its pages. */
  readonly reviews: Reviews;
  /** The engines whose agreement stands beside the labels, in words; absent where none does. */
  readonly agreed?: string;
  /** Who marks pages. */
  readonly reviewer: string;
  /** Time. */
  readonly clock: Clock;
}

/** What the browser gets first. */
export interface GalleryList {
  /** Name of the data set. */
  readonly dataset: string;
  /** In the order in which they are shown. */
  readonly pages: readonly PickedPage[];
  /** Pages that fit the filters. */
  readonly matching: number;
  /** Pages in all. */
  readonly total: number;
  /** In words. */
  readonly order: string;
  /** Where the filter of words begins, 0 to 1; null for no filter. */
  readonly below: number | null;
  /** Rows that are marked. */
  readonly marks: readonly number[];
  /** Whether there is a report to look at. */
  readonly report: boolean;
}

/** Longer notes are cut. */
const MAX_NOTE = 1_000;

/** One data set to look at. */
export class Gallery {
  readonly #options: GalleryOptions;
  readonly #pictures: Pictures;
  /** The latest row that was looked up: its picture is asked for next. */
  #row: Promise<ScannedRow | undefined> | undefined;
  #rowIndex = -1;

  /** Reads nothing yet. */
  constructor(options: GalleryOptions) {
    this.#options = options;
    this.#pictures = new Pictures(options.images);
  }

  /** What is to be seen. @param report Whether there is a report beside it. */
  list(report: boolean): GalleryList {
    const { dataset, picked, selection, reviews, agreed } = this.#options;
    const { order, seed, below } = selection;
    const orders = {
      worst: "doubtful first",
      disagreeing: `where ${agreed} agree least first`,
      sample: `a sample (seed ${seed})`,
    };
    const marked = new Set(Array.from(reviews.marks.keys(), shortId));
    return {
      dataset,
      ...picked,
      order: orders[order],
      below: below ?? null,
      // Rows may have moved since; ids have not.
      marks: picked.pages.filter(({ id }) => marked.has(id)).map(({ row }) => row),
      report,
    };
  }

  /** A page; `undefined` where there is no such row. */
  async page(index: number): Promise<PageView | undefined> {
    const row = await this.#find(index);
    if (!row) return undefined;
    const { store, dataset, reviews } = this.#options;
    const [picture, checked] = await Promise.all([
      this.#pictures.get(row.imagePath),
      findChecked(store, dataset, row.id),
    ]);
    return pageView(row, picture, reviews.marks.get(row.id), checked);
  }

  /** The picture of a page; `undefined` where there is no such row. */
  async picture(index: number): Promise<Picture | undefined> {
    const row = await this.#find(index);
    return row && await this.#pictures.get(row.imagePath);
  }

  /**
   * Marks a page, or takes its mark away.
   *
   * @returns The mark; null for none; `undefined` where there is no such row.
   * @throws {StoreError} if it can't be stored
   */
  async mark(index: number, wrong: boolean, note: string): Promise<ReviewMark | null | undefined> {
    const { reviews, reviewer, clock } = this.#options;
    const row = await this.#find(index);
    if (!row) return undefined;
    const mark: ReviewMark | undefined = wrong
      ? {
        id: row.id,
        row: row.index,
        verdict: "wrong",
        note: note.trim().slice(0, MAX_NOTE).toWellFormed(),
        by: reviewer,
        at: new Date(clock.now()).toISOString(),
        image_sha256: row.metadata.image_sha256,
      }
      : undefined;
    await reviews.set(row.id, mark);
    return mark ?? null;
  }

  /**
   * Keeps what is written on a page as a truth, or takes that away.
   *
   * @param edits What was put right; null to take it away.
   * @returns The page as it is kept; null for none; `undefined` where there is no such row.
   * @throws {StoreError} if it can't be stored
   */
  async check(index: number, edits: PageEdits | null): Promise<CheckedView | null | undefined> {
    const { store, dataset, reviewer, clock, picked, selection } = this.#options;
    const row = await this.#find(index);
    if (!row) return undefined;
    if (edits === null) {
      await removeChecked(store, dataset, row.id);
      return null;
    }
    const [by, at] = [reviewer, new Date(clock.now()).toISOString()];
    const byList = selection.id === undefined && picked.pages.some((page) => page.row === index);
    const page: CheckedPage = {
      ...{ format: "pseudolabel-checked-page/1", dataset, by, at },
      ...checkedContent(row, edits),
      picked: !byList ? "named" : selection.order === "sample" ? "sample" : "worst",
    };
    await writeChecked(store, page);
    return { by, at, edits: editsOf(row, page) ?? edits };
  }

  /** The report of the data set, as it lies in the store; `undefined` if there is none. */
  async report(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { store, dataset } = this.#options;
    return (await findObject(store, reportKey(dataset, "report.html"), { maxBytes: 16 << 20 }))
      ?.bytes;
  }

  async #find(index: number): Promise<ScannedRow | undefined> {
    if (this.#rowIndex === index && this.#row) return await this.#row;
    const row = this.#options.labels.row(index);
    this.#rowIndex = index;
    this.#row = row;
    row.catch(() => {
      if (this.#row === row) this.#row = undefined;
    });
    return await row;
  }
}
