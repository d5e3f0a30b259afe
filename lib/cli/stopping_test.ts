import assert from "node:assert/strict";
import { losses, stopped, stoppingNote } from "./stopping.ts";

const NOTHING = { inFlight: 0, unsaved: 0, abandoned: 0 };

Deno.test("stoppingNote() says what happens now, how long at most and how to end at once", () => {
  const end = "; 24 s in all at most. To end at once:";
  const table: [signal: string, work: Partial<typeof NOTHING>, note: string][] = [
    ["SIGINT", {}, `ending${end} Ctrl-C again, 2 s from now or later`],
    ["SIGTERM", {}, `ending${end} another SIGTERM, 2 s from now or later`],
    [
      "SIGINT",
      { inFlight: 1 },
      `waiting up to 20 s for 1 request${end} Ctrl-C again, 2 s from now or later`,
    ],
    [
      "SIGINT",
      { inFlight: 2, unsaved: 1 },
      `waiting up to 20 s for 2 requests and storing 1 answer${end} Ctrl-C again, 2 s from now or later`,
    ],
  ];
  for (const [signal, work, note] of table) {
    const begin = `${signal}: no request starts any more, `;
    assert.equal(stoppingNote(signal, { ...NOTHING, ...work }), begin + note);
  }
});

Deno.test("stopped() claims that all is stored only where it is", () => {
  const again = ": run the same command again and it continues";
  assert.equal(
    stopped("SIGTERM", NOTHING),
    `stopped by SIGTERM; every answer that arrived is stored${again}`,
  );
  assert.equal(
    stopped("SIGINT", { inFlight: 1, unsaved: 0, abandoned: 0 }, "asked again"),
    `stopped by SIGINT twice; 1 request got no answer any more, which may be paid for again${again}`,
  );
  assert.equal(
    stopped("SIGTERM", { inFlight: 1, unsaved: 5, abandoned: 2 }, "out of time"),
    "stopped by SIGTERM; 5 answers that arrived could not be stored and 3 requests got no answer " +
      `any more, all of which may be paid for again${again}`,
  );
  assert.equal(losses(NOTHING), "");
});
