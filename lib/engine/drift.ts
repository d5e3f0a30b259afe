/**
 * @module engine/drift: fields of answers that nobody has documented, in the words of all engines
 * that look for them. Pure.
 */

import { oneLine } from "../base/text.ts";

/**
 * A look at one object of an answer after the other.
 *
 * @param known What each kind of object is documented to have.
 * @param drift What is beyond is added here.
 */
export function unknownFields<K extends string>(
  known: Readonly<Record<K, ReadonlySet<string>>>,
  drift: Set<string>,
): (what: K, value: object) => void {
  return (what, value) => {
    for (const field of Object.keys(value)) {
      if (!known[what].has(field)) drift.add(`unknown field '${oneLine(field)}' of the ${what}`);
    }
  };
}
