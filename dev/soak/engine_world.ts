/**
 * @module soak/engine_world: engines with keys, limits, latencies, outages and pages on which
 * they fail for good, and the whole job among them: what a search through many such worlds runs,
 * and what each must keep to.
 */

import fc from "fast-check";
import type { ImageFile, Outcome } from "../../lib/engine/engine.ts";
import { RunError } from "../../lib/base/errors.ts";
import { itemsOf } from "./data.ts";
import { encodeInput, fakeImage, inputRow } from "../testing/fixtures.ts";
import { MemoryStore } from "../testing/memory_store.ts";
import { seeded } from "../testing/random.ts";
import { VirtualClock } from "../testing/virtual_clock.ts";
import { answerOf, type Script, scriptedJob } from "../doubles/scripted_job.ts";

/** What a key, or a fallback, does to everybody for a while, seconds after the run began. */
export interface Trouble {
  /** From when, seconds. */
  readonly from: number;
  /** For how long, seconds. */
  readonly for: number;
  /**
   * `down`: HTTP 503. `hangs`: the same, after the latency. `throttled`: 429 to everybody. `told`:
   * the same, with the time when it ends. `busy`: others take all but a tenth. `refused`: HTTP 402.
   */
  readonly kind: "down" | "hangs" | "throttled" | "told" | "busy" | "refused";
}

/** A way to ask. */
export interface Way {
  /** Requests per second that it allows. */
  readonly perSecond: number;
  /** Of an answer, seconds. */
  readonly latency: number;
  /** What happens to it. */
  readonly troubles: readonly Trouble[];
}

/** Pages on which some engines fail for good. */
export interface Poison {
  /** Every so many-th page. */
  readonly every: number;
  /**
   * How: `429`, the same with a `code` or a time to `wait` for, `500`, `503` with a foolish time,
   * `400`, or a `timeout`.
   */
  readonly kind:
    | "429"
    | "429 code"
    | "429 wait"
    | "429 hour"
    | "500"
    | "503 hour"
    | "400"
    | "timeout";
  /** Whether the run's own engine does, and whether its fallbacks do. */
  readonly on: "own" | "all";
}

/** Everything around a run. */
export interface World {
  /** Of the dice. */
  readonly seed: number;
  readonly rows: number;
  readonly keys: readonly Way[];
  readonly fallbacks: readonly Way[];
  readonly poison: readonly Poison[];
}

const trouble: fc.Arbitrary<Trouble> = fc.record({
  from: fc.constantFrom(0, 0, 5, 20, 60),
  for: fc.constantFrom(3, 20, 60, 200, 500, 900),
  kind: fc.constantFrom("down", "down", "hangs", "throttled", "told", "busy", "refused"),
});
const way: fc.Arbitrary<Way> = fc.record({
  perSecond: fc.constantFrom(0.2, 0.5, 1, 3, 10, 40),
  latency: fc.constantFrom(0.1, 0.5, 2, 10, 60),
  troubles: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(trouble, { minLength: 1, maxLength: 2 }) },
  ),
});
const poison: fc.Arbitrary<Poison> = fc.record({
  every: fc.constantFrom(5, 11, 30, 1_000),
  kind: fc.constantFrom(
    ...[
      "429",
      "429",
      "429 code",
      "429 wait",
      "429 hour",
      "500",
      "503 hour",
      "400",
      "timeout",
    ] as const,
  ),
  on: fc.constantFrom("own", "all", "all"),
});

/** Worlds of one to three keys and up to two fallbacks. */
export const worlds: fc.Arbitrary<World> = fc.record({
  seed: fc.nat(),
  rows: fc.constantFrom(1, 2, 5, 30, 110),
  keys: fc.array(way, { minLength: 1, maxLength: 3 }),
  fallbacks: fc.array(way, { maxLength: 2 }),
  poison: fc.array(poison, { maxLength: 2 }),
});

/** What came of a world. */
export interface WorldEnd {
  /** What each process ended with; undefined where it ended well. */
  readonly errors: readonly unknown[];
  /** How long each took, virtual seconds. */
  readonly seconds: readonly number[];
  /** Pages that were billed, and images that were answered, by any engine. */
  readonly billed: number;
  readonly answered: number;
  /** Pages billed that showed whether an engine works. */
  readonly controls: number;
  /** Requests in all. */
  readonly requests: number;
  /** The rows in order, once a process has ended well. */
  readonly rows: readonly { readonly id: string; readonly failed?: string }[];
  /** What people were told. */
  readonly notes: readonly string[];
}

/** Which poison a page has for an engine. */
export function poisonOf(world: World, row: number, own: boolean): Poison | undefined {
  return world.poison.find(({ every, on }, n) =>
    row % every === Math.min(every - 1, 3 + n) % world.rows && (on === "all" || own)
  );
}

/** An engine, by one of its keys. */
function scriptOf(
  clock: VirtualClock,
  world: World,
  way: Way,
  own: boolean,
  random: () => number,
  seen: Seen,
): Script {
  const began = clock.now();
  const { perSecond, latency } = way;
  const most = Math.max(1, perSecond);
  let [tokens, at] = [most, began];
  const after = async (ms: number, outcome: Outcome, signal: AbortSignal) => {
    await clock.sleep(ms, signal);
    return outcome;
  };
  const limit: Outcome = { kind: "throttled", message: "HTTP 429", until: undefined };
  const answer = (image: ImageFile, signal: AbortSignal): Promise<Outcome> => {
    const now = clock.now();
    const seconds = (now - began) / 1_000;
    const trouble = way.troubles.find(({ from, for: lasts }) =>
      seconds >= from && seconds < from + lasts
    );
    const ends = trouble && began + (trouble.from + trouble.for) * 1_000;
    switch (trouble?.kind) {
      case "down":
        return after(50, { kind: "retryable", message: "HTTP 503" }, signal);
      case "hangs":
        return after(latency * 1_000, { kind: "retryable", message: "no answer" }, signal);
      case "throttled":
        return after(20, limit, signal);
      case "told":
        return after(20, { ...limit, kind: "throttled", until: ends }, signal);
      case "refused":
        return after(50, { kind: "refused", message: "HTTP 402" }, signal);
      case "busy":
        if (random() < 0.9) return after(20, limit, signal);
    }
    tokens = Math.min(most, tokens + (now - at) / 1_000 * perSecond);
    at = now;
    if (tokens < 1) return after(20, limit, signal);
    const row = rowOf(image);
    const poison = poisonOf(world, row, own);
    const hour = now + 3_600_000;
    switch (poison?.kind) {
      case "429":
        return after(20, limit, signal);
      case "429 code":
        return after(20, { ...limit, kind: "throttled", until: undefined, code: "quota" }, signal);
      case "429 wait":
        return after(20, { ...limit, kind: "throttled", until: now + 3_000 }, signal);
      case "429 hour":
        return after(20, { ...limit, kind: "throttled", until: hour }, signal);
      case "500":
        return after(50, { kind: "retryable", message: "HTTP 500" }, signal);
      case "503 hour":
        return after(50, { kind: "retryable", message: "HTTP 503", until: hour }, signal);
      case "400":
        return after(50, { kind: "rejected", message: `HTTP 400 ${row}` }, signal);
      case "timeout":
        tokens--;
        return after(latency * 3_000, { kind: "retryable", message: "no answer" }, signal);
    }
    tokens--;
    return after(latency * (700 + 600 * random()), answerOf(image, "word"), signal);
  };
  return async (image, _model, signal) => {
    seen.requests++;
    const outcome = await answer(image, signal);
    if (outcome.kind === "answered") {
      seen.billed++;
      seen.answered.add(rowOf(image));
    }
    return outcome;
  };
}

interface Seen {
  requests: number;
  billed: number;
  readonly answered: Set<number>;
}

function rowOf({ bytes }: ImageFile): number {
  return Number(/row-(\d+)/.exec(new TextDecoder().decode(bytes.subarray(16, 32)))![1]);
}

/** Ends what never ends before it has cost minutes. */
class WorldClock extends VirtualClock {
  override run<T>(work: Promise<T>): Promise<T> {
    return super.run(work, 300_000);
  }
}

const FALLBACKS = ["", "--fallback upstage-ocr:b", "--fallback upstage-ocr:b,upstage-ocr:c"];

/** Runs processes until one ends well, or there were so many. */
export async function inWorld(world: World, most = 4): Promise<WorldEnd> {
  const clock = new WorldClock();
  const store = new MemoryStore();
  store.clock = clock.now;
  const input = Array.from({ length: world.rows }, (_, i) => inputRow(i));
  for (const { image_path, id } of input) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(input));
  const random = seeded(world.seed);
  const seen: Seen = { requests: 0, billed: 0, answered: new Set() };
  const script = (way: Way, own: boolean) => scriptOf(clock, world, way, own, random, seen);
  const own = world.keys.map((way) => script(way, true)) as [Script, ...Script[]];
  const others = world.fallbacks.map((way) => script(way, false));
  const errors: unknown[] = [];
  const seconds: number[] = [];
  const notes: string[] = [];
  for (let n = 0; n < most; n++) {
    const began = clock.now();
    const args = `--max-failure-rate 1 --batch-size 500 ${FALLBACKS[others.length]}`;
    const ended = await scriptedJob({ ...{ store, clock, own, others, random }, args });
    errors.push(ended.error);
    notes.push(...ended.notes, `ended: ${ended.error ?? "well"}`);
    seconds.push((clock.now() - began) / 1_000);
    if (ended.error === undefined || !(ended.error instanceof RunError)) break;
    await clock.run(clock.sleep(600_000));
  }
  const done = errors.at(-1) === undefined;
  const items = done ? await itemsOf(store.objects, "demo") : [];
  return {
    ...{ errors, seconds, notes, billed: seen.billed, requests: seen.requests },
    answered: seen.answered.size,
    controls: notes.filter((note) => /had answered before/.test(note)).length,
    rows: items.map(({ id, metadata: { status, error_message } }) => ({
      id,
      ...status === "failed" && { failed: error_message ?? "" },
    })),
  };
}

/** What a world must keep to, and did not. */
export function broken(world: World, end: WorldEnd): readonly string[] {
  const { keys, fallbacks, rows } = world;
  const { errors, seconds, billed, answered, controls } = end;
  const said: string[] = [];
  const must = (holds: boolean, what: string) => void (holds || said.push(what));
  for (const error of errors) {
    const ends = error instanceof RunError && ["again", "api"].includes(error.exit);
    must(error === undefined || ends, `it ends with ${error}`);
  }
  const done = errors.at(-1) === undefined;
  // Where nothing ever works, nothing tells the pages from the engines.
  must(done || answered === 0, `it never ends well: ${errors.at(-1)}`);
  const ids = Array.from({ length: done ? rows : 0 }, (_, n) => `row-${n}`);
  must(end.rows.map(({ id }) => id).join() === ids.join(), "rows are missing, or in disorder");
  // One that has only seen a page that it throttles for ever, or three that are all told to come
  // much later, is not to be told from one that is shut.
  const isShut = world.poison.some(({ kind, on, every }) =>
    on === "all" && (kind.startsWith("429") || kind === "503 hour" && rows > 2 * every)
  );
  const isCalm = fallbacks.length > 0 && !isShut &&
    fallbacks.every(({ troubles }) => troubles.length === 0);
  for (const [n, { id, failed }] of end.rows.entries()) {
    const mayFail = poisonOf(world, n, true) && !(isCalm && !poisonOf(world, n, false));
    must(failed === undefined || mayFail !== undefined && mayFail, `${id} failed: ${failed}`);
  }
  const ways = [...keys, ...fallbacks];
  const troubles = ways.flatMap(({ troubles }) => troubles);
  const poisoned = ids.filter((_, n) => poisonOf(world, n, true)).length;
  must(billed - answered === controls, `${billed - answered} pages too many, ${controls} told of`);
  const most = ways.length * (4 + poisoned) + 4 * troubles.length;
  must(controls <= most, `${controls} pages were asked for to tell, at most ${most} may be`);
  const trouble = troubles.reduce((sum, { from, for: lasts }) => sum + from + lasts, 0);
  const longest = 4_000 + trouble + rows * 10;
  must(Math.max(...seconds) <= longest, `it took ${seconds} s, at most ${longest} s are allowed`);
  return said;
}
