import assert from "node:assert/strict";
import { createReader, lineWords } from "./reader.ts";
import { READER_MODEL, startReadingServer } from "./reading_server.ts";
import { scoreWords, type Truth } from "./score.ts";

const TESTDATA = new URL("../../../testdata/", import.meta.url);
const TRUTH: Truth = JSON.parse(
  Deno.readTextFileSync(new URL("sample_10.truth.json", TESTDATA)),
);

function sample(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`store/images/sample_10/${name}`, TESTDATA));
}

function word(text: string, x0: number, confidence = 90) {
  return { text, confidence, bbox: { x0, y0: 10, x1: x0 + 10, y1: 20 } };
}

Deno.test("createReader() reads a sample receipt, refuses a corrupt one and then reads on", async () => {
  await using reader = await createReader();
  const bytes = sample("receipt_01.jpg");
  const { width, height, words: truth } = TRUTH.receipt_01;

  await assert.rejects(reader.read(bytes.slice(0, bytes.length / 2)), /Cannot read the image/);
  await assert.rejects(reader.read(new Uint8Array()), /Cannot read the image/);
  await assert.rejects(reader.read(bytes, AbortSignal.abort(new Error("stop"))), /stop/);

  const page = await reader.read(bytes);
  assert.deepEqual([page.width, page.height], [width, height]);
  const { found, total } = scoreWords(truth, page.words);
  assert.ok(found / total >= 0.9, `found ${found} of ${total} words`);
  assert.ok(page.text.includes("아메리카노"));
  for (const { confidence } of [page, ...page.words]) assert.ok(confidence > 0 && confidence <= 1);
});

Deno.test("createReader() stops waiting when the signal aborts", async () => {
  await using reader = await createReader();
  const abort = new AbortController();
  const reading = reader.read(sample("receipt_05.png"), abort.signal);
  abort.abort(new Error("stop"));
  await assert.rejects(reading, /stop/);
});

Deno.test("startReadingServer() answers a read image with 200 and a corrupt one with 400, in both protocols", async () => {
  const bytes = sample("receipt_05.png");
  for (const protocol of ["liteparse", "upstage"] as const) {
    await using server = await startReadingServer({ protocol });
    const post = (bytes: Uint8Array<ArrayBuffer>) => {
      const body = new FormData();
      const file = new File([bytes], "a.png");
      if (protocol === "liteparse") {
        body.set("file", file);
        return fetch(server.url, { method: "POST", body });
      }
      body.set("document", file);
      body.set("model", "ocr");
      const headers = { authorization: "Bearer any" };
      return fetch(`${server.url}/document-digitization`, { method: "POST", body, headers });
    };
    const corrupt = await post(bytes.slice(0, 5000));
    assert.deepEqual([corrupt.status, (await corrupt.json()).code], [400, "invalid_request_body"]);
    const answer = await (await post(bytes)).json();
    if (protocol === "upstage") {
      assert.ok(answer.pages[0].text.includes("CITY CAB"));
      assert.equal(answer.pages[0].words[0].boundingBox.vertices.length, 4);
    } else {
      assert.equal(answer.model, READER_MODEL);
      const texts: string[] = answer.results.map(({ text }: { text: string }) => text);
      assert.ok(texts.includes("CITY") && texts.includes("CAB"));
      assert.equal(answer.results[0].polygon.length, 4);
    }
  }
});

Deno.test("lineWords() joins pieces that touch and keeps words apart", () => {
  const words = lineWords({
    text: "주문 번호 A 1",
    words: [word("주", 0, 60), word("문", 10, 80), word("번호", 30), word("A", 60), word("1", 80)],
  });
  assert.deepEqual(words.map(({ text }) => text), ["주문", "번호", "A", "1"]);
  assert.deepEqual(words[0].vertices, [
    { x: 0, y: 10 },
    { x: 20, y: 10 },
    { x: 20, y: 20 },
    { x: 0, y: 20 },
  ]);
  assert.ok(Math.abs(words[0].confidence - 0.7) < 1e-9);
});

Deno.test("lineWords() drops words the engine does not believe in", () => {
  const words = lineWords({ text: "a b c", words: [word("a", 0, 0.4), word("b", 20, 0.5)] });
  assert.deepEqual(words.map(({ text }) => text), ["b"]);
});
