/**
 * @module engine/retry_after: when an API itself wants to be asked again.
 */

/** Clocks that differ by less are taken for equal: headers hold whole seconds. Milliseconds. */
const SKEW_MS = 2_000;
/** The last time that a date can hold, milliseconds since the epoch. */
const LAST_DATE = 8.64e15;

/**
 * When a request may be tried again, in milliseconds since the epoch and after `now`: the latest of
 * `Retry-After` (seconds or an HTTP date, once or several times) and the vendor's own headers.
 * `undefined` where none names a time to come. However far away it is, it is what the API asks for:
 * what is too far for the run is for others to decide.
 *
 * A clock that differs from the API's doesn't matter: times are read against the reply's own
 * `Date`.
 *
 * @param unixTimes Names of headers that hold Unix times in seconds.
 */
export function retryAt(
  headers: Headers,
  now: number,
  unixTimes: readonly string[] = [],
): number | undefined {
  const theirs = Date.parse(headers.get("date") ?? "");
  const skew = Math.abs(theirs - now) > SKEW_MS ? theirs - now : 0;
  const times = [
    ...unixTimes.flatMap((name) => numbers(headers.get(name) ?? "")).map((s) => s * 1_000 - skew),
    ...retryAfter(headers.get("retry-after") ?? "", now, skew),
  ];
  const latest = Math.min(LAST_DATE, Math.max(...times.filter((time) => time > now)));
  return latest > now ? latest : undefined;
}

/** The times of `Retry-After`, of which proxies make lists. */
function retryAfter(text: string, now: number, skew: number): number[] {
  const dates = text.match(/[A-Za-z]+, [^,]+? GMT/g) ?? [];
  return [
    ...dates.map((date) => Date.parse(date) - skew),
    ...numbers(text).map((seconds) => now + seconds * 1_000),
  ];
}

/** The parts of a list that are numbers, as they are written in headers. */
function numbers(text: string): number[] {
  return text.split(",").map((part) => part.trim()).filter((part) => /^\d+(\.\d+)?$/.test(part))
    .map(Number);
}
