/**
 * @module doubles/ask_bench: everything that asking for a page works with, over a clock whose time
 * passes at once and an API that answers as a test says.
 */

import assert from "node:assert/strict";
import { Budget } from "../../lib/base/budget.ts";
import { RunError } from "../../lib/base/errors.ts";
import type { ImageFile, Outcome } from "../../lib/engine/engine.ts";
import { Health } from "../../lib/engine/health.ts";
import { upstageOcr } from "../../lib/engine/upstage_ocr.ts";
import { ask, type AskOptions } from "../../lib/label/ask.ts";
import { KnownPage } from "../../lib/label/known_page.ts";
import { type Lane, Lanes, NO_OTHERS, type Others } from "../../lib/label/lanes.ts";
import { Tally } from "../../lib/label/tally.ts";
import { RateController } from "../../lib/pace/controller.ts";
import { Limiter } from "../../lib/pace/limiter.ts";
import { pageBody } from "./ocr/upstage_answer.ts";
import { readFake } from "../testing/fixtures.ts";
import { imageFile } from "../testing/labeling.ts";
import { VirtualClock } from "../testing/virtual_clock.ts";

/** So many pages, each another. */
export function images(n: number): ImageFile[] {
  return Array.from({ length: n }, (_, i) => imageFile(`page ${i}`));
}

/** What the API answers for an image that all goes well for. */
export function answered({ bytes }: { bytes: Uint8Array<ArrayBuffer> }): Outcome {
  const body = pageBody(readFake(bytes));
  return { kind: "answered", text: JSON.stringify(body), body };
}

/** Paid, and of no use. */
export const UNREADABLE: Outcome = { kind: "answered", text: '{"pages":[]}', body: { pages: [] } };
/** It may work later. */
export const RETRYABLE: Outcome = { kind: "retryable", message: "HTTP 503" };
/** The page is not taken. */
export const REJECTED: Outcome = { kind: "rejected", message: "HTTP 422" };
/** The key has changed. */
export const RENEWED: Outcome = { kind: "renewed", message: "HTTP 401" };
/** The key is not taken, or so it seems. */
export const REFUSED: Outcome = { kind: "refused", message: "HTTP 401" };
/** Nothing but failures for so long ends the run, milliseconds. */
export const MAX_OUTAGE_MS = 180_000;

/** A request that the API has got. */
export interface Request {
  /** Which request this is, from 0. */
  readonly index: number;
  /** When it started, milliseconds after the bench was made. */
  readonly time: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly model: string;
  /** Which key it came with, from 0. */
  readonly key: number;
  /** Gives the request up. */
  readonly signal: AbortSignal;
}

/** What an image came to. */
export interface Result {
  readonly text?: string;
  readonly code?: string;
  readonly message?: string;
  readonly attempts: number;
  /** Whether another engine is to be asked. */
  readonly elsewhere?: boolean;
}

/** What the API answers. */
export type Reply = (request: Request) => Outcome | Promise<Outcome>;

/** Lanes on which no page goes round and round without end. */
class CountedLanes extends Lanes {
  #looks = 0;

  override waitOn(lane: Lane): Disposable {
    assert.ok(++this.#looks < 20_000, "a page waits for its turn again and again without end");
    return super.waitOn(lane);
  }
}

/** Another engine, which is up. */
export function upAlways(name: string): Others {
  return { next: () => name, any: () => name, downSince: () => undefined };
}

/** Everything that {@linkcode ask} works with, and an API that answers as `reply` says. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly begin = this.clock.now();
  readonly tally = new Tally();
  readonly halt = new AbortController();
  readonly giveUp = new AbortController();
  readonly requests: Request[] = [];
  readonly notes: string[] = [];
  /** Pages taken from the spending limit and not settled yet, and pages settled. */
  readonly spending = { open: 0, settled: 0 };
  /** Called where a page is taken from the spending limit. */
  taking: () => Promise<void> = () => Promise.resolve();
  /** Called before each request. */
  checking: () => void = () => {};
  /** Called where an answer is handed over, before it counts as kept. */
  keep: () => Promise<void> = () => Promise.resolve();
  maxInFlight = 0;
  /** Pages billed for the page that is known to work. */
  controlled = 0;
  readonly #reply: Reply;
  readonly #options: AskOptions;
  #inFlight = 0;

  constructor(
    reply: Reply,
    {
      maxRetries = 3,
      slots = 3,
      spacingMs = 0,
      maxPages = Infinity,
      maxOutageMs = MAX_OUTAGE_MS,
      known = false,
      noGuard = false,
      keys = 1,
      others = NO_OTHERS,
      everAnswered = undefined as (() => Promise<boolean>) | undefined,
      pauses = undefined as ((key: number) => number) | undefined,
    } = {},
  ) {
    this.#reply = reply;
    const { clock, tally, halt, giveUp, spending } = this;
    this.#options = {
      engine: upstageOcr,
      model: "ocr",
      lanes: new CountedLanes(
        Array.from({ length: keys }, (_, key) => ({
          name: `key ${key + 1}`,
          rate: () => 1_000,
          ...pauses && { pause: () => pauses(key) },
          connection: { send: (image, model, signal) => this.#send(image, model, signal, key) },
          limiter: new Limiter({
            controller: new RateController({
              rate: 1_000,
              fixed: true,
              minSpacingMs: spacingMs,
              maxInFlight: slots,
              random: () => 0,
              now: clock.now(),
            }),
            clock,
          }),
          health: new Health({
            model: "ocr",
            advice: "the key",
            maxOutageMs,
            clock,
            note: (message) => this.notes.push(message),
            ...{ noGuard, everAnswered },
          }),
        })),
        (message) => this.notes.push(message),
        others,
      ),
      unsaved: new Budget(2 * slots * keys),
      spending: {
        take: () => {
          if (spending.open + spending.settled >= maxPages) throw new RunError("limit", "limit");
          spending.open++;
          return this.taking();
        },
        settle(pages) {
          spending.open--;
          spending.settled += pages;
        },
      },
      known: known
        ? new KnownPage({
          async *rows() {},
          images: {},
          engine: upstageOcr,
          note: (_, facts) => this.controlled += facts!.control_pages as number,
        })
        : undefined,
      check: () => this.checking(),
      maxRetries,
      tally,
      clock,
      random: () => 0.5,
      halt,
      giveUp: giveUp.signal,
    };
  }

  async #send(
    { bytes }: ImageFile,
    model: string,
    signal: AbortSignal,
    key: number,
  ): Promise<Outcome> {
    const index = this.requests.length;
    const time = this.clock.now() - this.begin;
    const request: Request = { index, time, bytes: bytes.slice(), model, key, signal };
    this.requests.push(request);
    this.maxInFlight = Math.max(this.maxInFlight, ++this.#inFlight);
    try {
      return await this.#reply(request);
    } finally {
      this.#inFlight--;
    }
  }

  /** @param more What is special about this page. */
  async ask(image: ImageFile, more: Partial<AskOptions> = {}): Promise<Result> {
    using asked = await ask(image, { ...this.#options, ...more });
    const { answered, failure, attempts, elsewhere } = asked;
    if (!answered) return { ...failure, attempts, ...elsewhere && { elsewhere } };
    await this.keep();
    return { text: answered.text, attempts };
  }

  /** Asks for one while time passes. */
  one(image: ImageFile, more: Partial<AskOptions> = {}): Promise<Result> {
    return this.clock.run(this.ask(image, more));
  }

  /** Asks for all at once; the results in order. */
  all(images: ImageFile[]): Promise<PromiseSettledResult<Result>[]> {
    return this.clock.run(Promise.allSettled(images.map((image) => this.ask(image))), 50_000);
  }

  /** Lets time pass. */
  pass(ms: number): Promise<void> {
    return this.clock.run(this.clock.sleep(ms));
  }

  /** The ways to ask. */
  get lanes(): Lanes {
    return this.#options.lanes;
  }

  /** When requests started, milliseconds after the bench was made. */
  get times(): number[] {
    return this.requests.map(({ time }) => time);
  }
}

/** The answer as it came, for an image that all goes well for. */
export function text(image: ImageFile): string {
  return JSON.stringify(pageBody(readFake(image.bytes)));
}
