import assert from "node:assert/strict";
import { connect } from "../../dev/doubles/ocr/engine_conformance.ts";
import { startParseServer } from "../../dev/doubles/ocr/upstage_parse.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { findEngine } from "../engine/engines.ts";
import { probedFrame, probePicture } from "../engine/frame_probe.ts";
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
