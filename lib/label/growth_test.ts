import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CHECKPOINTS,
  DATASET,
  INPUT,
  itemsOf,
  ledgerPages,
  sha256,
  storedAnswers,
  storedPages,
} from "../../dev/soak/data.ts";
import { connectTo } from "../../dev/testing/connection.ts";
import { encodeInput, fakeImage, inputRow, readFake } from "../../dev/testing/fixtures.ts";
import { SILENT_REPORTER } from "../../dev/testing/fixtures.ts";
import { jobOn } from "../../dev/testing/job.ts";
import { MemoryStore, type Operation } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { systemClock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import type { InputRow } from "../dataset/row.ts";
import { encodeRows } from "../dataset/output_write.ts";
import { readFooter, readRows } from "../dataset/output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { CHECKPOINT_FOOTER_KEY, type Ledger, type Manifest } from "../state/documents.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { settleManifest } from "../state/manifest.ts";
import { run, type RunSummary } from "./job.ts";
import { rebuild } from "./rebuild.ts";
import { verify } from "./verify.ts";

const BATCH = 4;
const WRITES: readonly Operation[] = ["write", "writeParts", "remove"];

/** What happens at an operation of the store: the process dies, or the operation fails. */
type Trouble = "killed" | "fails";

/** A data set whose input and images change between processes, and what it must come to. */
class Nights {
  readonly store = new MemoryStore();
  rows: InputRow[] = [];
  notes: string[] = [];
  /** Operations of the last process. */
  operations: { readonly operation: Operation; readonly key: string }[] = [];
  /** Pages billed. */
  billed = 0;
  /** Pages billed whose answer was not stored. */
  unsaved = 0;
  /** What lies at each path: the name of an image. */
  readonly images = new Map<string, string>();
  /** What a row was made of when it was made last, by id and path. */
  readonly #made = new Map<string, string>();
  readonly #everAsked = new Set<string>();
  readonly #api: UpstageServer;
  #hours = 0;
  #added = 0;

  constructor(api: UpstageServer) {
    this.#api = api;
  }

  /** The same once more, as if nothing had happened since. */
  copy(): Nights {
    const copy = new Nights(this.#api);
    for (const [key, bytes] of this.store.objects) copy.store.put(key, bytes);
    copy.rows = [...this.rows];
    for (const [path, name] of this.images) copy.images.set(path, name);
    for (const [row, name] of this.#made) copy.#made.set(row, name);
    for (const image of this.#everAsked) copy.#everAsked.add(image);
    [copy.billed, copy.#hours, copy.#added] = [this.billed, this.#hours, this.#added];
    return copy;
  }

  /** New rows, each with an image of its own unless a name is given. */
  add(n: number, at = this.rows.length, name?: string): void {
    const rows = Array.from({ length: n }, () => {
      const number = this.#added++;
      const row = inputRow(0, {
        id: `row-${number}`,
        image_path: `images/${number % 3}/${number}.png`,
      });
      this.put(row.image_path, name ?? `image ${number}`);
      return row;
    });
    this.rows.splice(at, 0, ...rows);
  }

  /** Puts an image into its place; without a name takes it away. */
  put(path: string, name: string | undefined): void {
    if (name === undefined) {
      this.images.delete(path);
      this.store.objects.delete(path);
    } else {
      this.images.set(path, name);
      this.store.put(path, fakeImage(name));
    }
  }

  /** Runs a process on the rows as they are. */
  async process(
    { trouble, at = Infinity, args = "", job = run }: {
      trouble?: Trouble;
      at?: number;
      args?: string;
      job?: typeof run;
    } = {},
  ): Promise<{ came: boolean; error?: unknown; summary?: RunSummary }> {
    this.store.put(INPUT, await encodeInput(this.rows.map((row, index) => ({ ...row, index }))));
    this.operations = [];
    this.notes = [];
    let came = false;
    let steps = 0;
    const dead = () => new Error("the process is dead");
    const store = new WrappedStore(this.store, async (operation, key, work) => {
      if (came && trouble === "killed") throw dead();
      this.operations.push({ operation, key });
      // That a look fails is a matter of its own: see the steps of a run without growth.
      if (trouble === "killed" || WRITES.includes(operation)) steps++;
      if (came || !trouble || steps < at) return await work();
      came = true;
      throw trouble === "killed" ? dead() : new StoreError("unavailable", "as the test wants it");
    });
    const later = 3_600_000 * ++this.#hours; // nobody waits for the lease of a dead process
    const clock = { now: () => systemClock.now() + later, sleep: systemClock.sleep };
    this.store.clock = clock.now;
    const paid = this.#api.billedPages;
    const stored = storedAnswers(this.store.objects).size;
    const words = `--dataset-name ${DATASET} --batch-size ${BATCH} --request-delay-ms 0 ` +
      `--concurrency 2 --rate 1000 --max-outage-minutes 0 --no-guard ${args}`;
    const connection = await connectTo(this.#api.url, { clock });
    const settings = settingsOf(words.trim().split(" "));
    const watcher = { ...SILENT_REPORTER, note: (message: string) => this.notes.push(message) };
    const ended = await job(jobOn({ settings, store, connection, clock, watcher }))
      .then((summary) => ({ summary }), (error) => ({ error }));
    const pages = this.#api.billedPages - paid;
    this.billed += pages;
    this.unsaved += pages - (storedAnswers(this.store.objects).size - stored);
    return { came, ...ended };
  }

  /** A process that ends well, after which everything is as it must be. */
  async night(args = ""): Promise<RunSummary> {
    const { error, summary } = await this.process({ args });
    assert.equal(error, undefined);
    await this.check();
    return summary!;
  }

  /** What an image is made of, for each row of the input; undefined where there is nothing. */
  #expected(): (string | undefined)[] {
    return this.rows.map(({ id, image_path }) =>
      this.images.get(image_path) ?? this.#made.get(`${id} ${image_path}`)
    );
  }

  async check(): Promise<void> {
    const { objects } = this.store;
    const items = await itemsOf(objects);
    const expected = this.#expected();
    assert.deepEqual(items.map(({ id }) => id), this.rows.map(({ id }) => id));
    items.forEach((item, i) => {
      const row = this.rows[i];
      const { split, image_path, image_filename, metadata } = item;
      const given = JSON.parse(metadata.input_metadata!).input_metadata; // a fixture's struct
      assert.deepEqual(
        [split, image_path, image_filename, given],
        [row.split, row.image_path, row.image_filename, row.metadata],
      );
      const name = expected[i];
      if (name === undefined) return assert.equal(metadata.error_code, "image_not_found");
      const { width, height, words } = readFake(fakeImage(name));
      assert.deepEqual([item.width, item.height], [row.width || width, row.height || height]);
      assert.deepEqual(item.texts, words.map(({ text }) => text));
      assert.equal(metadata.image_sha256, sha256(fakeImage(name)));
      this.#made.set(`${row.id} ${row.image_path}`, name);
      this.#everAsked.add(sha256(fakeImage(name)));
    });
    for (const answer of storedAnswers(objects)) this.#everAsked.add(answer);
    assert.equal(this.billed, this.#everAsked.size + this.unsaved, "paid twice for no reason");
    const most = storedPages(objects) + Math.max(0, this.unsaved);
    assert.ok(ledgerPages(objects) <= most, "the ledger bills too much");
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", DATASET]);
    const report = (finding: unknown) => findings.push(finding);
    await verify(this.store, settings, report, new AbortController().signal);
    assert.deepEqual(findings, []);
    const batches = [...objects.keys()].filter((key) => /batch_\d+\.parquet$/.test(key));
    assert.equal(batches.length, Math.ceil(this.rows.length / BATCH), batches.join());
  }

  /** Makes checkpoints such as versions wrote that kept no marks. */
  async forgetMarks(): Promise<void> {
    for (const [key, bytes] of this.store.objects) {
      if (!/batch_\d+\.parquet$/.test(key)) continue;
      const source = memorySource(key, bytes);
      const { keyValues: { [CHECKPOINT_FOOTER_KEY]: own } } = await readFooter(source);
      const rows = await Array.fromAsync(readRows(source));
      const keyValues = { [CHECKPOINT_FOOTER_KEY]: own };
      this.store.put(key, await encodeRows(rows, { keyValues }));
    }
  }

  /** Times that the last process did this to objects whose key matches. */
  times(wanted: Operation, pattern: RegExp): number {
    return this.operations.filter(({ operation, key }) => operation === wanted && pattern.test(key))
      .length;
  }

  get manifest(): Manifest {
    const bytes = this.store.objects.get(`${CHECKPOINTS}manifest.json`);
    return JSON.parse(new TextDecoder().decode(bytes));
  }
}

async function withNights(work: (begin: () => Nights) => Promise<void>): Promise<void> {
  await using api = await startUpstageServer({
    answer: ({ bytes }) => ({ kind: "page", page: readFake(bytes) }),
  });
  await work(() => new Nights(api));
}

Deno.test("a row that stays is taken over without its image and its answer; what changed is made", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(9);
    nights.add(1, 9, "image 2"); // the twin of another one
    await nights.night();
    const spent = nights.billed;
    assert.equal(spent, 9);
    const [first] = nights.rows;
    nights.rows[0] = { ...first, split: "test", width: 12, metadata: '{"a":1}' };
    nights.put(nights.rows[4].image_path, "another page");
    nights.put(nights.rows[5].image_path, "image 8"); // paid for already
    nights.put(nights.rows[7].image_path, undefined); // gone
    nights.rows.splice(2, 1); // removed: the row that paid for its twin's answer
    nights.add(2, 3);
    const summary = await nights.night();
    assert.equal(nights.billed, spent + 3);
    assert.deepEqual(nights.notes, [
      "the input has changed: 6 of 11 rows are taken over, 2 are new, " +
      "2 have images that changed, 1 has an image that is gone, 1 was removed",
      nights.notes[1],
    ]);
    assert.match(nights.notes[1], /^row 'row-7' keeps its labels, though .* does not exist$/);
    // Two new ones, two changed ones; the one that is gone is looked for.
    assert.equal(nights.times("read", /^images\//), 5);
    assert.equal(summary.tally.reused, 8);
    assert.equal(summary.tally.billedPages, 3);
    assert.equal(ledgerPages(nights.store.objects), 12);
    const { generation, inputs, run_id, input } = nights.manifest;
    assert.deepEqual([generation, inputs?.length, inputs?.[0].rows, input.rows], [2, 1, 10, 11]);
    assert.notEqual(inputs?.[0].run_id, run_id);
    // Nothing is left to do, and nothing of what was.
    assert.equal((await nights.process()).summary?.alreadyComplete, true);
    const looks = ["read", "stat", "list"] as const;
    const looked = looks.map((look) => nights.times(look, /./));
    assert.equal(nights.operations.length, looked.reduce((sum, n) => sum + n));
  });
});

Deno.test("images that are replaced in place are noticed when the same input is run again", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(9);
    await nights.night();
    nights.put(nights.rows[4].image_path, "another page");
    nights.put(nights.rows[5].image_path, undefined); // gone: nobody misses it
    const summary = await nights.night();
    assert.deepEqual(nights.notes.slice(0, 2), [
      "1 row has an image that was replaced since it was read",
      "images have changed: 7 of 9 rows are taken over, 1 has an image that changed, " +
      "1 has an image that is gone",
    ]);
    assert.deepEqual([summary.tally.billedPages, nights.manifest.generation], [1, 2]);
    assert.equal((await nights.process()).summary?.alreadyComplete, true);
    // Written again, and as it was: it is read to be sure, and that is all.
    nights.put(nights.rows[3].image_path, nights.images.get(nights.rows[3].image_path));
    assert.equal((await nights.process()).summary?.alreadyComplete, true);
    assert.match(nights.notes[0], /^1 row has .* another version, and 1 image .* has not changed:/);
    assert.deepEqual([nights.times("read", /^images\//), nights.manifest.generation], [1, 2]);
  });
});

Deno.test("an image that has changed and can't be read is a failed row, not its predecessor's labels", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(6);
    await nights.night();
    const [denied, changed] = nights.rows.slice(2).map(({ image_path }) => image_path);
    nights.put(changed, "another page");
    nights.add(1);
    nights.store.before = (operation, key) => {
      if (operation !== "read" || (key !== denied && key !== changed)) return;
      throw new StoreError("denied", `Cannot read ${key}: 403`);
    };
    const { summary } = await nights.process();
    nights.store.before = () => {};
    assert.deepEqual(summary?.counts.failures, { image_denied: 1 });
    const row = (await itemsOf(nights.store.objects))[3];
    assert.deepEqual(row.texts, []);
    assert.match(row.metadata.error_message!, /403; what was read before was another image$/);
    await nights.night("--retry-failed");
  });
});

Deno.test("rows are taken over in any order, and without their answers where these are gone", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(40);
    await nights.night();
    for (const order of ["reversed", "scattered"]) {
      if (order === "reversed") nights.rows.reverse();
      else nights.rows.sort((a, b) => sha256(text(a.id)) < sha256(text(b.id)) ? -1 : 1);
      await nights.night();
      assert.equal(nights.times("read", /^images\//), 0, order);
      const answers = nights.times("read", /^responses\//);
      assert.ok(order === "scattered" ? answers > 0 : answers === 0, `${order}: ${answers}`);
    }
    const answers = [...nights.store.objects].filter(([key]) => key.startsWith("responses/"));
    for (const [key] of answers) nights.store.objects.delete(key);
    nights.rows.reverse();
    nights.rows.sort((a, b) => sha256(text(`2${a.id}`)) < sha256(text(`2${b.id}`)) ? -1 : 1);
    const { error, summary } = await nights.process();
    assert.equal(error, undefined);
    assert.deepEqual([summary?.counts.failed, nights.times("read", /^images\//)], [0, 0]);
    for (const [key, bytes] of answers) nights.store.put(key, bytes);
    nights.unsaved = 0;
    await nights.check();
  });
});

Deno.test("what was paid for rows that go before a run has ended is booked all the same", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(8);
    assert.match(String((await nights.process({ args: "--max-pages 4" })).error), /stopped before/);
    nights.store.objects.delete(`${CHECKPOINTS}ledger.json`); // killed before it was written
    nights.rows.splice(0, 4);
    nights.add(1);
    await nights.night();
    assert.match(nights.notes[0], /: 0 of 5 rows are taken over, 5 are new, 4 were removed$/);
    assert.equal(ledgerPages(nights.store.objects), storedPages(nights.store.objects));
  });
});

/** What the books say: pages for sure, and those that a kill leaves unsure. */
function booked({ store: { objects } }: Nights): { sure: number; unsure: number } {
  const bytes = objects.get(`${CHECKPOINTS}ledger.json`);
  const { runs } = JSON.parse(new TextDecoder().decode(bytes)) as Ledger;
  const unsure = Object.values(runs).map(({ unsure_pages = 0 }) => unsure_pages);
  return { sure: ledgerPages(objects), unsure: unsure.reduce((sum, n) => sum + n) };
}

Deno.test("what was paid for rows of an unfinished batch that go with the next input is booked", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(6);
    await nights.process({ args: "--max-pages 3" });
    assert.deepEqual([ledgerPages(nights.store.objects), storedPages(nights.store.objects)], [
      0,
      3,
    ]);
    nights.rows.splice(0, 3);
    nights.add(1);
    await nights.night();
    assert.deepEqual(booked(nights), { sure: 7, unsure: 0 });
  });
});

Deno.test("what a killed process may have paid for rows that are gone is booked as unsure", async () => {
  await withNights(async (begin) => {
    const first = begin();
    first.add(6);
    let unsure = 0;
    for (let at = 16; at < 40; at += 2) {
      const nights = first.copy();
      await nights.process({ trouble: "killed", at });
      nights.rows.splice(0, 3);
      nights.add(1);
      await nights.night();
      const books = booked(nights);
      const paid = storedPages(nights.store.objects);
      assert.ok(books.sure <= paid + nights.unsaved, `${at}: ${JSON.stringify(books)} of ${paid}`);
      assert.ok(books.sure + books.unsure >= paid, `${at}: ${JSON.stringify(books)} of ${paid}`);
      unsure += books.unsure;
    }
    assert.ok(unsure > 0);
  });
});

Deno.test("a mistaken input is refused though no batch of the earlier one is done, or only some", async () => {
  for (const pages of [2, 5]) {
    await withNights(async (begin) => {
      const nights = begin();
      nights.add(12);
      const stopped = await nights.process({ args: `--max-pages ${pages}` });
      assert.match(String(stopped.error), /stopped before/);
      const before = nights.rows;
      nights.rows = [];
      nights.add(8);
      assert.match(String((await nights.process()).error), /shares no row \(id and image_path\)/);
      assert.equal(nights.billed, pages);
      nights.rows = [...before.slice(6), ...nights.rows];
      await nights.night(); // rows that were not done yet are shared as well
    });
  }
});

Deno.test("an input that shares no row with the earlier one, or has none, is refused and costs nothing", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(6);
    await nights.night();
    const before = nights.rows;
    nights.rows = [];
    nights.add(8);
    for (let again = 0; again < 2; again++) {
      const { error } = await nights.process();
      assert.match(String(error), /shares no row \(id and image_path\).*\n.*--fresh/);
      assert.equal(nights.manifest.generation, undefined, "it is forgotten");
      nights.add(1); // the mistaken input is made again, and differs
    }
    assert.equal(nights.billed, 6);
    nights.rows = [...before];
    assert.equal((await nights.process()).summary?.alreadyComplete, true);
    const manifest = {
      ...nights.manifest,
      input: { ...nights.manifest.input, rows: 0, etag: "none" },
    };
    const keys = new CheckpointKeys("checkpoints/", DATASET);
    const settling = settleManifest(nights.store, keys, manifest, "auto", {
      ...{ clock: systemClock, beforeNew: () => Promise.resolve() },
    });
    await assert.rejects(settling, { exit: "conflict", message: /has no rows any more, it had 6/ });
    nights.rows = [];
    nights.add(5);
    await nights.night("--fresh");
  });
});

Deno.test("a second growth before the first is done takes rows over from both", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(10);
    await nights.night();
    nights.add(30);
    const stopped = await nights.process({ args: "--max-pages 14" });
    assert.match(String(stopped.error), /stopped before/);
    assert.equal(nights.billed, 24);
    nights.add(3, 0);
    nights.add(2);
    await nights.night();
    assert.equal(nights.billed, 45);
    assert.match(nights.notes[0], /: (1\d|2\d) of 45 rows are taken over, \d+ are new$/);
    assert.equal(nights.manifest.generation, 3);
    assert.equal(ledgerPages(nights.store.objects), 45);
  });
});

Deno.test("a process that opened an input which was replaced since does not take it for the newer one", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(6);
    await nights.night();
    const { store } = nights;
    const before = store.objects.get(`${CHECKPOINTS}manifest.json`);
    nights.add(1);
    const newer = await encodeInput(nights.rows.slice(3).map((row, index) => ({ ...row, index })));
    store.before = (operation, key) => {
      if (operation === "write" && key === `${CHECKPOINTS}lease.json`) store.put(INPUT, newer);
    };
    const { error } = await nights.process();
    store.before = () => {};
    assert.match(String(error), /has changed since this process has opened it; run again/);
    assert.equal(store.objects.get(`${CHECKPOINTS}manifest.json`), before);
    assert.equal(nights.billed, 6);
    await nights.night();
  });
});

Deno.test("of a row that an unfinished growth has made anew the latest labels stay when its image goes", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(4);
    await nights.night();
    nights.put(nights.rows[0].image_path, "another page");
    nights.add(4);
    const stopped = await nights.process({ args: "--max-pages 2" });
    assert.match(String(stopped.error), /stopped before/);
    nights.put(nights.rows[0].image_path, undefined);
    nights.add(1);
    assert.equal((await nights.process()).error, undefined);
    const [{ metadata, texts }] = await itemsOf(nights.store.objects);
    const image = fakeImage("another page");
    assert.equal(metadata.image_sha256, sha256(image));
    assert.deepEqual(texts, readFake(image).words.map(({ text }) => text));
  });
});

Deno.test("failed rows are made anew by a growth, --retry-failed and rebuild work on the latest one", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(9);
    nights.put(nights.rows[1].image_path, undefined);
    nights.put(nights.rows[2].image_path, undefined);
    assert.equal((await nights.night()).counts.failed, 2);
    nights.put(nights.rows[1].image_path, "found again");
    nights.add(1);
    assert.equal((await nights.night()).counts.failed, 1);
    assert.match(nights.notes[0], /: 7 of 10 rows are taken over, 1 is new, 2 had failed$/);
    nights.put(nights.rows[2].image_path, "found late");
    assert.equal((await nights.night("--retry-failed")).counts.failed, 0);
    assert.equal(nights.times("read", /^images\//), 1);
    const rebuilt = await nights.process({ job: rebuild });
    assert.equal(rebuilt.error, undefined);
    await nights.check();
    // What they have kept of the images still holds.
    nights.add(1);
    await nights.night();
    assert.match(nights.notes[0], /: 10 of 11 rows are taken over, 1 is new$/);
    await nights.night("--fresh");
    assert.equal(nights.manifest.generation, undefined);
    assert.equal(nights.times("read", /^images\//), 11);
  });
});

Deno.test("rows of checkpoints without marks are compared by content, and kept where their images are gone", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(6);
    await nights.night();
    await nights.forgetMarks();
    await nights.check();
    nights.put(nights.rows[3].image_path, undefined);
    nights.add(1);
    await nights.night();
    assert.equal(nights.billed, 7);
    assert.match(nights.notes[0], /: 0 of 7 rows are taken over, 1 is new, 6 are of a version/);
    nights.add(1);
    await nights.night();
    assert.match(nights.notes[0], /: 6 of 8 rows are taken over, 1 is new, 1 .* kept no mark$/);
  });
});

Deno.test("rows without marks are still no failed ones after others of their batch were retried", async () => {
  await withNights(async (begin) => {
    const nights = begin();
    nights.add(4);
    const [{ image_path: late }, , { image_path: gone }] = nights.rows;
    nights.put(late, undefined);
    await nights.night();
    await nights.forgetMarks();
    nights.put(late, "late");
    await nights.night("--retry-failed");
    nights.put(gone, undefined);
    nights.add(1);
    await nights.night(); // the label is kept
    assert.match(nights.notes[0], /: 1 of 5 rows are taken over, 1 is new, 3 are of a version/);
  });
});

Deno.test("a growth heals after being killed at any operation, and after any write that fails", async () => {
  await withNights(async (begin) => {
    const first = begin();
    first.add(6);
    await first.night();
    for (const trouble of ["killed", "fails"] as const) {
      for (let at = 1;; at++) {
        const nights = first.copy();
        nights.put(nights.rows[1].image_path, "another page");
        nights.put(nights.rows[5].image_path, undefined);
        nights.rows.splice(0, 1);
        nights.add(2);
        const { came, error } = await nights.process({ trouble, at });
        const { operation, key } = nights.operations.at(-1)!;
        try {
          await nights.night();
          assert.ok(nights.unsaved <= 4, `${nights.unsaved} pages`);
          assert.equal(ledgerPages(nights.store.objects), 9);
        } catch (cause) {
          throw new Error(`${trouble} at ${at} (${operation} ${key}): ${error}`, { cause });
        }
        if (!came) break;
      }
    }
  });
});

Deno.test("whatever happens to input, images and processes, the output is what the last input says", async () => {
  const change = fc.record({
    // Without another input nobody looks whether an image has changed.
    add: fc.integer({ min: 1, max: 5 }),
    at: fc.nat(30),
    remove: fc.array(fc.nat(30), { maxLength: 3 }),
    replace: fc.array(fc.tuple(fc.nat(30), fc.nat(6)), { maxLength: 3 }),
    gone: fc.array(fc.nat(30), { maxLength: 2 }),
    split: fc.array(fc.nat(30), { maxLength: 2 }),
    reverse: fc.boolean(),
    troubles: fc.array(
      fc.record({
        trouble: fc.constantFrom<Trouble>("killed", "fails"),
        at: fc.integer({ min: 1, max: 90 }),
      }),
      { maxLength: 2 },
    ),
    /** Whether the input stays until its output is written. */
    ends: fc.boolean(),
  });
  await withNights(async (begin) => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 2, maxLength: 4 }), async (changes) => {
        const nights = begin();
        nights.add(7);
        let ended = true;
        for (const { add, at, remove, replace, gone, split, reverse, troubles, ends } of changes) {
          const row = (n: number) => nights.rows[n % nights.rows.length];
          // What is known of a row whose output was never written isn't told by the model.
          if (ended) {
            for (const n of gone) nights.put(row(n).image_path, undefined);
            for (const n of remove) {
              if (nights.rows.length > 1) nights.rows.splice(n % nights.rows.length, 1);
            }
            for (const [n, name] of replace) nights.put(row(n).image_path, `content ${name}`);
          }
          for (const n of split) {
            nights.rows[n % nights.rows.length] = { ...row(n), split: "moved", height: n };
          }
          if (reverse) nights.rows.reverse();
          nights.add(add, at % (nights.rows.length + 1));
          for (const trouble of troubles) await nights.process(trouble);
          ended = ends;
          if (ends) await nights.night();
        }
        await nights.night();
      }),
      { numRuns: 25 },
    );
  });
});

function text(of: string): Uint8Array {
  return new TextEncoder().encode(of);
}
