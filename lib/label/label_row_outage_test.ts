import assert from "node:assert/strict";
import { answerOf } from "../../dev/doubles/scripted_job.ts";
import { fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { labelingOf, type OpenedLabeling } from "../../dev/testing/open_labeling.ts";
import { RunError } from "../base/errors.ts";
import type { ImageFile, Outcome } from "../engine/engine.ts";
import { type Labeling, labelRow, obtain } from "./label_row.ts";

/** What an engine says of a page, so many seconds after all began. */
type Says = (seconds: number) => Outcome | "words" | "nothing";

/** It takes so many seconds over it. */
interface Slow {
  readonly seconds: number;
  readonly says: Says;
}

const PATIENCE_S = 300;
const FAILS: Outcome = { kind: "retryable", message: "HTTP 503" };
const rejects: Says = () => ({ kind: "rejected", message: "HTTP 422" });
const reads: Says = () => "words";
const findsNothing: Says = () => "nothing";
const downUntil = (end: number, then: Says = reads): Says => (s) => s < end ? FAILS : then(s);

/** The page of the row that is labelled; other pages are read by whichever engine is up. */
const PAGE = imageFile("row-0").sha256;

/** Engines `ocr`, `m1`, `m2`, … that are asked one after another, over one clock. */
class Engines implements AsyncDisposable {
  readonly asked: number[];
  readonly #began: number;

  private constructor(readonly opened: OpenedLabeling, asked: number[], began: number) {
    this.asked = asked;
    this.#began = began;
  }

  static async open(...engines: readonly (Says | Slow)[]): Promise<Engines> {
    const asked = engines.map(() => 0);
    let opened: OpenedLabeling | undefined = undefined as OpenedLabeling | undefined;
    let began = 0;
    const [own, ...others] = engines.map((engine, n) => ({
      advice: "the key",
      async send(image: ImageFile, model: string): Promise<Outcome> {
        const { clock } = opened!;
        const { says, seconds } = typeof engine === "function"
          ? { says: engine, seconds: 0.1 }
          : engine;
        if (image.sha256 !== PAGE) return answerOf(image, model);
        asked[n]++;
        await clock.sleep(seconds * 1_000);
        const outcome = says((clock.now() - began) / 1_000);
        return typeof outcome === "string"
          ? answerOf(image, outcome === "words" ? model : "")
          : outcome;
      },
    }));
    opened = await labelingOf(own, {
      others: others.map((connection, n) => ({ connection, model: `m${n + 1}` })),
      args: `--max-outage-minutes ${PATIENCE_S / 60} --max-retries 1 --rate 20`,
    });
    opened.store.put("images/0.png", fakeImage("row-0"));
    began = opened.clock.now();
    return new Engines(opened, asked, began);
  }

  /** An engine by its place. */
  at(n: number): Labeling {
    const { labeling } = this.opened;
    return n === 0 ? labeling : labeling.fallbacks![n - 1];
  }

  /** Pages fail on an engine, enough to show that it is down. */
  fail(n: number): void {
    const { health } = this.at(n).lanes.open[0];
    for (const page of ["x", "y", "z"]) {
      const pass = { probes: undefined };
      health.begin(pass);
      health.judge(FAILS, page, pass);
    }
  }

  /** An engine is down for longer than the run has patience. */
  async exhaust(n: number): Promise<void> {
    for (let seconds = 0; seconds <= PATIENCE_S; seconds += 60) {
      this.fail(n);
      await this.pass(60);
    }
    this.fail(n);
    assert.ok(this.at(n).lanes.exhausted);
  }

  async pass(seconds: number): Promise<void> {
    const { clock } = this.opened;
    await clock.run(clock.sleep(seconds * 1_000));
  }

  /** Seconds since all began. */
  get seconds(): number {
    return (this.opened.clock.now() - this.#began) / 1_000;
  }

  /** Labels the row. @param meanwhile Engine that reads other pages all the time. */
  async label(meanwhile?: number) {
    const { clock, labeling } = this.opened;
    let over = false;
    const others = async () => {
      for (let n = 0; !over && meanwhile !== undefined; n++) {
        await obtain(imageFile(`other-${n}`), "other", this.at(meanwhile));
        await clock.sleep(1_000);
      }
    };
    const labelling = labelRow(inputRow(0), labeling).finally(() => over = true);
    const [{ output: { metadata } }] = await clock.run(Promise.all([labelling, others()]));
    const by = /upstage-ocr\/(\w+)\//.exec(metadata.response_key ?? "")?.[1];
    return { by, ...metadata, seconds: this.seconds };
  }

  /** What was said at the end. */
  async remarks(): Promise<string[]> {
    const { notes } = this.opened;
    await this.opened[Symbol.asyncDispose]();
    return notes.filter((note) => /not to be had/.test(note));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened[Symbol.asyncDispose]();
  }
}

Deno.test("a page that only an engine that is down may read waits for it as long as the run has patience, and costs the others one request", async () => {
  for (const down of [20, 200, Infinity]) {
    await using engines = await Engines.open(downUntil(down), rejects);
    engines.fail(0);
    const { by, seconds, error_message } = await engines.label();
    assert.equal(engines.asked[1], 1);
    if (down < Infinity) {
      assert.equal(by, "ocr");
      assert.ok(seconds >= down && seconds < down + 61, `${seconds} s`);
    } else {
      assert.match(error_message!, /^it fails on every page.*; upstage-ocr: HTTP 422$/);
      assert.ok(seconds >= PATIENCE_S && seconds < PATIENCE_S + 61, `${seconds} s`);
      const told = await engines.remarks();
      assert.match(told.join(), /^failed pages .*upstage-ocr was not .*--retry-failed.*: 1 times$/);
    }
  }
});

Deno.test("an engine that is up again by the time the others have failed is asked, the others are not asked twice", async () => {
  for (const finds of [reads, findsNothing]) {
    await using engines = await Engines.open(
      downUntil(8, finds),
      { seconds: 20, says: rejects },
      { seconds: 20, says: findsNothing },
    );
    engines.fail(0);
    const { by, status } = await engines.label();
    assert.deepEqual([by, status], ["ocr", finds === reads ? "ok" : "empty"]);
    assert.deepEqual(engines.asked.slice(1), [1, 1]);
    assert.ok(engines.seconds < 60);
    assert.deepEqual(await engines.remarks(), []);
  }
  // Whichever it is, and however many have failed before it.
  await using engines = await Engines.open(rejects, downUntil(8), { seconds: 20, says: rejects });
  engines.fail(1);
  assert.equal((await engines.label()).by, "m1");
  assert.deepEqual(engines.asked, [1, 1, 1]);
});

Deno.test("a page without words on the engines that are up stays so, and people are told which one was not asked", async () => {
  await using engines = await Engines.open(downUntil(Infinity), findsNothing);
  engines.fail(0);
  const { by, status, seconds } = await engines.label();
  assert.deepEqual([by, status], ["m1", "empty"]);
  assert.ok(seconds < 10, `${seconds} s`);
  const told = await engines.remarks();
  assert.match(told.join(), /^pages without words .*upstage-ocr was not .*--fresh.*: 1 times$/);
});

Deno.test("while an engine is down a page is tried again on the next one beyond its retries, without haste, as long as the run has patience", async () => {
  for (const fails of [100, Infinity]) {
    await using engines = await Engines.open(downUntil(Infinity), downUntil(fails));
    engines.fail(0);
    const { by, status, seconds } = await engines.label(1);
    assert.ok(
      engines.asked[1] > 2 && engines.asked[1] < 100,
      `${fails}: ${engines.asked} requests, ${seconds} s, ${status}`,
    );
    if (fails < Infinity) {
      assert.equal(by, "m1");
      assert.ok(seconds >= fails && seconds < fails + 61, `${seconds} s`);
    } else {
      assert.equal(status, "failed");
      assert.ok(seconds >= PATIENCE_S && seconds < 3 * PATIENCE_S, `${seconds} s`);
    }
  }
});

Deno.test("a page that waits on an engine that has gone down goes back to whichever is up again, be others still down", async () => {
  await using engines = await Engines.open(
    downUntil(15),
    downUntil(Infinity),
    downUntil(Infinity),
  );
  for (const n of [0, 1, 2]) engines.fail(n);
  const { by, seconds } = await engines.label();
  assert.equal(by, "ocr");
  assert.ok(seconds >= 15 && seconds < 60, `${seconds} s`);

  await using soon = await Engines.open(reads, downUntil(Infinity), downUntil(Infinity));
  soon.fail(0);
  await soon.pass(3);
  for (const n of [1, 2]) soon.fail(n); // they are probed again later than the first
  const back = await soon.label();
  assert.deepEqual([back.by, soon.asked], ["ocr", [1, 0, 0]]);
  assert.ok(back.seconds < 7, `${back.seconds} s`);
});

Deno.test("where all engines are down, one of them for long, the page takes whichever is back first", async () => {
  const back = PATIENCE_S + 150;
  await using engines = await Engines.open(downUntil(Infinity), downUntil(back));
  await engines.exhaust(1);
  engines.fail(0);
  const { by, seconds } = await engines.label();
  assert.equal(by, "m1");
  assert.ok(seconds >= back && seconds < back + 90, `${seconds} s`);
});

Deno.test("an engine that is given up is not waited for, however much patience the run has", async () => {
  await using engines = await Engines.open(reads, rejects);
  engines.at(0).lanes.closeAll(new RunError("api", "", { cause: "the API refuses it" }));
  const { error_message, seconds } = await engines.label();
  assert.match(error_message!, /^the API refuses it; upstage-ocr: HTTP 422$/);
  assert.ok(seconds < 10, `${seconds} s`);
  assert.equal(engines.asked[0], 0);
});

Deno.test("an engine that was down for longer than the run has patience is waited for no more", async () => {
  await using engines = await Engines.open(downUntil(Infinity), rejects);
  await engines.exhaust(0);
  const { status } = await engines.label();
  assert.equal(status, "failed");
  assert.ok(engines.seconds < PATIENCE_S + 90, `${engines.seconds} s`);
});

Deno.test("the first page that needs an engine waits while nothing shows that it is the page's failure", async () => {
  for (const down of [60, Infinity]) {
    await using engines = await Engines.open(rejects, downUntil(down));
    const { by, status, seconds } = await engines.label();
    if (down < Infinity) assert.equal(by, "m1");
    else assert.equal(status, "failed");
    const least = Math.min(down, PATIENCE_S);
    assert.ok(seconds >= least && seconds < least + 120, `${seconds} s`);
    assert.equal(engines.asked[0], 1);
  }
  // Once others were read there it is the page.
  await using engines = await Engines.open(rejects, downUntil(Infinity));
  const { status, seconds } = await engines.label(1);
  assert.equal(status, "failed");
  assert.ok(seconds < 30, `${seconds} s`);
});
