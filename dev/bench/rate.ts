/**
 * @module bench/rate: how much of the API's rate limit the program uses without knowing it, and how
 * long it takes beside a fixed policy: three requests in flight, 100 ms apart.
 */

import { type Measure, percent, shareOfLimit } from "./figures.ts";
import { type Bench, bySize, label, type Labeled, rawFigures } from "./run.ts";
import { LATENCY_SIGMA } from "./tenant.ts";
import type { LimitSchedule } from "../simulate/servers.ts";

/** An account and a run under it. */
interface Account {
  readonly name: string;
  readonly limit: LimitSchedule;
  readonly scale: number;
}

const MEDIAN_MS = 2_000;
/** A scaled account's requests per second by the clock are `scale` times the limit. */
const SCALED: Account = {
  name: "limit 3/s, time ×10",
  limit: [{ from: 0, limit: 3 }],
  scale: 10,
};
const THREE: Account = { name: "limit 3/s", limit: SCALED.limit, scale: 1 };
const TEN: Account = { name: "limit 10/s", limit: [{ from: 0, limit: 10 }], scale: 1 };
const FIFTY: Account = { name: "limit 50/s", limit: [{ from: 0, limit: 50 }], scale: 1 };

/** Shares of the limit that count as enough. */
const STEADY_TARGET = 0.97;
const CHANGING_TARGET = 0.9;
const MOST_THROTTLED = 0.01;
/** A shorter run is not judged. */
const JUDGED_REQUESTS = 2_000;

/** Parts 1 and 2, whichever are wanted. Slow runs go side by side: they mostly wait. */
export async function measureRates(bench: Bench, parts: ReadonlySet<number>): Promise<Measure[]> {
  const [one, two] = [parts.has(1), parts.has(2)];
  if (!one && !two) return [];
  const rows = bySize(bench, 2_000, 300, 20);
  const big = bench.size === "full";
  // Fast ones take CPU, by which they would disturb each other: one after the other.
  const oneByOne = async () => {
    const fast = one && bench.size !== "tiny"
      ? await runTwice(bench, FIFTY, "rate-50", rows)
      : undefined;
    const scaled = await run(bench, SCALED, "rate-3-scaled", rows);
    const theirs = two
      ? await fixedPolicy(bench, SCALED, "fixed-3-scaled", bySize(bench, 600, 100, 10))
      : undefined;
    return [fast, scaled, theirs] as const;
  };
  const [ten, three, changing, theirTen, [fast, scaled, theirScaled]] = await Promise.all([
    big ? run(bench, TEN, "rate-10", rows) : undefined,
    one && big ? run(bench, THREE, "rate-3", 600) : undefined,
    one && big ? run(bench, dropAndRecovery(), "rate-drop", 1_750) : undefined,
    two && big ? fixedPolicy(bench, TEN, "fixed-10", 200) : undefined,
    oneByOne(),
  ]);
  const measures: Measure[] = [];
  if (one) {
    measures.push(rateMeasure(SCALED, scaled, STEADY_TARGET, "from nothing"));
    if (three) measures.push(rateMeasure(THREE, three, STEADY_TARGET, "from nothing"));
    if (ten) measures.push(rateMeasure(TEN, ten, STEADY_TARGET, "from nothing"));
    if (fast) {
      measures.push(rateMeasure(FIFTY, fast[0], STEADY_TARGET, "from nothing"));
      measures.push(rateMeasure(FIFTY, fast[1], STEADY_TARGET, "from the learnt rate"));
    }
    if (changing) measures.push(rateMeasure(dropAndRecovery(), changing, CHANGING_TARGET, ""));
  }
  if (theirScaled) measures.push(policyMeasure(SCALED, scaled, theirScaled));
  if (ten && theirTen) measures.push(policyMeasure(TEN, ten, theirTen));
  return measures;
}

/** Ten a second, four after a minute, ten again after another. */
function dropAndRecovery(): Account {
  const limit = [{ from: 0, limit: 10 }, { from: 60_000, limit: 4 }, { from: 120_000, limit: 10 }];
  return { name: "limit 10 → 4 → 10/s, a minute each", limit, scale: 1 };
}

async function run(
  bench: Bench,
  account: Account,
  tenant: string,
  rows: number,
  { dataset = "pages", args = [] }: { dataset?: string; args?: readonly string[] } = {},
): Promise<Labeled> {
  const { limit, scale } = account;
  const images = { imageBytes: 2_000, words: 20 };
  const load = { tenant, dataset, rows, ...images, limit, scale, medianMs: MEDIAN_MS };
  return await label(bench, load, args);
}

/** Two data sets one after the other: the second run starts from what the first one learnt. */
async function runTwice(
  bench: Bench,
  account: Account,
  tenant: string,
  rows: number,
): Promise<readonly [first: Labeled, second: Labeled]> {
  const first = await run(bench, account, tenant, rows);
  return [first, await run(bench, account, tenant, rows, { dataset: "more" })];
}

async function fixedPolicy(
  bench: Bench,
  account: Account,
  tenant: string,
  rows: number,
): Promise<Labeled> {
  const delay = `${100 / account.scale}`;
  const args = ["--concurrency", "3", "--request-delay-ms", delay];
  return await run(bench, account, tenant, rows, { args });
}

/** From the first request to the last one that was taken, and to the last answer; ms. */
function spans({ report }: Labeled): { toLastStart: number; toLastAnswer: number } {
  const { firstAt, lastStartAt, lastAnswerAt } = report;
  return { toLastStart: lastStartAt - firstAt, toLastAnswer: lastAnswerAt - firstAt };
}

function rateMeasure(account: Account, run: Labeled, target: number, from: string): Measure {
  const { limit, scale, name } = account;
  const { billed, requests, throttled } = run.report;
  const { toLastStart, toLastAnswer } = spans(run);
  const used = shareOfLimit(billed, limit, toLastStart, scale);
  const usedToEnd = shareOfLimit(billed, limit, toLastAnswer, scale);
  const refused = throttled / requests;
  const achieved = billed / toLastStart * 1_000;
  const unused = `${percent(1 - used)} of it is unused up to the last start, ` +
    `${percent(1 - usedToEnd)} up to the last answer, which is the latency's tail`;
  const clock = scale > 1
    ? `; the API's time (limit, window, latency) runs ${scale} times as fast, the program's ` +
      "doesn't: a timer's lateness and a pause are as many times as long beside the window"
    : "";
  return {
    part: 1,
    name: `rate used, ${name}${from && `, ${from}`}, ${billed} requests`,
    ours: `${achieved.toFixed(2)}/s, ${percent(refused)} 429`,
    baseline: `${(achieved / used).toFixed(2)}/s`,
    ratio: used,
    target: `≥ ${target}${target === STEADY_TARGET ? `, 429 ≤ ${percent(MOST_THROTTLED)}` : ""}`,
    met: target === STEADY_TARGET
      ? judged(billed, used >= target && refused <= MOST_THROTTLED)
      : used >= target,
    limit: `the account's limit, per second of a fixed window: ${unused}${clock}`,
    raw: { account, from, used, usedToEnd, refused, achieved, ...rawFigures(run) },
  };
}

function judged(requests: number, met: boolean): boolean | null {
  return requests >= JUDGED_REQUESTS ? met : null;
}

function policyMeasure(account: Account, ours: Labeled, theirs: Labeled): Measure {
  const { limit, scale, name } = account;
  const count = ours.report.billed;
  const perRequest = (run: Labeled) => spans(run).toLastStart / (run.report.billed - 1);
  const ourSeconds = perRequest(ours) * count / 1_000;
  const theirSeconds = perRequest(theirs) * count / 1_000;
  const meanMs = MEDIAN_MS * Math.exp(LATENCY_SIGMA ** 2 / 2) / scale;
  const best = count / (limit[0].limit * scale);
  return {
    part: 2,
    name: `makespan beside 3 in flight, ${100 / scale} ms, ${name}`,
    ours: `${ourSeconds.toFixed(0)} s for ${count}`,
    baseline: `${theirSeconds.toFixed(0)} s, from ${theirs.report.billed}`,
    ratio: ourSeconds / theirSeconds,
    target: "-",
    met: null,
    limit:
      `the limit allows ${best.toFixed(0)} s; ours takes ${
        (ourSeconds / best).toFixed(2)
      } times that, theirs ${
        (theirSeconds / best).toFixed(2)
      }: three at a time over a mean latency ` +
      `of ${(meanMs / 1_000).toFixed(2)} s are ${(3_000 / meanMs).toFixed(1)}/s`,
    raw: { account, ourSeconds, theirSeconds, ours: rawFigures(ours), theirs: rawFigures(theirs) },
  };
}
