import assert from "node:assert/strict";
import { fetchImage, isFetchable } from "./fetch_image.ts";

/** What a server answers, by path. */
const ANSWERS: Record<string, (n: number) => Response> = {
  "/ok": () => new Response("image"),
  "/long": () => new Response("x".repeat(2_000)),
  "/gone": () => new Response("no", { status: 404 }),
  "/busy": (n) => n < 3 ? new Response("", { status: 503 }) : new Response("image"),
  "/wait": (n) =>
    n < 2
      ? new Response("", { status: 429, headers: { "retry-after": "7" } })
      : new Response("image"),
  "/later": () => new Response("", { status: 429, headers: { "retry-after": "9999" } }),
  "/down": () => new Response("", { status: 500 }),
  "/to": () => new Response(null, { status: 302, headers: { location: "/ok" } }),
  "/round": () => new Response(null, { status: 302, headers: { location: "/round" } }),
  "/inside": () =>
    new Response(null, { status: 302, headers: { location: "http://169.254.169.254/" } }),
};

Deno.test("isFetchable() takes https, and http only to this very machine", () => {
  for (const good of ["https://x.org/a.png?b=c", "http://127.0.0.1:8/a", "http://localhost/a"]) {
    assert.ok(isFetchable(good), good);
  }
  for (
    const bad of [
      "http://x.org/a.png",
      "http://169.254.169.254/latest",
      "https://user:secret@x.org/a",
      "ftp://x.org/a",
      "file:///etc/passwd",
      "http://127.0.0.1.x.org/",
      "x",
    ]
  ) assert.ok(!isFetchable(bad), bad);
});

Deno.test("fetchImage() tries again where that helps, and says why where it doesn't", async () => {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(pathname);
    return ANSWERS[pathname](requests.filter((path) => path === pathname).length);
  });
  let now = 0;
  const clock = {
    now: () => now,
    sleep: (ms: number) => Promise.resolve(void (now += ms)),
  };
  const { signal } = new AbortController();
  const get = async (path: string) => {
    const address = `http://127.0.0.1:${server.addr.port}${path}`;
    const { bytes, problem } = await fetchImage(address, {
      ...{ maxBytes: 1_000, signal, clock, random: () => 0 },
    });
    return problem ?? new TextDecoder().decode(bytes);
  };
  try {
    assert.equal(await get("/ok"), "image");
    assert.equal(await get("/to"), "image");
    assert.equal(await get("/busy"), "image");
    const before = clock.now();
    assert.equal(await get("/wait"), "image");
    assert.equal(clock.now() - before, 7_000);
    assert.equal(await get("/gone"), "the server answers 404");
    assert.equal(await get("/down"), "the server answers 500");
    assert.equal(await get("/later"), "the server answers 429");
    assert.match(await get("/long"), /more than the 1000 bytes/);
    assert.match(await get("/round"), /more than 5 times/);
    assert.match(await get("/inside"), /not https/);
    const count = (path: string) => requests.filter((one) => one === path).length;
    assert.deepEqual(["/busy", "/gone", "/down", "/later"].map(count), [3, 1, 4, 1]);
  } finally {
    await server.shutdown();
  }
  assert.notEqual(await get("/ok"), "image", "nobody is there any more");
});
