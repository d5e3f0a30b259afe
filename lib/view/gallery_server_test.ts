import assert from "node:assert/strict";
import { StoreError } from "../base/errors.ts";
import { Reviews } from "../state/reviews.ts";
import { type Page, putLabelled } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { slopeJpeg } from "../../dev/testing/pictures.ts";
import { Gallery } from "./gallery.ts";
import { galleryFile } from "./gallery_file.ts";
import { pickPages } from "./gallery_pick.ts";
import { galleryHandler } from "./gallery_server.ts";
import { openLabels } from "./labels.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const HOST = "127.0.0.1:4321";
const HOSTILE = `</script><script>alert(1)</script><img src=x onerror=alert(1)>"'\u2028`;
const signal = new AbortController().signal;

const PAGES: Page[] = [
  { imagePath: "images/a.jpg", words: [{ text: HOSTILE }, { text: "합계", confidence: 0.4 }] },
  { id: HOSTILE, failure: ["image_not_found", HOSTILE] },
  { id: "html", imagePath: "images/page.html", words: [{ text: "x" }] },
];

async function openGallery(pages: readonly Page[] = PAGES) {
  const store = new MemoryStore();
  await putLabelled(store, "demo", pages);
  store.put("images/a.jpg", await slopeJpeg(40, 60));
  store.put("images/page.html", "<html><script>alert(1)</script></html>");
  store.put("secret.txt", "not to be seen");
  const settings = {
    datasetName: "demo",
    checkpointPrefix: "checkpoints/",
    outputKey: "data/processed/demo_pseudo_labels.parquet",
  };
  const opened = await openLabels(store, settings, signal);
  const fault: { error?: Error } = {};
  const labels = {
    ...opened,
    row: (index: number) => fault.error ? Promise.reject(fault.error) : opened.row(index),
  };
  const selection = { order: "worst", seed: 1, limit: 10 } as const;
  const gallery = new Gallery({
    dataset: "demo",
    ...{ store, labels, selection, images: { local: store }, reviewer: "tester" },
    picked: await pickPages(labels, selection, signal),
    reviews: await Reviews.open(store, "demo"),
    clock: { now: () => Date.parse("2026-11-21T00:00:00Z"), sleep: () => Promise.resolve() },
  });
  const handler = galleryHandler({ gallery, dataset: "demo", token: TOKEN, port: () => 4321 });
  const ask = (path: string, init: RequestInit & { host?: string } = {}) => {
    const { host = HOST, headers, ...rest } = init;
    const sent = { host, ...headers as Record<string, string> };
    return handler(new Request(`http://x${path}`, { ...rest, headers: sent }));
  };
  return { store, gallery, fault, ask, own: (path: string) => ask(`/${TOKEN}/${path}`) };
}

Deno.test("only the exact names of this server are answered, whatever leads to it", async () => {
  const { ask } = await openGallery();
  for (const host of [HOST, "localhost:4321"]) {
    assert.equal((await ask(`/${TOKEN}/list.json`, { host })).status, 200, host);
  }
  const others = [
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:4322",
    "127.0.0.1.evil.example:4321",
    "localhost:4321.evil.example",
    "LOCALHOST:4321",
    "[::1]:4321",
    "0.0.0.0:4321",
    "",
  ];
  for (const host of others) {
    const { status } = await ask(`/${TOKEN}/list.json`, { host });
    assert.equal(status, 421, host);
  }
});

Deno.test("without the token nothing is told, not even whether anything is there", async () => {
  const { ask } = await openGallery();
  const paths = [
    "/",
    "/gallery.html",
    "/list.json",
    "/favicon.ico",
    `/${TOKEN.slice(0, -1)}/gallery.html`,
    `/${TOKEN}x/gallery.html`,
    `/${TOKEN.toUpperCase()}/gallery.html`,
    `/x/${TOKEN}/gallery.html`,
    `//${TOKEN}/gallery.html`,
  ];
  for (const path of paths) {
    const response = await ask(path);
    assert.deepEqual([response.status, await response.text()], [403, ""], path);
  }
});

Deno.test("requests of other pages in the same browser are refused", async () => {
  const { ask } = await openGallery();
  for (const site of ["cross-site", "same-site", "anything"]) {
    const headers = { "sec-fetch-site": site };
    assert.equal((await ask(`/${TOKEN}/image/0`, { headers })).status, 403, site);
  }
  for (const site of ["none", "same-origin"]) {
    const headers = { "sec-fetch-site": site };
    assert.equal((await ask(`/${TOKEN}/image/0`, { headers })).status, 200, site);
  }
});

Deno.test("pages and pictures are named by their row alone; no path leads anywhere else", async () => {
  const { own } = await openGallery();
  const strange = [
    "image/secret.txt",
    "image/../secret.txt",
    "image/%2e%2e%2fsecret.txt",
    "image/-1",
    "image/1e1",
    "image/0x0",
    "image/99999999999999999999",
    "image/3",
    "page/0.json/x",
    "images/a.jpg",
    "../secret.txt",
    "marks/0",
  ];
  for (const path of strange) {
    const response = await own(path);
    assert.ok([403, 404].includes(response.status), `${path}: ${response.status}`);
    assert.doesNotMatch(await response.text(), /not to be seen/);
  }
  // A row whose image is no image gives none.
  assert.equal((await own("image/2")).status, 404);
});

Deno.test("every answer forbids what it doesn't need: sniffing, frames, caches, scripts", async () => {
  const { own, store } = await openGallery();
  store.put("reports/demo/report.html", "<script>alert(1)</script>");
  const answers = ["gallery.html", "list.json", "page/0.json", "image/0", "report.html", "no"];
  for (const path of answers) {
    const { headers } = await own(path);
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("cache-control"), "no-store", path);
    assert.equal(headers.get("referrer-policy"), "no-referrer", path);
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", path);
    assert.match(headers.get("content-security-policy")!, /^default-src 'none'/, path);
    assert.match(headers.get("content-security-policy")!, /frame-ancestors 'none'/, path);
  }
  const policy = (await own("gallery.html")).headers.get("content-security-policy")!;
  assert.match(policy, /script-src 'sha256-[^']+'/);
  assert.doesNotMatch(policy, /unsafe/);
  // A report that somebody has put there may hold anything.
  const report = (await own("report.html")).headers.get("content-security-policy")!;
  assert.doesNotMatch(report, /script-src/);
  assert.equal((await own("image/0")).headers.get("content-type"), "image/jpeg");
});

Deno.test("a page tells its words, boxes and state as data; hostile texts are texts in it", async () => {
  const { own } = await openGallery();
  const first = await (await own("page/0.json")).json();
  assert.deepEqual(first.texts, [HOSTILE, "합계"]);
  assert.deepEqual(first.confidences, [0.97, 0.4]);
  assert.equal(first.placed.boxes.length, 2);
  assert.equal(first.picture, true);
  const failed = await (await own("page/1.json")).json();
  assert.deepEqual([failed.status, failed.code, failed.picture], [
    "failed",
    "image_not_found",
    false,
  ]);
  const shell = await (await own("gallery.html")).text();
  assert.doesNotMatch(shell, /alert\(1\)/);
  const { status } = await own("page/3.json");
  assert.equal(status, 404);
});

Deno.test("marks are taken from the gallery's own page alone", async () => {
  const { ask, store } = await openGallery();
  const body = JSON.stringify({ wrong: true, note: ` ${HOSTILE} ` });
  const headers = { origin: `http://${HOST}`, "content-type": "application/json" };
  const post = (change: Record<string, string>, path = "marks/0", text = body) =>
    ask(`/${TOKEN}/${path}`, { method: "POST", headers: { ...headers, ...change }, body: text });
  const refused: [Record<string, string>, string?][] = [
    [{ origin: "http://evil.example" }],
    [{ origin: "null" }],
    [{ origin: `https://${HOST}` }],
    [{ origin: `http://${HOST}.evil.example` }],
    [{ "content-type": "text/plain" }], // what a form can send
    [{ "content-type": "application/json; charset=utf-7" }],
    [{ "sec-fetch-site": "cross-site" }],
  ];
  for (const [change] of refused) {
    assert.equal((await post(change)).status, 403, JSON.stringify(change));
  }
  const noOrigin = await ask(`/${TOKEN}/marks/0`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  assert.equal(noOrigin.status, 403);
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]) {
    assert.equal((await ask(`/${TOKEN}/marks/0`, { method, headers })).status, 405, method);
  }
  assert.equal((await post({}, "list.json")).status, 404);
  assert.equal((await post({}, "marks/9")).status, 404);
  assert.equal((await post({}, "marks/0", "{")).status, 400);
  assert.equal((await post({}, "marks/0", `{"wrong":"yes","note":""}`)).status, 400);
  assert.equal((await post({}, "marks/0", `"${"x".repeat(20_000)}"`)).status, 413);
  assert.equal(store.objects.has("reviews/demo/marks.json"), false, "nothing was marked so far");

  const made = await post({});
  assert.equal(made.status, 200);
  const { mark } = await made.json();
  assert.deepEqual([mark.id, mark.note, mark.by], ["row-0", HOSTILE.trim(), "tester"]);
  const again = await (await ask(`/${TOKEN}/page/0.json`)).json();
  assert.deepEqual(again.mark, mark);
  assert.deepEqual((await (await ask(`/${TOKEN}/list.json`)).json()).marks, [0]);
  assert.equal((await post({}, "marks/0", `{"wrong":false,"note":""}`)).status, 200);
  assert.equal((await (await ask(`/${TOKEN}/page/0.json`)).json()).mark, null);
});

Deno.test("a page that is checked is kept as a truth, shown again, and taken back", async () => {
  const { ask, store } = await openGallery();
  const headers = { origin: `http://${HOST}`, "content-type": "application/json" };
  const post = (edits: unknown, path = "checked/0", change: Record<string, string> = {}) =>
    ask(`/${TOKEN}/${path}`, {
      method: "POST",
      headers: { ...headers, ...change },
      body: JSON.stringify({ edits }),
    });
  const edits = {
    texts: [[0, `not ${HOSTILE}`]],
    removed: [],
    moved: [[1, [[1, 2], [30, 3], [30, 12], [1, 11]]]],
    added: [{ polygon: [[1, 2], [30, 2], [30, 9], [1, 9]], text: "b" }],
  };
  const kept = () => [...store.objects.keys()].filter((key) => key.startsWith("reviews/"));
  assert.equal((await post(edits, "checked/0", { origin: "http://evil.example" })).status, 403);
  assert.equal((await post(edits, "checked/9")).status, 404);
  assert.equal((await post(edits, "checked/../0")).status, 404);
  for (const bad of [undefined, {}, { ...edits, texts: [["0", "x"]] }, "x"]) {
    assert.equal((await post(bad)).status, 400, JSON.stringify(bad));
  }
  assert.equal((await post({ ...edits, texts: [[0, "x".repeat(2 << 20)]] })).status, 413);
  assert.deepEqual(kept(), []);

  const made = await post(edits);
  assert.equal(made.status, 200);
  const { checked } = await made.json();
  assert.deepEqual([checked.by, checked.edits], ["tester", edits]);
  assert.match(kept().join(), /^reviews\/demo\/pages\/[0-9a-f]{64}\.json$/);
  assert.deepEqual((await (await ask(`/${TOKEN}/page/0.json`)).json()).checked, checked);
  assert.deepEqual(await (await post(null)).json(), { checked: null });
  assert.deepEqual(kept(), []);
  assert.equal((await (await ask(`/${TOKEN}/page/0.json`)).json()).checked, null);
});

Deno.test("what fails is said in words, without a trace of the program", async () => {
  const { own, fault } = await openGallery();
  fault.error = new StoreError("unavailable", "s3://memory is gone");
  const gone = await own("page/0.json");
  assert.deepEqual([gone.status, await gone.json()], [502, { problem: "s3://memory is gone" }]);
  fault.error = new StoreError("precondition", "changed");
  const changed = await own("page/0.json");
  assert.equal(changed.status, 409);
  assert.match((await changed.json()).problem, /start it again/);
  fault.error = new Error("torn\n    at file:///secret/path.ts:1:1");
  const torn = await own("page/0.json");
  assert.deepEqual([torn.status, await torn.json()], [500, { problem: "torn" }]);
  fault.error = undefined;
  assert.equal((await own("page/1.json")).status, 200, "the next look may succeed");
});

Deno.test("a gallery in a file holds its pages and small pictures, and hostile texts as data", async () => {
  const { gallery } = await openGallery();
  const { html, pages, left } = await galleryFile(gallery, "demo", signal);
  assert.deepEqual([pages, left], [3, 0]);
  // Its own two scripts, one of them data, and nothing that a text has begun.
  assert.equal(html.match(/<script/g)!.length, 2);
  assert.equal(html.match(/<\/script>/g)!.length, 2);
  assert.doesNotMatch(html, /<img src=x/);
  const [, json] = /<script type="application\/json" id="data">([^]*?)<\/script>/.exec(html)!;
  const data = JSON.parse(json);
  assert.deepEqual(data.pages.find(({ row }: { row: number }) => row === 0).texts[0], HOSTILE);
  assert.match(data.pages.find(({ row }: { row: number }) => row === 0).data, /^data:image\/jpeg/);
  const addresses = [...html.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, address]) => address);
  assert.deepEqual(new Set(addresses), new Set(["data:,", "report.html"]));
  assert.match(html, /Content-Security-Policy" content="default-src &#39;none&#39;/);
});
