import assert from "node:assert/strict";
import { frameOf, isShapeBorrowed, markedFrame } from "./frame.ts";

Deno.test("a page whose size nobody tells, or rounds, is in an unknown frame rather than a guessed one", () => {
  const [nearly, size] = [{ width: 1_000, height: 1_001 }, { width: 400, height: 300 }];
  assert.equal(frameOf(undefined, size, 6), "unknown");
  assert.equal(frameOf(undefined, size, 1), "upright");
  assert.equal(frameOf({ width: 500, height: 500 }, nearly, 6), "unknown");
  assert.equal(frameOf(nearly, nearly, 6), "stored");
  assert.equal(frameOf({ width: 1_001, height: 1_000 }, nearly, 6), "upright");
});

Deno.test("a row marks its frame by the picture's shape, and a page of a third shape as unknown", () => {
  const stored = { width: 400, height: 300, orientation: 6 };
  const marked = (width: number, height: number, orientation = 6) =>
    markedFrame({ width, height }, { ...stored, orientation });
  assert.equal(marked(300, 400), "upright");
  assert.equal(marked(800, 600), "stored");
  assert.equal(marked(400, 300, 3), "unknown");
  assert.equal(marked(400, 300, 1), "upright");
  // Turned by the engine itself.
  assert.equal(marked(300, 400, 1), "unknown");
  assert.equal(marked(300, 900), "unknown");
});

Deno.test("a page whose size is the header's shows no frame where its row says so", () => {
  const quarter = { width: 400, height: 300, orientation: 6 };
  const seen = { width: 400, height: 300 };
  assert.equal(frameOf(seen, quarter, 6), "stored");
  assert.ok(isShapeBorrowed("unknown", seen, quarter));
  assert.ok(!isShapeBorrowed("stored", seen, quarter));
  // Here nothing would tell anyhow: a probe may.
  assert.ok(!isShapeBorrowed("unknown", seen, { ...quarter, orientation: 3 }));
  // And here the engine has another page, as where it turns pages of its own accord.
  assert.ok(!isShapeBorrowed("unknown", { width: 500, height: 300 }, quarter));
});
