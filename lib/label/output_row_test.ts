import assert from "node:assert/strict";
import fc from "fast-check";
import { inputRow } from "../../dev/testing/fixtures.ts";
import type { InputRow } from "../dataset/row.ts";
import type { Answer, AnswerPage, Word } from "../engine/engine.ts";
import { type Obtained, outputRow, takeOver } from "./output_row.ts";

const NOW = Date.UTC(2026, 10, 2);
const AT = new Date(Date.UTC(2026, 10, 1));
const PAID_BY = { dataset: "demo", run_id: "run", row_id: "row-9" };
const SHA = "ab".repeat(32);
const IMAGE = { sha256: SHA, size: 123 };

function word(text: string, confidence: number | null = 0.5): Word {
  return { text, confidence, polygon: [[0, 0], [9, 0], [9, 5], [0, 5]] };
}

function page(...words: Word[]): AnswerPage {
  return { width: 300, height: 100, confidence: 0.9, words };
}

function obtained(first: AnswerPage, ...more: AnswerPage[]): Obtained {
  const answer: Answer = { modelVersion: "ocr-1", pages: [first, ...more] };
  return {
    answer,
    answerKey: "responses/x",
    billedPages: 7,
    attempts: 2,
    at: AT,
    paidBy: PAID_BY,
  };
}

Deno.test("outputRow() labels words as the engine does, else as text", () => {
  const words = [{ ...word("a line of words"), label: "line" }, word("word")];
  const { labels } = outputRow(inputRow(0), "http", IMAGE, obtained(page(...words)), NOW);
  assert.deepEqual(labels, ["line", "text"]);
});

Deno.test("outputRow() joins row and answer without a loss", () => {
  const row = inputRow(3, { width: 640, height: 480, metadata: '{"a":1}' });
  const words = [word("총액"), word("9,000", null)];
  assert.deepEqual(outputRow(row, "upstage-ocr", IMAGE, obtained(page(...words)), NOW), {
    schema_version: "v1.0",
    id: "row-3",
    split: "train",
    image_path: "images/3.png",
    image_filename: "3.png",
    width: 640,
    height: 480,
    polygons: words.map((word) => word.polygon),
    texts: ["총액", "9,000"],
    labels: ["text", "text"],
    metadata: {
      source: "pseudolabel",
      engine: "upstage-ocr",
      model_version: "ocr-1",
      status: "ok",
      error_code: null,
      error_message: null,
      attempts: 2,
      page_confidence: 0.9,
      word_confidences: [0.5, null],
      image_sha256: SHA,
      image_bytes: 123,
      api_width: 300,
      api_height: 100,
      billed_pages: 7,
      response_key: "responses/x",
      processed_at: AT,
      input_metadata: '{"a":1}',
      image_width: null,
      image_height: null,
      image_orientation: null,
      frame: null,
    },
  });
});

Deno.test("outputRow() marks the frame of a page, as far as picture and page tell, and guesses none", () => {
  const marks = (orientation: number, width = 600, height = 200) => {
    const loaded = { ...IMAGE, picture: { width, height, orientation } };
    const { metadata } = outputRow(inputRow(0), "e", loaded, obtained(page(word("a"))), NOW);
    assert.deepEqual(
      [metadata.image_width, metadata.image_height, metadata.image_orientation],
      [width, height, orientation],
    );
    return metadata.frame;
  };
  assert.equal(marks(1), "upright");
  assert.equal(marks(6), "stored");
  assert.equal(marks(6, 200, 600), "upright");
  for (const orientation of [2, 3, 4]) assert.equal(marks(orientation), "unknown");
  assert.equal(marks(6, 300, 300), "unknown");
  // What came with the answer is believed first: rows are made of it where no image is read.
  const stored = { ...obtained(page()), picture: { width: 100, height: 300, orientation: 8 } };
  const loaded = { ...IMAGE, picture: { width: 300, height: 100, orientation: 8 } };
  assert.equal(outputRow(inputRow(0), "e", loaded, stored, NOW).metadata.frame, "upright");
  // A page that was not read was read in no frame.
  const failure = { code: "image_empty", message: "" } as const;
  const failed = outputRow(inputRow(0), "e", { ...loaded, failure }, undefined, NOW).metadata;
  assert.deepEqual([failed.frame, failed.image_width], [null, null]);
});

Deno.test("outputRow() takes the size from the answer only where the input has none", () => {
  const size = (width: number | null, height: number | null, answered = true) => {
    const row = inputRow(0, { width, height });
    const output = outputRow(row, "e", IMAGE, answered ? obtained(page()) : undefined, NOW);
    return [output.width, output.height];
  };
  assert.deepEqual(size(0, null), [300, 100]);
  assert.deepEqual(size(640, 0), [640, 100]);
  assert.deepEqual(size(0, null, false), [0, null]);
});

Deno.test("outputRow() calls a page without words empty, not failed", () => {
  const { metadata, texts } = outputRow(inputRow(0), "e", IMAGE, obtained(page()), NOW);
  assert.deepEqual([metadata.status, metadata.error_code, texts], ["empty", null, []]);
  assert.equal(metadata.page_confidence, 0.9);
});

Deno.test("outputRow() makes a failed row of an image that can't be had", () => {
  const failure = { code: "image_denied", message: "403" } as const;
  const loaded = { failure, sha256: null, size: null };
  const { metadata, ...output } = outputRow(inputRow(0), "e", loaded, undefined, NOW);
  assert.deepEqual([output.polygons, output.texts, output.labels], [[], [], []]);
  assert.deepEqual(
    [metadata.status, metadata.error_code, metadata.error_message, metadata.attempts],
    ["failed", "image_denied", "403", 0],
  );
  assert.deepEqual(
    [metadata.image_sha256, metadata.billed_pages, metadata.response_key, metadata.api_width],
    [null, null, null, null],
  );
  assert.deepEqual(metadata.processed_at, new Date(NOW));
});

Deno.test("outputRow() keeps attempts, key and time of a page that the API failed on", () => {
  const failure = { code: "invalid_answer", message: "pages: …" } as const;
  const stored = { answerKey: "responses/x", billedPages: 1, paidBy: PAID_BY };
  const failed = { failure, ...stored, attempts: 2, at: AT };
  const { metadata } = outputRow(inputRow(0), "e", IMAGE, failed, NOW);
  assert.deepEqual(
    [metadata.status, metadata.error_code, metadata.attempts, metadata.response_key],
    ["failed", "invalid_answer", 2, "responses/x"],
  );
  assert.deepEqual([metadata.processed_at, metadata.image_sha256], [AT, SHA]);
  // It was paid for all the same.
  assert.equal(metadata.billed_pages, 1);
});

Deno.test("outputRow() fails a document of several pages, whose bill stays in the row", () => {
  const answer = obtained(page(word("one")), page(word("two")));
  const { metadata, texts } = outputRow(inputRow(0), "e", IMAGE, answer, NOW);
  assert.deepEqual([metadata.status, metadata.error_code], ["failed", "multiple_pages"]);
  assert.match(metadata.error_message!, /2 pages/);
  assert.deepEqual([texts, metadata.word_confidences, metadata.api_width], [[], [], null]);
  assert.deepEqual([metadata.billed_pages, metadata.model_version], [7, "ocr-1"]);
});

Deno.test("outputRow() writes what is read back: one kind of zero, well-formed messages", () => {
  const failure = { code: "api_rejected", message: "cut in two: \ud83e" } as const;
  const failed = { failure, sha256: null, size: null };
  const row = inputRow(0, { width: -0, height: -0 });
  const output = outputRow(row, "e", failed, undefined, NOW);
  assert.ok(Object.is(output.width, 0) && Object.is(output.height, 0));
  assert.equal(output.metadata.error_message, "cut in two: \ufffd");
});

Deno.test("takeOver() gives what outputRow() makes of the new input row and the same answer", () => {
  const size = fc.constantFrom(null, 0, -0, 5, 300);
  const given = fc.record({
    split: fc.option(fc.string()),
    image_filename: fc.option(fc.string()),
    width: size,
    height: size,
    metadata: fc.option(fc.json()),
  });
  const pages = fc.constantFrom(page(word("one")), page(), { ...page(word("two")), width: null });
  fc.assert(fc.property(given, given, pages, (before, now, read) => {
    const answer = obtained(read as AnswerPage);
    const made = (change: Partial<InputRow>, at: number) =>
      outputRow(inputRow(at, { ...change, id: "a", image_path: "b" }), "e", IMAGE, answer, NOW);
    const row = inputRow(7, { ...now, id: "a", image_path: "b" });
    assert.deepEqual(takeOver(row, made(before, 3)), made(now, 7));
  }));
});
