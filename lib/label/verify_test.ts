import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import {
  CHECKPOINTS,
  DATASET,
  INPUT,
  itemsOf,
  OUTPUT,
  RESPONSES,
  soakData,
} from "../../dev/soak/data.ts";
import { copyOf, labelled } from "../../dev/soak/labelled.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { encodeInput } from "../../dev/testing/fixtures.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { OutputRow, RowMetadata } from "../dataset/row.ts";
import { CHECKPOINT_FOOTER_KEY } from "../state/documents.ts";
import { readFooter, readRows } from "../dataset/output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { encodeRows } from "../dataset/output_write.ts";
import { AnswerStore } from "../state/answer_store.ts";
import type { Finding } from "../dataset/check_row.ts";
import { type Verified, verify } from "./verify.ts";

/** The fourth row has no image, the sixth is the first one's twin. */
const ROWS = 11;

const ARGS = ["--dataset-name", DATASET, "--batch-size", "4"];

async function findingsIn(
  store: MemoryStore,
): Promise<{ readonly findings: Finding[]; readonly verified: Verified }> {
  const findings: Finding[] = [];
  const { signal } = new AbortController();
  const told: number[] = [];
  const verified = await verify(
    store,
    settingsOf(ARGS),
    (finding) => findings.push(finding),
    signal,
    (rows) => told.push(rows),
  );
  assert.equal(verified.findings, findings.length);
  assert.deepEqual(told.at(-1) ?? 0, verified.rows, "it tells how far it is");
  return { findings, verified };
}

/** The finished data set, with one thing wrong. */
class Tampered {
  readonly store: MemoryStore;
  readonly items: OutputRow[];

  constructor(store: MemoryStore, items: readonly OutputRow[]) {
    this.store = copyOf(store);
    this.items = [...items];
  }

  /** Number of a row with words, from 0; `skip` of them are passed over. */
  wordy(skip = 0): number {
    return [...this.items.keys()].filter((i) => this.items[i].texts.length > 0)[skip];
  }

  key(i: number): string {
    return this.items[i].metadata.response_key!;
  }

  /** Writes the output anew with other rows. */
  async output(items: readonly OutputRow[]): Promise<void> {
    this.store.put(OUTPUT, await encodeRows(items, { keyValues: {} }));
  }

  /** Writes the output anew with one row changed. */
  async row(i: number, change: Partial<OutputRow>, metadata: Partial<RowMetadata> = {}) {
    const item = this.items[i];
    await this.output(
      this.items.with(i, { ...item, ...change, metadata: { ...item.metadata, ...metadata } }),
    );
  }

  /** Changes a JSON document. */
  // deno-lint-ignore no-explicit-any
  json(name: string, change: (document: any) => void): void {
    const key = `${CHECKPOINTS}${name}`;
    const document = JSON.parse(new TextDecoder().decode(this.store.objects.get(key)));
    change(document);
    this.store.put(key, JSON.stringify(document));
  }

  /** Keeps the first bytes of an object. */
  truncate(key: string): void {
    const bytes = this.store.objects.get(key)!;
    this.store.put(key, bytes.slice(0, bytes.length - 20));
  }

  /** Changes a stored answer. */
  // deno-lint-ignore no-explicit-any
  async answer(i: number, change: (body: any) => void): Promise<void> {
    const responses = new AnswerStore(this.store, "upstage-ocr", "ocr");
    const { value } = (await responses.find(this.items[i].metadata.image_sha256!))!;
    const { format: _, engine: __, model: ___, body, ...envelope } = value!;
    change(body);
    await this.store.remove(responses.key(envelope.image_sha256)); // none is replaced
    await responses.save(envelope, JSON.stringify(body));
  }

  /** Writes a checkpoint anew. */
  async checkpoint(
    index: number,
    change: (items: OutputRow[]) => OutputRow[],
  ): Promise<void> {
    const key = `${CHECKPOINTS}batch_00000${index}.parquet`;
    const source = memorySource(key, this.store.objects.get(key)!);
    const footer = (await readFooter(source)).keyValues[CHECKPOINT_FOOTER_KEY];
    const items = change(await Array.fromAsync(readRows(source)));
    const keyValues = { [CHECKPOINT_FOOTER_KEY]: footer };
    this.store.put(key, await encodeRows(items, { keyValues }));
  }
}

type Case = readonly [
  what: string,
  /** Code of a finding that there must be. */
  code: string,
  /** What its message must say. */
  message: RegExp,
  tamper: (data: Tampered) => void | Promise<void>,
];

const CASES: readonly Case[] = [
  ["the last row lost", "row_lost", /no such row/, (t) => t.output(t.items.slice(0, -1))],
  ["a row lost", "row_lost", /no such row/, (t) => t.output(t.items.toSpliced(4, 1))],
  [
    "a row lost: the next ones in wrong places",
    "input_differs",
    /id is 'row-5', in the input 'row-4'/,
    (t) => t.output(t.items.toSpliced(4, 1)),
  ],
  [
    "a row doubled",
    "row_invented",
    /no such row/,
    (t) => t.output(t.items.toSpliced(4, 0, t.items[4])),
  ],
  [
    "rows swapped",
    "input_differs",
    /id is 'row-2', in the input 'row-1'/,
    (t) => t.output(t.items.with(1, t.items[2]).with(2, t.items[1])),
  ],
  [
    "a row invented",
    "row_invented",
    /no such row/,
    (t) => t.output([...t.items, { ...t.items[0], id: "row-x" }]),
  ],
  ["the output missing", "no_output", /does not exist/, (t) => void t.store.objects.delete(OUTPUT)],
  [
    "the output truncated",
    "output",
    /_pseudo_labels\.parquet: it is no/,
    (t) => t.truncate(OUTPUT),
  ],
  [
    "the output damaged in the middle",
    "output",
    /_pseudo_labels\.parquet/,
    (t) => void t.store.objects.get(OUTPUT)!.fill(0, 4, 400),
  ],
  [
    "a text changed",
    "row_differs",
    /texts.* should be .* it is .*other/,
    (t) => t.row(t.wordy(), { texts: t.items[t.wordy()].texts.map(() => "other") }),
  ],
  [
    "a polygon moved a little",
    "row_differs",
    /polygons/,
    (t) =>
      t.row(t.wordy(), {
        polygons: t.items[t.wordy()].polygons.map((p) => p.map(([x, y]) => [x + 1, y])),
      }),
  ],
  [
    "a polygon outside of its page",
    "polygon",
    /outside the page of 300 × 100/,
    (t) =>
      t.row(t.wordy(), {
        polygons: t.items[t.wordy()].polygons.map((p) => p.map(([x, y]) => [x, y + 200])),
      }),
  ],
  [
    "a polygon of three points",
    "polygon",
    /not four points/,
    (t) => t.row(t.wordy(), { polygons: t.items[t.wordy()].polygons.map((p) => p.slice(0, 3)) }),
  ],
  ["a split changed", "input_differs", /split/, (t) => t.row(2, { split: "test" })],
  ["a width changed", "row_differs", /width/, (t) => t.row(2, { width: 17 })],
  [
    "a status that the words belie",
    "status",
    /'empty' with/,
    (t) => t.row(t.wordy(), {}, { status: "empty" }),
  ],
  [
    "a failure made up",
    "status",
    /'failed' with error_code 'null'/,
    (t) => t.row(t.wordy(), {}, { status: "failed" }),
  ],
  [
    "words without an answer",
    "answer",
    /without a response_key/,
    (t) => t.row(t.wordy(), {}, { response_key: null }),
  ],
  [
    "words of another answer",
    "answer",
    /not that of the image's content/,
    (t) => t.row(t.wordy(), {}, { response_key: t.key(t.wordy(1)) }),
  ],
  ["a stored answer missing", "answer", /is missing/, (t) => void t.store.objects.delete(t.key(0))],
  ["a stored answer damaged", "answer", /is damaged: not gzip/, (t) => t.store.put(t.key(0), "x")],
  ["a stored answer truncated", "answer", /is damaged/, (t) => t.truncate(t.key(0))],
  [
    "a stored answer of another image",
    "answer",
    /the answer for another image/,
    (t) => t.store.put(t.key(0), t.store.objects.get(t.key(1))!),
  ],
  [
    "a stored answer changed",
    "row_differs",
    /texts/,
    (t) => t.answer(t.wordy(), (body) => body.pages[0].words[0].text = "other"),
  ],
  [
    "a stored bill changed",
    "row_differs",
    /billed_pages should be 7: it is 1/,
    (t) => t.answer(t.wordy(), (body) => body.numBilledPages = 7),
  ],
  [
    "a checkpoint truncated",
    "checkpoint",
    /batch_000001\.parquet/,
    (t) => t.truncate(`${CHECKPOINTS}batch_000001.parquet`),
  ],
  [
    "a checkpoint missing",
    "checkpoint",
    /2 of 3 batches are done/,
    (t) => void t.store.objects.delete(`${CHECKPOINTS}batch_000002.parquet`),
  ],
  [
    "a checkpoint in the place of another",
    "checkpoint",
    /it holds batch 0/,
    (t) =>
      t.store.put(
        `${CHECKPOINTS}batch_000001.parquet`,
        t.store.objects.get(`${CHECKPOINTS}batch_000000.parquet`)!,
      ),
  ],
  [
    "a checkpoint with a row too few",
    "checkpoint",
    /it holds 3 rows of 4/,
    (t) => t.checkpoint(1, (items) => items.slice(1)),
  ],
  [
    "a row changed in a checkpoint alone",
    "checkpoint",
    /batch_000001\.parquet: its rows are not those of the output/,
    (t) => t.checkpoint(1, ([first, ...rest]) => [{ ...first, split: "changed" }, ...rest]),
  ],
  [
    "counts off",
    "counts",
    /result\.json: ok should be/,
    (t) => t.json("result.json", ({ counts }) => counts.ok++),
  ],
  [
    "counts of failures off",
    "counts",
    /failures\.image_not_found should be 1: it is 2/,
    (t) => t.json("result.json", ({ counts }) => counts.failures.image_not_found++),
  ],
  [
    "the mark missing",
    "result",
    /does not vouch/,
    (t) => void t.store.objects.delete(`${CHECKPOINTS}result.json`),
  ],
  [
    "the mark of another output",
    "result",
    /does not vouch/,
    (t) => t.json("result.json", ({ output }) => output.etag = "0"),
  ],
  [
    "the ledger below the bills",
    "ledger",
    /the ledger 8/,
    (t) =>
      t.json("ledger.json", ({ runs }) => {
        for (const run of Object.values<{ billed_pages: number }>(runs)) run.billed_pages--;
      }),
  ],
  [
    "the ledger missing",
    "ledger",
    /the ledger none/,
    (t) => void t.store.objects.delete(`${CHECKPOINTS}ledger.json`),
  ],
  [
    "the ledger damaged",
    "ledger",
    /is no ledger/,
    (t) => t.truncate(`${CHECKPOINTS}ledger.json`),
  ],
  [
    "an answer paid by somebody else",
    "ledger",
    /the stored answers bill 8 pages, the checkpoints 9/,
    async (t) => {
      const responses = new AnswerStore(t.store, "upstage-ocr", "ocr");
      const { value } = (await responses.find(t.items[0].metadata.image_sha256!))!;
      const { format: _, engine: __, model: ___, body, ...envelope } = value!;
      const paid_by = { ...envelope.paid_by, dataset: "other" };
      await t.store.remove(responses.key(envelope.image_sha256)); // none is replaced
      await responses.save({ ...envelope, paid_by }, JSON.stringify(body));
    },
  ],
  [
    "the input changed",
    "input_changed",
    /is not the input of the run/,
    async (t) => {
      const { rows } = await soakData(ROWS);
      t.store.put(INPUT, await encodeInput(rows.with(10, { ...rows[10], split: "test" })));
    },
  ],
];

Deno.test("verify() finds nothing wrong with what run() wrote, and changes nothing", async () => {
  const { data, store } = await labelled(ROWS, [ARGS]);
  const before = new Map(store.objects);
  store.before = (operation) => assert.match(operation, /^(read|stat|list)$/);
  const { findings, verified } = await findingsIn(store);
  assert.deepEqual(findings, []);
  assert.deepEqual(verified, { rows: ROWS, answers: ROWS - 1, findings: 0 });
  assert.equal(data.needed.size, 9);
  assert.deepEqual(store.objects, before);
});

Deno.test("verify() finds whatever is wrong with a finished data set, by its code", async (t) => {
  const { store } = await labelled(ROWS, [ARGS]);
  const items = await itemsOf(store.objects);
  for (const [what, code, message, tamper] of CASES) {
    await t.step(what, async () => {
      const data = new Tampered(store, items);
      await tamper(data);
      const { findings } = await findingsIn(data.store);
      const found = findings.filter((finding) => finding.code === code);
      assert.ok(
        found.some((finding) => message.test(finding.message)),
        `no ${code} like ${message} among ${JSON.stringify(findings)}`,
      );
    });
  }
});

Deno.test("verify() names the row of a finding", async () => {
  const { store } = await labelled(ROWS, [ARGS]);
  const data = new Tampered(store, await itemsOf(store.objects));
  await data.row(2, { split: "test" });
  const { findings } = await findingsIn(data.store);
  const [finding] = findings.filter(({ code }) => code === "input_differs");
  assert.deepEqual([finding.row, finding.id], [2, "row-2"]);
});

Deno.test("verify() says so where there is nothing to verify", async () => {
  const data = await soakData(3);
  const store = new MemoryStore();
  for (const [key, bytes] of data.objects) store.put(key, bytes);
  await assert.rejects(
    findingsIn(store),
    (error) =>
      error instanceof RunError && error.exit === "conflict" && /no run/.test(error.message),
  );
});

Deno.test("verify() takes a store that fails for no finding", async () => {
  const { store } = await labelled(ROWS, [ARGS]);
  for (const part of [OUTPUT, RESPONSES, CHECKPOINTS]) {
    store.before = (operation, key) => {
      if (operation === "read" && key.startsWith(part) && !key.endsWith("manifest.json")) {
        throw new StoreError("unavailable", "the store fails");
      }
    };
    await assert.rejects(
      findingsIn(store),
      (error) => error instanceof StoreError && error.kind === "unavailable",
    );
  }
});
