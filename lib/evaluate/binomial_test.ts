import assert from "node:assert/strict";
import fc from "fast-check";
import { incompleteBeta, leastSample, upperBound, wilson } from "./binomial.ts";

/** P(Bin(n, p) ≤ k), summed term by term; by logarithms, as the first terms may be 1e-320. */
function atMost(k: number, n: number, p: number): number {
  let [term, sum] = [n * Math.log1p(-p), 0];
  for (let i = 0; i <= k; i++) {
    sum += Math.exp(term);
    term += Math.log((n - i) / (i + 1)) + Math.log(p / (1 - p));
  }
  return sum;
}

function near(actual: number, expected: number, within = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, not ${expected}`);
}

Deno.test("incompleteBeta() is the binomial's upper tail", () => {
  near(incompleteBeta(2, 3, 0.4), 0.5248, 1e-12); // Abramowitz and Stegun 26.5
  const whole = fc.integer({ min: 1, max: 300 });
  fc.assert(
    fc.property(whole, whole, fc.double({ min: 0.01, max: 0.9, noNaN: true }), (k, m, p) => {
      const n = k + m;
      near(incompleteBeta(k, n - k + 1, p), 1 - atMost(k - 1, n, p));
    }),
  );
});

Deno.test("upperBound() is the share at which so few errors come up with just that probability", () => {
  const whole = fc.integer({ min: 0, max: 60 });
  fc.assert(fc.property(whole, fc.integer({ min: 1, max: 400 }), (errors, more) => {
    const n = errors + more;
    near(atMost(errors, n, upperBound(errors, n, 0.05)), 0.05, 1e-7);
  }));
  assert.equal(upperBound(0, 0, 0.05), 1);
  assert.equal(upperBound(7, 7, 0.05), 1);
});

Deno.test("to certify 2 % at 95 % it takes 149 words without an error, 236 with one, 523 with five", () => {
  assert.equal(leastSample(0.02, 0.05), 149);
  assert.equal(leastSample(0.01, 0.05), 299);
  for (const [errors, n] of [[0, 149], [1, 236], [2, 313], [5, 523]]) {
    assert.ok(upperBound(errors, n, 0.05) <= 0.02, `${errors} in ${n}`);
    assert.ok(upperBound(errors, n - 1, 0.05) > 0.02, `${errors} in ${n - 1}`);
  }
});

Deno.test("wilson() keeps within 0 and 1, and is what textbooks have", () => {
  const [low, high] = wilson(81, 263); // Newcombe 1998, method 3
  near(low, 0.2553, 5e-5);
  near(high, 0.3662, 5e-5);
  assert.deepEqual(wilson(0, 0), [0, 1]);
  assert.equal(wilson(0, 20)[0], 0);
  assert.equal(wilson(20, 20)[1], 1);
});
