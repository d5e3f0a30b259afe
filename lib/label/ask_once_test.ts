import assert from "node:assert/strict";
import { connect } from "../../dev/doubles/ocr/engine_conformance.ts";
import { startParseServer } from "../../dev/doubles/ocr/upstage_parse.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { StoreError } from "../base/errors.ts";
import type { Collected, Connection } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { probedFrame, probePicture } from "../engine/frame_probe.ts";
import { ticketKey } from "../state/keys.ts";
import { Tickets } from "../state/tickets.ts";
import { askOnce } from "./ask_once.ts";

Deno.test("askOnce() waits for a page that takes its time, and who gave up waiting pays once", async () => {
  const corners = [[36, 30], [200, 30], [200, 60], [36, 60]].map(([x, y]) => ({ x, y }));
  const elements = [{ category: "paragraph", html: "<p>FRAME</p>", corners }];
  await using server = await startParseServer({
    answer: () => ({ kind: "layout", pages: [{ width: 640, height: 400, elements }] }),
    looksUntilReady: 3,
  });
  const engine = await findEngine("upstage-parse-async")!.load();
  const env = { UPSTAGE_BASE_URL: server.url, UPSTAGE_API_KEY: "up_onceOnceOnceOnceOnce1" };
  const store = new MemoryStore();
  const picture = probePicture();
  const giveUp = new AbortController();
  const options = {
    ...{ engine: engine.name, model: engine.defaultModel, clock: new VirtualClock() },
    connection: await connect(engine, env),
    tickets: new Tickets(store, engine.name, engine.defaultModel),
    paidBy: { dataset: "d", run_id: "r", row_id: "x" },
  };
  const first = askOnce(picture, { ...options, signal: giveUp.signal });
  const ended = assert.rejects(first, /enough/);
  while (server.looks === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  giveUp.abort(new Error("enough"));
  await ended;
  assert.equal(store.writes.length, 1);

  const { clock } = options;
  const again = askOnce(picture, { ...options, signal: new AbortController().signal });
  const outcome = await clock.run(again);
  assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
  assert.deepEqual([server.requests, server.billedPages], [1, 1]);
  const { value } = engine.parse(outcome.body, picture.picture);
  assert.equal(value!.pages[0].frame, "unknown");
  assert.equal(probedFrame(value!.pages[0]), "upright");

  server.forget();
  const forgotten = askOnce(picture, { ...options, signal: new AbortController().signal });
  assert.equal((await clock.run(forgotten)).kind, "answered");
  assert.equal(server.requests, 2);
});

/** A connection whose pages are accepted as tickets of these names, and then told to be `looked`. */
async function ask(store: MemoryStore, looked: Collected, others?: () => Promise<void>) {
  const [engine, model] = ["upstage-parse-async", "document-parse"];
  const tickets = new Tickets(store, engine, model);
  let sent = 0;
  const connection: Connection = {
    advice: "the key",
    send: () => Promise.resolve({ kind: "accepted", ticket: { id: ++sent }, message: "accepted" }),
    async collect() {
      await others?.();
      return looked;
    },
  };
  const clock = new VirtualClock();
  const outcome = await clock.run(askOnce(probePicture(), {
    ...{ connection, engine, model, tickets, clock, signal: new AbortController().signal },
    paidBy: { dataset: "d", run_id: "r", row_id: "x" },
  }));
  return { outcome, sent };
}

const IN_VAIN: Collected = { kind: "rejected", message: "in vain" };
const KEY = ticketKey("upstage-parse-async", "document-parse", probePicture().sha256);

Deno.test("askOnce() drops a ticket that there will be no answer for, and nobody else's", async () => {
  const store = new MemoryStore();
  assert.equal((await ask(store, IN_VAIN)).outcome.kind, "rejected");
  assert.equal(store.objects.size, 0);
  const replaced = async () => {
    const own = JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
    const theirs = JSON.stringify({ ...own, ticket: { id: "theirs" } });
    await store.write(KEY, new TextEncoder().encode(theirs), { contentType: "application/json" });
  };
  assert.equal((await ask(store, IN_VAIN, replaced)).outcome.kind, "rejected");
  assert.match(new TextDecoder().decode(store.objects.get(KEY)), /theirs/);
});

Deno.test("askOnce() leaves a later version's ticket alone, and keeps a copy of what is none", async () => {
  const store = new MemoryStore();
  store.put(KEY, new TextEncoder().encode('{"format":"pseudolabel-ticket/2","ticket":1}'));
  const newer = await ask(store, IN_VAIN);
  assert.equal(newer.sent, 0);
  assert.match(JSON.stringify(newer.outcome), /written by a later version/);
  assert.equal(store.objects.size, 1);
  store.put(KEY, new TextEncoder().encode("half a tick"));
  const answered: Collected = { kind: "answered", text: "{}", body: {} };
  assert.deepEqual(await ask(store, answered), { outcome: answered, sent: 1 });
  const copies = [...store.objects.values()].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(copies.includes("half a tick"), "what lay there is lost");
});

Deno.test("askOnce() collects with a ticket that comes in a torn one's place, and pays nothing", async () => {
  const store = new MemoryStore();
  await new Tickets(store, "upstage-parse-async", "document-parse").save({
    ...{ engine: "upstage-parse-async", model: "document-parse" },
    image_sha256: probePicture().sha256,
    ...{ ticket: { id: "theirs" }, attempts: 1, accepted_at: new Date(0).toISOString() },
    paid_by: { dataset: "d", run_id: "other", row_id: "x" },
  });
  const theirs = store.objects.get(KEY)!;
  store.put(KEY, new TextEncoder().encode("half a tick"));
  let reads = 0;
  store.before = (operation, key) => {
    if (operation === "read" && key === KEY && ++reads === 2) store.objects.set(KEY, theirs);
  };
  const answered: Collected = { kind: "answered", text: "{}", body: {} };
  assert.deepEqual(await ask(store, answered), { outcome: answered, sent: 0 });
});

Deno.test("askOnce() names what a paid page is collected with where that can't be stored", async () => {
  const store = new MemoryStore();
  store.write = () => Promise.reject(new StoreError("unavailable", "gone"));
  await assert.rejects(ask(store, IN_VAIN), /cannot store \{"id":1\}, with which a paid page/);
});
