/**
 * @module prepare/fetch_image: an image by its https address. Whatever is wrong with one is that
 * image's trouble; what came is an image only when its header says so.
 */

import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { followSignals } from "../base/halt.ts";
import { oneLine } from "../base/text.ts";

/** Tries of one address. */
const TRIES = 4;
/** Time for one try with its body, milliseconds. */
const TIMEOUT_MS = 60_000;
/** Redirects that are followed. */
const REDIRECTS = 5;
/** What a server may ask to wait at most, milliseconds; a longer time is a refusal. */
const LONGEST_WAIT_MS = 60_000;

/** What {@linkcode fetchImage} works with. */
export interface FetchOptions {
  /** A longer body is not read. */
  readonly maxBytes: number;
  /** Cancels it; the signal's reason is thrown. */
  readonly signal: AbortSignal;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
}

/** The bytes, or why there are none. */
export type Fetched =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly problem?: undefined }
  | { readonly bytes?: undefined; readonly problem: string };

/** Whether an address may be fetched: https, or http to this very machine; without credentials. */
export function isFetchable(address: string): boolean {
  const url = URL.parse(address);
  if (!url || url.username || url.password) return false;
  const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === "https:" || url.protocol === "http:" && loopback;
}

/** Gets an image. Tries again where that may help. */
export async function fetchImage(address: string, options: FetchOptions): Promise<Fetched> {
  const { signal, clock, random } = options;
  for (let tries = 1;; tries++) {
    const { waitMs, ...result } = await fetchOnce(address, options);
    if (waitMs === undefined || waitMs > LONGEST_WAIT_MS || tries === TRIES) {
      return result as Fetched;
    }
    await clock.sleep(Math.max(waitMs, backoffMs(tries, random)), signal);
  }
}

/** One try; `waitMs` where another one may help, after so long at least. */
async function fetchOnce(
  address: string,
  { maxBytes, signal }: FetchOptions,
): Promise<{ bytes?: Uint8Array<ArrayBuffer>; problem?: string; waitMs?: number }> {
  using halt = followSignals(signal);
  const timer = setTimeout(() => halt.controller.abort(new Error("it took too long")), TIMEOUT_MS);
  try {
    let url = address;
    for (let hops = 0; hops <= REDIRECTS; hops++) {
      const response = await fetch(url, { redirect: "manual", signal: halt.signal });
      const target = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && target !== null) {
        await response.body?.cancel();
        const next = URL.parse(target, url)?.href;
        if (!next || !isFetchable(next)) {
          return { problem: "it leads to an address that is not https" };
        }
        url = next;
        continue;
      }
      if (!response.ok) {
        await response.body?.cancel();
        const problem = `the server answers ${response.status}`;
        const again = response.status === 429 || response.status >= 500;
        const seconds = Number(response.headers.get("retry-after") ?? 0);
        return again ? { problem, waitMs: (seconds || 0) * 1_000 } : { problem };
      }
      return await readBody(response, maxBytes);
    }
    return { problem: `it is redirected more than ${REDIRECTS} times` };
  } catch (error) {
    signal.throwIfAborted();
    return { problem: oneLine(error instanceof Error ? error.message : `${error}`), waitMs: 0 };
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(
  response: Response,
  maxBytes: number,
): Promise<{ bytes?: Uint8Array<ArrayBuffer>; problem?: string }> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    length += piece.length;
    if (length > maxBytes) return { problem: `it has more than the ${maxBytes} bytes allowed` };
    pieces.push(piece);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes };
}
