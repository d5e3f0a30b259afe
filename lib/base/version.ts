/**
 * @module base/version: the program's name and version, as `deno.json` has it.
 */

import config from "../../deno.json" with { type: "json" };

/** What an executable was built from. */
export interface Build {
  /** Abbreviated commit, for example `abc1234`; `abc1234-dirty` when files were changed. */
  readonly commit: string;
  /** The commit's date, UTC, for example `2026-11-24`. */
  readonly date: string;
}

/** For example `0.1.0`. */
export const VERSION: string = config.version;
/** Sent to the API and shown by `--version`. */
export const PROGRAM: string = `pseudolabel/${VERSION}`;

/** What `--version` prints: one line. */
export function versionText(build?: Build): string {
  const origin = build ? ` (commit ${build.commit}, ${build.date})` : "";
  return `pseudolabel ${VERSION}${origin}\n`;
}
