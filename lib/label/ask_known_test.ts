import assert from "node:assert/strict";
import {
  answered,
  Bench,
  images,
  MAX_OUTAGE_MS,
  REFUSED,
  REJECTED,
  type Request,
  RETRYABLE,
  text,
  UNREADABLE,
  upAlways,
} from "../../dev/doubles/ask_bench.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { RunError } from "../base/errors.ts";
import type { ImageFile, Outcome } from "../engine/engine.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { FIRST_PROBE_MS, LOOK_MS, OUTAGE_PAGES } from "../engine/health.ts";
import { received } from "./ask.ts";
import { Tally } from "./tally.ts";

const KNOWN = imageFile("the page that works");

/** Whether it asks for that image. */
function isFor({ bytes }: Request, image: ImageFile): boolean {
  return bytes.join() === image.bytes.join();
}

/** Has answered {@linkcode KNOWN}, so that it is known to work. */
async function knowing(bench: Bench): Promise<Bench> {
  assert.ok((await bench.one(KNOWN)).text);
  bench.lanes.knows(); // as where its answer is stored
  return bench;
}

Deno.test("an outage is probed in turns by a page that has not failed and one that is known to work; each gets its own answer", async () => {
  const pages = images(OUTAGE_PAGES + 4);
  const down = (time: number) => time >= 1_000 && time < 150_000;
  const bench: Bench = await knowing(
    new Bench((request) => down(request.time) ? RETRYABLE : answered(request), {
      ...{ slots: 4, known: true }, // room for all pages
    }),
  );
  await bench.pass(1_000);
  for (const [n, result] of (await bench.all(pages)).entries()) {
    assert.ok(result.status === "fulfilled");
    assert.equal(result.value.text, text(pages[n]), `page ${n} got another one's answer`);
  }
  const seen = new Set<string>();
  const probes = bench.requests.flatMap(({ time, bytes }) => {
    const isNew = seen.size < seen.add(bytes.join()).size;
    const name = bytes.join() === KNOWN.bytes.join() ? "known" : isNew ? "new" : "failed";
    return time > 3_000 && down(time) || time > 190_000 && name === "known" ? [name] : [];
  });
  // Those that have failed would show nothing, so the known page is asked for in their place.
  assert.deepEqual(probes, ["new", "known", "new", "known", "new", "known"]);
  assert.equal(bench.controlled, 1);
  assert.deepEqual(bench.spending, { open: 0, settled: pages.length + 2 });
});

Deno.test("an outage that no new page can probe is probed by the known page alone", async () => {
  const pages = images(OUTAGE_PAGES);
  const down = (time: number) => time >= 1_000 && time < 100_000;
  const bench: Bench = await knowing(
    new Bench((request) => down(request.time) ? RETRYABLE : answered(request), { known: true }),
  );
  await bench.pass(1_000);
  const results = await bench.all(pages);
  assert.ok(results.every((result) => result.status === "fulfilled" && result.value.text));
  const probes = bench.requests.filter(({ time }) => time > 3_000).slice(0, 4);
  assert.deepEqual(probes.map((request) => isFor(request, KNOWN)), [true, true, true, true]);
});

Deno.test("what fails while everything fails uses up no attempt of a page", async () => {
  const pages = images(OUTAGE_PAGES);
  const again = new Set(pages.map(({ bytes }) => bytes.join()));
  const bench: Bench = new Bench((request) => {
    // Once it is over, each page fails once more for its own part.
    const fails = request.time < 140_000 || again.delete(request.bytes.join());
    return fails ? RETRYABLE : answered(request);
  }, { maxRetries: 2 });
  const asking = pages.map((page) => bench.ask(page));
  await bench.pass(140_000);
  const last = bench.ask(imageFile("it ends the outage"));
  for (const result of await bench.clock.run(Promise.all([...asking, last]))) {
    assert.ok(result.text, result.message);
  }
});

Deno.test("pages that fail at one time ask for the known page once, though their claims are in doubt, and by the key they failed on", async () => {
  const failing = images(2);
  for (const keys of [1, 2]) {
    const bench: Bench = await knowing(
      new Bench(
        (request) => failing.some((page) => isFor(request, page)) ? RETRYABLE : answered(request),
        {
          ...{ keys, slots: 2, maxRetries: keys - 1, known: true, spacingMs: 10 },
        },
      ),
    );
    let doubts = 0;
    const claim = {
      get held() {
        assert.ok(doubts < 1_000, "the known page is not asked for");
        return ++doubts <= failing.length * keys; // until they have been sent
      },
      confirm: () => Promise.resolve(true),
    };
    const results = await bench.clock.run(
      Promise.all(failing.map((image) => bench.ask(image, { claim }))),
    );
    assert.deepEqual(results.map(({ code }) => code), ["api_unavailable", "api_unavailable"]);
    const asked = bench.requests.slice(1).filter((request) => isFor(request, KNOWN));
    const last = bench.requests.filter((request) => isFor(request, failing[0])).at(-1)!;
    if (keys === 1) assert.equal(asked.length, 1);
    assert.ok(asked.every(({ time }) => time >= last.time + FIRST_PROBE_MS - LOOK_MS));
    assert.ok(asked.some(({ key }) => key === last.key), "another key shows nothing of this one");
    assert.equal(bench.controlled, asked.length);
  }
});

Deno.test("a page whose key is given up while it is judged is asked for with another one", async () => {
  const page = imageFile("judged");
  const bench: Bench = new Bench(async (request) => {
    const { key, time } = request;
    await bench.clock.sleep(100);
    if (isFor(request, page) && time < 500) return RETRYABLE;
    return key === 0 && time > 500 ? REFUSED : answered(request);
  }, { keys: 2, maxRetries: 0, known: true });
  await knowing(bench);
  const judged = bench.ask(page);
  await bench.pass(1_000);
  const results = await bench.all(images(20));
  assert.ok(results.every((result) => result.status === "fulfilled" && result.value.text));
  assert.match(bench.notes.join(), /key 1 is not used any more/);
  assert.equal((await bench.clock.run(judged)).text, text(page));
});

Deno.test("a page that an engine's only key refuses goes to the other engine where nothing shows that it is the page", async () => {
  const bench = new Bench((request) => request.index === 0 ? answered(request) : REFUSED, {
    others: upAlways("b"),
  });
  await bench.one(imageFile("answered"));
  const { code, elsewhere, message } = await bench.one(imageFile("refused"));
  assert.deepEqual([code, elsewhere], ["api_unavailable", true]);
  assert.match(message!, /the API refuses it: HTTP 401/);
  assert.match(bench.notes.join(), /key 1 is not used any more.*going on with b/);

  const alone = new Bench((request) => request.index === 0 ? answered(request) : REFUSED);
  await alone.one(imageFile("answered"));
  const error = await alone.one(imageFile("refused")).catch((error) => error);
  assert.ok(error instanceof RunError && error.exit === "api");
  assert.equal(alone.halt.signal.reason, error);
});

Deno.test("first pages that are rejected or refused end no run whose model has ever answered, which is looked up once", async () => {
  for (const outcome of [REJECTED, REFUSED]) {
    for (const ever of [true, false]) {
      let looks = 0;
      const first = outcome === REFUSED ? 1 : 5;
      const bench: Bench = new Bench(
        (request) => request.index < first ? outcome : answered(request),
        {
          slots: 1,
          everAnswered: () => {
            looks++;
            return Promise.resolve(ever);
          },
        },
      );
      if (outcome === REJECTED) await bench.all(images(9));
      else {
        // The only one that is asked for: nobody else could show that the key is good.
        const refused = bench.ask(imageFile("refused"), { maxRetries: 0 }).catch(() => {});
        await bench.pass(1_000);
        await bench.one(imageFile("another")).catch(() => {});
        assert.equal((await bench.clock.run(refused))?.code, ever ? "api_rejected" : undefined);
      }
      assert.deepEqual([looks, bench.halt.signal.aborted], [1, !ever]);
    }
  }
  const needless = new Bench(answered, { everAnswered: () => assert.fail("looked up") });
  await needless.all(images(3));
});

Deno.test("a page that alone is told to wait for longer than the run has patience ends it at once, whoever was asked for before", async () => {
  for (const kind of ["throttled", "retryable"] as const) {
    const bench: Bench = new Bench((request) =>
      request.index < 4
        ? { kind: "rejected", message: `page ${request.index}` }
        : { kind, until: bench.clock.now() + MAX_OUTAGE_MS + 1_000, message: "HTTP xxx" }
    );
    await bench.all(images(4));
    const before = bench.clock.now();
    const error = await bench.one(imageFile("last"), { maxRetries: 0 }).catch((error) => error);
    if (kind === "throttled") {
      assert.ok(error instanceof RunError && error.exit === "again");
      assert.ok(bench.clock.now() - before < 100);
    } else assert.equal(error.code, "api_unavailable"); // a page's failure, as others worked
  }
});

Deno.test("a page that is throttled for ever fails with what the API said and for how long, as one attempt", async () => {
  const bench: Bench = await knowing(
    new Bench((request) => {
      if (isFor(request, KNOWN)) return answered(request);
      return { kind: "throttled", until: undefined, message: "HTTP 429, page_quota" };
    }, { known: true }),
  );
  const { code, message, attempts } = await bench.one(imageFile("a"));
  assert.deepEqual([code, attempts], ["api_unavailable", 1]);
  assert.match(message!, /^HTTP 429, page_quota, whenever it was asked for, for \d+ s, while/);
  assert.deepEqual(bench.tally.finishedByAttempt, [0, 2]);
  // Waits that grow, not a request for each turn.
  assert.ok(bench.requests.length < 25, `${bench.requests.length} requests`);
});

Deno.test("a page fails by the word that the API has for it, and what stops a run stops all waiting at once", async () => {
  const bench = new Bench(() => ({ ...RETRYABLE, code: "image_too_large" }) as Outcome, {
    maxRetries: 0,
  });
  assert.equal((await bench.one(imageFile("a"))).code, "image_too_large");

  const full = new Bench(answered, { slots: 1 });
  const gate = Promise.withResolvers<void>();
  full.keep = () => gate.promise;
  const [first, second, ...others] = images(5).map((image) => full.ask(image));
  await full.pass(1_000);
  assert.equal(full.requests.length, 2);
  const stop = new RunError("again", "stopped");
  full.halt.abort(stop);
  for (const result of await full.clock.run(Promise.allSettled(others))) {
    assert.ok(result.status === "rejected" && result.reason === stop);
  }
  gate.resolve();
  assert.ok((await first).text && (await second).text);
});

Deno.test("where nobody can be reached not even the only page of a run fails: it waits, or the run ends with 75", async () => {
  const unreached: Outcome = { kind: "retryable", message: "connection failed", unreached: true };
  const [page] = images(1);
  const waiting: Bench = new Bench((request) =>
    request.time < MAX_OUTAGE_MS / 2 ? unreached : answered(request)
  );
  const [read] = await waiting.all([page]);
  assert.ok(read.status === "fulfilled" && read.value.text, JSON.stringify(read));
  assert.ok(waiting.requests.length < 12, `${waiting.requests.length} requests`);

  const [ended] = await new Bench(() => unreached).all([page]);
  assert.ok(ended.status === "rejected" && ended.reason instanceof RunError);
  assert.equal(ended.reason.exit, "again");
  assert.match(
    ended.reason.message,
    /has failed on every page for 3 minutes \(connection failed\)/,
  );

  // What was reached may have failed for the page's sake; or the user says that all do.
  for (
    const bench of [
      new Bench(() => RETRYABLE),
      new Bench(() => unreached, { noGuard: true }),
    ]
  ) {
    const [failed] = await bench.all([page]);
    assert.ok(failed.status === "fulfilled");
    assert.equal(failed.value.code, "api_unavailable");
  }
});

Deno.test("a readable answer of one page is remembered as one that works, and whether there are words on it", () => {
  const image = imageFile("a");
  const body = (answered({ bytes: image.bytes }) as { body: { pages: object[] } }).body;
  const blank = { ...body, pages: body.pages.map((page) => ({ ...page, words: [], text: "" })) };
  for (
    const [given, remembered] of [
      [body, [false]],
      [blank, [true]],
      [{ ...body, numBilledPages: 2 }, []],
      [(UNREADABLE as { body: unknown }).body, []],
    ] as const
  ) {
    const tally = new Tally();
    const seen: boolean[] = [];
    const known = { remember: (_: ImageFile, isBlank: boolean) => seen.push(isBlank) };
    const answer = { kind: "answered", text: JSON.stringify(given), body: given } as const;
    const options = { engine: upstageOcr, tally, known } as unknown as Parameters<
      typeof received
    >[3];
    assert.deepEqual(received(image, answer, 2, options).read, upstageOcr.parse(given));
    assert.deepEqual(seen, remembered);
    assert.deepEqual([tally.unsaved, tally.finishedByAttempt], [1, [0, 0, 1]]);
  }
});
