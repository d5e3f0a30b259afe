import assert from "node:assert/strict";
import { FIRST_RECOVERY_MS, LAST_RECOVERY_MS, Recovery, WAIT_GROWTH } from "./recovery.ts";

Deno.test("Recovery offers a lost rate after a while, then at longer and longer waits", () => {
  const recovery = new Recovery();
  assert.equal(recovery.due(4, 1e9), undefined, "nothing was lost");
  recovery.lost(10, 0);
  recovery.lost(7, 1); // on the way down
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS - 1), undefined);
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS), 10);
  assert.equal(recovery.due(9, FIRST_RECOVERY_MS), undefined, "hardly anything is lost");
  let now = FIRST_RECOVERY_MS;
  for (let wait = FIRST_RECOVERY_MS * WAIT_GROWTH; wait < LAST_RECOVERY_MS; wait *= WAIT_GROWTH) {
    recovery.refused(now);
    assert.equal(recovery.due(4, now + wait - 1), undefined);
    assert.equal(recovery.due(4, now += wait), 10);
  }
  recovery.refused(now);
  assert.equal(recovery.due(4, now + LAST_RECOVERY_MS), 10, "it never gives up");
});

Deno.test("Recovery starts afresh for the next loss once the rate is held again", () => {
  const recovery = new Recovery();
  recovery.lost(10, 0);
  recovery.refused(10_000);
  recovery.regained(5);
  assert.equal(recovery.due(5, 100_000), 10);
  recovery.regained(10);
  assert.equal(recovery.due(4, 1e9), undefined);
  recovery.lost(8, 0);
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS), 8);
});
