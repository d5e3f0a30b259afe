import assert from "node:assert/strict";
import { History } from "./history.ts";

Deno.test("the history of an image is its own, and that of the processes that had to do with it", () => {
  const history = new History();
  history.add(["demo-1"], "starts");
  history.add(["demo-2"], "starts");
  history.add(["image", "demo-1"], "asks");
  history.add(["another", "demo-1"], "asks");
  history.add([], "the store is gone");
  history.add(["image", undefined], "is torn");
  history.add(["demo-2"], "is killed");
  history.add(["demo-1"], "is killed");
  const events = history.of("image", (name) => name.startsWith("demo-")).split("; ");
  assert.deepEqual(events.map((event) => event.replace(/^\d+\.\d{3} /, "")), [
    "demo-1 starts",
    "demo-1 asks",
    "the store is gone",
    "is torn",
    "demo-1 is killed",
  ]);
});

Deno.test("a history tells once what a process does again and again, and only what happened last", () => {
  const history = new History();
  const isProcess = (name: string) => name.startsWith("demo-");
  for (let n = 0; n < 60; n++) {
    history.add(["image", "demo-1"], `asks ${n}`);
    for (let times = 0; times < 50; times++) {
      history.add(["demo-1"], "PUT lease");
      history.add(["demo-1"], "GET meeting");
    }
  }
  history.add(["image", "demo-2"], "asks");
  const events = history.of("image", isProcess).split("; ");
  assert.deepEqual(events.slice(-4).map((event) => event.replace(/^\d+\.\d{3} /, "")), [
    "demo-1 asks 59",
    "demo-1 PUT lease (50 times)",
    "demo-1 GET meeting (50 times)",
    "demo-2 asks",
  ]);
  assert.equal(events.length, 41);
  assert.match(events[0], /^141 events before$/);
});
