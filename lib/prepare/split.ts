/**
 * @module prepare/split: which split an image belongs to: by its place, by chance that stays the
 * same, or what a table says.
 */

import { parseNumber } from "../base/figures.ts";
import { createHash } from "node:crypto";

/** What decides: the first pattern that fits, or shares of chance. */
export type SplitRule =
  | { readonly patterns: readonly (readonly [name: string, glob: string])[] }
  | { readonly shares: readonly (readonly [name: string, share: number])[] };

/** The form of a rule, for messages. */
export const SPLIT_FORM: string =
  "names with patterns of paths (train=train/*,val=val/*), names with shares " +
  "that make 1 (train=0.9,val=0.1), or one name";

/** Reads a rule. @returns `undefined` if it is none */
export function parseSplit(text: string): SplitRule | undefined {
  const parts = text.split(",").map((part) => part.trim());
  const pairs = parts.map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [part, "*"] as const : [part.slice(0, at), part.slice(at + 1)] as const;
  });
  if (pairs.some(([name, value]) => !/^[\w.-]{1,64}$/.test(name) || value === "")) return undefined;
  const shares = pairs.map(([name, value]) => [name, parseNumber(value)] as const);
  if (shares.every(([, share]) => Number.isNaN(share))) return { patterns: pairs };
  const sum = shares.reduce((sum, [, share]) => sum + share, 0);
  return Math.abs(sum - 1) < 1e-6 ? { shares } : undefined;
}

/**
 * The split of an image; null where no pattern fits.
 *
 * @param id Decides by chance: always the same for one id, whatever else there is. It is that of
 *   `sha256(id)`, its first 6 bytes as a share of 2^48.
 * @param path Where the image is, below what was named.
 */
export function splitOf(rule: SplitRule, id: string, path: string): string | null {
  if ("patterns" in rule) {
    return rule.patterns.find(([, glob]) => matches(glob, path))?.[0] ?? null;
  }
  const chance = createHash("sha256").update(id).digest().readUIntBE(0, 6) / 2 ** 48;
  let sum = 0;
  for (const [name, share] of rule.shares) if (chance < (sum += share)) return name;
  return rule.shares.at(-1)![0];
}

/** Whether a path fits a pattern, in which `*` stands for any text, `?` for any character. */
export function matches(glob: string, path: string): boolean {
  let [at, star, mark] = [0, -1, 0];
  let i = 0;
  while (i < path.length) {
    if (glob[at] === "*") {
      [star, mark] = [at++, i];
    } else if (glob[at] === "?" || glob[at] === path[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++mark;
    } else return false;
  }
  while (glob[at] === "*") at++;
  return at === glob.length;
}
