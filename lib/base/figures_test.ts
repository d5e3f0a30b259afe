import assert from "node:assert/strict";
import { counted, dollars, duration, grouped, unitPrice } from "./figures.ts";

Deno.test("duration() is short and rounds before it divides", () => {
  const table: [seconds: number | null, text: string][] = [
    [null, "unknown"],
    [0, "0 s"],
    [0.4, "0 s"],
    [4.5, "5 s"],
    [59.4, "59 s"],
    [59.6, "1 min 00 s"],
    [185, "3 min 05 s"],
    [3_599.7, "1 h 00 min"],
    [9 * 3_600 + 15 * 60 + 59, "9 h 15 min"],
    [100 * 3_600, "100 h 00 min"],
  ];
  for (const [seconds, text] of table) assert.equal(duration(seconds), text);
});

Deno.test("numbers are grouped by thousands, dollars have cents, and more digits below one", () => {
  assert.deepEqual([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([0.5, 1_234.5678].map(grouped), ["0.5", "1,234.5678"]);
  assert.deepEqual([0, 0.5, 1, 2, 5_000].map((n) => counted(n, "page")), [
    ...["0 pages", "0.5 pages", "1 page", "2 pages", "5,000 pages"],
  ]);
  const table: [amount: number, text: string][] = [
    [0, "$0.00"],
    [0.0015, "$0.0015"],
    [0.009_99, "$0.01"],
    [0.015, "$0.02"],
    [150, "$150.00"],
    [1_234.5, "$1,234.50"],
    [999.999, "$1,000.00"],
  ];
  for (const [amount, text] of table) assert.equal(dollars(amount), text);
});

Deno.test("unitPrice() loses no part of a price that a thousand pages would show", () => {
  const table: [amount: number, text: string][] = [
    [0, "$0.00"],
    [0.000_65, "$0.00065"],
    [0.0015, "$0.0015"],
    [0.01, "$0.01"],
    [0.0125, "$0.0125"],
    [1.5, "$1.50"],
    [2_000, "$2,000.00"],
  ];
  for (const [amount, text] of table) assert.equal(unitPrice(amount), text);
});
