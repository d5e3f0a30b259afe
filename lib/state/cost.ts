/**
 * @module state/cost: what pages cost in US dollars, where several engines were asked: each at its
 * own price.
 */

import { findEngine } from "../engine/engines.ts";
import type { Ledger, Spent } from "./documents.ts";
import { totalBilled } from "./ledger.ts";

/**
 * What all runs have cost together.
 *
 * @param pricePerPage Of the runs' own engine; others have their listed price.
 */
export function costOf(spent: Spent, pricePerPage: number): number {
  const extra = extraOf(Object.values(spent.others ?? {}), pricePerPage);
  return inMicros(totalBilled(spent) * pricePerPage + extra);
}

/** What one run has cost. */
export function runCost(spent: Spent, runId: string, pricePerPage: number): number {
  const pages = spent.runs[runId]?.billed_pages ?? 0;
  return inMicros(pages * pricePerPage + extraOf([spent.others?.[runId] ?? {}], pricePerPage));
}

/** What runs in a ledger have cost more than at the price of their own engine. */
export function extraCost(runs: Ledger["runs"], pricePerPage: number): number {
  return extraOf(Object.values(runs).map(({ others }) => others ?? {}), pricePerPage);
}

/** Pages billed by engines besides the runs' own, by `engine/model`. */
export function billedByOthers({ others }: Spent): Record<string, number> {
  const pages: Record<string, number> = {};
  for (const engines of Object.values(others ?? {})) {
    for (const [engine, { billed_pages }] of Object.entries(engines)) {
      pages[engine] = (pages[engine] ?? 0) + billed_pages;
    }
  }
  return pages;
}

function extraOf(
  runs: readonly Readonly<Record<string, { readonly billed_pages: number }>>[],
  pricePerPage: number,
): number {
  let dollars = 0;
  for (const engines of runs) {
    for (const [name, { billed_pages }] of Object.entries(engines)) {
      const price = findEngine(name.split("/")[0])?.price.perPage ?? 0;
      dollars += billed_pages * (price - pricePerPage);
    }
  }
  return dollars;
}

/** Dollars as documents say them, to a millionth. */
export function inMicros(dollars: number): number {
  return Math.round(dollars * 1e6) / 1e6;
}
