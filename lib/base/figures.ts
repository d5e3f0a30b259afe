/**
 * @module base/figures: numbers as people read them: how long, how much, how many.
 */

/** `4 s`, `3 min 05 s`, `9 h 15 min`; `unknown` for null. @param seconds At least 0. */
export function duration(seconds: number | null): string {
  if (seconds === null) return "unknown";
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3_600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

/** A number as people type it: `3`, `0.5`, `.5`; NaN for anything else. */
export function parseNumber(text: string): number {
  return /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
}

/** `1,234,567`, `1,234.5678`. */
export function grouped(n: number): string {
  const [whole, ...rest] = String(n).split(".");
  return [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".");
}

/** `$0.02`, `$1,234.50`; below a cent `$0.0015`. @param amount US dollars, at least 0. */
export function dollars(amount: number): string {
  if (amount > 0 && amount < 0.01) return `$${Number(amount.toPrecision(2))}`;
  const [whole, cents] = (Math.round(amount * 100 + 1e-6) / 100).toFixed(2).split(".");
  return `$${grouped(Number(whole))}.${cents}`;
}

/** What one of something costs, to a ten-thousandth of a cent: `$0.0015`, `$0.0125`, `$1.50`. */
export function unitPrice(amount: number): string {
  const [whole, digits] = amount.toFixed(6).split(".");
  return `$${grouped(Number(whole))}.${digits.replace(/0{1,4}$/, "")}`;
}

/** A number of things: `1 row`, `1,234 rows`. @param what One of them; an "s" makes it many. */
export function counted(n: number, what: string): string {
  return `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;
}

/** Minutes with their unit, to a tenth: `1 minute`, `2.5 minutes`. @param ms Milliseconds. */
export function minutes(ms: number): string {
  return counted(Math.round(ms / 6_000) / 10, "minute");
}
