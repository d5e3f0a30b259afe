import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { StoreError } from "../base/errors.ts";
import { FIRST_IN_FLIGHT } from "../pace/controller.ts";
import { openPace, type Pace, type PaceOptions, RateNews, ROWS_AHEAD, Slowness } from "./pace.ts";

const KEY = "rates/upstage-ocr/ocr.json";
const AUTO = { rate: undefined, concurrency: undefined, requestDelayMs: undefined };

function setup() {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const notes: string[] = [];
  const open = (
    settings: Partial<PaceOptions["settings"]> = {},
    server?: string,
    documentedRate: number | null = 3,
    waiting?: PaceOptions["waiting"],
  ) =>
    openPace({
      settings: { ...AUTO, ...settings },
      engine: { documentedRate },
      store,
      key: KEY,
      server,
      waiting,
      note: (message) => notes.push(message),
      clock,
      random: () => 0,
    });
  /** Sends `n` requests that are answered after `latencyMs`; the times at which they start. */
  const send = async (pace: Pace, n: number, latencyMs = 10): Promise<number[]> => {
    const begin = clock.now();
    const starts: number[] = [];
    await clock.run(Promise.all(Array.from({ length: n }, async () => {
      const permit = await pace.lanes[0].limiter.turn();
      starts.push(clock.now() - begin);
      await clock.sleep(latencyMs);
      permit.done({ kind: "clean" });
    })));
    return starts;
  };
  return { store, clock, notes, open, send };
}

Deno.test("openPace() approaches an unknown account at two thirds of the documented rate, then climbs", async () => {
  const { notes, open, send } = setup();
  await using pace = await open();
  const starts = await send(pace, 100);
  assert.deepEqual(starts.slice(0, 2), [0, 200], "the second one waits for the first one's proof");
  const [last, before] = [starts.at(-1)!, starts.at(-2)!];
  assert.ok(last - before < 333, "it does not climb above the documented rate");
  assert.match(notes[0], /^faster, as all goes well: \d+\.\d requests\/s$/);
});

Deno.test("openPace() starts where the last process ended", async () => {
  const { store, open, send } = setup();
  {
    await using first = await open();
    await send(first, 200);
  }
  const { rate } = JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
  assert.ok(rate > 3);
  await using second = await open();
  const [, next] = await send(second, 2);
  assert.ok(next <= 1_000 / rate + 50, `${next} ms to the second start at ${rate} requests/s`);
});

Deno.test("openPace() keeps to the user's figures and learns nothing from them", async () => {
  const { store, open, send } = setup();
  {
    await using fixed = await open({ rate: 4 });
    assert.deepEqual((await send(fixed, 4)).map((ms) => Math.round(ms / 250)), [0, 1, 2, 3]);
    await using seeds = await open({ concurrency: 3, requestDelayMs: 100 });
    // Three in flight, 100 ms apart; the fourth waits for an answer.
    const starts = await send(seeds, 6, 1_000);
    assert.deepEqual(starts.map((ms) => Math.round(ms / 100)), [0, 1, 2, 10, 11, 12]);
  }
  assert.equal(store.objects.has(KEY), false);
});

Deno.test("openPace() keeps the room for rows and unsaved answers in step with what is in flight", async () => {
  const { open, send } = setup();
  {
    // Of pages that take their time only those can be lost that can't be collected yet.
    await using later = await open({ rate: 50 }, undefined, 3, (rate) => 3 * rate);
    assert.equal(later.rows.capacity, FIRST_IN_FLIGHT + 150 + ROWS_AHEAD);
    assert.equal(later.unsaved.capacity, 2 * FIRST_IN_FLIGHT);
    assert.equal(later.waiting.capacity, 2 * FIRST_IN_FLIGHT + 150);
  }
  await using pace = await open({ rate: 50 });
  assert.equal(pace.rows.capacity, FIRST_IN_FLIGHT + ROWS_AHEAD);
  assert.equal(pace.unsaved.capacity, 2 * FIRST_IN_FLIGHT);
  await send(pace, 100, 2_000);
  assert.ok(
    pace.rows.capacity >= 100 + ROWS_AHEAD,
    "the images of so many would not be there in time",
  );
  assert.ok(pace.unsaved.capacity >= 200);
});

Deno.test("openPace() does without what it can't read or write", async () => {
  const { store, open, send } = setup();
  store.put(KEY, "no JSON");
  store.before = (operation) => {
    if (operation === "write") throw new StoreError("denied", "403");
  };
  await using pace = await open();
  assert.deepEqual(await send(pace, 2), [0, 200]);
});

Deno.test("openPace() takes no rate that was learnt of another server", async () => {
  const { store, open, send } = setup();
  {
    await using first = await open({}, "https://one.example");
    await send(first, 200);
  }
  assert.equal(
    JSON.parse(new TextDecoder().decode(store.objects.get(KEY))).server,
    "https://one.example",
  );
  await using other = await open({}, "https://two.example");
  assert.deepEqual(await send(other, 2), [0, 200]);
});

Deno.test("RateNews tells of what is far from the last news, in plain words, and not too often", () => {
  const news = new RateNews(2);
  const change = (at: number, from: number, to: number, pauseMs?: number) =>
    news.tell({ at: at * 1_000, from, to, reason: "", pauseMs });
  assert.equal(change(0, 2, 8), "faster, as all goes well: 8.0 requests/s");
  assert.equal(change(1, 8, 20), undefined); // soon after
  assert.equal(change(40, 8, 8.2), undefined); // nearly the same
  assert.equal(change(41, 8.2, 4, 300), "slower, as the API asks (429): 4.0 requests/s");
  const other = new RateNews(8);
  assert.equal(
    other.tell({ at: 0, from: 8, to: 2, reason: "a test" }),
    "slower, as no more is really started: 2.0 requests/s",
  );
  assert.equal(
    change(80, 4, 3.9, 60_000),
    "the API asks to slow down (429): waiting 60 s, then 3.9 requests/s",
  );
  assert.equal(change(140, 3.9, 3.9, 9_100), "the API asks to slow down (429): waiting 10 s");
  assert.equal(change(200, 3.9, 3.9, 100), undefined);
});

Deno.test("openPace() says once that the program is the limit, and remembers no rate that it only allowed", async () => {
  const { store, clock, notes, open } = setup();
  {
    await using pace = await open();
    await clock.run((async () => {
      // A program that can't do more than four a second, whatever it may.
      for (let i = 0; i < 400; i++) {
        await clock.sleep(250);
        (await pace.lanes[0].limiter.turn()).done({ kind: "clean" });
      }
    })());
  }
  const told = notes.filter((note) => note.startsWith("the program, not the API, is the limit: "));
  assert.equal(told.length, 1, notes.join("; "));
  assert.match(told[0], /limit: (3\.9|4\.\d) requests\/s; more CPU/);
  const { rate, ceiling } = JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
  assert.ok(rate <= 4.5 && ceiling === null, `${rate} is remembered`);
});

Deno.test("Slowness says nothing of few requests where rows need none", () => {
  const controller = { programLimit: undefined as number | undefined, fallsShort: false };
  let reused = 100;
  const slowness = new Slowness(controller, () => reused);
  assert.equal(slowness.tell(), undefined);
  Object.assign(controller, { programLimit: 3, fallsShort: true });
  reused += 50;
  for (let i = 0; i < 100; i++) assert.equal(slowness.tell(), undefined);
  for (let i = 0; i < 99; i++) slowness.tell();
  assert.match(slowness.tell()?.message ?? "", /limit: 3\.0 requests\/s/);
  assert.equal(slowness.tell(), undefined, "once");
});

Deno.test("openPace() looks for a number where no rate is documented, keeps it, and goes by the user's figures", async () => {
  const { store, clock, notes, open } = setup();
  /** Sends pages to a server that reads 8 at a time, a second each. */
  const send = async (pace: Pace, n: number): Promise<number> => {
    let [inFlight, most, free] = [0, 0, Array.from({ length: 8 }, () => 0)];
    await clock.run(Promise.all(Array.from({ length: n }, async () => {
      const permit = await pace.lanes[0].limiter.turn();
      most = Math.max(most, ++inFlight);
      free = free.toSorted((a, b) => a - b);
      free[0] = Math.max(free[0], clock.now()) + 1_000;
      await clock.sleep(free[0] - clock.now());
      inFlight--;
      permit.done({ kind: "clean" });
    })));
    return most;
  };
  {
    await using first = await open({}, "http://own", null);
    assert.equal(first.rate(), null);
    assert.ok(await send(first, 400) >= 8);
  }
  const learnt = JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
  assert.ok(learnt.in_flight >= 8 && learnt.in_flight <= 12, String(learnt.in_flight));
  assert.ok(Math.abs(learnt.rate - 8) < 1, String(learnt.rate));
  assert.ok(
    notes.some((note) => /^(8|16) pages at once: more at once bring more/.test(note)),
    notes.join(),
  );
  {
    await using again = await open({}, "http://own", null);
    assert.equal(await send(again, 30), learnt.in_flight, "it begins where the last one ended");
  }
  {
    await using three = await open({ concurrency: 3 }, "http://own", null);
    assert.equal(await send(three, 100), 3);
  }
  await using rate = await open({ rate: 2 }, "http://own", null);
  assert.equal(rate.rate(), 2);
});

Deno.test("openPace() of several processes in one store shares a key's rate among them, and says so", async () => {
  const { store, clock, notes } = setup();
  const begin = clock.now();
  const starts: { who: string; at: number }[] = [];
  let refused = 0;
  const work = async (id: string, seconds: number) => {
    await using pace = await openPace({
      settings: AUTO,
      engine: { documentedRate: 3 },
      ...{ store, key: KEY, clock },
      sharing: { keys: ["rates/upstage-ocr/ocr.shared-a1b2c3.json"], id },
      note: (message) => notes.push(`${id}: ${message}`),
      random: () => 0,
    });
    const until = clock.now() + seconds * 1_000;
    let underWay = 0;
    while (clock.now() < until) {
      const permit = await pace.lanes[0].limiter.turn();
      const at = clock.now();
      underWay++;
      // A server that takes five a second of all together.
      const second = starts.filter((start) =>
        Math.floor(start.at / 1_000) === Math.floor((at - begin) / 1_000)
      );
      const full = second.length >= 5;
      if (full) refused++;
      else starts.push({ who: id, at: at - begin });
      clock.sleep(100).then(() => {
        underWay--;
        permit.done(
          full
            ? { kind: "throttled", until: Math.ceil((clock.now() - begin) / 1_000) * 1_000 + begin }
            : { kind: "clean" },
        );
      });
    }
    while (underWay > 0) await clock.sleep(50);
  };
  await clock.run(Promise.all([
    work("one", 150),
    clock.sleep(10_000).then(() => work("two", 100)),
  ]));
  const shared = starts.filter(({ at }) => at > 50_000 && at < 100_000);
  const ofTwo = shared.filter(({ who }) => who === "two").length;
  assert.ok(Math.abs(ofTwo / shared.length - 0.5) < 0.05, `${ofTwo} of ${shared.length}`);
  assert.ok(shared.length > 0.85 * 50 * 5, `${shared.length} starts in 50 s at 5/s`);
  const alone = starts.filter(({ at }) => at > 145_000).length;
  assert.ok(alone > 0.85 * 5 * 5, `${alone} starts in 5 s: it is alone again`);
  assert.ok(refused < 0.08 * starts.length, `${refused} of ${starts.length} were refused`);
  assert.ok(notes.some((note) => /^one: 2 processes use the key, .* share \d\.\d req/.test(note)));
  assert.ok(notes.includes("one: nobody else uses the key any more"));
  const { rate } = JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
  assert.ok(rate > 4, `${rate} is remembered, not a share of it`);
  const left = JSON.parse(
    new TextDecoder().decode(store.objects.get("rates/upstage-ocr/ocr.shared-a1b2c3.json")),
  );
  assert.deepEqual(left.members, [], "whoever ends leaves");
});

Deno.test("openPace() looks who shares the key before its first page where others are at work, and leaves", async () => {
  const { store, clock } = setup();
  const shared = "rates/upstage-ocr/ocr.shared-a1b2c3.json";
  const members = () => {
    const found = store.objects.get(shared);
    return found && JSON.parse(new TextDecoder().decode(found)).members.length;
  };
  for (const company of [false, true]) {
    const pace = await openPace({
      ...{ settings: AUTO, engine: { documentedRate: 3 }, store, key: KEY, clock },
      ...{ note: () => {}, random: () => 0 },
      sharing: { keys: [shared], id: "one", isCompany: () => company },
    });
    (await clock.run(pace.lanes[0].limiter.turn())).done({ kind: "clean" });
    assert.equal(members(), company ? 1 : undefined);
    await clock.run(Promise.resolve(pace[Symbol.asyncDispose]()));
    assert.equal(members(), company ? 0 : undefined, "a run that is over at once leaves, too");
    store.objects.delete(KEY); // nothing was learnt lately
  }
});

Deno.test("openPace() shares nothing where the user fixes the rate, and asks nobody in a short run", async () => {
  const { store, clock, open } = setup();
  const shared = "rates/upstage-ocr/ocr.shared-a1b2c3.json";
  const send = async (settings: Partial<PaceOptions["settings"]>, seconds: number) => {
    await using pace = await openPace({
      settings: { ...AUTO, ...settings },
      engine: { documentedRate: 3 },
      ...{ store, key: KEY, clock, note: () => {}, random: () => 0 },
      sharing: { keys: [shared], id: "one" },
    });
    await clock.run((async () => {
      for (let i = 0; i < seconds; i++) {
        (await pace.lanes[0].limiter.turn()).done({ kind: "clean" });
        await clock.sleep(1_000);
      }
    })());
  };
  await send({ rate: 2 }, 30);
  await send({ requestDelayMs: 500 }, 30);
  await send({}, 1);
  assert.equal(store.objects.has(shared), false);
  await (await open())[Symbol.asyncDispose]();
});

Deno.test("openPace() waits neither for a turn nor at the end for a store that doesn't answer", async () => {
  const { store, clock } = setup();
  const shared = "rates/upstage-ocr/ocr.shared-a1b2c3.json";
  store.before = (_operation, key) => key === shared ? new Promise(() => {}) : undefined;
  const pace = await openPace({
    settings: AUTO,
    engine: { documentedRate: 3 },
    ...{ store, key: KEY, clock, note: () => {}, random: () => 0 },
    sharing: { keys: [shared], id: "one" },
  });
  const begin = clock.now();
  await clock.run((async () => {
    for (let i = 0; i < 20; i++) {
      (await pace.lanes[0].limiter.turn()).done({ kind: "clean" });
      await clock.sleep(500);
    }
  })());
  assert.ok(clock.now() - begin < 11_000, "nobody waited for a turn");
  const end = clock.now();
  await clock.run(Promise.resolve(pace[Symbol.asyncDispose]()));
  assert.ok(clock.now() - end <= 4_000, `${clock.now() - end} ms`);
});
