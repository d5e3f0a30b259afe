/**
 * @module testing/any_row: output rows for tests, fixed ones and arbitrary ones.
 */
import fc from "fast-check";
import { type OutputRow, SCHEMA_VERSION } from "../../lib/dataset/row.ts";

/** A row that was read, with `words` words. */
export function okRow(index: number, words = 3): OutputRow {
  const each = Array.from({ length: words }, (_, word) => word);
  return {
    schema_version: SCHEMA_VERSION,
    id: `row-${index}`,
    split: "train",
    image_path: `s3://bucket/images/${index}.jpg`,
    image_filename: `${index}.jpg`,
    width: 1000,
    height: 2000,
    polygons: each.map((word) => {
      const [x, y] = [word * 50 + 0.5, index * 30];
      return [[x, y], [x + 40, y], [x + 40, y + 20], [x, y + 20]];
    }),
    texts: each.map((word) => `단어 ${index}-${word} 🧾`),
    labels: each.map(() => "text"),
    metadata: {
      source: "pseudolabel",
      engine: "upstage-ocr",
      model_version: "ocr-260930",
      status: words > 0 ? "ok" : "empty",
      error_code: null,
      error_message: null,
      attempts: 1,
      page_confidence: 0.97,
      word_confidences: each.map((word) => word === 1 ? null : 0.5 + word / 1000),
      image_sha256: "ab".repeat(32),
      image_bytes: 123456,
      api_width: 1000,
      api_height: 2000,
      billed_pages: 1,
      response_key: `responses/${index}.json`,
      processed_at: new Date(1_790_000_000_000 + index),
      input_metadata: '{"original_source":"receipts"}',
      image_width: 1000,
      image_height: 2000,
      image_orientation: 1,
      frame: "upright",
    },
  };
}

/** A row that could not be read: as much null or empty as can be. */
export function failedRow(index: number): OutputRow {
  const item = okRow(index, 0);
  return {
    ...item,
    split: null,
    image_filename: null,
    width: null,
    height: null,
    metadata: {
      ...item.metadata,
      model_version: null,
      status: "failed",
      error_code: "image_missing",
      error_message: "no such object",
      attempts: 0,
      page_confidence: null,
      image_sha256: null,
      image_bytes: null,
      api_width: null,
      api_height: null,
      billed_pages: null,
      response_key: null,
      input_metadata: null,
      image_width: null,
      image_height: null,
      image_orientation: null,
      frame: null,
    },
  };
}

const text = fc.string({ unit: "binary", maxLength: 20 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
// The format keeps no negative zero in dictionaries.
const number = fc.double({ noNaN: true }).map((value) => value + 0);
const polygon = fc.array(fc.array(number, { maxLength: 3 }), { maxLength: 5 });
const word = fc.record({ polygon, text, label: text, confidence: maybe(number) });

/** Any row that the types allow, in well-formed Unicode. */
export const anyRow: fc.Arbitrary<OutputRow> = fc.record({
  words: fc.array(word, { maxLength: 4 }),
  flat: fc.record({
    schema_version: text,
    id: text,
    split: maybe(text),
    image_path: text,
    image_filename: maybe(text),
    width: maybe(whole),
    height: maybe(whole),
  }),
  metadata: fc.record({
    source: text,
    engine: text,
    model_version: maybe(text),
    status: fc.constantFrom("ok" as const, "empty" as const, "failed" as const),
    error_code: maybe(text),
    error_message: maybe(text),
    attempts: whole,
    page_confidence: maybe(number),
    image_sha256: maybe(text),
    image_bytes: maybe(whole),
    api_width: maybe(whole),
    api_height: maybe(whole),
    billed_pages: maybe(whole),
    response_key: maybe(text),
    processed_at: fc.date({ noInvalidDate: true }),
    input_metadata: maybe(text),
    image_width: maybe(whole),
    image_height: maybe(whole),
    image_orientation: maybe(whole),
    frame: maybe(fc.constantFrom("upright" as const, "stored" as const, "unknown" as const)),
  }),
}).map(({ words, flat, metadata }) => ({
  ...flat,
  polygons: words.map((each) => each.polygon),
  texts: words.map((each) => each.text),
  labels: words.map((each) => each.label),
  metadata: { ...metadata, word_confidences: words.map((each) => each.confidence) },
}));
