/**
 * @module engine/decimal: decimals of up to 19 digits as numbers, rounded as `Number()` rounds their
 * text, without a text: answers have thousands of them. Pure.
 */

/** Whole numbers of so many digits are exact. */
export const EXACT_DIGITS = 15;
/** Longest decimal that is read here, digits. */
export const MAX_DIGITS = 19;

/** Powers of ten that are exact. */
const POWERS = Array.from({ length: 23 }, (_, n) => 10 ** n);

/** 10 to the power of `n`, exactly. @param n From 0 to 22. */
export function power(n: number): number {
  return POWERS[n];
}

/**
 * `(first × shift + rest) / divisor`, rounded to the nearest number: what 16 to 19 digits mean, as
 * the sum of two numbers and of two quotients, which have twice the digits together.
 *
 * @param first Its first {@linkcode EXACT_DIGITS} digits.
 * @param rest Those behind them.
 * @param shift 10 to the power of how many these are, 10 to 10,000.
 * @param divisor A power of ten, at most 10^22.
 * @returns NaN where it lies so near to the middle between two numbers that this can't tell.
 */
export function longDecimal(first: number, rest: number, shift: number, divisor: number): number {
  const product = first * shift;
  const low = lostBy(first, shift, product) + rest;
  const high = product + low;
  const behind = low - (high - product);
  const quotient = high / divisor;
  const back = quotient * divisor;
  const left = high - back - lostBy(quotient, divisor, back) + behind;
  const more = left / divisor;
  const rounded = quotient + more * (1 - UNSURE);
  return rounded === quotient + more * (1 + UNSURE) ? rounded : NaN;
}

/** More than what `more` above may be wrong by, as a share of it, which is below 10^-15. */
const UNSURE = 1e-9;

/** What a product of two numbers has lost by rounding, exactly (Dekker). */
function lostBy(a: number, b: number, product: number): number {
  const x = a * SPLIT;
  const y = b * SPLIT;
  const a1 = x - (x - a);
  const b1 = y - (y - b);
  const a2 = a - a1;
  const b2 = b - b1;
  return a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
}

/** Halves the digits of a number: 2^27 + 1. */
const SPLIT = 134_217_729;
