/**
 * @module doubles/outage: a store that is down for a while, and the program in front of it.
 */

import { type Program, startProgram } from "../testing/program.ts";
import type { Bench } from "./stage.ts";

/** One batch, and a lease that outlives most outages. */
const ARGS = "--dataset-name demo --lease-seconds 60 --batch-size 500 --request-delay-ms 0";

/** Resets every connection from the tenth API request on, for so long; tells when it is over. */
export function resetFor(bench: Bench, ms: number): { readonly over: Promise<void> } {
  const over = Promise.withResolvers<void>();
  let since: number | undefined;
  bench.s3.fault = () => {
    if (since === undefined && bench.api.requests >= 10) since = Date.now();
    if (since === undefined) return undefined;
    if (Date.now() < since + ms) return "reset";
    over.resolve();
    return undefined;
  };
  return { over: over.promise };
}

/** Starts the program with these options, too. @param command Another command than `run`. */
export function startRun(bench: Bench, more: string, command: readonly string[] = []): Program {
  const args = `${ARGS} ${more}`.split(" ").filter((word) => word !== "");
  return startProgram([...command, ...args], { env: bench.env });
}

/** Answers that are stored. */
export function answersIn({ s3 }: Bench): number {
  return [...s3.objects.get("bench")!.keys()].filter((key) => key.startsWith("responses/")).length;
}
