/**
 * @module cli/help: the text of `--help`, made from the table of options and the exit codes.
 */

import { EXIT, type ExitName } from "../base/errors.ts";
import { COMMANDS, ENVIRONMENT_ONLY, OPTIONS, type OptionSpec } from "./options.ts";

/** What each exit code means; the README repeats it. */
export const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: "the output is written, at most --max-failure-rate of the rows failed",
  internal: "a defect of the program",
  usage: "the command line or the environment is wrong",
  input: "the input data set is missing or unusable",
  store: "the object store refuses or fails",
  api: "the API refuses the run (key, credit, model); no remaining row was marked as failed",
  failures: "the output is written, but too many rows failed",
  conflict: "the checkpoints belong to another run, or another run is working on the data set",
  limit: "--max-pages or --max-cost is reached; raise it and run again",
  unsound: "verify found something wrong",
  again: "interrupted, or the API is down: run the same command again and it continues",
};

/** The text of `--help`. */
export function helpText(): string {
  const specs: OptionSpec[] = Object.values(OPTIONS);
  const left = specs.map(({ flag, value }) => `  --${flag}${value ? ` ${value}` : ""}`);
  const width = Math.max(...left.map((text) => text.length)) + 2;
  const options = specs.map((spec, i) => {
    // Names and defaults stay whole, so that they can be searched for.
    const notes = "default" in spec
      ? [`(default: ${spec.default},`, `env: ${spec.env})`]
      : [`(env: ${spec.env})`];
    const lines = wrap([...spec.help.split(" "), ...notes], 100 - width);
    return lines.map((line, n) => (n === 0 ? left[i] : "").padEnd(width) + line).join("\n");
  });
  const environment = ENVIRONMENT_ONLY.map(([name, help]) =>
    help.split("\n").map((line, n) => (n === 0 ? `  ${name}` : "").padEnd(width) + line).join("\n")
  );
  const commands = Object.entries(COMMANDS).map(([name, help]) => `  ${name.padEnd(9)}${help}`);
  const codes = Object.entries(EXIT).map(([name, code]) =>
    `  ${String(code).padStart(2)}  ${EXIT_MEANINGS[name as ExitName]}`
  );
  return `Labels the images of a Parquet data set with an OCR API: polygons and texts, as Parquet.

Usage: pseudolabel [COMMAND] --dataset-name NAME [options]

Commands:
${commands.join("\n")}

An unfinished run is continued by running the same command again. Every option can be given in the
environment instead; a flag wins over the environment, the environment over the default.

Options:
${options.join("\n")}
  --help, -h
  --version

Environment only:
${environment.join("\n")}

Exit codes:
${codes.join("\n")}
`;
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
