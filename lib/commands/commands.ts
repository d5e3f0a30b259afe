/**
 * @module commands/commands: the table of commands, and which of them a command line means. A new
 * command is a file in this folder and a line in {@linkcode COMMANDS}.
 */

import type { Command, Context } from "../cli/command.ts";
import type { ExitName } from "../base/errors.ts";
import { shown } from "../base/text.ts";

/** The commands, in the order of `--help`, each loaded when it is asked for. */
export const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  prepare: () => import("./prepare.ts"),
  plan: () => import("./plan.ts"),
  run: () => import("./run.ts"),
  status: () => import("./status.ts"),
  list: () => import("./list.ts"),
  report: () => import("./report.ts"),
  gallery: () => import("./gallery.ts"),
  evaluate: () => import("./evaluate.ts"),
  compare: () => import("./compare.ts"),
  agree: () => import("./agree.ts"),
  export: () => import("./export.ts"),
  "probe-frame": () => import("./probe_frame.ts"),
  verify: () => import("./verify.ts"),
  rebuild: () => import("./rebuild.ts"),
};
/** The command of a command line that names none. */
const STANDARD = "run";

/**
 * Does what the arguments ask for. Every command also takes the options of the standard one, so
 * that the command line of a run serves to verify it.
 *
 * @throws {RunError} `usage` for a command line that means nothing; whatever the command throws
 */
export async function perform(args: readonly string[], context: Context): Promise<ExitName> {
  if (args.join(" ") === "--version") return await version(context); // loads no table of options
  const { FLAGS, GENERAL, OPTIONS, variables } = await import("../cli/options.ts");
  const values = await import("../cli/option_values.ts");
  const standard = [...Object.values(OPTIONS), ...Object.values(GENERAL), FLAGS.yes];
  const first = values.firstWord(args, standard) ?? STANDARD;
  const known = Object.hasOwn(COMMANDS, first);
  const { command } = await COMMANDS[known ? first : STANDARD]();
  const { flags, words } = values.parseFlags(args, [
    ...standard,
    ...command.options,
    ...command.flags ?? [],
  ]);
  if (flags.help) {
    const { commandHelp, generalHelp } = await import("../cli/help.ts");
    if (known && words.length > 0) context.print(commandHelp(command, STANDARD));
    else context.print(generalHelp(await loadAll(), STANDARD));
    return "ok";
  }
  if (flags.version) return await version(context);
  if (!known) {
    const names = Object.keys(COMMANDS).join(", ");
    throw values.usageError(`Unknown command ${shown(first)}: it must be ${names}`);
  }
  if (words.length > 1) throw values.usageError(`Unexpected argument ${shown(words[1])}`);
  const names = variables([...Object.values(OPTIONS), ...command.options]);
  const env = Object.fromEntries(names.map((name) => [name, context.variable(name)]));
  return await command.run(new values.OptionValues(flags, env), context);
}

/** All commands, in the order of the table. */
export async function loadAll(): Promise<Command[]> {
  const modules = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return modules.map(({ command }) => command);
}

async function version({ print, build }: Context): Promise<ExitName> {
  print((await import("../base/version.ts")).versionText(build));
  return "ok";
}
