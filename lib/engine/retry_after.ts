/**
 * @module engine/retry_after: when an API itself wants to be asked again.
 */

/** A pause that an API asks for is believed up to this length, milliseconds. */
export const MAX_THROTTLE_MS = 5 * 60_000;

/**
 * When a throttled request may be tried again, in milliseconds since the epoch: the latest of
 * `Retry-After` (seconds or an HTTP date) and the vendor's own headers, as far as they make sense:
 * a time that is past (a skewed clock) or more than {@linkcode MAX_THROTTLE_MS} ahead does not
 * count. `undefined` without a sensible one.
 *
 * @param unixTimes Names of headers that hold Unix times in seconds.
 */
export function retryAt(
  headers: Headers,
  now: number,
  unixTimes: readonly string[] = [],
): number | undefined {
  const candidates = unixTimes.map((name) => Number(headers.get(name) ?? NaN) * 1_000);
  const plain = headers.get("retry-after")?.trim();
  if (plain) {
    candidates.push(/^\d+(\.\d+)?$/.test(plain) ? now + Number(plain) * 1_000 : Date.parse(plain));
  }
  const sensible = candidates.filter((time) => time > now && time <= now + MAX_THROTTLE_MS);
  return sensible.length > 0 ? Math.max(...sensible) : undefined;
}
