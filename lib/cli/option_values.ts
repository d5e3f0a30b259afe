/**
 * @module cli/option_values: one option at a time: the flag wins, then the environment, then the default;
 * a value that doesn't fit is an error that names where it came from.
 */

import { RunError } from "../base/errors.ts";
import type { OptionSpec } from "./options.ts";
import type { Environment } from "../base/settings.ts";

/** Flags as `parseArgs` gives them, by name. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** A usage error; every one points to `--help`. */
export function usageError(message: string): RunError {
  return new RunError("usage", `${message}. Try --help.`);
}

/** What the user gave. */
export class OptionValues {
  readonly #flags: Flags;
  readonly #env: Environment;

  /** Takes an empty variable for an absent one, as Batch passes unset parameters that way. */
  constructor(flags: Flags, env: Environment) {
    this.#flags = flags;
    this.#env = env;
  }

  /** The value and the name of where it came from; `undefined` if the option was not given. */
  given(spec: OptionSpec): readonly [value: string, from: string] | undefined {
    const flag = this.#flags[spec.flag];
    if (typeof flag === "string") return [flag, `--${spec.flag}`];
    const value = this.#env[spec.env];
    return value ? [value, spec.env] : undefined;
  }

  /** A text. @throws {RunError} `usage` unless `ok` accepts it; `is` says what it must be */
  text(spec: OptionSpec, fallback: string, ok: (value: string) => boolean, is: string): string {
    const [value, from] = this.given(spec) ?? [fallback, `--${spec.flag}`];
    if (!ok(value)) throw usageError(`${from} must be ${is}: it is '${value}'`);
    return value;
  }

  /** A number in [min, max]; `undefined` if it was not given and has no default. */
  number(spec: OptionSpec, min: number, max: number, kind: "whole" | "any"): number | undefined {
    const found = this.given(spec);
    if (!found && spec.default === undefined) return undefined;
    const [value, from] = found ?? [spec.default!, `--${spec.flag}`];
    const n = /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
    if (!(n >= min && n <= max) || (kind === "whole" && !Number.isSafeInteger(n))) {
      const what = kind === "whole" ? "a whole number" : "a number";
      throw usageError(`${from} must be ${what} from ${min} to ${max}: it is '${value}'`);
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

  /** `true` or `false` in the environment; `undefined` for neither. */
  choice(spec: OptionSpec): boolean | undefined {
    const value = this.#env[spec.env]?.toLowerCase();
    if (!value || value === "auto") return undefined;
    if (["true", "1", "yes"].includes(value)) return true;
    if (["false", "0", "no"].includes(value)) return false;
    throw usageError(`${spec.env} must be true, false or auto: it is '${this.#env[spec.env]}'`);
  }

  /** Whether a flag without a value was given on the command line. */
  onCommandLine(spec: OptionSpec): boolean {
    return this.#flags[spec.flag] === true;
  }
}
