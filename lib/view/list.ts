/**
 * @module view/list: all data sets of a store, a line each: those that runs have begun, and inputs
 * that none has been begun for.
 */

import { forEachConcurrent } from "../base/for_each.ts";
import { dollars, duration, grouped } from "../base/figures.ts";
import { defaultInputKey, isSafeName, outputNamedLike } from "../state/keys.ts";
import { StoreError } from "../base/errors.ts";
import { renderTable } from "./columns.ts";
import { readStatus, type StatusOptions } from "./status.ts";
import type { State } from "./status_types.ts";

/** Data sets that are shown at most. */
export const DATASETS = 1_000;
/** Data sets that are looked at at once. */
const AT_ONCE = 8;

/**
 * A data set in a list. This is what `list --json` prints of each: names stay, some may be added.
 */
export interface Listed {
  /** Its name. */
  readonly dataset: string;
  /** `unreadable` where its documents are not in a form that this version reads. */
  readonly state: State | "unreadable";
  /** Why, in a sentence for people. */
  readonly reason: string;
  /** Rows of its input; null where no run has counted them. */
  readonly rows: number | null;
  /** Rows that are done. */
  readonly done: number;
  /** Rows that failed, as far as known. */
  readonly failed: number;
  /** Pages billed to all its runs. */
  readonly pages: number;
  /** The same in US dollars. */
  readonly cost: number;
  /** Seconds left; null while that is unknown. */
  readonly eta_s: number | null;
  /** Seconds since the last sign of life; null where there never was one. */
  readonly last_sign_of_life_s: number | null;
}

/** All of them, and whether there are more. */
export interface DatasetList {
  /** What this is, and of which form. */
  readonly format: "pseudolabel-list/1";
  /** URL of the store. */
  readonly store: string;
  /** By name. */
  readonly datasets: readonly Listed[];
  /** Whether there are more than were looked at. */
  readonly more: boolean;
}

/**
 * Lists data sets by name: two listings, up to seven requests for each data set with a run, and for
 * an unfinished one without a heartbeat one more for each thousand batches.
 *
 * @throws {StoreError} if the store fails
 */
export async function listDatasets(options: StatusOptions): Promise<DatasetList> {
  const { store, settings: { checkpointPrefix }, stop } = options;
  const names = new Map<string, { readonly begun: boolean }>();
  let more = false;
  const add = (name: string, begun: boolean) => {
    if (!isSafeName(name) || names.get(name)?.begun) return;
    if (!names.has(name) && names.size >= DATASETS) more = true;
    else names.set(name, { begun });
  };
  for await (const { key } of store.list(checkpointPrefix, { shallow: true, signal: stop })) {
    if (key.endsWith("/")) add(key.slice(checkpointPrefix.length, -1), true);
    if (more) break;
  }
  const [before, after] = defaultInputKey("*").split("*");
  for await (const { key } of store.list(before, { shallow: true, signal: stop })) {
    if (!key.endsWith(after)) continue;
    const name = key.slice(before.length, -after.length);
    if (outputNamedLike(name) === undefined) add(name, false);
    if (more) break;
  }
  const datasets: Listed[] = [];
  await forEachConcurrent(names, AT_ONCE, async ([name, { begun }]) => {
    stop.throwIfAborted();
    datasets.push(begun ? await look(name, options) : unbegun(name));
  });
  datasets.sort((a, b) => a.dataset < b.dataset ? -1 : 1);
  return { format: "pseudolabel-list/1", store: store.url, datasets, more };
}

function unbegun(dataset: string): Listed {
  return {
    ...{ dataset, state: "none", reason: "nothing has run here", rows: null, done: 0, failed: 0 },
    ...{ pages: 0, cost: 0, eta_s: null, last_sign_of_life_s: null },
  };
}

async function look(dataset: string, options: StatusOptions): Promise<Listed> {
  const settings = { ...options.settings, datasetName: dataset };
  try {
    const status = await readStatus({ ...options, settings, brief: true });
    const { state, reason, rows, pages, process, last_sign_of_life_s } = status;
    return {
      ...{ dataset, state, reason, rows: status.run === null ? null : rows.total },
      ...{ done: rows.done, failed: rows.failed },
      ...{ pages: pages.billed_in_all, cost: pages.cost_in_all },
      ...{ eta_s: state === "running" ? process?.eta_s ?? null : null, last_sign_of_life_s },
    };
  } catch (error) {
    if (error instanceof StoreError || options.stop.aborted) throw error;
    return {
      ...unbegun(dataset),
      state: "unreadable",
      reason: (error as Error).message.split("\n")[0],
    };
  }
}

/** The list as lines without their ends. @param columns Characters of a line at most. */
export function renderList({ store, datasets, more }: DatasetList, columns: number): string[] {
  if (datasets.length === 0) return [`no data sets in ${store}`];
  const head = [
    "data set",
    "state",
    " rows",
    " done",
    " failed",
    " pages",
    " cost",
    " ETA",
    " last sign",
  ];
  const table = renderTable(
    head,
    datasets.map((one) => [
      one.dataset,
      one.state,
      one.rows === null ? "–" : grouped(one.rows),
      one.rows === null
        ? "–"
        : one.rows > 0
        ? `${Math.floor(one.done / one.rows * 100)} %`
        : "100 %",
      one.failed > 0 ? grouped(one.failed) : "–",
      one.pages > 0 ? grouped(one.pages) : "–",
      one.cost > 0 ? dollars(one.cost) : "–",
      one.eta_s === null ? "–" : duration(one.eta_s),
      one.last_sign_of_life_s === null ? "–" : ago(one.last_sign_of_life_s),
    ]),
    columns,
    0,
  );
  if (more) table.push(`and more: only ${grouped(DATASETS)} are shown`);
  return table;
}

/** `12 s`, `3 min`, `5 h`, `12 d`. */
function ago(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
