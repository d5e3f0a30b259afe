import assert from "node:assert/strict";
import { encodeInput, fakeImage, inputRow, queryParquet } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import job from "../../batch-job-def.json" with { type: "json" };
import { systemClock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { JOB_TIMEOUT_S } from "./aws_price.ts";
import { type Depth, findOutset } from "./outset.ts";
import { planDataset } from "./plan.ts";
import type { Plan } from "./plan_types.ts";
import { renderPlan, renderPlanBrief } from "./plan_text.ts";

/** A data set whose requests are counted. */
class Bench {
  readonly store = new MemoryStore("s3://memory");
  /** Operations with their keys. */
  readonly requests: string[] = [];

  constructor() {
    this.store.before = (operation, key) => void this.requests.push(`${operation} ${key}`);
  }

  async rows(...paths: string[]): Promise<void> {
    const rows = paths.map((image_path, n) => inputRow(n, { image_path }));
    this.store.put("data/processed/demo.parquet", await encodeInput(rows));
  }

  count(operation: string, prefix: string): number {
    return this.requests.filter((one) => one.startsWith(`${operation} ${prefix}`)).length;
  }

  async plan(args = "", depth: Depth = "looks"): Promise<Plan> {
    this.requests.length = 0;
    const options = {
      settings: settingsOf(["--dataset-name", "demo", ...args.split(" ").filter(Boolean)]),
      ...{ store: this.store, images: { local: this.store }, server: "https://api" },
      ...{ priceGiven: args.includes("--price"), batchJobId: null, clock: systemClock, depth },
      ...{ onProgress: () => {}, stop: new AbortController().signal },
    };
    const plan = await planDataset(options, await findOutset(options));
    assert.deepEqual(this.requests.filter((one) => /^(write|remove)/.test(one)), []);
    return plan;
  }
}

const TOO_LARGE = new Uint8Array(52_428_801);

/** Twelve images: equal, missing, empty, too large and foreign ones among them. */
async function mixed(large: Uint8Array<ArrayBuffer> = new Uint8Array()): Promise<Bench> {
  const bench = new Bench();
  const paths = Array.from({ length: 12 }, (_, n) => `images/${n}.png`);
  await bench.rows(...paths, "images/0.png");
  for (const [n, path] of paths.entries()) bench.store.put(path, fakeImage(`image ${n}`));
  bench.store.put("images/1.png", fakeImage("image 0"));
  await bench.store.remove("images/2.png");
  bench.store.put("images/3.png", new Uint8Array());
  bench.store.put("images/4.png", large);
  bench.store.put("images/5.png", "<html>no</html>");
  bench.store.put("images/6.png", "%PDF-1.7");
  return bench;
}

Deno.test("plan: images are told apart by a listing and their first kilobyte", async () => {
  const bench = await mixed(TOO_LARGE);
  const plan = await bench.plan();
  assert.deepEqual(plan.rows, { total: 13, done: 0, retried: 0, to_do: 13 });
  assert.deepEqual(plan.images, {
    ...{ distinct: 12, missing: 1, denied: 0, unreadable: 0, empty: 1, too_large: 1, unknown: 0 },
    ...{ equal: 2, types_looked_at: 10, other_types: 2, documents: 1 },
  });
  // Nine usable images, two of them equal; two of the ten looked at are none, the too large one
  // too.
  assert.deepEqual(plan.pages, { likely: 6, at_most: 8 });
  assert.deepEqual(plan.cost, { likely: 0.009, at_most: 0.012 });
  assert.deepEqual(plan.rate, { per_s: 3, source: "documented" });
  assert.equal(bench.count("list", "images/"), 1);
  assert.equal(bench.count("read", "images/"), 10, "the missing and the empty one need no look");
  const lists = await bench.plan("", "lists");
  assert.equal(bench.count("read", "images/"), 0);
  assert.deepEqual(lists.pages, { likely: 8, at_most: 8 });
});

Deno.test("plan --read counts contents and stored answers exactly", async () => {
  const bench = await mixed(TOO_LARGE);
  const plan = await bench.plan("", "reads");
  assert.equal(plan.exact, true);
  assert.deepEqual([plan.images.missing, plan.images.empty, plan.images.too_large], [1, 1, 1]);
  // 0 = 1, 6, 7, 8, 9, 10, 11
  assert.deepEqual(plan.pages, { likely: 7, at_most: 7 });
  const image = bench.store.objects.get("images/7.png")!;
  const sha = new Uint8Array(await crypto.subtle.digest("SHA-256", image)).toHex();
  bench.store.put(`responses/upstage-ocr/ocr/${sha.slice(0, 2)}/${sha}.json.gz`, "there");
  const after = await bench.plan("", "reads");
  assert.deepEqual([after.answers_stored, after.pages.likely], [1, 6]);
});

Deno.test("plan: of 100,000 rows no image body is read, and requests are hundreds", async () => {
  const bench = new Bench();
  const rows = 100_000;
  const query =
    `SELECT 'r' || i AS id, 'images/' || i || '.png' AS image_path FROM range(${rows}) t(i)`;
  bench.store.put("data/processed/demo.parquet", await queryParquet(query));
  const image = fakeImage("one"); // all of them are equal
  for (let n = 0; n < rows; n++) if (n % 10 > 0) bench.store.objects.set(`images/${n}.png`, image);
  const plan = await bench.plan();
  assert.deepEqual([plan.images.missing, plan.images.unknown], [10_000, 0]);
  assert.equal(plan.pages.likely, 1, "equal images cost one page");
  assert.equal(bench.count("list", "images/"), 1); // a request for each thousand, in a bucket
  assert.ok(bench.count("read", "images/") <= 1_000);
});

Deno.test("plan: where listing is denied or not worth it, some images are looked at one by one", async () => {
  const bench = await mixed();
  const inner = bench.store.before;
  bench.store.before = async (operation, key) => {
    await inner(operation, key);
    if (operation === "list" && key.startsWith("images/")) throw new StoreError("denied", "no");
    if (operation === "read" && key === "images/9.png") throw new StoreError("denied", "no");
    if (operation === "read" && key === "images/8.png") throw new StoreError("archived", "no");
  };
  const { images, pages } = await bench.plan();
  const { missing, denied, unreadable, unknown } = images;
  assert.deepEqual([missing, denied, unreadable, unknown], [1, 1, 1, 0]);
  assert.deepEqual(pages.at_most, 6);
  bench.store.before = () => {};
  await bench.rows("images/0.png", "images/7.png"); // two are not worth a listing
  const few = await bench.plan();
  assert.deepEqual(few.notes, []);
  assert.deepEqual([few.images.unknown, few.pages.likely], [0, 2]);
});

Deno.test("plan: rate, limit and time are those that the run would go by", async () => {
  const bench = await mixed();
  const at = systemClock.now();
  const learnt = { rate: 7, ceiling: null, latency_ms: 2_000, at, server: "https://api" };
  const text = async (args: string) => renderPlan(await bench.plan(args), 200).join("\n");
  bench.store.put("rates/upstage-ocr/ocr.json", JSON.stringify(learnt));
  assert.deepEqual((await bench.plan()).rate, { per_s: 7, source: "learnt" });
  assert.deepEqual((await bench.plan("--concurrency 2")).rate, { per_s: 1, source: "given" });
  assert.deepEqual((await bench.plan("--rate 0.5")).rate, { per_s: 0.5, source: "given" });
  assert.equal((await bench.plan("--rate 0.5")).seconds, 14);
  const other = JSON.stringify({ ...learnt, server: "https://other" });
  bench.store.put("rates/upstage-ocr/ocr.json", other);
  assert.equal((await bench.plan()).rate.source, "documented");
  assert.match(
    await text("--max-pages 4"),
    /4 pages left of --max-pages 4: .* exit code 8, 3 pages/,
  );
  assert.match(await text("--max-cost 5"), /enough/);
  assert.match(
    await text("--price-per-page 2"),
    /\$14.00 at \$2.00 a page \(as given\); AWS about \$/,
  );
  const slow = await bench.plan("--request-delay-ms 600000 --price-per-page 1");
  assert.deepEqual([slow.job.attempts, slow.seconds], [1, 4_200]);
  assert.equal(JOB_TIMEOUT_S, job.timeout.attemptDurationSeconds);
});

Deno.test("plan: what would end the run at once ends the plan alike", async () => {
  const bench = new Bench();
  await assert.rejects(bench.plan(), /demo.parquet does not exist/);
  await bench.rows("a.png", "https://x/y.png");
  await assert.rejects(bench.plan(), /row 1 .*image_path must be/);
  await bench.rows("a.png", "b.png");
  assert.match((await bench.plan()).notes.join(), /the run would end with exit code 3/);
  assert.deepEqual((await bench.plan("--no-guard")).notes, []);
});

Deno.test("plan: its lines fit a terminal of any width", async () => {
  const bench = await mixed();
  const plan = await bench.plan("--max-cost 0.003");
  for (const columns of [40, 60, 80, 200]) {
    for (const line of [...renderPlan(plan, columns), ...renderPlanBrief(plan, columns)]) {
      const fits = line.length <= columns || line.includes("://"); // URLs stay whole
      assert.ok(fits, `${line.length} of ${columns}: ${line}`);
    }
  }
  assert.equal(renderPlanBrief(plan, 200).length, 3);
});

Deno.test("planDataset() says what other engines may cost, which nobody knows before", async () => {
  const bench = new Bench();
  await bench.rows("images/0.png", "images/1.png");
  for (const n of [0, 1]) bench.store.put(`images/${n}.png`, fakeImage(`image ${n}`));
  const alone = await bench.plan();
  assert.ok(!alone.notes.some((note) => /--fallback/.test(note)));
  const plan = await bench.plan("--fallback upstage-ocr:other");
  assert.deepEqual(plan.cost, alone.cost);
  const note = plan.notes.find((note) => /--fallback/.test(note));
  assert.match(note ?? "", /go to upstage-ocr\/other.*at most \$0\.003 more|at most \$0\.00/);
});
