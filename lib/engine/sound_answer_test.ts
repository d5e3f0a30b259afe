import assert from "node:assert/strict";
import fc from "fast-check";
import { checkRow } from "../dataset/check_row.ts";
import type { Answer } from "./engine.ts";
import { MAX_COORDINATE, MAX_SIDE, soundAnswer } from "./sound_answer.ts";

const BOX = [[0, 0], [9, 0], [9, 5], [0, 5]];

function answer(page: Partial<Answer["pages"][0]> = {}, polygon = BOX): Answer {
  const words = [{ text: "a", confidence: 0.5, polygon }];
  return { modelVersion: "m", pages: [{ width: 300, height: 100, confidence: 1, words, ...page }] };
}

Deno.test("soundAnswer() leaves a sound answer as it is, corners a little outside included", () => {
  const slanted = answer({}, [[-2, -1], [302.5, 0], [302.5, 102], [-2, 102]]);
  for (const sound of [answer(), slanted]) assert.deepEqual(soundAnswer(sound).value, sound);
});

Deno.test("soundAnswer() knows one zero, whole pages, corners on the page and well-formed text", () => {
  const words = [{
    text: "a\ud800b",
    confidence: -0,
    polygon: [[-0, -50], [5_000, 0], [300, 999], [0, 7]],
  }];
  const { value } = soundAnswer({
    modelVersion: "m\udc00",
    pages: [{ width: 300.4, height: 0.2, confidence: -0, words }],
  });
  const [page] = value!.pages;
  assert.equal(value!.modelVersion, "m\ufffd");
  assert.deepEqual([page.width, page.height, Object.is(page.confidence, 0)], [300, 1, true]);
  assert.deepEqual(page.words, [{
    text: "a\ufffdb",
    confidence: 0,
    polygon: [[0, 0], [300, 0], [300, 1], [0, 1]],
  }]);
});

Deno.test("soundAnswer() takes numbers out of range for an unreadable answer", () => {
  for (const width of [0, -1, NaN, Infinity, MAX_SIDE * 2, 1e300]) {
    assert.match(soundAnswer(answer({ width })).problem!, /^pages\.0\.width: .* not from 1 to/);
  }
  for (const x of [NaN, -Infinity, 1e300, 2 * MAX_COORDINATE]) {
    const { problem } = soundAnswer(answer({}, [[x, 0], [9, 0], [9, 5], [0, 5]]));
    assert.match(problem!, /^pages\.0\.words\.0: a coordinate/);
  }
});

const size = fc.double({ min: 0.001, max: MAX_SIDE, noNaN: true });
const coordinate = fc.double({ min: -MAX_COORDINATE, max: MAX_COORDINATE, noNaN: true });
const polygon = fc.array(fc.tuple(coordinate, coordinate), { minLength: 4, maxLength: 4 });

Deno.test("soundAnswer() gives what verify takes, whatever is in range, and gives it again", () => {
  fc.assert(fc.property(size, size, polygon, fc.string({ unit: "binary" }), (w, h, quad, text) => {
    const words = [{ text, confidence: null, polygon: quad }];
    const { value } = soundAnswer({
      modelVersion: null,
      pages: [{ width: w, height: h, confidence: null, words }],
    });
    assert.deepEqual(soundAnswer(value!).value, value);
    const [page] = value!.pages;
    const flat = page.words[0].polygon.flat();
    assert.ok(flat.every((value) => Number.isFinite(value) && !Object.is(value, -0)));
    const input = { id: "", split: null, image_path: "", image_filename: null };
    const metadata = {
      ...{ status: "ok", error_code: null, response_key: "r", word_confidences: [null] },
      ...{ api_width: page.width, api_height: page.height },
    };
    const output = {
      ...{ ...input, polygons: [page.words[0].polygon], texts: [text], labels: ["text"] },
      metadata,
    };
    // deno-lint-ignore no-explicit-any -- the few fields that are looked at
    assert.deepEqual(checkRow(input as any, output as any), []);
  }));
});
