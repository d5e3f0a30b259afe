/**
 * @module cli/help: the texts of `--help`, made from the commands, the table of options and the
 * exit codes.
 */

import { EXITS } from "../base/errors.ts";
import type { Command } from "./command.ts";
import { ENVIRONMENT_ONLY, type FlagSpec, GENERAL, OPTIONS, type OptionSpec } from "./options.ts";

/** Lines end here at the latest. */
const COLUMNS = 100;
const PRECEDENCE = "What has a variable (env: …) can be given in the environment instead; a flag " +
  "wins over the environment, the environment over the default.";

/**
 * The text of `--help` without a command: the commands, and the options of the standard one, as
 * that is what a command line without a command means.
 */
export function generalHelp(commands: readonly Command[], standard: string): string {
  const { options, flags = [] } = commands.find(({ name }) => name === standard)!;
  const shared = options.filter((option) => commands.every((one) => one.options.includes(option)));
  return text([
    "Labels the images of a Parquet data set with an OCR API: polygons and texts, as Parquet.",
    "Usage: pseudolabel [COMMAND] --dataset-name NAME [options]",
    ["Commands, each with a --help of its own:", commands.map((one) => [one.name, one.summary])],
    `An unfinished run is continued by running the same command again. ${PRECEDENCE}`,
    ["Options of every command:", [...shared, ...Object.values(GENERAL)].map(entry)],
    [
      `Options of ${standard}:`,
      [...options.filter((one) => !shared.includes(one)), ...flags].map(entry),
    ],
  ]);
}

/** The text of `COMMAND --help`. */
export function commandHelp(command: Command, standard: string): string {
  const { name, summary, description, options, flags = [] } = command;
  const named = options.includes(OPTIONS.datasetName) ? " --dataset-name NAME" : "";
  const goesByAll = Object.values(OPTIONS).every((option) => options.includes(option));
  const reuse = `Other options of ${standard} that have a variable may stand there too, so that ` +
    "its command line serves as it is; they change nothing.";
  return text([
    `${name}: ${summary}`,
    `Usage: pseudolabel ${name}${named} [options]`,
    goesByAll ? description : `${description} ${reuse}`,
    PRECEDENCE,
    ["Options:", [...options, ...flags, ...Object.values(GENERAL)].map(entry)],
  ]);
}

type Entry = readonly [left: string, right: string, notes?: readonly string[]];
type Part = string | readonly [title: string, entries: readonly Entry[]];

function entry(spec: FlagSpec | OptionSpec): Entry {
  const { flag, short, value, help } = spec;
  const left = `--${flag}${value ? ` ${value}` : ""}${short ? `, -${short}` : ""}`;
  if (!("env" in spec)) return [left, help];
  const { default: standard, env } = spec;
  return [left, help, standard ? [`(default: ${standard},`, `env: ${env})`] : [`(env: ${env})`]];
}

/** Paragraphs and lists, then what is the same for every command. */
function text(parts: readonly Part[]): string {
  const environment = ENVIRONMENT_ONLY.flatMap(({ names, help, default: standard }): Entry[] =>
    help ? [[names.join(", "), help, standard ? [`(default: ${standard})`] : []]] : []
  );
  const exits = Object.values(EXITS).map(({ code, meaning }): Entry => [
    String(code).padStart(2),
    meaning,
  ]);
  const all: Part[] = [...parts, ["Environment only:", environment], ["Exit codes:", exits]];
  return all.map((part) => (typeof part === "string" ? paragraph(part) : list(...part)))
    .join("\n");
}

function paragraph(sentences: string): string {
  return wrap(sentences.split(" "), COLUMNS).join("\n") + "\n";
}

/** Notes (names and defaults) stay whole, so that they can be searched for. */
function list(title: string, entries: readonly Entry[]): string {
  const width = Math.max(...entries.map(([left]) => left.length)) + 4;
  const lines = entries.flatMap(([left, right, notes = []]) =>
    wrap([...right.split(" "), ...notes], COLUMNS - width)
      .map((line, n) => (n === 0 ? `  ${left}` : "").padEnd(width) + line)
  );
  return `${title}\n${lines.join("\n")}\n`;
}

/** Lines of at most `width` characters from words that are never broken. */
function wrap(words: readonly string[], width: number): string[] {
  const lines: string[] = [""];
  for (const word of words) {
    const line = lines[lines.length - 1];
    if (line && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines;
}
