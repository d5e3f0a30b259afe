import assert from "node:assert/strict";
import { seeded } from "../testing/random.ts";
import { keyOf, KEYS, keysOf, ownerOf, SoakKeys } from "./keys.ts";

Deno.test("a key says whose it is and which", () => {
  assert.deepEqual(
    keysOf("demo-3").split(",").map(ownerOf),
    [0, 1, 2].map((key) => ({
      name: "demo-3",
      key,
    })),
  );
  assert.deepEqual(ownerOf(keyOf("other-12")), { name: "other-12", key: 0 });
});

Deno.test("of three keys one is refused for good, one throttled, one fails for seconds", () => {
  for (let seed = 0; seed < 20; seed++) {
    let now = 0;
    const keys = new SoakKeys(seeded(seed), 120, () => now);
    const statuses = Array.from({ length: KEYS }, () => [] as number[]);
    for (; now < 60_000; now += 50) {
      for (let key = 0; key < KEYS; key++) {
        const answer = keys.answer(key);
        statuses[key].push(answer?.kind === "http" ? answer.status : 200);
      }
    }
    const of = (status: number) => statuses.find((all) => all.includes(status))!;
    assert.deepEqual(statuses.map((all) => Math.max(...all)).sort(), [401, 429, 503]);
    const refused = of(401);
    assert.ok(refused.slice(refused.indexOf(401)).every((status) => status === 401));
    // 8 of 20 a second are answered; the third one fails for 3 to 15 of 60 s.
    const answered = (all: number[]) => all.filter((status) => status === 200).length / all.length;
    assert.ok(Math.abs(answered(of(429)) - 0.4) < 0.02, `${answered(of(429))}`);
    assert.ok(answered(of(503)) >= 0.74 && answered(of(503)) <= 0.96, `${answered(of(503))}`);
    keys.calm();
    for (let key = 0; key < KEYS; key++) if (of(401) !== statuses[key]) keys.answer(key);
    assert.ok([0, 1, 2].some((key) => keys.answer(key) !== undefined), "the refused one stays so");
  }
});
