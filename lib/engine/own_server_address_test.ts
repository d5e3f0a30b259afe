import assert from "node:assert/strict";
import fc from "fast-check";
import { RunError } from "../base/errors.ts";
import { isSafeName } from "../state/keys.ts";
import { modelName, serverAt } from "./own_server_address.ts";

const at = (ENGINE_URL: string, more = {}) => serverAt({ ENGINE_URL, ...more });

function refusal(env: Record<string, string | undefined>): string {
  try {
    serverAt(env);
  } catch (error) {
    assert.ok(error instanceof RunError && error.exit === "usage", String(error));
    return error.message;
  }
  assert.fail(`accepted ${JSON.stringify(env)}`);
}

Deno.test("serverAt() finds where pages go, and where the server says what it is", () => {
  const table: [url: string, format: string, pages: string, health: string][] = [
    [
      "http://127.0.0.1:8828",
      "liteparse",
      "http://127.0.0.1:8828/ocr",
      "http://127.0.0.1:8828/health",
    ],
    ["http://ocr:8828/ocr/", "liteparse", "http://ocr:8828/ocr", "http://ocr:8828/health"],
    ["https://x.example/a/ocr", "paddlex", "https://x.example/a/ocr", "https://x.example/a/health"],
    [
      "http://gpu.local:8080",
      "doctr",
      "http://gpu.local:8080/ocr/",
      "http://gpu.local:8080/health",
    ],
    [
      "http://[::1]:8080/ocr?det_arch=fast_base",
      "doctr",
      "http://[::1]:8080/ocr/?det_arch=fast_base",
      "http://[::1]:8080/health",
    ],
  ];
  for (const [url, format, pages, health] of table) {
    const server = at(url, { HTTP_FORMAT: format });
    assert.deepEqual([server.url, server.health, server.format], [pages, health, format]);
    assert.equal(server.key, "");
  }
});

Deno.test("serverAt() shows an address without its query, yet tells two queries apart", () => {
  const [a, b] = ["a=1", "a=2"].map((query) => at(`http://h/ocr?${query}`).shown);
  assert.notEqual(a, b);
  assert.match(a, /^http:\/\/h\/ocr\?[0-9a-f]{8}$/);
});

Deno.test("serverAt() sends a key over TLS or to this machine, and pages wherever the user says", () => {
  const key = { ENGINE_API_KEY: "a-key" };
  for (
    const url of ["https://x.example", "http://localhost:1", "http://127.1.2.3", "http://[::1]:9"]
  ) {
    assert.equal(at(url, key).key, "a-key");
  }
  for (
    const url of ["http://x.example", "http://10.0.0.1", "http://ocr:8828", "http://0.0.0.0:1"]
  ) {
    assert.equal(at(url).key, "");
    const said = refusal({ ENGINE_URL: url, ...key });
    assert.match(said, /must be https, or on this machine, as ENGINE_API_KEY is sent there/);
    assert.doesNotMatch(said, /a-key/);
  }
});

Deno.test("serverAt() says what is wrong with an address, a format or a language, and repeats no key", () => {
  const secret = "sk-Abcdefghij0123456789KLMNOP";
  const table: [env: Record<string, string>, said: RegExp][] = [
    [{}, /--engine-url \(or ENGINE_URL\) is required/],
    [{ ENGINE_URL: "ocr:8828/ocr" }, /write http:\/\/ocr:8828\/ocr/],
    [{ ENGINE_URL: "ftp://x" }, /must be an http or https address: it is 'ftp/],
    [{ ENGINE_URL: "http://" }, /must be an http or https address/],
    [{ ENGINE_URL: "http://me:secret@x/ocr" }, /must have no credentials/],
    [{ ENGINE_URL: "http://x/ocr#a" }, /no fragment/],
    [{ ENGINE_URL: `http://x/ocr?token=${secret}` }, /a key goes into ENGINE_API_KEY/],
    [{ ENGINE_URL: secret }, /not repeated/],
    [{ ENGINE_URL: "http://x", HTTP_FORMAT: "easyocr" }, /one of liteparse, doctr, paddlex/],
    [{ ENGINE_URL: "http://x", OCR_LANGUAGE: "../x" }, /must be a language code/],
    [{ ENGINE_URL: "http://x", OCR_LANGUAGE: "ko", HTTP_FORMAT: "doctr" }, /has no language/],
    [{ ENGINE_URL: "http://127.0.0.1", ENGINE_API_KEY: 'a "key"' }, /is no API key/],
  ];
  for (const [env, said] of table) {
    const message = refusal(env);
    assert.match(message, said);
    assert.doesNotMatch(message, /secret@|sk-Abc|a "key"/);
  }
});

Deno.test("modelName() is safe in keys, of the server's word or its address, and differs where those do", () => {
  const server = at("http://127.0.0.1:8828");
  assert.match(modelName(server, undefined), /^127\.0\.0\.1_8828-[0-9a-f]{8}$/);
  assert.equal(modelName(server, "surya-2.1"), "surya-2.1");
  assert.match(modelName(server, "PaddleOCR/PP-OCRv5"), /^PaddleOCR_PP-OCRv5-[0-9a-f]{8}$/);
  const korean = at("http://127.0.0.1:8828", { OCR_LANGUAGE: "KO" });
  assert.equal(modelName(korean, "surya-2.1"), "surya-2.1-ko");
  const names = [
    ...[server, korean, at("http://127.0.0.1:8829"), at("http://127.0.0.1:8828/ocr?a=1")],
    at("http://127.0.0.1:8828", { HTTP_FORMAT: "paddlex" }),
  ].map((server) => modelName(server, undefined));
  assert.equal(new Set(names).size, names.length);
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), fc.webUrl(), (told, url) => {
    for (const name of [modelName(server, told), modelName(at(url), undefined)]) {
      assert.ok(isSafeName(name), name);
    }
  }));
});
