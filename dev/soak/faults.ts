/**
 * @module soak/faults: how API and object store misbehave under fire, by seed: everything that the
 * program promises to survive, each rarely enough that no page fails for good.
 */

import type { Fault } from "../doubles/s3/server.ts";
import type { DoubleRequest } from "../doubles/s3/types.ts";
import type { ReadPage } from "../testing/read_page.ts";
import { type Answer, errorAnswer } from "../doubles/ocr/upstage_answer.ts";

/** Share of API requests and of store requests that go wrong. */
const API_SHARE = 0.08;
const STORE_SHARE = 0.03;

/** A whole number in `[from, to]`. */
export function between(random: () => number, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

const VENDOR = "x-upstage-ratelimit-retry-after-requests";

function throttle(headers: Record<string, string>): Answer {
  return errorAnswer(429, "too_many_requests", "slow down", headers);
}

/** Ways in which the API answers no page. The vendor's times are Unix times in seconds. */
const API_FAULTS: readonly ((page: ReadPage) => Answer)[] = [
  () => throttle({}),
  () => throttle({ "retry-after": "1" }),
  () => throttle({ [VENDOR]: `${Math.ceil(Date.now() / 1_000)}` }),
  () => throttle({ [VENDOR]: `${Math.floor(Date.now() / 1_000) - 30}` }),
  () => errorAnswer(500, "internal_server_error", "try again"),
  () => ({ kind: "http", status: 500, body: "" }),
  () => errorAnswer(503, "service_unavailable", "try again"),
  () => ({ kind: "http", status: 502, body: "<html>Bad gateway</html>" }),
  () => ({ kind: "reset" }),
  () => ({ kind: "reset" }),
  (page) => ({ kind: "truncated", page }),
  () => ({ kind: "http", status: 200, body: "<html>Maintenance</html>" }),
];

/** Makes an API misbehave: what it answers instead of a page; `undefined` where it works. */
export function apiFaults(
  random: () => number,
): (sha: string, page: ReadPage) => Answer | undefined {
  return (_sha, page) => {
    if (random() >= API_SHARE) return undefined;
    return API_FAULTS[between(random, 0, API_FAULTS.length - 1)](page);
  };
}

const STORE_FAULTS: readonly Fault[] = [
  { status: 503, code: "SlowDown" },
  { status: 500, code: "InternalError" },
  "reset",
  "reset_after",
  "short_body",
];

/** Makes an object store misbehave. */
export function storeFaults(random: () => number): (request: DoubleRequest) => Fault | undefined {
  return ({ method }) => {
    if (random() >= STORE_SHARE) return undefined;
    const fault = STORE_FAULTS[between(random, 0, STORE_FAULTS.length - 1)];
    return fault === "short_body" && method !== "GET" ? "reset" : fault;
  };
}
