import assert from "node:assert/strict";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { readFake } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { Budget } from "../base/budget.ts";
import type { ImageFile, Outcome } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { AnswerStore } from "../state/answer_store.ts";
import type { Claim } from "../state/claims.ts";
import { ask, type AskOptions } from "./ask.ts";
import { type Labeling, obtain } from "./label_row.ts";
import { Lanes } from "./lanes.ts";
import { Tally } from "./tally.ts";

const RETRYABLE: Outcome = { kind: "retryable", message: "HTTP 503" };

function answered({ bytes }: ImageFile): Outcome {
  const body = pageBody(readFake(bytes));
  return { kind: "answered", text: JSON.stringify(body), body };
}

/** One request at a time, and room for one answer. */
class Bench {
  readonly clock = new VirtualClock();
  readonly tally = new Tally();
  readonly unsaved = new Budget(1);
  /** Requests that may be in flight, and pages that are reserved. */
  readonly open = { turns: 0, pages: 0 };
  /** Pages that were asked for. */
  readonly sent: string[] = [];
  readonly options: AskOptions;
  readonly #turns = new Budget(1);

  constructor(reply: (image: ImageFile, n: number) => Outcome | Promise<Outcome> = answered) {
    const { clock, tally, unsaved, open } = this;
    this.options = {
      ...{ engine: upstageOcr, model: "ocr", tally, clock, unsaved, maxRetries: 3 },
      lanes: new Lanes([{
        name: "the key",
        rate: () => 1,
        connection: {
          send: async (image) => {
            this.sent.push(image.sha256);
            return await reply(image, this.sent.length - 1);
          },
        },
        limiter: {
          turn: async (signal) => {
            const done = await this.#turns.acquire(1, signal);
            open.turns++;
            let over = false;
            return {
              done() {
                if (!over) open.turns--;
                over = true;
                done();
              },
            };
          },
        },
        health: new Health({
          ...{ model: "ocr", advice: "", maxOutageMs: 600_000, clock, note: () => {} },
        }),
      }]),
      spending: {
        take: () => Promise.resolve(void open.pages++),
        settle: () => void open.pages--,
      },
      random: () => 0.5,
      halt: new AbortController(),
      giveUp: new AbortController().signal,
    };
  }
}

Deno.test("ask() sends nothing while its claim is in doubt, and keeps nobody's turn or room meanwhile", async () => {
  const bench = new Bench();
  const { clock, open, options } = bench;
  const confirmed = Promise.withResolvers<boolean>();
  let [held, looks, confirms] = [false, 0, 0];
  const claim = {
    get held() {
      assert.ok(++looks < 1_000, "asked for without end");
      return held;
    },
    confirm: () => ++confirms === 1 ? Promise.resolve(true) : confirmed.promise,
  };
  const doubtful = ask(imageFile("a"), { ...options, claim });
  // It was sure of its claim when it queued for its turn, and is not when that comes.
  await clock.run(clock.sleep(1));
  const sure = await clock.run(ask(imageFile("b"), options));
  assert.ok(sure.answered);
  sure[Symbol.dispose]();
  assert.deepEqual([bench.sent, confirms], [[imageFile("b").sha256], 2]);
  assert.deepEqual([open, bench.tally.requests], [{ turns: 0, pages: 0 }, 1]);
  held = true;
  confirmed.resolve(true);
  using late = await clock.run(doubtful);
  assert.ok(late.answered);
  assert.deepEqual([late.attempts, bench.sent.length], [1, 2]);
});

Deno.test("ask() finds out before each attempt whether the page is still to be asked for", async () => {
  const bench = new Bench((_, n) => n < 2 ? RETRYABLE : { kind: "rejected", message: "HTTP 422" });
  let confirms = 0;
  const claim = { held: true, confirm: () => Promise.resolve(++confirms < 3) };
  using asked = await bench.clock.run(ask(imageFile("a"), { ...bench.options, claim }));
  assert.deepEqual([asked.answered, asked.failure, asked.attempts], [undefined, undefined, 2]);
  assert.deepEqual([bench.sent.length, bench.open], [2, { turns: 0, pages: 0 }]);
  // Nobody is left waiting for it, nor thought to be asking.
  using other = await bench.clock.run(ask(imageFile("b"), { ...bench.options, maxRetries: 0 }));
  assert.equal(other.failure?.code, "api_rejected");
});

Deno.test("an outage of the API is probed by another page where the one that was to is in doubt", async () => {
  const bench: Bench = new Bench((image, n) => n < 3 ? RETRYABLE : answered(image));
  const { clock, options } = bench;
  const failing = ["a", "b", "c"].map((name) => ask(imageFile(name), options));
  await clock.run(clock.sleep(100));
  assert.equal(options.lanes.open[0].health.outage, true);
  let doubts = 0;
  const claim = {
    get held() {
      return doubts++ > 0;
    },
    confirm: () => Promise.resolve(true),
  };
  const asking = [ask(imageFile("d"), { ...options, claim }), ...failing];
  const results = await clock.run(Promise.all(asking.map(async (page) => {
    const asked = await page;
    asked[Symbol.dispose]();
    return asked;
  })));
  assert.ok(results.every(({ answered }) => answered));
  assert.equal(bench.sent.length, 7);
});

Deno.test("obtain() uses what another run has stored while a page was waiting to be asked for again", async () => {
  const store = new MemoryStore();
  const answers = new AnswerStore(store, "upstage-ocr", "ocr");
  const page = imageFile("a");
  let confirms = 0;
  const labelingOf = (bench: Bench, dataset: string, take: Labeling["claims"]["take"]) => ({
    ...{ ...bench.options, answers, claims: { take }, underWay: new Map(), rows: new Budget(10) },
    waiting: new Budget(10),
    spending: { ...bench.options.spending, isShort: false, cover: () => Promise.resolve() },
    payer: { dataset, run_id: `run of ${dataset}` },
    ...{ images: { load: () => assert.fail("loaded") }, askAgain: new Set<string>() },
    ...{ askedInVain: new Set<string>(), remarks: { tell: () => {}, count: () => {} } },
  });
  const other = new Bench();
  const mine = new Bench(() => RETRYABLE);
  const claims = (confirm: (look: () => Promise<boolean>) => Promise<boolean>) =>
    ((_sha, look) =>
      Promise.resolve(
        {
          held: true,
          confirm: () => confirm(look),
          [Symbol.dispose]() {},
        } satisfies Claim,
      )) as Labeling["claims"]["take"];
  const theirs = labelingOf(other, "other", claims(() => Promise.resolve(true)));
  const ours = labelingOf(
    mine,
    "mine",
    claims(async (look) => {
      if (++confirms === 1) return true;
      await obtain(page, "their row", theirs); // between two attempts
      return !await look();
    }),
  );
  const obtained = await mine.clock.run(obtain(page, "our row", ours));
  assert.deepEqual([mine.sent.length, other.sent.length], [1, 1]);
  const { answer, paidBy, failure } = obtained;
  assert.deepEqual([paidBy?.row_id, failure], ["their row", undefined]);
  assert.ok(answer!.pages[0].words.length > 0);
  assert.deepEqual([mine.tally.reused, mine.tally.paidAgain], [1, 0]);
});
