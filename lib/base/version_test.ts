import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { PROGRAM, VERSION, versionText } from "./version.ts";

Deno.test("a checkout tells its version, an executable also what it was built from", () => {
  assert.equal(VERSION, config.version);
  assert.equal(PROGRAM, `pseudolabel/${VERSION}`);
  assert.equal(versionText(), `pseudolabel ${VERSION}\n`);
  assert.equal(
    versionText({ commit: "abc1234", date: "2026-11-24" }),
    `pseudolabel ${VERSION} (commit abc1234, 2026-11-24)\n`,
  );
});
