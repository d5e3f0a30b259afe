/**
 * @module testing/settings: the settings that a command line comes to, for tests of what uses them.
 */

import type { Environment, Settings } from "../../lib/base/settings.ts";
import { OptionValues, parseFlags } from "../../lib/cli/option_values.ts";
import { OPTIONS } from "../../lib/cli/options.ts";
import { readSettings } from "../../lib/cli/settings.ts";

/** The settings of these arguments, a command among them or not. */
export function settingsOf(args: readonly string[], env: Environment = {}): Settings {
  const { flags } = parseFlags(args, Object.values(OPTIONS));
  return readSettings(new OptionValues(flags, env));
}
