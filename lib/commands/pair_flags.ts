/**
 * @module commands/pair_flags: the flags that say which two engines are meant; apart, as `--help`
 * wants no more of that (`commands/engine_pair.ts`).
 */

import type { FlagSpec } from "../cli/options.ts";

/** Flags that say which engines. */
export const PAIR_FLAGS = {
  engines: {
    flag: "engines",
    value: "A,B",
    help:
      "two engines, one of them that of the data set; ENGINE:MODEL for another model than the " +
      "engine's own, or the only one whose answers are stored",
  },
  with: {
    flag: "with",
    value: "NAME",
    help: "instead: the engine of the data set, and that of this other one in the same store",
  },
} as const satisfies Record<string, FlagSpec>;
