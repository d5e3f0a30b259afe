/**
 * @module label/labeling: puts together what rows are labelled with: images within a memory budget,
 * what may be spent, and a desk for each engine (`label/desk.ts`).
 */

import { Budget } from "../base/budget.ts";
import { SpendingLimit } from "../state/spending.ts";
import { type Desk, openDesk, type SharedByDesks } from "./desk.ts";
import { ImageGuard, UNUSABLE_CODES } from "./image_guard.ts";
import { acceptedByAny, ImageLoader } from "./images.ts";
import type { Labeling } from "./label_row.ts";
import type { LabelingOptions } from "./labeling_options.ts";
import { openAnswers } from "./other_answers.ts";
import { Remarks } from "./remarks.ts";
import { StandIns } from "./stand_ins.ts";

/**
 * Gets ready to label.
 *
 * @throws {RunError} `conflict` if what was spent so far is not in a form that this version reads
 * @throws {StoreError} if the store fails
 */
export async function openLabeling(
  options: LabelingOptions,
): Promise<Labeling & AsyncDisposable> {
  const { settings, manifest, engine, leased, keys, tally, note } = options;
  const { connection, fallbacks = [] } = options;
  const { model } = manifest;
  const stack = new AsyncDisposableStack();
  const prices = fallbacks.map(({ engine }) => engine.price.perPage);
  const spending = stack.use(
    await SpendingLimit.open({
      store: leased,
      key: keys.spending,
      runId: manifest.run_id,
      maxPages: fallbacks.length > 0 ? settings.limits.maxPages : settings.maxPages,
      limit: fallbacks.length > 0 ? `--max-pages ${settings.limits.maxPages}` : settings.limit,
      likely: fallbacks.length > 0 ? undefined : options.rowsToLabel,
      isNew: !options.resumed,
      billed: options.billedBefore.pages,
      dollars: fallbacks.length > 0
        ? {
          max: settings.limits.maxCost,
          limit: `--max-cost ${settings.limits.maxCost}`,
          billed: options.billedBefore.dollars,
          highestPrice: Math.max(settings.pricePerPage, ...prices),
        }
        : undefined,
      earlierRuns: manifest.inputs?.map(({ run_id }) => run_id),
      note,
    }),
  );
  const remarks = new Remarks(note);
  const imagesRead = options.done.some(({ footer: { counts: { rows, failures } } }) =>
    rows > UNUSABLE_CODES.values().reduce((sum, code) => sum + (failures[code] ?? 0), 0)
  );
  const accepted = acceptedByAny([engine, ...fallbacks.map(({ engine }) => engine)]);
  const shared: SharedByDesks = {
    options,
    remarks,
    spending,
    images: new ImageLoader(options.images, new Budget(settings.memoryBudget), accepted),
    imageGuard: new ImageGuard({
      known: settings.noGuard || imagesRead,
      sample: options.sampleImages,
      loader: new ImageLoader(options.images, new Budget(accepted.maxBytes), accepted),
    }),
    several: fallbacks.length > 0,
    standIns: new StandIns(),
  };
  const others: Desk[] = [];
  let fitRows = () => {};
  for (const [n, { engine, model, connection }] of fallbacks.entries()) {
    const price = engine.price.perPage;
    // What the user says of speed is said of the run's own engine.
    const pace = { rate: undefined, concurrency: undefined, requestDelayMs: undefined };
    const onFit = () => fitRows(); // rows wait for whichever engine
    const asked = { engine, model, connection, price, pace, onFit, place: n + 1 };
    others.push(
      stack.use(await openDesk({ ...asked, extraCost: price - settings.pricePerPage }, shared)),
    );
  }
  const own = stack.use(
    await openDesk({
      ...{ engine, model, connection, price: settings.pricePerPage, extraCost: 0, pace: settings },
      place: 0,
      besides: () => others.reduce((sum, { inFlightCap }) => sum + inFlightCap(), 0),
    }, shared),
  );
  fitRows = own.fitRows;
  tally.rate = own.rate;
  return {
    ...own.labeling,
    ...others.length > 0 && { fallbacks: others.map(({ labeling }) => labeling) },
    ...manifest.fallbacks &&
      { asked: await openAnswers(options.store, manifest), resumed: options.resumed },
    async [Symbol.asyncDispose]() {
      remarks.end();
      await stack.disposeAsync();
    },
  };
}
