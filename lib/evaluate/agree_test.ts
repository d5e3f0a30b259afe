import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { jpegHeader } from "../../dev/testing/images.ts";
import { labelledRow, type Page, type Word } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { AgreementRow } from "../dataset/agreement_rows.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { Answer } from "../engine/engine.ts";
import { probePicture } from "../engine/frame_probe.ts";
import { EngineAnswers, storedEngines } from "../state/engine_answers.ts";
import { answerKey } from "../state/keys.ts";
import { type AgreeJob, agreeOnRows } from "./agree.ts";
import { AgreementSum } from "./agreement_sum.ts";

const OWN = { engine: "upstage-ocr", model: "ocr" };
const OTHER = { engine: "upstage-ocr", model: "other" };
const signal = new AbortController().signal;
const SIZE = [1_000, 1_400] as const;

const shaOf = (index: number) => index.toString(16).padStart(64, "0");

/** What another engine has read: words, a problem, or nothing. */
type Reading = readonly Word[] | "damaged" | "two pages" | undefined;

/** Bodies are answers already. */
const READER = {
  parse: (body: unknown) =>
    typeof body === "object" ? { value: body as Answer } : { problem: "no answer" },
};

function answerOf(words: readonly Word[], [width, height]: readonly [number, number]): Answer {
  const page = {
    ...{ width, height, confidence: 0.9 },
    words: words.map(({ text, confidence = 0.9, box: [x, y, w, h] = [100, 100, 80, 20] }) => ({
      ...{ text, confidence },
      polygon: [[x, y], [x + w, y], [x + w, y + h], [x, y + h]],
    })),
  };
  return { modelVersion: "m", pages: [page] };
}

function store(): MemoryStore {
  return new MemoryStore();
}

function put(to: MemoryStore, sha256: string, body: unknown, { engine, model } = OTHER): void {
  const answer = {
    ...{ format: "pseudolabel-response/1", engine, model, image_sha256: sha256, image_bytes: 9 },
    ...{ media_type: "image/jpeg", attempts: 1, received_at: "2026-11-01T00:00:00.000Z" },
    ...{ paid_by: { dataset: "demo", run_id: "r", row_id: "1" }, body },
  };
  const bytes = new Uint8Array(gzipSync(JSON.stringify(answer)));
  to.put(answerKey(engine, model, sha256), bytes);
}

function rowOf(index: number, page: Page, by = OWN): ScannedRow {
  const { metadata, image_path, ...row } = labelledRow(index, page);
  const { status, word_confidences: confidences, image_sha256: sha256 } = metadata;
  const response_key = status === "failed" ? null : answerKey(by.engine, by.model, sha256!);
  return {
    ...{ ...row, index, imagePath: image_path, status, confidences },
    metadata: { ...metadata, response_key },
  };
}

interface Case {
  readonly page: Page;
  readonly other: Reading;
  /** As the other engine saw the page. */
  readonly size?: readonly [number, number];
  readonly by?: typeof OWN;
}

/** Compares pages; the other engine is named second. */
async function agree(
  cases: readonly Case[],
  in_: MemoryStore = store(),
  job: Partial<AgreeJob> = {},
): Promise<{ rows: AgreementRow[]; sum: AgreementSum; store: MemoryStore }> {
  cases.forEach(({ other, by = OWN, size = SIZE }, i) => {
    const of = by === OWN ? OTHER : OWN;
    if (other === "damaged") return put(in_, shaOf(i), "x", of);
    if (other === "two pages") {
      const { pages: [page] } = answerOf([], size);
      return put(in_, shaOf(i), { modelVersion: "m", pages: [page, page] }, of);
    }
    if (other) put(in_, shaOf(i), answerOf(other, size), of);
  });
  async function* rows() {
    for (const [i, { page, by }] of cases.entries()) {
      yield await Promise.resolve(rowOf(i, { sha256: shaOf(i), ...page }, by));
    }
  }
  const sum = new AgreementSum();
  const found = await Array.fromAsync(agreeOnRows({
    ...{ rows: rows(), sum, signal, images: { local: in_ }, onProgress: () => {} },
    a: new EngineAnswers(in_, OWN, READER),
    b: new EngineAnswers(in_, OTHER, READER),
    ...job,
  }));
  return { rows: found, sum, store: in_ };
}

const WORDS: Word[] = [
  { text: "Total", box: [100, 100, 80, 20] },
  { text: "12.50", box: [200, 100, 80, 20] },
];
const MISREAD: Word[] = [WORDS[0], { ...WORDS[1], text: "12.60" }];

Deno.test("agreeOnRows() says of every row, in order, how far the other engine agrees, or why not", async () => {
  const { rows, sum } = await agree([
    { page: { words: WORDS }, other: WORDS },
    { page: { words: WORDS }, other: [...MISREAD, { text: "more", box: [100, 500, 80, 20] }] },
    { page: { words: WORDS }, other: undefined },
    { page: { words: WORDS }, other: "damaged" },
    { page: { words: WORDS }, other: "two pages" },
    { page: { failure: ["api_rejected", "no"] }, other: WORDS },
    { page: {}, other: [] },
    { page: {}, other: WORDS },
    { page: { words: WORDS }, other: [] },
    { page: { words: WORDS }, other: WORDS, by: { engine: "other-engine", model: "x" } },
  ]);
  assert.deepEqual(rows.map(({ id }) => id), rows.map((_, i) => `row-${i}`));
  assert.deepEqual(
    rows.map(({ state, agreement, onlyOther }) => [
      state,
      agreement === null ? null : Number(agreement.toFixed(3)),
      onlyOther,
    ]),
    [
      ["compared", 1, 0],
      ["compared", 0.75, 1], // 2 × (5 + 4) of 2 × 10 + 4 characters
      ["no_answer", null, null],
      ["unreadable", null, null],
      ["unreadable", null, null],
      ["failed", null, null],
      ["compared", 1, 0],
      ["compared", 0, 2],
      ["compared", 0, 0],
      ["other_engine", null, null],
    ],
  );
  assert.deepEqual([rows[1].words, rows[1].others], [[1, 0.8], ["Total", "12.60"]]);
  assert.deepEqual([rows[8].words, rows[8].others], [[0, 0], [null, null]]);
  const { pages, a, b, words, least, confusions } = sum.figures;
  assert.deepEqual(pages.not_compared, { failed: 1, no_answer: 1, other_engine: 1, unreadable: 2 });
  assert.deepEqual([pages.compared, pages.identical], [5, 2]);
  assert.ok(Math.abs(pages.agreement! - 2.75 / 5) < 1e-9);
  assert.deepEqual(a, { rows: 5, missing: 0, words: 6, equal: 3, alone: 2 });
  assert.deepEqual(b, { rows: 0, missing: 1, words: 7, equal: 3, alone: 3 });
  assert.deepEqual(words.levels.map((level) => level.words), [3, 3, 3, 4, 4, 4]);
  assert.deepEqual(confusions, [{ a: "5", b: "6", count: 1 }]);
  assert.deepEqual(least.map(({ row }) => row), [7, 8, 1]);
  assert.deepEqual(least[2].readings, [{ a: "12.50", b: "12.60" }, { a: null, b: "more" }]);
});

Deno.test("agreeOnRows() tells the same whichever engine the rows are of", async () => {
  const pages: Case[] = [
    { page: { words: WORDS }, other: MISREAD },
    { page: { words: [] }, other: MISREAD },
  ];
  const one = await agree(pages);
  const turned = pages.map(({ page, other }): Case => ({
    page: { words: other as Word[] },
    other: page.words!,
    by: OTHER,
  }));
  const two = await agree(turned);
  assert.deepEqual(one.rows.map((r) => r.agreement), two.rows.map((r) => r.agreement));
  const [own, others] = [one.sum.figures, two.sum.figures];
  assert.deepEqual([own.a.words, own.b.words], [others.a.words, others.b.words]);
  assert.deepEqual(own.confusions, others.confusions);
  assert.deepEqual(own.least, others.least);
  assert.deepEqual([others.a.rows, others.b.rows], [0, 2]);
});

Deno.test("agreeOnRows() takes one read a page, not more than some at once", async () => {
  const in_ = store();
  const reads: string[] = [];
  let [now, most] = [0, 0];
  in_.before = async (operation, key) => {
    if (operation !== "read") return;
    reads.push(key);
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 0)); // others get their turn
    now--;
  };
  const cases = Array.from({ length: 200 }, () => ({ page: { words: WORDS }, other: MISREAD }));
  const { rows } = await agree(cases, in_);
  assert.equal(rows.length, 200);
  const answers = reads.filter((key) => key.startsWith("responses/upstage-ocr/other/"));
  assert.equal(new Set(answers).size, 201); // and that of the probe
  assert.equal(reads.length, 202); // and that of the probe of the other engine
  assert.ok(most > 4 && most <= 24, `${most}`);
});

/** Words far from those of {@linkcode WORDS}, as where a picture is turned by half. */
const ELSEWHERE: Word[] = WORDS.map(({ text, box: [x, y, w, h] = [0, 0, 0, 0] }) => ({
  text,
  box: [SIZE[0] - x - w, SIZE[1] - y - h, w, h],
}));

Deno.test("agreeOnRows() compares no page of which it can't be told that both saw it the same way round", async () => {
  const orientations = [1, 3, 6, 8, 2];
  const in_ = store();
  orientations.forEach((orientation, i) =>
    in_.put(`images/${i}.jpg`, jpegHeader(...SIZE, { orientation }))
  );
  in_.put("images/5.jpg", "no picture");
  in_.put("images/7.jpg", jpegHeader(500, 100, { orientation: 1 }));
  in_.put("images/8.jpg", jpegHeader(500, 500, { orientation: 6 }));
  in_.put("images/11.jpg", "%PDF-1.7 of one page");
  const cases: Case[] = Array.from({ length: 8 }, () => ({
    page: { words: WORDS },
    other: ELSEWHERE,
  }));
  const square = [500, 500] as const;
  cases.push({ page: { words: WORDS, size: square }, other: ELSEWHERE, size: square });
  // Words in the same places prove the frame, whatever the picture says.
  cases.push({ page: { words: WORDS, imagePath: "images/1.jpg" }, other: MISREAD });
  cases.push({ page: { words: WORDS }, other: WORDS, size: [1_400, 1_000] });
  cases.push({ page: { words: WORDS }, other: ELSEWHERE });
  const states = (await agree(cases, in_)).rows.map(({ state }) => state);
  assert.deepEqual(states, [
    "compared", // not turned at all
    "frame_unknown", // half a turn
    "compared", // a quarter turn shows in the page's shape, and that is the same
    "compared",
    "frame_unknown", // mirrored
    "frame_unknown", // no picture
    "frame_unknown", // gone
    "frame_unknown", // another picture by now
    "frame_unknown", // a square
    "compared",
    "other_shape",
    "compared", // a document, which EXIF can't turn
  ]);
});

Deno.test("agreeOnRows() goes by probes of both models where they show the same frame", async () => {
  const in_ = store();
  in_.put("images/0.jpg", jpegHeader(...SIZE, { orientation: 3 }));
  const upright = {
    ...{ apiVersion: "1.1", modelVersion: "ocr-260930", confidence: 0.9, numBilledPages: 1 },
    text: "FRAME",
    metadata: { pages: [{ page: 1, width: 640, height: 400 }] },
    pages: [{
      ...{ id: 0, width: 640, height: 400, confidence: 0.9, text: "FRAME" },
      words: [{
        ...{ id: 0, text: "FRAME", confidence: 0.9 },
        boundingBox: {
          vertices: [[36, 30], [200, 30], [200, 60], [36, 60]].map(([x, y]) => ({ x, y })),
        },
      }],
    }],
  };
  const cases = [{ page: { words: WORDS }, other: ELSEWHERE }];
  const sha = probePicture().sha256;
  put(in_, sha, upright, OWN);
  assert.equal((await agree(cases, in_)).rows[0].state, "frame_unknown");
  put(in_, sha, upright, OTHER);
  // The model that answered this page says to be another one than was probed.
  assert.equal((await agree(cases, in_)).rows[0].state, "frame_unknown");
  put(in_, sha, { ...upright, modelVersion: "m" }, OTHER);
  assert.deepEqual((await agree(cases, in_)).rows[0].agreement, 0);
});

Deno.test("agreeOnRows() scales what another engine saw smaller", async () => {
  const half = WORDS.map(({ text, box: [x, y, w, h] = [0, 0, 0, 0] }): Word => ({
    text,
    box: [x / 2, y / 2, w / 2, h / 2],
  }));
  const { rows } = await agree([{ page: { words: WORDS }, other: half, size: [500, 700] }]);
  assert.equal(rows[0].agreement, 1);
});

Deno.test("agreeOnRows() ends when a store fails or somebody stops it", async () => {
  const in_ = store();
  in_.before = (operation, key) => {
    if (operation === "read" && key.includes("/other/00/")) throw new Error("the store is down");
  };
  await assert.rejects(agree([{ page: { words: WORDS }, other: WORDS }], in_), /store is down/);
  const stop = new AbortController();
  let rows = 0;
  const cases = Array.from({ length: 100 }, () => ({ page: { words: WORDS }, other: WORDS }));
  const onProgress = (n: number) => {
    rows = n;
    if (n === 3) stop.abort(new Error("stopped"));
  };
  await assert.rejects(agree(cases, store(), { signal: stop.signal, onProgress }), /stopped/);
  assert.equal(rows, 3);
});

Deno.test("storedEngines() names engines and models that have answered", async () => {
  const in_ = store();
  assert.deepEqual(await storedEngines(in_, signal), []);
  for (const side of [OWN, OTHER]) put(in_, shaOf(1), {}, side);
  in_.put("responses/set_aside/upstage-ocr/ocr/x.json.gz", "x");
  in_.put("responses/unheard-of/m/00/x.json.gz", "x");
  assert.deepEqual(await storedEngines(in_, signal), [OWN, OTHER]);
});
