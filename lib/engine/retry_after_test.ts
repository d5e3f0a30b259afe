import assert from "node:assert/strict";
import { MAX_THROTTLE_MS, retryAt } from "./retry_after.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");

Deno.test("retryAt() believes a sensible time and nothing else", () => {
  const unix = (ms: number) => String((NOW + ms) / 1_000);
  const vendor = "X-Vendor-Retry-At";
  const cases: [name: string, headers: Record<string, string>, waitMs: number | undefined][] = [
    ["no header", {}, undefined],
    ["seconds", { "Retry-After": "7" }, 7_000],
    ["an HTTP date", { "Retry-After": new Date(NOW + 9_000).toUTCString() }, 9_000],
    ["the vendor's Unix time", { [vendor]: unix(4_000) }, 4_000],
    ["the later of two", { "Retry-After": "2", [vendor]: unix(6_000) }, 6_000],
    ["a time that is past", { [vendor]: unix(-3_000) }, undefined],
    ["a skewed clock", { [vendor]: unix(86_400_000) }, undefined],
    ["past beside sensible", { "Retry-After": "3", [vendor]: unix(-1_000) }, 3_000],
    ["more than the longest pause", { "Retry-After": `${MAX_THROTTLE_MS}` }, undefined],
    ["no time at all", { "Retry-After": "soon" }, undefined],
    ["zero", { "Retry-After": "0" }, undefined],
  ];
  for (const [name, headers, wait] of cases) {
    assert.equal(
      retryAt(new Headers(headers), NOW, ["x-vendor-retry-at"]),
      wait && NOW + wait,
      name,
    );
  }
});
