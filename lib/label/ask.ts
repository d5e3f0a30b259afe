/**
 * @module label/ask: asks the API for one page until it has an answer or has failed: when a request
 * may start, which failures are tried again, wait, fail the page or end the run. That is decided by
 * the type of the outcome (`engine/engine.ts`) and by how the others fare (`engine/health.ts`).
 */

import { backoffMs } from "../base/backoff.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Failure } from "../dataset/failure.ts";
import { followSignals, type Halt } from "../base/halt.ts";
import { RunError } from "../base/errors.ts";
import type { Answered as WholeAnswer, Engine, ImageFile, Outcome } from "../engine/engine.ts";
import { FIRST_PROBE_MS, type Health, LOOK_MS, type Pass } from "../engine/health.ts";
import type { Throttled } from "../engine/throttled_pages.ts";
import type { Permit } from "../pace/limiter.ts";
import type { RequestOutcome } from "../pace/types.ts";
import type { Claim } from "../state/claims.ts";
import type { PaidBy } from "../state/documents.ts";
import type { SpendingLimit } from "../state/spending.ts";
import { isBlank, type KnownPage } from "./known_page.ts";
import { type Lane, type Lanes, NONE_TRIED, type Tried } from "./lanes.ts";
import type { Tally } from "./tally.ts";

/** An answer as it came, and as the engine reads it. */
export type Answered = WholeAnswer & {
  /** What the engine makes of its body. */
  readonly read: ReturnType<Engine["parse"]>;
};

/**
 * What asking for a page came to: `answered`, which the engine may or may not be able to read,
 * `accepted`, `failure`, or none of them, where another run has stored its answer meanwhile. Dispose
 * it once the answer is stored: that makes room for another one to be paid.
 */
export interface Asked extends Disposable {
  /** The answer. */
  readonly answered?: Answered;
  /** What to collect it with, where it takes its time: `label/collect.ts` does. */
  readonly accepted?: Outcome & { readonly kind: "accepted" } & Pick<Sent, "lane">;
  /** Why there is none, and never will be in this run. */
  readonly failure?: Failure;
  /** Whether that says nothing of the page: another engine is to be asked instead. */
  readonly elsewhere?: boolean;
  /** Whether nothing shows if it is the page's failure or everybody's: nothing has worked yet. */
  readonly unsure?: boolean;
  /** Requests that it took; throttled ones don't count. */
  readonly attempts: number;
  /** For whom it was paid. @default for whoever asks */
  readonly paidBy?: PaidBy;
  /** Whether it was paid for before this process asked. @default false */
  readonly before?: boolean;
}

/** Why there is none of a page that may not be asked for, and neither is answered nor paid for. */
export const NOT_ASKED: Failure = { code: "api_unavailable", message: "it was not asked for" };

/** What {@linkcode ask} works with. */
export interface AskOptions {
  /** How to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** The ways to ask, each with its own limit and its own health. */
  readonly lanes: Lanes;
  /**
   * Called before each request: whether this process may still ask. @default it may
   *
   * @throws {RunError} if it may not
   */
  readonly check?: () => void;
  /** Paid answers that may wait to be stored; beyond that no request starts. */
  readonly unsaved: Budget;
  /** Whether another page may be paid. */
  readonly spending: Pick<SpendingLimit, "take" | "settle">;
  /** A page that is known to work, to tell them by. @default none is known */
  readonly known?: KnownPage;
  /** Leave to ask for the page; while it is in doubt nothing is sent. @default nobody else asks */
  readonly claim?: Pick<Claim, "held" | "confirm">;
  /**
   * Whether an engine that was not to be had answers again, so that the page should not wait for
   * this one while that stands still. @default there is none
   */
  readonly back?: () => boolean;
  /**
   * Until when a page that an engine before this one was not to be had for is tried again instead
   * of failing, milliseconds since the epoch: both are down. @default not at all
   */
  readonly patientUntil?: number;
  /**
   * Until when the page waits for an engine that is down, or may be, as no other reads it,
   * milliseconds since the epoch. @default not at all
   */
  readonly waitUntil?: number;
  /** Retries of one page after its first attempt, at least 0. */
  readonly maxRetries: number;
  /** Counts requests, pages, retries. */
  readonly tally: Tally;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Nothing new starts once it aborts. What ends the run aborts it at once, with its error. */
  readonly halt: AbortController;
  /** Requests in flight are given up once it aborts. */
  readonly giveUp: AbortSignal;
}

/** What became of one request of a page. */
export type Sent = Exclude<Outcome, { kind: "renewed" }> & {
  /** What to make of a 429, where the run goes on after it. */
  readonly throttled?: Throttled;
  /** On which it was sent. */
  readonly lane: Lane;
  /** The latest request that had started when its outcome was known. */
  readonly number: number;
};

/**
 * Asks until the page has an answer or has failed. An answer that can't be read is an answer: it
 * was paid for, and another would be too.
 *
 * @throws {RunError} when no page would get an answer; `halt` is aborted with it by then
 */
export async function ask(image: ImageFile, options: AskOptions): Promise<Asked> {
  const { lanes, claim, maxRetries, tally, clock, random, halt } = options;
  let attempts = 0;
  /** Lanes that have refused it, and by which request. */
  const refusing = new Map<Lane, number>();
  /** Lanes on which it has failed in any way, as long as there are others. */
  const failed = new Set<Lane>();
  const tried: Tried = { refusing, failed };
  const fails = (failure: Failure, facts: Pick<Asked, "elsewhere" | "unsure"> = {}): Asked => {
    if (attempts > 0) tally.finished(attempts);
    return { failure, ...facts, attempts, [Symbol.dispose]: () => {} };
  };
  lanes.enter();
  try {
    for (let tries = 0;;) {
      const unavailable = lanes.unavailable(attempts === 0, tried, waits(options)) ??
        goesBack(options);
      if (unavailable !== undefined) {
        return fails({ code: "api_unavailable", message: unavailable }, { elsewhere: true });
      }
      if (claim && !await claim.confirm()) return { attempts, [Symbol.dispose]: () => {} };
      const sent = await attempt(image, options, attempts === 0, tried);
      if (!sent) continue;
      const { health } = sent.lane;
      if (sent.kind === "throttled" && sent.throttled) {
        const { own } = sent.throttled;
        if (own === undefined) {
          await bide(sent, sent.throttled, options);
          continue;
        }
        attempts++;
        return fails({ code: "api_unavailable", message: `${sent.message}, ${own}` });
      }
      failed.add(sent.lane);
      if (!lanes.isLeft(failed)) failed.clear();
      attempts++;
      if (sent.kind === "answered") {
        const answered = received(image, sent, attempts, options);
        return { answered, attempts, [Symbol.dispose]: sent.release };
      }
      if (sent.kind === "accepted") {
        return { accepted: sent, attempts, [Symbol.dispose]: sent.release };
      }
      if (sent.kind === "refused") {
        refusing.set(sent.lane, sent.number);
        if (lanes.isLeft(refusing)) { // whether it is the key's fault or the page's, another shows
          await judgeLane(sent, options);
          tally.retries++;
          continue;
        }
      }
      // What fails while everything fails is not the page's fault.
      if (sent.kind !== "retryable" || !health.outage) tries++;
      const patient = clock.now() < (options.patientUntil ?? 0);
      const final = sent.kind !== "retryable" || tries > maxRetries && !patient;
      if (patient && options.back?.() && sent.kind === "retryable" && tries > maxRetries) {
        return fails({ code: "api_unavailable", message: sent.message }, { elsewhere: true });
      }
      if (final && await isPagesOwn(image, sent, refusing, options)) {
        // It is this page, and yet the last of several that are refused on a lane.
        if (sent.kind === "refused" && lanes.open.length > 1) await judgeLane(sent, options);
        const own = sent.kind === "retryable" ? sent.code : undefined;
        const code = own ?? (sent.kind === "retryable" ? "api_unavailable" : "api_rejected");
        // What the API says with status 200 may be on its bill each time.
        const unsure = sent.kind === "retryable" && own === undefined && !health.noGuard &&
          !health.workedSince(sent.number) && !await options.known?.find(halt.signal);
        return fails({ code, message: sent.message }, { unsure });
      }
      tally.retries++;
      const until = sent.kind === "retryable" && health.patientUntil(sent.until) || 0;
      const wait = Math.max(backoffMs(Math.max(1, tries), random), until - clock.now());
      await clock.sleep(wait, halt.signal);
    }
  } finally {
    lanes.leave(image.sha256);
  }
}

/** Why a page goes back to an engine that was not to be had; `undefined` while it stays. */
function goesBack({ lanes, back }: AskOptions): string | undefined {
  return back && lanes.standStill && back() ? "it fails on every page just now" : undefined;
}

/** Whether a page has nowhere else to go, and patience. */
function waits({ lanes, clock, waitUntil = 0 }: AskOptions): boolean {
  return clock.now() < waitUntil && !lanes.exhausted;
}

/**
 * Waits before a page is asked for again that alone seems to be throttled. Where nothing else is
 * answered meanwhile, and hardly will be, the page that is known to work shows whether it is alone.
 */
async function bide(
  { lane, number }: Sent,
  { waitMs, doubtful }: Throttled,
  options: AskOptions,
): Promise<void> {
  const { lanes, known, clock, random, halt } = options;
  if (doubtful && await known?.find(halt.signal)) {
    const { health } = lane;
    const began = clock.now();
    while (!health.workedSince(number) && clock.now() - began < health.othersShowMs) {
      await clock.sleep(LOOK_MS, halt.signal);
    }
    const shows = !health.workedSince(number) && !health.outage && lanes.isOpen(lane);
    if (shows) await askKnownPage(options, lane);
  }
  // Not in step with a quota that is refilled every minute, and gone at once.
  if (waitMs > 0) await clock.sleep(waitMs * (1 - random() / 2), halt.signal);
}

/** An answer that has just come, read and counted. @param attempts Requests that it took. */
export function received(
  image: ImageFile,
  answer: WholeAnswer,
  attempts: number,
  { engine, known, tally }: Pick<AskOptions, "engine" | "known" | "tally">,
): Answered {
  const read = engine.parse(answer.body, image.picture);
  if (read.problem === undefined && engine.billedPages(answer.body) === 1) {
    known?.remember(image, isBlank(read.value));
  }
  tally.finished(attempts);
  tally.unsaved++; // until it is stored
  const { kind, utf8, body } = answer;
  return answer.text === undefined
    ? { kind, utf8: answer.utf8, body: answer.body, read }
    : { kind, text: answer.text, utf8, body, read };
}

/** One request for a page, while there is room for its answer; `release` gives the room back. */
async function attempt(
  image: ImageFile,
  options: AskOptions,
  fresh: boolean,
  tried: Tried,
): Promise<Sent & { readonly release: () => void } | undefined> {
  // While answers can't be stored, more of them must not be paid for.
  const release = await options.unsaved.acquire(1, options.halt.signal);
  let paid = false;
  try {
    const sent = await sendInTurn(image, options, fresh, tried);
    paid = sent?.kind === "answered" || sent?.kind === "accepted";
    return sent && { ...sent, release };
  } finally {
    if (!paid) release();
  }
}

/**
 * Asks for the page that is known to work, once for all who want to know at this time.
 *
 * @param lane Which way. @default one of those that are open
 * @returns `undefined` where none is known, or nothing came of it.
 * @throws {RunError} when the API refuses it too, and there is no other way to ask
 */
export async function askKnownPage(
  options: AskOptions,
  lane: Lane | undefined = options.lanes.open[0],
): Promise<Sent | undefined> {
  const { known, halt } = options;
  if (!lane) return undefined;
  const page = await known?.find(halt.signal);
  return page && await known!.once(lane, () => sendInTurn(page, options, false, NONE_TRIED, lane));
}

/**
 * A lane refuses page after page while others are open: finds out whether it refuses all. Nobody
 * else does, as no other page starts on it until that is known.
 */
async function judgeLane(
  { lane, message }: Sent & { readonly kind: "refused" },
  options: AskOptions,
): Promise<void> {
  const { known, lanes, clock, halt } = options;
  const { health } = lane;
  while (lanes.isOpen(lane) && health.refusesAll && !health.outage) {
    if (!await known?.find(halt.signal)) return void lanes.close(lane, health.refusal(message));
    if (!await askKnownPage(options, lane)) await clock.sleep(LOOK_MS, halt.signal);
  }
}

/**
 * Whether a failure is the page's own, and not everybody's: it is, if a request that started after
 * it was known worked. Others' answers show that for nothing; where none comes for a while, a page
 * that is known to work is asked for, which costs a page.
 *
 * @param refusing Lanes that have refused it, and by which request: where one of them answers
 *   others since, it is this page.
 * @returns False while the API fails on the known page too, or none is known and the page waits:
 *   there is nothing to say about this one.
 * @throws {RunError} when the API refuses every page
 */
async function isPagesOwn(
  image: ImageFile,
  sent: Sent & { readonly message: string },
  refusing: ReadonlyMap<Lane, number>,
  options: AskOptions,
): Promise<boolean> {
  if (sent.kind === "rejected") return true; // the API has read it
  const { lanes, known, clock, halt, waitUntil = 0 } = options;
  const { health } = sent.lane;
  const refused = sent.kind === "refused";
  const patience = clock.now() + FIRST_PROBE_MS;
  for (;;) {
    if (health.workedSince(sent.number)) return true;
    if (refused && refusing.entries().some(([{ health }, n]) => health.workedSince(n))) return true;
    if (health.outage || !lanes.isOpen(sent.lane)) return false;
    const page = await known?.find(halt.signal);
    if (!page && !refused) { // nothing to compare it with
      if (sent.kind === "retryable" && sent.code !== undefined) return true;
      if (clock.now() < waitUntil) return false;
      const reached = sent.kind !== "retryable" || !sent.unreached; // else no page is at fault
      if (health.noGuard || reached && (lanes.spared || lanes.haveWorked)) return true;
      health.doubt(sent.message);
      return false;
    }
    if (clock.now() < patience && !(refused && health.refusesAll)) {
      await clock.sleep(LOOK_MS, halt.signal);
    } else if (page) {
      await askKnownPage(options, sent.lane);
    } else if (health.noGuard) {
      health.pardon(image.sha256);
      return true;
    } else {
      const ending = health.refusal(sent.message);
      if (lanes.close(sent.lane, ending)) return false;
      halt.abort(ending);
      throw ending;
    }
  }
}

/**
 * Waits for its turn, then sends one request: for the page, or where an outage is probed and the
 * page itself would show nothing, for one that is known to work. What ends the run is thrown.
 *
 * @param fresh Whether the page has not failed before.
 * @param tried Lanes that the page has been sent on.
 * @param controlled Set where the page is the one that is known to work: the lane to ask on.
 * @returns `undefined` if the page is to be asked for again as if it had not been.
 */
async function sendInTurn(
  page: ImageFile,
  options: AskOptions,
  fresh: boolean,
  tried: Tried,
  controlled?: Lane,
): Promise<Sent | undefined> {
  const { engine, model, lanes, spending, known, claim } = options;
  const { tally, clock, halt, giveUp } = options;
  const control = controlled !== undefined;
  let [turn, pages]: [Turn?, number?] = [];
  try {
    let image = page;
    turn = await nextTurn(options, fresh, tried, controlled);
    if (!turn) return undefined;
    const { lane, permit } = turn;
    let { pass } = turn;
    const { health } = lane;
    // Every other probe: a page that is needed costs nothing, but it may be the next that fails.
    if (pass.probes && (!fresh || pass.probes.probes % 2 === 0)) {
      image = await known?.find(halt.signal) ?? page;
    }
    const asksKnown = control || image !== page;
    pass = { ...pass, control: asksKnown };
    await spending.take();
    pages = 0;
    halt.signal.throwIfAborted();
    options.check?.();
    if (claim?.held === false && !asksKnown) {
      health.cancel(pass); // to find out who else has asked since may take long: not in the turn
      return undefined;
    }
    tally.requests++;
    health.begin(pass);
    const sentAt = clock.now();
    const outcome = await counted(tally, giveUp, () => lane.connection.send(image, model, giveUp))
      .catch((error) => {
        const ends = error instanceof RunError && !giveUp.aborted; // no key to send any more
        if (!ends || !lanes.close(lane, error)) throw error;
      });
    if (!outcome) return undefined;
    if (outcome.kind === "answered") {
      pages = engine.billedPages(outcome.body);
      tally.took(image.sha256, Math.max(0, clock.now() - sentAt));
    }
    if (outcome.kind === "accepted") pages = 1; // how many there are, the answer will tell
    tally.billedPages += pages;
    if (outcome.kind === "throttled") tally.throttled++;
    if (outcome.kind === "rejected" || outcome.kind === "refused") await health.recall();
    const number = health.latest; // of two that are sent together the second may arrive first
    // One page is not everybody, as one that is known to work can show. Finding that one may take
    // long, and a 429 must not: until the limiter hears of it others are sent.
    const comparable = outcome.kind === "retryable" && outcome.until !== undefined && !asksKnown &&
      await known?.find(halt.signal) !== undefined;
    const stoodStill = health.holds;
    const fatal = health.judge(outcome, image.sha256, { ...pass, comparable });
    if (stoodStill && !health.holds) lanes.recovered(lane);
    const alone = fatal && outcome.kind === "throttled" && !asksKnown &&
      await known?.find(halt.signal);
    // One that is down for long is probed all the same, as long as pages get through elsewhere.
    const mayRecover = outcome.kind === "retryable" && health.outage && lanes.mayRecover(lane);
    if (fatal && !alone && !mayRecover) {
      if (lanes.close(lane, fatal)) return undefined;
      throw fatal; // what ends the run aborts it before the next gets its turn
    }
    const throttled = outcome.kind === "throttled" && !asksKnown
      ? health.throttled(image.sha256, outcome.code, fatal !== undefined)
      : undefined;
    // What has slowed the lane down was this page, or others like it: it may find its rate anew.
    permit.done(
      throttled?.alone
        ? { kind: throttled.proven ? "clean" : "failed" }
        : paceOutcome(outcome, health, asksKnown || fresh),
    );
    lanes.paused(lane);
    if (asksKnown) known?.asked(outcome, pages);
    if (asksKnown && !control || outcome.kind === "renewed") return undefined;
    return { ...outcome, number, lane, ...throttled && { throttled } };
  } catch (error) {
    halt.abort(error);
    throw error;
  } finally {
    if (pages !== undefined) spending.settle(pages);
    turn?.permit.done({ kind: "failed" });
  }
}

/** The right to send a request now, and on which lane. */
interface Turn {
  readonly lane: Lane;
  readonly pass: Pass;
  readonly permit: Permit;
}

/** Counts a request while it is in flight, and if it is given up. */
async function counted(
  tally: Tally,
  giveUp: AbortSignal,
  send: () => Promise<Outcome>,
): Promise<Outcome> {
  tally.inFlight++;
  try {
    return await send();
  } catch (error) {
    if (giveUp.aborted) tally.abandoned++;
    throw error;
  } finally {
    tally.inFlight--;
  }
}

/**
 * A turn while the API is up, or a probe while it is not.
 *
 * @param only The lane to ask on, for the page that is known to work.
 * @returns `undefined` if that lane was closed meanwhile, or the page should look elsewhere.
 */
async function nextTurn(
  options: AskOptions,
  fresh: boolean,
  tried: Tried,
  only: Lane | undefined,
): Promise<Turn | undefined> {
  const { lanes, clock, halt } = options;
  const control = only !== undefined;
  for (;;) {
    const lane = only ?? lanes.choose(fresh, tried);
    if (!lane) return undefined;
    using _place = lanes.waitOn(lane);
    using left = lanes.single
      ? undefined
      : followSignals(halt.signal, lanes.closed(lane), ...only ? [] : [lanes.moved(lane)]);
    const passed = await passOn(lane, left)
      .catch((error) => {
        if (halt.signal.aborted || !left?.signal.aborted) throw error;
      })
      .finally(() => left?.controller.abort());
    if (passed) return passed;
    const leaves = only
      ? !lanes.isOpen(only)
      : lanes.unavailable(fresh, tried, waits(options)) !== undefined ||
        goesBack(options) !== undefined;
    if (leaves) return undefined;
  }

  /** However long the queue, what failed is looked after in time: the page goes to probe it. */
  async function leaveForProbe(lane: Lane, { signal, controller }: Halt): Promise<void> {
    try {
      while (!lanes.wantsProbe(lane)) await clock.sleep(LOOK_MS, signal);
    } catch {
      return; // it has had its turn
    }
    controller.abort();
  }

  async function passOn(lane: Lane, left: Halt | undefined): Promise<Turn | undefined> {
    const { health, limiter } = lane;
    const { signal } = left ?? halt;
    const mayProbe = left !== undefined && !only && fresh;
    const elsewhere = () =>
      !only && (lanes.elsewhere(lane, tried, waits(options)) || goesBack(options) !== undefined ||
        mayProbe && lanes.wantsProbe(lane));
    const pass = await health.pass(signal, fresh, control, elsewhere);
    if (!pass) return undefined;
    // One that is to probe this lane stays: another one that is due is somebody else's.
    if (mayProbe && !pass.probes) void leaveForProbe(lane, left);
    const permit = await limiter.turn(signal).catch((error) => {
      health.cancel(pass);
      throw error;
    });
    const held = control ? health.outage : health.holds;
    if ((pass.probes || !held) && lanes.isOpen(lane)) return { lane, pass, permit };
    permit.done({ kind: "failed" }); // the outage began while this page waited for its turn
    return undefined;
  }
}

/**
 * What an outcome says about the quota: an answer of any kind was worked for, a failure was not.
 *
 * @param fresh Whether its page has not failed before: a failure that comes with a time holds
 *   everybody back once, and from then on its page only, as others may be answered meanwhile.
 */
function paceOutcome(outcome: Outcome, health: Health, fresh: boolean): RequestOutcome {
  if (outcome.kind === "throttled") {
    return { kind: "throttled", until: health.patientUntil(outcome.until) };
  }
  const worked = ["answered", "accepted", "rejected"].includes(outcome.kind);
  if (worked) return { kind: "clean" };
  if (outcome.kind !== "retryable" || !fresh) return { kind: "failed" };
  return { kind: "failed", until: health.patientUntil(outcome.until) };
}
