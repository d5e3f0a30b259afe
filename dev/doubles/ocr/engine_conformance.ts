/**
 * @module doubles/ocr/engine_conformance: the contract of `lib/engine/engine.ts` as tests, for every
 * engine against the server that stands for it.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { systemClock } from "../../../lib/base/clock.ts";
import { answerText } from "../../../lib/engine/answer.ts";
import type { Connection, Engine, EngineFacts, Outcome } from "../../../lib/engine/engine.ts";
import type { AwsAccess, Collected, ImageFile } from "../../../lib/engine/engine.ts";
import type { Script, StartScripted } from "./scripted.ts";
import type { ReadPage, ReadWord } from "../../testing/read_page.ts";
import { sizedImage } from "../../testing/fixtures.ts";

/** Size of every page here, pixels. */
const SIZE = { width: 300, height: 100 };

/** In what engines may differ. */
export interface EngineTraits {
  /** How far a corner may come back from where it was, pixels. @default 0.01 */
  readonly within?: number;
  /** Whether boxes lie along the axes, so that slanted words come back upright. @default false */
  readonly upright?: boolean;
  /** What comes back of a text. @default the text itself, well-formed */
  readonly textOf?: (text: string) => string;
  /** Whether words have a confidence. @default true */
  readonly confident?: boolean;
  /** Whether its server says how long to wait when it is asked too fast. @default true */
  readonly tellsWait?: boolean;
  /** Whether something needs a key, so that it can be refused. @default true */
  readonly refuses?: boolean;
  /** What the engine is called here, where it is tested more than once. @default its name */
  readonly title?: string;
}

/** A page with these words. */
export function pageOf(words: readonly ReadWord[]): ReadPage {
  return { ...SIZE, confidence: 0.9, text: words.map(({ text }) => text).join(" "), words };
}

/** A word in a slanted box. */
export function wordOf(text: string, x = 10, y = 20, slant = 2): ReadWord {
  const vertices = [
    { x, y },
    { x: x + 40, y: y + slant },
    { x: x + 40, y: y + slant + 12 },
    { x, y: y + 12 },
  ];
  return { text, confidence: 0.75, vertices };
}

/** An image that has a header, as engines without sizes of their own need one. */
export function imageOf(name: string): ImageFile {
  const bytes = sizedImage(name, SIZE.width, SIZE.height);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const mediaType = { type: "image/png", extension: "png" };
  return { bytes, sha256, mediaType, picture: { ...SIZE, orientation: 1 } };
}

/** Words that have broken a program before. */
const HOSTILE = [
  "Café",
  "영수증",
  "مرحبا",
  "a&b",
  "<b>x</b>",
  "&amp;",
  "\u202eabc",
  "👩‍👩‍👧",
  "\ufffd",
  `"'\\`,
  "１２３",
  "x\u0301",
];

/** What became of a page in the end: where its answer takes its time, it is looked for. */
async function settled(
  connection: Connection,
  outcome: Outcome,
  signal: AbortSignal,
): Promise<Collected> {
  if (outcome.kind !== "accepted") return outcome;
  for (;;) {
    // As it is read back by a later process.
    const ticket = JSON.parse(JSON.stringify(outcome.ticket));
    const collected = await connection.collect!(ticket, signal);
    if (collected.kind !== "pending") return collected;
  }
}

/** Registers the tests of one engine. */
export function engineConformance(
  facts: EngineFacts,
  start: StartScripted,
  traits: EngineTraits = {},
): void {
  const { within = 0.01, textOf = (text) => text.toWellFormed(), confident = true } = traits;
  const test = (promise: string, body: () => Promise<void>) =>
    Deno.test(`${traits.title ?? facts.name} ${promise}`, body);

  async function send(
    script: Script,
    signal = new AbortController().signal,
  ): Promise<{ outcome: Collected; engine: Engine; image: ImageFile; requests: number }> {
    await using server = await start(() => script);
    const engine = await facts.load();
    const image = imageOf("a page");
    const connection = await connect(engine, server.env, server.aws);
    const sent = await connection.send(image, engine.defaultModel, signal);
    const outcome = await settled(connection, sent, signal);
    const said = outcome.kind === "answered" ? answerText(outcome) : outcome.message;
    for (const secret of server.secrets) assert.ok(!said.includes(secret), "a key was repeated");
    return { outcome, engine, image, requests: server.requests };
  }

  async function read(page: ReadPage, kind: "page" | "drift" = "page") {
    const { outcome, engine, image } = await send({ kind, page });
    assert.equal(outcome.kind, "answered", JSON.stringify(outcome));
    assert.ok(outcome.kind === "answered");
    if (outcome.text !== undefined) assert.deepEqual(JSON.parse(outcome.text), outcome.body);
    assert.ok(engine.billedPages(outcome.body) >= 0);
    // What is stored is read as what has just arrived.
    const parsed = engine.parse(JSON.parse(answerText(outcome)), image.picture);
    assert.ok(parsed.value, parsed.problem);
    assert.deepEqual(parsed, engine.parse(outcome.body, image.picture));
    assert.equal(parsed.value.pages.length, 1);
    return { page: parsed.value.pages[0], answer: parsed.value };
  }

  test("gives words, places in pixels and confidences as the page has them", async () => {
    const words = [wordOf("one", 0, 0, 0), wordOf("two", 100, 30), wordOf("three", 250, 60)];
    const { page } = await read(pageOf(words));
    assert.deepEqual([page.width, page.height], [SIZE.width, SIZE.height]);
    assert.deepEqual(page.words.map(({ text }) => text), ["one", "two", "three"]);
    page.words.forEach(({ polygon, confidence }, n) => {
      const { vertices } = words[n];
      const [xs, ys] = [vertices.map(({ x }) => x), vertices.map(({ y }) => y)];
      const [left, right] = [Math.min(...xs), Math.max(...xs)];
      const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
      const wanted = traits.upright
        ? [[left, top], [right, top], [right, bottom], [left, bottom]]
        : vertices.map(({ x, y }) => [x, y]);
      assert.equal(polygon.length, 4);
      polygon.forEach(([x, y], corner) => {
        const off = Math.max(Math.abs(x - wanted[corner][0]), Math.abs(y - wanted[corner][1]));
        assert.ok(off <= within, `${off} pixels off at corner ${corner} of word ${n}`);
      });
      if (confident) assert.ok(Math.abs(confidence! - 0.75) < 1e-6, String(confidence));
      else assert.equal(confidence, null);
    });
  });

  test("takes a page without words for an empty one, not for a failure", async () => {
    const { page } = await read(pageOf([]));
    assert.deepEqual(page.words, []);
  });

  test("gives texts that have broken programs before as they are", async () => {
    const words = HOSTILE.map((text, n) => wordOf(text, 20 * n, 5 * n));
    const { page } = await read(pageOf(words));
    assert.deepEqual(page.words.map(({ text }) => text), HOSTILE.map(textOf));
  });

  test("understands an answer that has drifted from what is documented", async () => {
    const words = [wordOf("one", 0, 0, 0), wordOf("two", 100, 30)];
    const [drifted, plain] = [await read(pageOf(words), "drift"), await read(pageOf(words))];
    assert.deepEqual(drifted.page.words, plain.page.words);
  });

  test("takes being asked too fast for that, and believes the time that it is told", async () => {
    const before = Date.now();
    const { outcome } = await send({ kind: "throttled", seconds: 30 });
    assert.ok(outcome.kind === "throttled", JSON.stringify(outcome));
    if (traits.tellsWait ?? true) {
      const wait = outcome.until! - before;
      assert.ok(wait >= 28_000 && wait <= 32_000, `${wait} ms`);
    }
    assert.equal((await send({ kind: "throttled" })).outcome.kind, "throttled");
  });

  const kinds: [Script["kind"], Collected["kind"]][] = [
    ["unavailable", "retryable"],
    ["garbage", "retryable"],
    ["truncated", "retryable"],
    ["reset", "retryable"],
    ["rejected", "rejected"],
  ];
  if (traits.refuses ?? true) kinds.push(["refused", "refused"]);
  for (const [kind, wanted] of kinds) {
    test(`takes a page that is ${kind} for ${wanted}, and asks once`, async () => {
      const { outcome, requests } = await send({ kind, page: pageOf([wordOf("one")]) } as Script);
      assert.equal(outcome.kind, wanted, JSON.stringify(outcome));
      assert.ok(outcome.kind !== "answered" && outcome.message.length > 3);
      assert.doesNotMatch(outcome.message, /\n|\[object|undefined/);
      assert.equal(requests, 1);
    });
  }

  test("gives a request up when it is told to", async () => {
    const giveUp = new AbortController();
    const arrived = Promise.withResolvers<void>();
    await using server = await start(() => {
      arrived.resolve();
      return { kind: "hang" };
    });
    const engine = await facts.load();
    const connection = await connect(engine, server.env, server.aws);
    const { signal } = giveUp;
    const sending = connection.send(imageOf("a page"), engine.defaultModel, signal)
      .then((sent) => settled(connection, sent, signal));
    const ended = assert.rejects(sending, /enough/);
    await arrived.promise;
    giveUp.abort(new Error("enough"));
    await ended;
  });

  test("gives an answer or a problem in words for any JSON, and never forgets a bill", async () => {
    const engine = await facts.load();
    const { picture } = imageOf("a page");
    for (const given of [picture, undefined]) {
      fc.assert(fc.property(fc.jsonValue(), (body) => {
        const { value, problem } = engine.parse(body, given);
        assert.ok((value === undefined) !== (problem === undefined));
        assert.ok(Number.isSafeInteger(engine.billedPages(body)));
      }));
    }
  });
}

/** An engine ready to ask, with these variables and no others. @param aws AWS, where it is used. */
export async function connect(
  engine: Engine,
  env: Readonly<Record<string, string | undefined>>,
  aws?: AwsAccess,
): Promise<Connection> {
  return await engine.connect({
    env,
    aws: aws && (() => Promise.resolve(aws)),
    readSecret: () => Promise.reject(new Error("there are no secrets")),
    clock: systemClock,
    note: () => {},
  });
}
