/**
 * @module soak/labelled: the soak's data set in memory, labelled by the job itself: what tests of
 * `verify` begin with.
 */

import { run } from "../../lib/label/job.ts";
import { startUpstageServer } from "../doubles/ocr/upstage.ts";
import { connectTo } from "../testing/connection.ts";
import { jobOn } from "../testing/job.ts";
import { MemoryStore } from "../testing/memory_store.ts";
import { settingsOf } from "../testing/settings.ts";
import { readSoak, type SoakData, soakData } from "./data.ts";

/**
 * Labels `rows` rows.
 *
 * @param runs Command line of each run, one after another.
 */
export async function labelled(
  rows: number,
  runs: readonly (readonly string[])[],
): Promise<{ readonly data: SoakData; readonly store: MemoryStore }> {
  const data = await soakData(rows);
  const store = new MemoryStore();
  for (const [key, bytes] of data.objects) store.put(key, bytes);
  await using api = await startUpstageServer({ answer: ({ bytes }) => readSoak(bytes) });
  for (const args of runs) {
    const settings = { ...settingsOf(args), requestDelayMs: 0 };
    await run(jobOn({ store, settings, connection: await connectTo(api.url) }));
  }
  return { data, store };
}

/** The same objects in a store of their own. */
export function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [key, bytes] of store.objects) copy.put(key, bytes.slice());
  return copy;
}
