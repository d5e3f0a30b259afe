import assert from "node:assert/strict";
import { Remarks } from "./remarks.ts";

Deno.test("Remarks tell the first few of a kind as they come, and at the end how many there were", () => {
  const notes: string[] = [];
  const remarks = new Remarks((message) => notes.push(message));
  for (let n = 1; n <= 5; n++) remarks.tell("torn answers", `answer ${n} is torn`);
  remarks.tell("others", "one");
  for (let n = 0; n < 7; n++) remarks.count("drift");
  assert.deepEqual(notes, [1, 2, 3].map((n) => `answer ${n} is torn`).concat("one"));
  remarks.end();
  assert.deepEqual(notes.splice(4), ["torn answers: 5 times in all", "drift: 7 times"]);
  remarks.end();
  assert.equal(notes.length, 4);
});
