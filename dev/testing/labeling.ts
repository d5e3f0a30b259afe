/**
 * @module testing/labeling: what labels rows, over a store in memory and with nobody else at work,
 * for tests that say themselves how to ask.
 */

import { createHash } from "node:crypto";
import { Budget } from "../../lib/base/budget.ts";
import type { ImageFile } from "../../lib/engine/engine.ts";
import { upstageOcr } from "../../lib/engine/upstage_ocr.ts";
import { ImageLoader } from "../../lib/label/images.ts";
import type { Labeling } from "../../lib/label/label_row.ts";
import { AnswerStore } from "../../lib/state/answer_store.ts";
import { fakeImage } from "./fixtures.ts";
import type { MemoryStore } from "./memory_store.ts";

/** An image of a name, as it is sent. @param size As in {@linkcode fakeImage}. */
export function imageFile(name: string, size?: number): ImageFile {
  const bytes = fakeImage(name, size);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes, sha256, mediaType: { type: "image/png", extension: "png" } };
}

/**
 * A {@linkcode Labeling} of `upstage-ocr` with room for ten rows.
 *
 * @param notes Gets what people are told.
 * @param memory Room for images, bytes.
 * @param given How to ask, and whatever is to differ.
 */
export function labelingOver(
  store: MemoryStore,
  notes: string[],
  memory: Budget,
  given: Pick<Labeling, "lanes" | "payer" | "tally" | "clock" | "halt"> & Partial<Labeling>,
): Labeling {
  return {
    engine: upstageOcr,
    model: "ocr",
    images: new ImageLoader({ local: store }, memory, upstageOcr),
    answers: new AnswerStore(store, "upstage-ocr", "ocr"),
    underWay: new Map(),
    unsaved: new Budget(10),
    waiting: new Budget(10),
    rows: new Budget(10),
    claims: {
      take: () =>
        Promise.resolve({
          held: true,
          confirm: () => Promise.resolve(true),
          [Symbol.dispose]: () => {},
        }),
    },
    askAgain: new Set(),
    askedInVain: new Set(),
    remarks: { tell: (_, message) => notes.push(message), count: (kind) => notes.push(kind) },
    spending: {
      take: () => Promise.resolve(),
      settle: () => {},
      isShort: false,
      cover: () => Promise.resolve(),
    },
    maxRetries: 3,
    random: () => 0.5,
    giveUp: new AbortController().signal,
    ...given,
  };
}
