import assert from "node:assert/strict";
import { retryAt } from "./retry_after.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");

Deno.test("retryAt() believes every time to come, however far away", () => {
  const unix = (ms: number) => String((NOW + ms) / 1_000);
  const http = (ms: number) => new Date(NOW + ms).toUTCString();
  const vendor = "X-Vendor-Retry-At";
  const cases: [name: string, headers: Record<string, string>, waitMs: number | undefined][] = [
    ["no header", {}, undefined],
    ["seconds", { "Retry-After": "7" }, 7_000],
    ["an HTTP date", { "Retry-After": new Date(NOW + 9_000).toUTCString() }, 9_000],
    ["the vendor's Unix time", { [vendor]: unix(4_000) }, 4_000],
    ["the later of two", { "Retry-After": "2", [vendor]: unix(6_000) }, 6_000],
    ["a time that is past", { [vendor]: unix(-3_000) }, undefined],
    ["a day ahead", { [vendor]: unix(86_400_000) }, 86_400_000],
    ["five minutes and a second", { "Retry-After": "301" }, 301_000],
    ["an hour", { "Retry-After": "3600" }, 3_600_000],
    ["a list of one time said twice", { "Retry-After": "3, 3" }, 3_000],
    ["a list of different times", { "Retry-After": "3,7" }, 7_000],
    ["a list of dates", { "Retry-After": `${http(9_000)}, ${http(5_000)}` }, 9_000],
    ["an hour as a date", { "Retry-After": http(3_600_000) }, 3_600_000],
    // The API's clock is ahead, or behind: what counts is how far ahead of its own it says.
    [
      "a clock an hour ahead",
      { "Date": http(3_600_000), "Retry-After": http(3_609_000) },
      9_000,
    ],
    [
      "a clock an hour behind",
      { "Date": http(-3_600_000), "Retry-After": http(-3_600_000 + 9_000) },
      9_000,
    ],
    [
      "the vendor's time by a clock ahead",
      { "Date": http(3_600_000), [vendor]: unix(3_604_000) },
      4_000,
    ],
    ["a clock that is right", { "Date": http(0), [vendor]: unix(4_000) }, 4_000],
    // Whole seconds make a Date look up to a second late.
    ["a clock that is right within a second", { "Date": http(-900), [vendor]: unix(4_000) }, 4_000],
    ["a date that is none", { "Date": "now", "Retry-After": "7" }, 7_000],
    ["past beside sensible", { "Retry-After": "3", [vendor]: unix(-1_000) }, 3_000],
    ["a number without end", { "Retry-After": "9".repeat(400) }, 8.64e15 - NOW],
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
