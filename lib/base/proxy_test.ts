import assert from "node:assert/strict";
import { RunError } from "./errors.ts";
import { proxyVariables } from "./proxy.ts";

Deno.test("proxyVariables() takes capitals or not, and a host without scheme", () => {
  assert.equal(proxyVariables({ NO_PROXY: "x", HTTPS_PROXY: "" }), undefined);
  assert.deepEqual(proxyVariables({ https_proxy: "proxy:3128", NO_PROXY: "a,.b" }), {
    HTTPS_PROXY: "http://proxy:3128",
    HTTP_PROXY: undefined,
    NO_PROXY: "a,.b",
  });
});

Deno.test("proxyVariables() refuses what is no URL without repeating it", () => {
  for (const value of ["socks5://user:secret@proxy", "http://user:secret@"]) {
    assert.throws(() => proxyVariables({ HTTPS_PROXY: value }), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage");
      assert.match(error.message, /^HTTPS_PROXY must be a URL/);
      return !error.message.includes("secret");
    });
  }
});
