import assert from "node:assert/strict";
import { StoredKey } from "./api_key.ts";
import { HttpClient, jsonAnswer, type Verdict } from "./http.ts";

Deno.test("a key that the API took, if only to reject the page, may be renewed again later", async () => {
  const seen: string[] = [];
  // Which key is good changes twice; every page is rejected for what it is.
  let good = "second";
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (it) => {
    await it.body?.cancel();
    const key = it.headers.get("authorization") ?? "";
    seen.push(key);
    return new Response("{}", { status: key === good ? 422 : 401 });
  });
  const stored = ["second", "third"];
  const key = new StoredKey("first", "secret x", () => Promise.resolve(stored.shift()!));
  const client = new HttpClient({ key, timeoutMs: 20_000, note: () => {} });
  const post = async () => {
    const { kind } = await client.post(
      (authorization) => ({
        url: `http://127.0.0.1:${server.addr.port}/`,
        headers: { authorization },
        body: new Blob(),
      }),
      ({ status, text }): Verdict => {
        if (status === 200) return jsonAnswer(text);
        return { kind: status === 401 ? "key_refused" : "rejected", message: `HTTP ${status}` };
      },
      new AbortController().signal,
    );
    return kind;
  };
  assert.equal(await post(), "renewed");
  assert.equal(await post(), "rejected");
  good = "third";
  assert.equal(await post(), "renewed");
  assert.equal(await post(), "rejected");
  assert.deepEqual(seen, ["first", "second", "second", "third"]);
});
