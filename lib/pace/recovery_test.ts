import assert from "node:assert/strict";
import { FIRST_RECOVERY_MS, LAST_RECOVERY_MS, Recovery, WAIT_GROWTH } from "./recovery.ts";

/** One that has lost 10 requests/s at a time. */
function lost(now = 0): Recovery {
  const recovery = new Recovery();
  recovery.fell(10, 9.1, 9.8, now - 1);
  recovery.fell(9.1, 4, 9.5, now); // the same fall
  return recovery;
}

function refused(now: number, pauseMs = 0) {
  return { now, pauseMs };
}

Deno.test("Recovery offers a lost rate after a while, then at longer and longer waits", () => {
  assert.equal(new Recovery().due(4, 1e9), undefined, "nothing was lost");
  const recovery = lost();
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS - 1), undefined);
  assert.equal(recovery.trying, false);
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS), 10);
  assert.equal(recovery.trying, true);
  assert.equal(recovery.due(9, FIRST_RECOVERY_MS), undefined, "hardly anything is lost");
  let now = FIRST_RECOVERY_MS;
  for (let wait = FIRST_RECOVERY_MS * WAIT_GROWTH; wait < LAST_RECOVERY_MS; wait *= WAIT_GROWTH) {
    assert.equal(recovery.refused(4, undefined, refused(now)), 4);
    assert.equal(recovery.due(4, now + wait - 1), undefined);
    assert.equal(recovery.due(4, now += wait), 10);
  }
  recovery.refused(4, undefined, refused(now));
  assert.equal(recovery.due(4, now + LAST_RECOVERY_MS), 10, "it never gives up");
});

Deno.test("Recovery tries the less often, the longer the pause that a refused try costs", () => {
  const recovery = lost();
  recovery.due(4, FIRST_RECOVERY_MS);
  recovery.refused(4, undefined, refused(FIRST_RECOVERY_MS, 60_000));
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS + 239_000), undefined);
  assert.equal(recovery.due(4, FIRST_RECOVERY_MS + 240_000), 10);
});

Deno.test("Recovery goes part of the way if a full second shows it, once if that fails", () => {
  const recovery = lost();
  recovery.due(4, 10_000);
  assert.equal(recovery.refused(4, 7, refused(10_000)), 7);
  assert.equal(recovery.trying, true);
  assert.equal(recovery.refused(4, 6, refused(11_000)), 4, "what a bucket had saved up");
  recovery.due(4, 60_000);
  assert.equal(recovery.refused(4, 7, refused(60_000)), 4);
  assert.equal(recovery.trying, false);
});

Deno.test("Recovery takes no rate for lost that was allowed and not taken", () => {
  const recovery = new Recovery();
  recovery.fell(15, 9.9, 10, 0);
  assert.equal(recovery.due(9.9, 1e9), undefined);
  recovery.fell(15, 5, 10, 1e9);
  assert.equal(recovery.due(5, 2e9), 10);
});

Deno.test("Recovery starts afresh for the next loss once the rate is held again", () => {
  const recovery = lost();
  recovery.due(4, 10_000);
  recovery.refused(4, undefined, refused(10_000));
  recovery.regained(5);
  assert.equal(recovery.due(5, 100_000), 10);
  recovery.regained(10);
  assert.equal(recovery.due(4, 1e9), undefined);
  recovery.fell(8, 4, 8, 2e9);
  assert.equal(recovery.due(4, 2e9 + FIRST_RECOVERY_MS), 8);
});
