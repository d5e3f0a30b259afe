import assert from "node:assert/strict";
import fc from "fast-check";
import { EXACT_DIGITS, longDecimal, MAX_DIGITS, power } from "./decimal.ts";

/** A decimal of so many digits, as its parts and as text. */
function read(digits: string, behind: number): [number: number, text: string] {
  const [first, rest] = [digits.slice(0, EXACT_DIGITS), digits.slice(EXACT_DIGITS)];
  const point = digits.length - behind;
  return [
    longDecimal(Number(first), Number(rest), power(rest.length), power(behind)),
    `${digits.slice(0, point) || "0"}.${digits.slice(point) || "0"}`,
  ];
}

const LONG = fc.integer({ min: EXACT_DIGITS + 1, max: MAX_DIGITS });

Deno.test("longDecimal() rounds as Number() does, or says that it can't tell", () => {
  const digit = fc.constantFrom(..."0123456789");
  let told = 0;
  const decimal = LONG.chain((length) =>
    fc.tuple(
      fc.array(digit, { minLength: length, maxLength: length }),
      fc.integer({ min: 0, max: length }),
    )
  );
  fc.assert(
    fc.property(decimal, ([digits, behind]) => {
      const [number, text] = read(digits.join(""), behind);
      if (Number.isNaN(number)) return;
      told++;
      assert.equal(number, Number(text), text);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(told > 2_900, `it told ${told} of 3,000`);
});

Deno.test("longDecimal() reads what numbers are printed as, and what lies next to their middles", () => {
  const share = fc.double({ min: 1e-3, max: 1, noNaN: true });
  const digitsOf = (text: string) => text.replace(/^0\./, "");
  fc.assert(
    fc.property(share, (value) => {
      for (const text of [`${value}`, value.toFixed(17), value.toFixed(18), value.toFixed(19)]) {
        const digits = digitsOf(text);
        if (!text.startsWith("0.") || digits.length <= EXACT_DIGITS) continue;
        if (digits.length > MAX_DIGITS) continue;
        const [number] = read(digits, digits.length);
        if (!Number.isNaN(number)) assert.equal(number, Number(text), text);
      }
    }),
    { numRuns: 2_000 },
  );
  // 2^53 + 1 lies in the middle between two numbers, and just beside it.
  assert.ok([NaN, 2 ** 53].includes(read("9007199254740993", 0)[0]));
  assert.equal(read("9007199254740993001", 3)[0], 9_007_199_254_740_994);
});
