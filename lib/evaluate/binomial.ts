/**
 * @module evaluate/binomial: what counts of errors say of the share of errors that they come from:
 * bounds and intervals of a binomial. Pure.
 */

/** Logarithm of the gamma function, x > 0 (Lanczos, g = 7; relative error below 1e-14). */
function logGamma(x: number): number {
  let sum = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i] / (x - 1 + i);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}
const LANCZOS = [
  0.99999999999980993,
  676.5203681218851,
  -1259.1392167224028,
  771.32342877765313,
  -176.61502916214059,
  12.507343278686905,
  -0.13857109526572012,
  9.9843695780195716e-6,
  1.5056327351493116e-7,
];

/**
 * Regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz), as in
 * Numerical Recipes 6.4. It is P(Bin(n, x) ≥ k) for a = k, b = n − k + 1.
 *
 * @param a Greater than 0.
 * @param b Greater than 0.
 * @param x 0 to 1.
 */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  ) / a;
  const tiny = 1e-300;
  const away = (value: number) => Math.abs(value) < tiny ? tiny : value;
  let c = 1;
  let d = 1 / away(1 - (a + b) * x / (a + 1));
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = m * (b - m) * x / ((a - 1 + 2 * m) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 1 + 2 * m));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return front * fraction;
}

/**
 * One-sided upper bound of Clopper and Pearson: the share of errors p at which so few errors, or
 * fewer, would come up with probability `risk` only, P(Bin(n, p) ≤ k) = risk.
 *
 * @param errors Whole, 0 to `n`.
 * @param n Whole.
 * @param risk 0 to 1, exclusive.
 * @returns 1 where nothing can be said.
 */
export function upperBound(errors: number, n: number, risk: number): number {
  if (n === 0 || errors >= n) return 1;
  let [low, high] = [errors / n, 1];
  for (let i = 0; i < 60; i++) {
    const p = (low + high) / 2;
    if (1 - incompleteBeta(errors + 1, n - errors, p) > risk) low = p;
    else high = p;
  }
  return high;
}

/**
 * How many words without a single error it takes to have a bound of `target`; 149 for 2 % at 95 %.
 */
export function leastSample(target: number, risk: number): number {
  return Math.ceil(Math.log(risk) / Math.log1p(-target) - 1e-9);
}

/** Wilson's interval for a share of `right` in `n`, at 95 %. */
export function wilson(right: number, n: number): readonly [low: number, high: number] {
  if (n === 0) return [0, 1];
  const z = 1.959963984540054;
  const share = right / n;
  const middle = share + z * z / (2 * n);
  const half = z * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  const all = 1 + z * z / n;
  return [Math.max(0, (middle - half) / all), Math.min(1, (middle + half) / all)];
}
