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
