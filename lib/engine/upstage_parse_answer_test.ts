import assert from "node:assert/strict";
import { billedPages, parseAnswer } from "./upstage_parse_answer.ts";

const PICTURE = { width: 200, height: 100, orientation: 1 };
const CORNERS = [{ x: 0.1, y: 0.2 }, { x: 0.5, y: 0.2 }, { x: 0.5, y: 0.4 }, { x: 0.1, y: 0.4 }];

function element(text: string, page?: number, more: Record<string, unknown> = {}) {
  const content = { html: `<p>${text}</p>`, markdown: "", text: "" };
  return { id: 0, category: "paragraph", content, coordinates: CORNERS, page, ...more };
}

function answer(elements: unknown[], pages = 1) {
  return { api: "2.0", model: "document-parse-260930", elements, usage: { pages } };
}

function texts(body: unknown): string[][] {
  const { value, problem } = parseAnswer(body, PICTURE);
  assert.ok(value, problem);
  return value.pages.map(({ words }) => words.map(({ text }) => text));
}

Deno.test("parseAnswer() gives elements as words: pixels, no confidence, the category as the label", () => {
  const table = {
    category: "table",
    content: { html: "<table><tr><td>a &amp; b</td><td>1</td></tr><tr><td>c</td></tr></table>" },
  };
  const body = answer([
    element("one", 1),
    element("", 1, table),
    element("", 1, { category: "figure" }),
  ]);
  const { value } = parseAnswer(body, PICTURE);
  const polygon = [[20, 20], [100, 20], [100, 40], [20, 40]];
  assert.deepEqual(value, {
    modelVersion: "document-parse-260930",
    pages: [{
      ...{ width: 200, height: 100, confidence: null },
      words: [
        { text: "one", confidence: null, polygon, label: "paragraph" },
        { text: "a & b\t1\nc", confidence: null, polygon, label: "table" },
        { text: "", confidence: null, polygon, label: "figure" },
      ],
    }],
  });
});

Deno.test("parseAnswer() doesn't know in which frame a picture was read that EXIF turns", () => {
  const turned = parseAnswer(answer([element("x", 1)]), { ...PICTURE, orientation: 6 });
  assert.equal(turned.value!.pages[0].frame, "unknown");
  assert.equal(parseAnswer(answer([]), PICTURE).value!.pages[0].frame, undefined);
  assert.match(parseAnswer(answer([]), undefined).problem!, /size of the picture is not known/);
});

Deno.test("parseAnswer() takes the text that there is: as text, else of the HTML, else Markdown with a word about it", () => {
  const content = (content: unknown) => element("", 1, { content });
  const body = answer([
    content({ text: " a\nb ", html: "<p>other</p>" }),
    content({ text: " ", html: "<p>c</p>" }),
    content({ text: null, html: null, markdown: "# d" }),
    content(null),
  ]);
  assert.deepEqual(texts(body), [["a\nb", "c", "# d", ""]]);
  const { drift } = parseAnswer(body, PICTURE).value!;
  assert.deepEqual(drift, ["no text and no HTML, Markdown taken as it is"]);
});

Deno.test("parseAnswer() keeps pages apart, empty ones included, and the order of their elements", () => {
  const elements = [element("a", 1), element("c", 3), element("b", 1), element("d", 3)];
  assert.deepEqual(texts(answer(elements, 4)), [["a", "b"], [], ["c", "d"], []]);
  assert.equal(billedPages(answer(elements, 4)), 4);
  assert.deepEqual(texts(answer([])), [[]]);
});

Deno.test("parseAnswer() joins batches in the order of their ids, however they count their pages", () => {
  const batch = (id: number, start_page: number, elements: unknown[], pages: number) => ({
    ...{ id, start_page, end_page: start_page + pages - 1 },
    answer: answer(elements, pages),
  });
  for (const before of [0, 10]) { // pages of the document, or of the batch
    const second = [element("k", 11 - before), element("m", 12 - before)];
    const body = {
      request_id: "x",
      batches: [
        batch(1, 11, second, 2),
        batch(0, 1, [element("a", 1), element("j", 10)], 10),
      ],
    };
    const found = texts(body);
    assert.deepEqual(found, [["a"], ...Array(8).fill([]), ["j"], ["k"], ["m"]]);
    assert.equal(billedPages(body), 12);
    // Should each batch state the bill of the whole document.
    for (const { answer } of body.batches) answer.usage.pages = 12;
    assert.equal(billedPages(body), 12);
    assert.equal(texts(body).length, 12);
  }
});

Deno.test("parseAnswer() says what it can't read, and what differs from the documented form", () => {
  const deep = `${"<b>".repeat(2_000)}x`;
  const bad: [unknown, RegExp][] = [
    [answer([element("x", 1, { coordinates: [] })]), /elements\.0\.coordinates/],
    [
      answer([element("x", 1, { coordinates: CORNERS.map(() => ({ x: 40, y: 20 })) })]),
      /coordinates/,
    ],
    [answer([element("x", 0)]), /page/],
    [answer([element("x", 1e9)]), /page/],
    [answer([element(deep, 1)]), /elements\.0\.content\.html: nested too deeply/],
    [{ request_id: "x", batches: [] }, /batches/],
    [{ request_id: "x", batches: [{ id: 0, answer: {} }] }, /batches\.0\.answer\.elements/],
  ];
  for (const [body, problem] of bad) assert.match(parseAnswer(body, PICTURE).problem!, problem);
  const odd = {
    ...answer([element("x", undefined, { coordinates: [{}, ...CORNERS.slice(1)], mood: 1 })]),
    usage: { pages: -1 },
    extra: true,
  };
  assert.deepEqual(parseAnswer(odd, PICTURE).value!.drift, [
    "page missing, taken for the first",
    "unknown field 'extra' of the answer",
    "usage.pages missing or out of range, pages of the answer counted instead",
    "unknown field 'mood' of the element",
    "missing x or y taken for 0",
  ]);
  assert.equal(billedPages(odd), 1);
});
