import assert from "node:assert/strict";
import { type Bench, message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import type { DoubleRequest } from "../../dev/doubles/s3/types.ts";

const objects = ({ s3 }: Bench) => s3.objects.get("bench")!;

/** Does something to the output once, after it was written and before it is looked at. */
function afterUpload(bench: Bench, times: number, spoil: () => void): void {
  let left = times;
  bench.s3.fault = ({ key, method }: DoubleRequest) => {
    if (key === OUTPUT && method === "GET" && objects(bench).has(OUTPUT) && left-- > 0) spoil();
    return undefined;
  };
}

Deno.test("an output that the store has taken and lost, cut or changed is not called written", async () => {
  const spoil: Record<string, (bench: Bench) => void> = {
    "is not there": (bench) => objects(bench).delete(OUTPUT),
    "has \\d+ bytes": (bench) => {
      const object = objects(bench).get(OUTPUT)!;
      objects(bench).set(OUTPUT, { ...object, bytes: object.bytes.slice(0, -100) });
    },
    "ends otherwise": (bench) => {
      const object = objects(bench).get(OUTPUT)!;
      objects(bench).set(OUTPUT, { ...object, bytes: object.bytes.slice().fill(0, -8) });
    },
  };
  for (const [says, how] of Object.entries(spoil)) {
    await using bench = await openBench(rows(2));
    // For ever: it is said, with 75, and no mark is set.
    afterUpload(bench, Infinity, () => how(bench));
    const minutes = says === "ends otherwise" ? "0.05" : "0";
    const ended = await bench.run(["--max-outage-minutes", minutes]);
    assert.equal(ended.code, 75, ended.stderr);
    const told = ended.events.filter(({ event, message }) =>
      event === "note" && /it ends otherwise .*: tried again for up to 0\.1 min/.test(`${message}`)
    );
    assert.equal(told.length, minutes === "0" ? 0 : 1, ended.stderr);
    assert.match(message(ended), new RegExp(`${OUTPUT}: it ${says} after \\d+ bytes were sent`));
    // Once: it is written again.
    afterUpload(bench, 1, () => how(bench));
    const again = await bench.run();
    assert.equal(again.code, 0, again.stderr);
    assert.equal(bench.api.billedPages, 2);
    bench.s3.fault = undefined;
    assert.match((await bench.run()).stdout, /^Nothing to do/);
  }
});

for (
  const [what, fault] of [
    [
      "says of a manifest that it exists and doesn't",
      ({ key, method }: DoubleRequest) =>
        !key.endsWith("manifest.json")
          ? undefined
          : method === "PUT"
          ? { status: 412, code: "PreconditionFailed" }
          : { status: 404, code: "NoSuchKey" },
    ],
    [
      "answers 409 to every create and replace",
      ({ headers }: DoubleRequest) =>
        headers.has("if-match") || headers.has("if-none-match")
          ? { status: 409, code: "ConditionalRequestConflict" }
          : undefined,
    ],
    [
      "answers 404 for whatever was written",
      ({ key, method }: DoubleRequest) =>
        key.startsWith("checkpoints/") && method !== "PUT"
          ? { status: 404, code: "NoSuchKey" }
          : undefined,
    ],
  ] as const
) {
  Deno.test(`a store that ${what} is asked a bounded number of times`, async () => {
    await using bench = await openBench(rows(2));
    bench.s3.fault = (request) => request.key === "" ? undefined : fault(request);
    const before = bench.s3.requests.length;
    const ended = await bench.run(["--max-outage-minutes", "0.05"]);
    assert.ok([0, 7, 75].includes(ended.code), `${ended.code} ${ended.stderr}`);
    const asked = bench.s3.requests.length - before;
    assert.ok(asked < 150, `${asked} requests`);
  });
}
