/**
 * @module label/rebuild: all rows of a finished run anew from stored answers, without a request:
 * this is how a better parser reaches labels that were paid for long ago.
 */

import { Budget } from "../base/budget.ts";
import { RunError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, Manifest } from "../state/documents.ts";
import { bookBatches, finish } from "../state/finish.ts";
import { describeRun, engineOf, findManifest, readManifest } from "../state/manifest.ts";
import { checkOutputName } from "../state/output_name.ts";
import { noRows } from "../state/row_counts.ts";
import { planRebuild } from "./batch_work.ts";
import {
  type Dataset,
  type Held,
  holdDataset,
  type Job,
  openDataset,
  type PatientJob,
  type RunSummary,
  startFacts,
  surveyBatches,
  waitForStores,
} from "./job.ts";
import { openAnswers, otherPayments } from "./other_answers.ts";
import { ROWS_AHEAD } from "./pace.ts";
import { workOnBatches } from "./pipeline.ts";
import { withPulse } from "./pulse.ts";
import { restoreAnswered, restoreRow } from "./restore_row.ts";

/**
 * Makes every row of a finished run anew.
 *
 * @throws {RunError} `conflict` if there is no finished run, `unsound` if an answer is missing or
 *   damaged
 * @throws {StoreError} when the store fails
 */
export async function rebuild(given: Job): Promise<RunSummary> {
  const job = waitForStores(given);
  const { settings, store, watcher } = job;
  const { keys, input, info, summary } = await openDataset(job);
  const was = await readManifest(store, keys.manifest);
  if (!was) throw nothingThere(`${store.url}/${keys.root}`);
  engineOf(was, `${store.url}/${keys.root}`); // or there is nothing to read its answers with
  await checkOutputName(store, settings.outputKey, settings.datasetName, was);

  await using held = await holdDataset(job, keys, false);
  const { leased } = held;
  const wanted = describeRun(job, was, info, input.rows);
  const manifest = await findManifest(store, keys, wanted, "auto");
  if (!manifest) throw nothingThere(`${store.url}/${keys.root}`);

  const checkpoints = new Checkpoints(leased, keys, manifest);
  const done = await surveyBatches(checkpoints, watcher);
  if (done.size < checkpoints.batches) {
    throw new RunError(
      "conflict",
      `${checkpoints.batches - done.size} of ${checkpoints.batches} batches in ` +
        `${store.url}/${keys.root} are not done; finish the run first, then rebuild`,
    );
  }
  watcher.start({ ...startFacts(job, manifest), resumed: true });
  const pulse = {
    ...{ keys, manifest, done, held },
    ...{ kept: noRows(), revising: true, billedBefore: 0 },
  };
  const finished = { keys, input, held, manifest, checkpoints, done, summary };
  return await withPulse(job, pulse, (watcher) => remakeAll({ ...job, watcher }, finished));
}

/** A run whose rows are to be made anew. */
interface Finished extends Pick<Dataset, "keys" | "input" | "summary"> {
  readonly held: Held;
  readonly manifest: Manifest;
  readonly checkpoints: Checkpoints;
  readonly done: Map<number, CheckpointFooter>;
}

async function remakeAll(job: PatientJob, finished: Finished): Promise<RunSummary> {
  const { store, clock, tally, watcher, settings } = job;
  const { keys, input, held, manifest, checkpoints, done, summary } = finished;
  const { leased, halt } = held;
  await leased.remove(keys.result);

  const answers = await openAnswers(store, manifest);
  // Failed rows that a killed process may have been answered for: of images that it read anew, or
  // that answers have still to be collected for.
  let unknown = 0;
  await workOnBatches(planRebuild(done), {
    ...{ input, manifest, checkpoints, tally, watcher, halt: halt.controller },
    async make(row, previous) {
      const mayBeAnswered = manifest.retrying && previous!.metadata.status === "failed";
      const answered = mayBeAnswered
        ? await restoreAnswered(row, previous!, answers, manifest, halt.signal)
        : undefined;
      if (mayBeAnswered && !answered) unknown++;
      const restored = answered ?? await restoreRow(row, previous!, answers, halt.signal);
      if (restored.problem === undefined) {
        const others = await otherPayments(restored.output, answers, manifest, halt.signal);
        return { ...restored, others };
      }
      const advice = restored.lost
        ? "; --fresh makes all rows anew and pays for this one again, for no other"
        : "";
      throw new RunError(
        "unsound",
        `row ${row.index} (${escaped(row.id)}): ${restored.problem}${advice}`,
      );
    },
    payerOf: () => Promise.resolve(null),
    rows: new Budget(ROWS_AHEAD),
    onSaved: (footer) => done.set(footer.batch, footer),
  });
  await bookBatches(leased, keys, checkpoints, done, clock.now());
  if (unknown > 0) {
    watcher.note(
      `a --retry-failed was interrupted, and ${counted(unknown, "row")} that nothing is stored ` +
        "for may have been paid for all the same, with another image or an answer that is still " +
        "to be collected: rows and ledger have that once run is started again, which pays for " +
        "nothing twice",
    );
  }
  return summary(
    await job.patience.repeat(
      job.bare,
      halt.signal,
      () => finish(leased, keys, checkpoints, done, settings.outputKey, clock, halt.signal),
    ),
  );
}

function nothingThere(url: string): RunError {
  return new RunError("conflict", `there is no run in ${url} to rebuild`);
}
