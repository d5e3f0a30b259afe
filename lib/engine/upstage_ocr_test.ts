import assert from "node:assert/strict";
import fc from "fast-check";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { clockwise, parseAny, plainAnswer, upstageOcr } from "./upstage_ocr.ts";
import { findEngine } from "./engines.ts";
import type { Polygon } from "../dataset/row.ts";

// deno-lint-ignore no-explicit-any -- the tests break the documented form on purpose
type Loose = any;

/** A whole answer with one word, of which `change` may break a part. */
function answer(change: (body: Loose) => void = () => {}): Loose {
  const word = {
    text: "총액",
    confidence: 0.75,
    vertices: [{ x: 1, y: 2 }, { x: 30.5, y: 2 }, { x: 30.5, y: 12 }, { x: 1, y: 12 }],
  };
  const page = { width: 300, height: 100, confidence: 0.5, text: "총액", words: [word] };
  const body = structuredClone(pageBody(page)) as Loose;
  change(body);
  return body;
}

const parse = (change?: (body: Loose) => void) => upstageOcr.parse(answer(change));

Deno.test("upstageOcr is found by its name, alone", () => {
  assert.equal(findEngine("upstage-ocr"), upstageOcr);
  assert.equal(findEngine("constructor"), undefined);
});

Deno.test("upstageOcr.parse() reads words, polygons, confidences and size", () => {
  assert.deepEqual(parse(), {
    value: {
      modelVersion: "ocr-260930",
      pages: [{
        width: 300,
        height: 100,
        confidence: 0.5,
        words: [{
          text: "총액",
          confidence: 0.75,
          polygon: [[1, 2], [30.5, 2], [30.5, 12], [1, 12]],
        }],
      }],
    },
  });
});

Deno.test("upstageOcr.parse() reads every page that the API of the fixtures answers", () => {
  for (let n = 0; n < 30; n++) {
    const page = readFake(fakeImage(`${n}`));
    const { value } = upstageOcr.parse(pageBody(page));
    assert.deepEqual(value?.pages[0].words.map((word) => word.text), page.words.map((w) => w.text));
  }
});

Deno.test("upstageOcr.parse() takes what may be absent for unknown, and unknown fields for nothing", () => {
  const sparse = parse((body) => {
    delete body.modelVersion;
    delete body.numBilledPages;
    body.pages[0].confidence = null;
    delete body.pages[0].words[0].confidence;
    body.pages.push({ width: 10.4, height: 20.5, words: [], novelty: 1 });
  }).value!;
  assert.equal(sparse.modelVersion, null);
  assert.equal(sparse.pages[0].confidence, null);
  assert.equal(sparse.pages[0].words[0].confidence, null);
  assert.deepEqual(sparse.pages[1], { width: 10, height: 21, confidence: null, words: [] });
});

Deno.test("upstageOcr.billedPages() is what the answer states, else its pages, and never forgets one", () => {
  const table: [body: unknown, pages: number][] = [
    [answer(), 1],
    [{ numBilledPages: 7, pages: [{}] }, 7],
    [{ numBilledPages: 7 }, 7],
    [{ numBilledPages: 0, pages: [{}] }, 0],
    [{ pages: [{}, {}] }, 2],
    [{ pages: [] }, 1],
    [{ numBilledPages: -1, pages: [{}, {}] }, 2],
    [{ numBilledPages: 1.5 }, 1],
    [{ numBilledPages: "3", pages: "x" }, 1],
    [{ numBilledPages: 1e15, pages: [{}, {}] }, 2],
    [{ numBilledPages: 1e300 }, 1],
    ...[null, undefined, [], "text", 7].map((body): [unknown, number] => [body, 1]),
  ];
  for (const [body, pages] of table) {
    assert.equal(upstageOcr.billedPages(body), pages, JSON.stringify(body));
  }
});

const MALFORMED: readonly (readonly [change: (body: Loose) => void, problem: RegExp])[] = [
  [(body) => delete body.pages, /^pages: /],
  [(body) => body.pages = [], /^pages: /],
  [(body) => body.pages = {}, /^pages: /],
  [(body) => body.modelVersion = 7, /^modelVersion: /],
  [(body) => body.pages[0] = null, /^pages\.0: /],
  [(body) => body.pages[0].width = 0, /^pages\.0\.width: /],
  [(body) => body.pages[0].height = "100 px", /^pages\.0\.height: /],
  [(body) => body.pages[0].confidence = 1.5, /^pages\.0\.confidence: /],
  [(body) => delete body.pages[0].words, /^pages\.0\.words: /],
  [(body) => body.pages[0].words.push({}), /^pages\.0\.words\.1\.boundingBox: /],
  [(body) => body.pages[0].words[0].text = null, /^pages\.0\.words\.0\.text: /],
  [(body) => body.pages[0].words[0].confidence = -0.1, /^pages\.0\.words\.0\.confidence: /],
  [(body) => delete body.pages[0].words[0].boundingBox, /^pages\.0\.words\.0\.boundingBox: /],
  [(body) => body.pages[0].words[0].boundingBox.vertices.pop(), /boundingBox\.vertices: /],
  [(body) => body.pages[0].words[0].boundingBox.vertices.push({ x: 1, y: 1 }), /vertices: /],
  [(body) => body.pages[0].words[0].boundingBox.vertices[2].y = null, /vertices\.2\.y: /],
  [(body) => body.pages[0].words[0].boundingBox.vertices[2].x = Infinity, /vertices\.2\.x: /],
];

Deno.test("upstageOcr.parse() says by its path what is wrong with an answer, on one line", () => {
  for (const [change, problem] of MALFORMED) {
    const parsed = parse(change);
    assert.equal(parsed.value, undefined, String(change));
    assert.match(parsed.problem!, problem);
    assert.ok(!parsed.problem!.includes("\n"));
  }
});

Deno.test("upstageOcr.parse() gives a value or a problem for any JSON, never an exception", () => {
  fc.assert(fc.property(fc.jsonValue(), (body) => {
    const { value, problem } = upstageOcr.parse(body);
    assert.notEqual(value === undefined, problem === undefined);
  }));
  for (const body of [undefined, null, [], "", 0]) {
    assert.match(upstageOcr.parse(body).problem!, /^document: /);
  }
});

Deno.test("upstageOcr.parse() takes what has one obvious meaning for that, and tells the drift", () => {
  const table: [change: (body: Loose) => void, read: (page: Loose) => void, drift: RegExp[]][] = [
    [() => {}, () => {}, []],
    [
      (body) => body.pages[0].words[0].confidence = 1.0000001,
      (page) => assert.equal(page.words[0].confidence, 1),
      [/^confidence above 1 taken for 1$/],
    ],
    [
      (body) => body.pages[0].confidence = -1e-9,
      (page) => assert.equal(page.confidence, 0),
      [/^confidence below 0 taken for 0$/],
    ],
    [
      (body) => {
        for (const vertex of body.pages[0].words[0].boundingBox.vertices) delete vertex.x;
        delete body.pages[0].words[0].boundingBox.vertices[0].y;
      },
      (page) => assert.deepEqual(page.words[0].polygon, [[0, 0], [0, 2], [0, 12], [0, 12]]),
      [/^missing x or y taken for 0$/],
    ],
    [
      (body) => delete body.numBilledPages,
      () => {},
      [/^numBilledPages missing or out of range/],
    ],
    ...[1e15, -1, 1.5, "1", null].map((bill): [(body: Loose) => void, () => void, RegExp[]] => [
      (body) => body.numBilledPages = bill,
      () => {},
      [/^numBilledPages missing or out of range/],
    ]),
    [
      (body) => {
        body.usage = {};
        body.pages[0].words[0].novelty = 1;
      },
      () => {},
      [/^unknown field 'usage' of the answer$/, /^unknown field 'novelty' of the word$/],
    ],
    [
      (body) => {
        body.pages[0].text = "";
        delete body.pages[0].words;
      },
      (page) => assert.deepEqual(page.words, []),
      [/^words missing on a page without text$/],
    ],
  ];
  for (const [change, read, drift] of table) {
    const { value, problem } = parse(change);
    assert.equal(problem, undefined, String(change));
    read(value!.pages[0]);
    const told = value!.drift ?? [];
    assert.equal(told.length, drift.length, told.join());
    drift.forEach((pattern, i) => assert.match(told[i], pattern));
  }
});

Deno.test("upstageOcr.parse() does not take a number out of all range for one", () => {
  for (const width of [1e300, 1e9]) {
    assert.match(parse((body) => body.pages[0].width = width).problem!, /^pages\.0\.width: /);
  }
  const far = parse((body) => body.pages[0].words[0].boundingBox.vertices[1].x = 1e300);
  assert.match(far.problem!, /^pages\.0\.words\.0: a coordinate/);
});

/** Twice the area that a polygon encloses: positive is clockwise, as y grows downward. */
function doubleArea(quad: Polygon): number {
  return quad.reduce((sum, [x1, y1], i) => {
    const [x2, y2] = quad[(i + 1) % quad.length];
    return sum + x1 * y2 - x2 * y1;
  }, 0);
}

const point = fc.tuple(fc.integer({ min: -50, max: 5_000 }), fc.integer({ min: -50, max: 5_000 }));
const quads = fc.array(point, { minLength: 4, maxLength: 4 });

Deno.test("clockwise() keeps the first point and the points, and none runs counter-clockwise", () => {
  fc.assert(fc.property(quads, (quad) => {
    const before = structuredClone(quad);
    const turned = clockwise(quad);
    assert.deepEqual(quad, before, "the argument was changed");
    assert.deepEqual(turned[0], quad[0]);
    const sorted = (points: Polygon) => points.map(String).sort();
    assert.deepEqual(sorted(turned), sorted(quad));
    assert.ok(doubleArea(turned) >= 0);
    // Neighbours stay neighbours: the outline is the same.
    assert.ok(
      [String(quad), String([quad[0], quad[3], quad[2], quad[1]])].includes(String(turned)),
    );
    assert.deepEqual(clockwise(turned), turned);
  }));
});

Deno.test("clockwise() turns a counter-clockwise box and leaves a clockwise one and a line alone", () => {
  const box = [[1, 1], [9, 1], [9, 5], [1, 5]];
  assert.equal(clockwise(box), box);
  assert.deepEqual(clockwise([[1, 1], [1, 5], [9, 5], [9, 1]]), box);
  const line = [[1, 1], [2, 2], [4, 4], [3, 3]];
  assert.equal(clockwise(line), line);
});

Deno.test("upstageOcr.parse() hands on clockwise polygons whatever order the API gives", () => {
  const parsed = parse((body) => body.pages[0].words[0].boundingBox.vertices.reverse());
  const [{ polygon }] = parsed.value!.pages[0].words;
  assert.deepEqual(polygon, [[1, 12], [1, 2], [30.5, 2], [30.5, 12]]);
});

const oddNumber = fc.oneof(
  fc.double({ min: -5, max: 400 }),
  fc.constantFrom(-0, 0, 1, -1, 1.0005, 1e9, 1e300, NaN, Infinity, 0.1 + 0.2),
);
const oddValue = fc.oneof(
  { weight: 6, arbitrary: oddNumber },
  fc.constantFrom(undefined, null, "", "1", true, [], {}, "\ud800", "e\u0301"),
);
const corner = fc.record({
  x: fc.integer({ min: 0, max: 300 }),
  y: fc.integer({ min: 0, max: 99 }),
});

Deno.test("plainAnswer() reads what parseAny() reads, or nothing, whatever is odd about an answer", () => {
  let read = 0;
  fc.assert(fc.property(
    fc.array(
      fc.tuple(
        fc.string({ unit: "binary", maxLength: 4 }),
        fc.array(corner, { minLength: 4, maxLength: 4 }),
      ),
      { maxLength: 3 },
    ),
    fc.array(fc.tuple(fc.nat({ max: 60 }), oddValue, fc.boolean()), { maxLength: 2 }),
    (words, changes) => {
      const body = answer((body) => {
        const [page] = body.pages;
        const [word] = page.words;
        for (const [text, vertices] of words) {
          page.words.push({ ...word, text, boundingBox: { vertices } });
        }
      });
      for (const [at, value, adds] of changes) {
        // Any object or list anywhere in it.
        const places: Loose[] = [];
        const walk = (node: Loose) => {
          if (typeof node !== "object" || node === null) return;
          places.push(node);
          Object.values(node).forEach(walk);
        };
        walk(body);
        const place = places[at % places.length];
        const keys = Object.keys(place);
        const key = adds || keys.length === 0 ? "odd" : keys[at % keys.length];
        if (value === undefined) delete place[key];
        else place[key] = value;
      }
      const plain = plainAnswer(body);
      if (!plain) return;
      read++;
      assert.deepEqual(parseAny(body), { value: plain });
    },
  ));
  assert.ok(read > 20, `${read} were read`);
});

Deno.test("plainAnswer() reads every answer that is as documented", () => {
  for (let n = 0; n < 30; n++) assert.ok(plainAnswer(pageBody(readFake(fakeImage(`${n}`)))));
});
