import assert from "node:assert/strict";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import {
  answerOf,
  limited,
  type Script,
  type ScriptedEnd,
  scriptedJob,
} from "../../dev/doubles/scripted_job.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";

const FALLBACK = "--fallback upstage-ocr:other";

/** Labels so many rows with engines that are made for the clock. */
async function label(
  n: number,
  engines: (clock: VirtualClock) => { own: [Script, ...Script[]]; others?: Script[] },
  options = "",
): Promise<ScriptedEnd> {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const rows = Array.from({ length: n }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  const { own, others } = engines(clock);
  return await scriptedJob({
    store,
    clock,
    own,
    others,
    args: `${options} ${others && !options.includes("--fallback") ? FALLBACK : ""}`,
  });
}

/** An engine that fails on every page for a while, seconds after it began. */
function downFor(clock: VirtualClock, from: number, to: number, up: Script): Script {
  const began = clock.now();
  return async (image, model, signal) => {
    const seconds = (clock.now() - began) / 1_000;
    if (seconds < from || seconds >= to) return await up(image, model, signal);
    await clock.sleep(50, signal);
    return { kind: "retryable", message: "HTTP 503" };
  };
}

/** An engine that asks everybody to come again at a time, seconds after it began. */
function pausedFor(clock: VirtualClock, from: number, to: number, up: Script): Script {
  const began = clock.now();
  return async (image, model, signal) => {
    const seconds = (clock.now() - began) / 1_000;
    if (seconds < from || seconds >= to) return await up(image, model, signal);
    await clock.sleep(20, signal);
    return { kind: "throttled", message: "HTTP 429", until: began + to * 1_000 };
  };
}

function refusing(clock: VirtualClock): Script {
  return async (_image, _model, signal) => {
    await clock.sleep(50, signal);
    return { kind: "refused", message: "HTTP 402" };
  };
}

function assertLabelled({ error, summary }: ScriptedEnd, n: number): void {
  assert.equal(error, undefined);
  assert.equal(summary?.counts.ok, n);
}

Deno.test("three keys are three times as fast as one", async () => {
  const api = (clock: VirtualClock) => limited(clock, 5, 1_500);
  const one = await label(500, (clock) => ({ own: [api(clock)] }));
  const three = await label(1_500, (clock) => ({ own: [api(clock), api(clock), api(clock)] }));
  assertLabelled(three, 1_500);
  assert.ok(three.seconds < one.seconds * 1.2, `${three.seconds} s, one took ${one.seconds}`);
});

Deno.test("a fallback that labels alone is as fast as a run of its own, and an idle one costs nothing", async () => {
  const quick = (clock: VirtualClock) => limited(clock, 40, 4_000);
  const alone = await label(1_200, (clock) => ({ own: [quick(clock)] }));
  const instead = await label(
    1_200,
    (clock) => ({ own: [refusing(clock)], others: [quick(clock)] }),
  );
  const beside = await label(
    1_200,
    (clock) => ({ own: [quick(clock)], others: [refusing(clock)] }),
  );
  for (const ended of [instead, beside]) {
    assertLabelled(ended, 1_200);
    assert.ok(ended.seconds < alone.seconds * 1.3, `${ended.seconds} s, alone ${alone.seconds}`);
  }
});

Deno.test("pages don't wait for a key that pauses while another one has room", async () => {
  const ended = await label(400, (clock) => ({
    own: [limited(clock, 5, 1_000), pausedFor(clock, 20, 500, limited(clock, 5, 1_000))],
  }));
  assertLabelled(ended, 400);
  assert.ok(ended.seconds < 150, `${ended.seconds} s`);
});

Deno.test("a key that is down for longer than the run's patience comes back while another one works", async () => {
  const ended = await label(3_000, (clock) => ({
    own: [limited(clock, 3, 500), downFor(clock, 20, 800, limited(clock, 3, 500))],
  }));
  assertLabelled(ended, 3_000);
  assert.ok(ended.notes.some((note) => /key 2 of 2: the API answers again/.test(note)));
  assert.ok(!ended.notes.some((note) => /not used any more/.test(note)), ended.notes.join("\n"));
});

Deno.test("an engine that is down for longer than the run's patience is asked again once it is back", async () => {
  const ended = await label(3_000, (clock) => ({
    own: [downFor(clock, 20, 800, limited(clock, 5, 500))],
    others: [limited(clock, 2, 500)],
  }));
  assertLabelled(ended, 3_000);
  assert.ok(ended.notes.some((note) => /the API answers again after/.test(note)));
});

Deno.test("pages go back to an engine that is up again while its fallback is down", async () => {
  const ended = await label(600, (clock) => ({
    own: [downFor(clock, 20, 80, limited(clock, 5, 500))],
    others: [downFor(clock, 0, Infinity, limited(clock, 5, 500))],
  }));
  assertLabelled(ended, 600);
  assert.ok(ended.seconds < 300, `${ended.seconds} s`);
});

Deno.test("with all engines down for longer than the run's patience it ends with 75", async () => {
  for (const keys of [1, 2]) {
    const down = (clock: VirtualClock) => downFor(clock, 20, Infinity, limited(clock, 5, 500));
    const ended = await label(600, (clock) => ({
      own: keys === 1 ? [down(clock)] : [down(clock), down(clock)],
      others: keys === 1 ? [down(clock)] : undefined,
    }));
    assert.equal((ended.error as { exit?: string })?.exit, "again", String(ended.error));
  }
});

/** An engine that rejects every third page. */
function choosy(clock: VirtualClock): Script {
  const up = limited(clock, 5, 500);
  return async (image, model, signal) => {
    if (parseInt(image.sha256.slice(0, 6), 16) % 3 > 0) return await up(image, model, signal);
    await clock.sleep(50, signal);
    return { kind: "rejected", message: `HTTP 422 ${image.sha256.slice(0, 6)}` };
  };
}

Deno.test("a fallback that refuses its key, or is down, is none of the run: pages stay failed by the first engine's reason", async () => {
  const troubles: Record<string, (clock: VirtualClock) => Script> = {
    "is not used any more: the API refuses it: HTTP 402": refusing,
    "is not waited for any more": (clock) => downFor(clock, 0, Infinity, refusing(clock)),
    "is not used any more: the API wants to be asked again": (clock) =>
      pausedFor(clock, 0, 800, refusing(clock)),
    "is not used any more: the API has throttled every request": (clock) => limited(clock, 0, 0),
  };
  for (const [said, trouble] of Object.entries(troubles)) {
    const ended = await label(300, (clock) => ({ own: [choosy(clock)], others: [trouble(clock)] }));
    const told = `${said}: ${ended.error}\n${ended.notes.join("\n")}`;
    assert.equal(ended.error, undefined, told);
    const { ok, failed, failures } = ended.summary!.counts;
    assert.ok(ok > 150 && failed > 60, `${ok} ok, ${failed} failed: ${told}`);
    assert.deepEqual(failures, { api_rejected: failed }, told);
    assert.ok(ended.notes.some((note) => note.includes(said)), told);
    assert.equal(ended.notes.filter((note) => /(used|waited for) any more/.test(note)).length, 1);
    const left =
      /failed pages that upstage-ocr was not to be had for .--retry-failed.*: (\d+) times/;
    // A page or two may have used up their retries before it was clear that all fail.
    assert.ok(Number(left.exec(ended.notes.at(-1)!)?.[1]) >= failed - 3, told);
  }
});

Deno.test("the first pages that need a fallback wait out its outage, be they too few to show one", async () => {
  const rejects = (pages: number): Script => {
    const rejected = new Set<string>();
    return (image) => {
      if (rejected.size < pages) rejected.add(image.sha256);
      const isRejected = rejected.has(image.sha256);
      return Promise.resolve(
        isRejected ? { kind: "rejected", message: "HTTP 422" } : answerOf(image, "own"),
      );
    };
  };
  const up = (clock: VirtualClock) => limited(clock, 5, 500);
  for (const pages of [1, 2, 3]) {
    for (const seconds of [15, 300]) {
      const ended = await label(20, (clock) => ({
        own: [rejects(pages)],
        others: [downFor(clock, 0, seconds, up(clock))],
      }));
      assertLabelled(ended, 20);
      assert.ok(ended.seconds >= seconds && ended.seconds < seconds + 90, `${ended.seconds} s`);
    }
  }
  // Where it never ends, or is an error that may be on the bill, the page fails like any other.
  for (const [code, atLeast] of [[undefined, 60], ["api_error" as const, 0]] as const) {
    const fails: Script = () => Promise.resolve({ kind: "retryable", message: "HTTP 500", code });
    const ended = await label(20, () => ({
      own: [rejects(1)],
      others: [fails],
    }), "--max-outage-minutes 1");
    assert.equal(ended.error, undefined);
    assert.deepEqual(ended.summary?.counts.failures, { api_rejected: 1 });
    assert.ok(ended.seconds >= atLeast && ended.seconds < atLeast + 60, `${ended.seconds} s`);
  }
});

/** An engine that takes its time, and then rejects a page or finds no words on it. */
function sluggish(clock: VirtualClock, ms: number, finds: "rejected" | "empty"): Script {
  return async (image, _model, signal) => {
    await clock.sleep(ms, signal);
    return finds === "empty" ? answerOf(image, "") : { kind: "rejected", message: "HTTP 422" };
  };
}

Deno.test("what took a fallback longer than the run's patience is still read by the engine that was down for seconds", async () => {
  for (const finds of ["rejected", "empty"] as const) {
    const ended = await label(40, (clock) => ({
      own: [downFor(clock, 5, 12, limited(clock, 5, 500))],
      others: [sluggish(clock, 90_000, finds)],
    }), "--max-outage-minutes 1");
    assertLabelled(ended, 40);
    assert.ok(
      ended.notes.some((note) => /fails on every page.*pages go to upstage-ocr:other/.test(note)),
    );
  }
});

Deno.test("a page that failed on a key that was down is not bound to one that lets nobody through", async () => {
  const ended = await label(500, (clock) => ({
    own: [downFor(clock, 15, 60, limited(clock, 10, 500)), limited(clock, 0, 0)],
  }));
  assertLabelled(ended, 500);
  assert.ok(ended.seconds < 200, `${ended.seconds} s`);
});

Deno.test("however long pages queue for a slow key, one that was down is probed in time", async () => {
  const ended = await label(500, (clock) => ({
    own: [downFor(clock, 15, 60, limited(clock, 10, 500)), limited(clock, 1, 500)],
  }));
  assertLabelled(ended, 500);
  const after = ended.notes.flatMap((note) => /answers again after (\d+) s/.exec(note)?.[1] ?? []);
  // The probes come after 5, 10, 20 and 40 seconds.
  assert.ok(Number(after[0]) <= 78, ended.notes.join("\n"));
});

Deno.test("keys that are to be probed at the same time are probed one after another while pages go on with a third", async () => {
  const ended = await label(400, (clock) => {
    const down = () => downFor(clock, 15, 60, limited(clock, 10, 500));
    return { own: [down(), down(), limited(clock, 1, 500)] };
  });
  assertLabelled(ended, 400);
  const back = ended.notes.filter((note) => /key [12] of 3: the API answers again/.test(note));
  assert.equal(back.length, 2, ended.notes.join("\n"));
  assert.ok(ended.seconds < 120, `${ended.seconds} s`);
});

Deno.test("pages that fail on every engine end as failed rows, and cost no probe after probe", async () => {
  const broken = (up: Script, clock: VirtualClock): Script => async (image, model, signal) => {
    if (parseInt(image.sha256.slice(0, 6), 16) % 8 > 0) return await up(image, model, signal);
    await clock.sleep(50, signal);
    return { kind: "retryable", message: "HTTP 500" };
  };
  for (const others of [1, 2]) {
    const ended = await label(
      60,
      (clock) => ({
        own: [broken(limited(clock, 1, 50), clock)],
        others: [
          ...others > 1 ? [downFor(clock, 20, Infinity, limited(clock, 10, 500))] : [],
          broken(limited(clock, 10, 500), clock),
        ],
      }),
      `--max-outage-minutes 2 --max-retries 3${others > 1 ? ` ${FALLBACK},upstage-ocr:third` : ""}`,
    );
    assert.equal(ended.error, undefined, ended.notes.slice(0, 20).join("\n"));
    const { ok, failed } = ended.summary!.counts;
    assert.ok(ok > 40 && failed > 3 && ok + failed === 60, `${ok} ok, ${failed} failed`);
    const probes = ended.tally.billedPages - ok;
    assert.ok(probes <= 2 * failed, `${probes} pages were asked for to tell`);
    assert.ok(ended.seconds < 600, `${ended.seconds} s`);
  }
});

Deno.test("a fallback that was down for too long reads pages again once it is back", async () => {
  let read = 0;
  const ended = await label(1_500, (clock) => ({
    own: [choosy(clock)],
    others: [downFor(clock, 0, 700, async (image, model) => {
      await clock.sleep(500);
      read++;
      return answerOf(image, model);
    })],
  }), "--rate 2");
  assert.equal(ended.error, undefined);
  const { ok, failed } = ended.summary!.counts;
  assert.equal(ok + failed, 1_500);
  assert.ok(failed > 0 && read > 0, `${failed} failed, ${read} were read`);
  assert.ok(ended.notes.some((note) => /the API answers again after \d+ s/.test(note)));
});

Deno.test("when one is given up and the other is down, or both are down, the run ends with 75 after its patience with both", async () => {
  for (
    const other of [refusing, (clock: VirtualClock) => downFor(clock, 0, Infinity, refusing(clock))]
  ) {
    const ended = await label(150, (clock) => ({
      own: [downFor(clock, 100, Infinity, choosy(clock))],
      others: [other(clock)],
    }), "--rate 1");
    assert.equal((ended.error as { exit?: string })?.exit, "again");
    assert.match(String(ended.error), /has failed on every page for 10 minutes/);
    assert.ok(ended.seconds > 680, `${ended.seconds} s`);
  }
});
