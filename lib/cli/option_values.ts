/**
 * @module cli/option_values: arguments and environment as values, one option at a time: the flag
 * wins, then the environment, then the default; a value that doesn't fit is an error that names
 * where it came from.
 */

import { parseArgs } from "node:util";
import { RunError } from "../base/errors.ts";
import { parseNumber } from "../base/figures.ts";
import { isSigned, shown } from "../base/text.ts";
import { holdsKey, KEY_VARIABLES } from "../engine/engines.ts";
import type { FlagSpec, OptionSpec } from "./options.ts";
import type { Environment } from "../base/settings.ts";

/** Flags as `parseArgs` gives them, by name. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** A usage error; every one points to `--help`. */
export function usageError(message: string): RunError {
  return new RunError("usage", `${message}. Try --help.`);
}

/**
 * The arguments as flags and other words.
 *
 * @throws {RunError} `usage` for a flag that is none of these, or that lacks a value or has one too
 *   many
 */
export function parseFlags(
  args: readonly string[],
  specs: readonly FlagSpec[],
): { readonly flags: Flags; readonly words: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: argTypes(specs),
      allowPositionals: true,
    });
    return { flags: values as Flags, words: positionals };
  } catch (error) {
    // Behind it comes advice about words that look like flags, which doesn't apply here.
    const said = (error as Error).message.split(/\. |\n/)[0].replace(/\.$/, "");
    throw usageError(said.replace(/'([^']*)'/g, (_, named) => shown(named)));
  }
}

/**
 * The first argument that is neither a flag nor a flag's value, whatever is wrong with the others.
 */
export function firstWord(
  args: readonly string[],
  specs: readonly FlagSpec[],
): string | undefined {
  return parseArgs({ args: [...args], options: argTypes(specs), strict: false }).positionals[0];
}

function argTypes(specs: readonly FlagSpec[]) {
  return Object.fromEntries(specs.map(({ flag, short, value }) => {
    const type = value ? "string" as const : "boolean" as const;
    return [flag, short ? { type, short } : { type }];
  }));
}

/** What numbers are called, and an example. */
const NUMBERS = {
  whole: ["a whole number", ""],
  any: ["a number", ""],
  share: ["a share", ", such as 0.02 for 2 %"],
} as const;

/** `a, b or c`. */
function either(names: readonly string[]): string {
  return [names.slice(0, -1).join(", "), ...names.slice(-1)].filter((part) => part).join(" or ");
}

/** What the user gave. */
export class OptionValues {
  /** The environment, for what is no option. */
  readonly env: Environment;
  readonly #flags: Flags;

  /** Takes an empty variable for an absent one, as Batch passes unset parameters that way. */
  constructor(flags: Flags, env: Environment) {
    this.#flags = flags;
    this.env = env;
  }

  /**
   * The value and the name of where it came from; `undefined` if the option was not given.
   *
   * @throws {RunError} `usage` if it holds an API key
   */
  given(spec: FlagSpec | OptionSpec): readonly [value: string, from: string] | undefined {
    const flag = this.#flags[spec.flag];
    const isFlag = typeof flag === "string";
    const value = isFlag ? flag : "env" in spec && this.env[spec.env];
    if (!value && !isFlag) return undefined;
    const from = isFlag ? `--${spec.flag}` : (spec as OptionSpec).env;
    // It would be stored or shown, in keys, documents and messages.
    if (holdsKey(value || "", this.env)) {
      throw usageError(
        `${from} looks like an API key, which is not repeated here; ` +
          `a key goes into ${KEY_VARIABLES.join(" or ")}`,
      );
    }
    if (isSigned(value || "") && spec.flag !== "engine-url") {
      throw usageError(
        `${from} has the signature of a presigned URL, which is not repeated here: ` +
          "name the place itself, without it",
      );
    }
    return [value || "", from];
  }

  /** A text. @throws {RunError} `usage` unless `ok` accepts it; `is` says what it must be */
  text(spec: OptionSpec, fallback: string, ok: (value: string) => boolean, is: string): string {
    const [value, from] = this.given(spec) ?? [fallback, `--${spec.flag}`];
    if (!ok(value)) throw usageError(`${from} must be ${is}: it is ${shown(value)}`);
    return value;
  }

  /** A number in [min, max]; `undefined` if it was not given and has no default. */
  number(
    spec: FlagSpec | OptionSpec,
    min: number,
    max: number,
    kind: "whole" | "any" | "share",
  ): number | undefined {
    const standard = "default" in spec ? spec.default : undefined;
    const found = this.given(spec);
    if (!found && standard === undefined) return undefined;
    const [value, from] = found ?? [standard!, `--${spec.flag}`];
    const n = parseNumber(value);
    if (!(n >= min && n <= max) || (kind === "whole" && !Number.isSafeInteger(n))) {
      const [what, such] = NUMBERS[kind];
      throw usageError(
        `${from} must be ${what} from ${min} to ${max}${such}: it is ${shown(value)}`,
      );
    }
    return n;
  }

  /** Like {@linkcode number}; `undefined` for `auto`. */
  auto(spec: OptionSpec, min: number, max: number, kind: "whole" | "any"): number | undefined {
    const [value] = this.given(spec) ?? [spec.default];
    return value === "auto" ? undefined : this.number(spec, min, max, kind);
  }

  /** A switch: set by its flag, or by `true` or `false` in the environment. */
  flag(spec: OptionSpec): boolean {
    return this.#flags[spec.flag] === true || (this.choice(spec) ?? false);
  }

  /** One of some names; `undefined` if the flag was not given. @throws {RunError} `usage` */
  oneOf<T extends string>(spec: FlagSpec, names: readonly T[]): T | undefined {
    const given = this.given(spec)?.[0];
    const found = names.find((name) => name === given);
    if (given === undefined || found !== undefined) return found;
    throw usageError(`--${spec.flag} must be ${either(names)}: it is ${shown(given)}`);
  }

  /**
   * Names that are separated by commas; `undefined` if the flag was not given.
   *
   * @throws {RunError} `usage` for one that is none of `known`
   */
  names<T extends string>(spec: FlagSpec, known: readonly T[]): readonly T[] | undefined {
    const given = this.given(spec)?.[0].split(",").map((name) => name.trim());
    const unknown = given?.find((name) => !known.some((one) => one === name));
    if (unknown === undefined) return given as readonly T[] | undefined;
    throw usageError(`--${spec.flag} must be of ${known.join(", ")}: it has ${shown(unknown)}`);
  }

  /** `true` or `false` in the environment; `undefined` for neither. */
  choice(spec: OptionSpec): boolean | undefined {
    const value = this.env[spec.env]?.toLowerCase();
    if (!value || value === "auto") return undefined;
    if (["true", "1", "yes"].includes(value)) return true;
    if (["false", "0", "no"].includes(value)) return false;
    throw usageError(
      `${spec.env} must be true, false or auto: it is ${shown(this.env[spec.env]!)}`,
    );
  }

  /** Whether a flag without a value was given on the command line. */
  onCommandLine(spec: FlagSpec): boolean {
    return this.#flags[spec.flag] === true;
  }
}
