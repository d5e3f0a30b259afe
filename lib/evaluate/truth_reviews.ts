/**
 * @module evaluate/truth_reviews: pages that somebody has checked in the gallery, as a truth. They
 * are few enough to be held, as people made them.
 */

import { checkedPages } from "../state/checked_pages.ts";
import { checkedPrefix } from "../state/keys.ts";
import type { Store } from "../store/store.ts";
import { badTruth, isDontCare, type Truth, type TruthPage, withoutExtension } from "./truth.ts";

/**
 * Opens what was checked of a data set.
 *
 * @throws {RunError} `input` if nothing was
 * @throws {StoreError} when the store fails, or holds something else there
 */
export async function openReviewedTruth(
  store: Store,
  dataset: string,
  signal: AbortSignal,
): Promise<Truth> {
  const pages: (TruthPage & { readonly path: string; readonly id: string })[] = [];
  let doubtful = 0;
  for await (
    const { id, image_path, words, width, height, picked } of checkedPages(
      ...[store, dataset, signal] as const,
    )
  ) {
    if (picked === "worst") doubtful++;
    pages.push({
      ...{ id, path: withoutExtension(image_path) },
      boxes: words.map(({ polygon, text }) => ({
        ...{ points: polygon, text, ignore: isDontCare(text) },
      })),
      ...width !== null && height !== null && { size: { width, height }, asSeen: true },
    });
  }
  const url = `${store.url}/${checkedPrefix(dataset)}`;
  if (pages.length === 0) {
    throw badTruth(
      `${url} holds no checked page: check some in the gallery first (gallery --sample, key c)`,
    );
  }
  return {
    ...{ url, format: "reviews", names: pages, pickedAsDoubtful: doubtful },
    page: (at) => Promise.resolve(pages[at]),
  };
}
