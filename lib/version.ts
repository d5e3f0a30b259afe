/**
 * @module version: the program's name and version, as `deno.json` has it.
 */

import config from "../deno.json" with { type: "json" };

/** For example `0.1.0`. */
export const VERSION: string = config.version;
/** Sent to the API and shown by `--version`. */
export const PROGRAM: string = `pseudolabel/${VERSION}`;
