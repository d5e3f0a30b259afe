import assert from "node:assert/strict";
import fc from "fast-check";
import { isJson, walk } from "./json_text.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a text that is walked through is JSON where JSON.parse takes it, and nowhere else", () => {
  const piece = fc.constantFrom(
    ...'{}[],:"\\ \n\t0123-+.eEu/'.split(""),
    ..."true,false,null,1e5,\\u00e9,\\n,é,\u0001,\u2028,-0,01,1.,.5,\u00a0,0x1".split(","),
    '"a":',
    '"b"',
  );
  const nearly = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const cut = fc.tuple(fc.json(), fc.nat(), piece).map(([text, at, piece]) =>
    text.slice(0, at % (text.length + 1)) + piece + text.slice(at % (text.length + 1))
  );
  const written = fc.jsonValue().map((value) => JSON.stringify(value, null, 1));
  fc.assert(
    fc.property(fc.oneof(nearly, cut, written, fc.json()), (text) => {
      assert.equal(walk(text) === text.length, parses(text), text);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("long texts are told apart like short ones, however deep they are", () => {
  const long = JSON.stringify(Array.from({ length: 50_000 }, (_, n) => ({ n, text: `"${n}\n` })));
  assert.equal(isJson(long), true);
  assert.equal(isJson(`${long}x`), false);
  assert.equal(isJson(long.slice(0, -1)), false);
  assert.equal(isJson("[".repeat(300_000)), false);
  assert.equal(isJson(`${"[".repeat(200_000)}${"]".repeat(200_000)}`), false);
  assert.equal(isJson(`${"[".repeat(4_000)}1${"]".repeat(4_000)}${" ".repeat(300_000)}`), true);
});
