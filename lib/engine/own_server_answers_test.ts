import assert from "node:assert/strict";
import { parseOwn, toldModel } from "./own_server_answers.ts";

const PICTURE = { width: 300, height: 100, orientation: 1 };
const word = (bbox: number[], more = {}) => ({ text: "x", bbox, confidence: 0.5, ...more });
const page = (body: unknown, picture = PICTURE) => {
  const { value, problem } = parseOwn(body, picture);
  assert.equal(problem, undefined);
  return { ...value!.pages[0], drift: value!.drift };
};
const problem = (body: unknown, picture: typeof PICTURE | undefined = PICTURE) =>
  parseOwn(body, picture).problem ?? "";

Deno.test("parseOwn() takes boxes for lines of the picture, unless the server says what they are", () => {
  const results = [word([10, 20, 60, 40])];
  const { words, ...rest } = page({ results });
  assert.deepEqual(rest, { width: 300, height: 100, confidence: null, drift: undefined });
  const polygon = [[10, 20], [60, 20], [60, 40], [10, 40]];
  assert.deepEqual(words, [{ text: "x", confidence: 0.5, polygon, label: "line" }]);
  const told = { results, granularity: "word", width: 600, height: 200, model_version: "m-1" };
  const own = page(told);
  assert.deepEqual([own.width, own.height, own.words[0].label], [600, 200, undefined]);
  assert.equal(parseOwn(told, PICTURE).value!.modelVersion, "m-1");
  assert.equal(toldModel(told), "m-1");
});

Deno.test("parseOwn() understands boxes that are no quadrilaterals, and says so", () => {
  const { words, drift } = page({
    results: [
      word([60, 40, 10, 20]),
      word([0, 0, 1, 1], { polygon: [[1, 1], [9, 1], [12, 5], [9, 9], [1, 9]] }),
      { text: "y", polygon: [[10, 20], [10, 40], [60, 40], [60, 20]] },
    ],
  });
  assert.deepEqual(words.map(({ polygon }) => polygon), [
    [[10, 20], [60, 20], [60, 40], [10, 40]],
    [[1, 1], [12, 1], [12, 9], [1, 9]],
    [[10, 20], [60, 20], [60, 40], [10, 40]],
  ]);
  assert.equal(words[2].confidence, null);
  assert.deepEqual(drift, [
    "corners of boxes in another order",
    "polygons of 5 points taken as the boxes around them",
  ]);
});

Deno.test("parseOwn() knows the frame of a turned picture where words show it, and says where not", () => {
  const turned = { width: 300, height: 100, orientation: 6 };
  const of = (...boxes: number[][]) => {
    const { width, height, frame, words } = page(
      { results: boxes.map((box) => word(box)) },
      turned,
    );
    return [width, height, frame, words.at(-1)?.polygon[2]];
  };
  assert.deepEqual(of([10, 200, 40, 280]), [100, 300, undefined, [40, 280]], "upright");
  assert.deepEqual(of([200, 10, 280, 40]), [300, 100, undefined, [280, 40]], "as stored");
  assert.deepEqual(of([10, 10, 40, 40]), [300, 100, "unknown", [40, 40]], "either");
  assert.deepEqual(of(), [300, 100, "unknown", undefined]);
  const half = { ...turned, orientation: 3 };
  assert.equal(page({ results: [] }, half).frame, "unknown");
  assert.match(problem({ results: [word([200, 200, 280, 280])] }, turned), /outside the picture/);
  // A server that tells the size of what it has seen leaves nothing open.
  const told = page({ results: [], width: 100, height: 300 }, turned);
  assert.deepEqual([told.width, told.height, told.frame], [100, 300, undefined]);
});

Deno.test("parseOwn() reads PaddleX's lists that belong together, and no page that was turned", () => {
  const quad = [[1, 1], [9, 1], [9, 9], [1, 9]];
  const answer = (pruned: object, dataInfo: unknown = { width: 300, height: 100 }) => ({
    errorCode: 0,
    result: {
      ocrResults: [{ prunedResult: { rec_texts: ["a"], rec_scores: [0.9], ...pruned } }],
      dataInfo,
    },
  });
  assert.deepEqual(page(answer({ rec_polys: [quad], dt_polys: [quad, quad] })).words, [
    { text: "a", confidence: 0.9, polygon: quad, label: "line" },
  ]);
  assert.deepEqual(page(answer({ rec_boxes: [[1, 1, 9, 9]] })).words[0].polygon, quad);
  assert.match(problem(answer({ rec_polys: [quad, quad] })), /1 texts, but not as many places/);
  assert.match(problem(answer({ rec_polys: [quad], rec_scores: [] })), /0 scores/);
  const preprocessed = (angle: number) =>
    answer({ rec_polys: [quad], doc_preprocessor_res: { angle } });
  assert.match(problem(preprocessed(90)), /has turned/);
  assert.equal(page(preprocessed(0)).words.length, 1);
  assert.equal(page(preprocessed(-1)).words.length, 1);
});

Deno.test("parseOwn() takes docTR's shares of the page for pixels of it, boxes and quadrilaterals", () => {
  const words = [
    { value: "a", geometry: [0.1, 0.2, 0.5, 0.4], confidence: 0.7 },
    { value: "b", geometry: [0.1, 0.2, 0.5, 0.25, 0.5, 0.45, 0.1, 0.4], confidence: 0.8 },
  ];
  const read = page([{ dimensions: [100, 300], items: [{ blocks: [{ lines: [{ words }] }] }] }]);
  assert.deepEqual([read.width, read.height], [300, 100]);
  assert.deepEqual(read.words.map(({ polygon }) => polygon), [
    [[30, 20], [150, 20], [150, 40], [30, 40]],
    [[30, 20], [150, 25], [150, 45], [30, 40]],
  ]);
  assert.equal(read.words[0].label, undefined);
});

Deno.test("parseOwn() says in words what it can't read", () => {
  assert.match(
    problem({ results: [{ text: "x" }] }),
    /results\.0: it has neither bbox nor polygon/,
  );
  assert.match(problem({ results: [word([1, 2, 3, 4], { confidence: 95 })] }), /confidence/);
  assert.match(problem({ results: [word([400, 20, 500, 40])] }), /300 × 100 pixels.*in pixels of/);
  assert.match(problem({ text: "everything on one line" }), /results/);
  assert.match(parseOwn({ results: [] }, undefined).problem!, /tells a size/);
  assert.match(
    problem([{
      dimensions: [1, 1],
      items: [{
        blocks: [{
          lines: [{
            words: [{
              ...{ value: "x", geometry: [1, 2, 3] },
            }],
          }],
        }],
      }],
    }]),
    /4 or 8 numbers/,
  );
});
