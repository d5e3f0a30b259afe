import assert from "node:assert/strict";
import { Company } from "./company.ts";

/** One that was surprised so many times, some seconds apart, at 10 requests/s. */
function surprised(times: number, everyMs = 1_000): Company {
  const company = new Company();
  for (let i = 0; i < times; i++) company.surprised(1, 10, i * everyMs);
  return company;
}

Deno.test("Company is there after refusals in a row, not after some now and then", () => {
  assert.equal(surprised(3).present, false, "a limit that drops");
  assert.equal(surprised(6).present, true);
  assert.equal(surprised(1_000, 60_000).present, false, "one in 600 requests");
});

Deno.test("Company gives way at a refusal, then takes ever more, and is alone after long", () => {
  const company = surprised(6);
  let now = 10_000;
  const low = company.refused(10, now);
  assert.ok(low < 10 && low > 9);
  let rate: number | undefined = low;
  const growth: number[] = [];
  for (;;) {
    const next: number | undefined = company.grown(rate!, 36, now += 3_600);
    if (next === undefined) break;
    growth.push(next / rate! - 1);
    rate = next;
  }
  assert.ok(growth[0] < 0.01, `${growth[0]} at first`);
  assert.ok(growth.every((share, i) => i === 0 || share > growth[i - 1]), "faster and faster");
  assert.ok(growth.every((share) => share <= 0.3 + 1e-9));
  assert.equal(growth.length, 11, "400 requests");
  assert.equal(company.present, false);
  company.surprised(1, 10, now);
  assert.equal(company.present, false, "the earlier ones are forgotten");
});
