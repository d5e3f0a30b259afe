/**
 * @module engine/health: tells a page that fails from an API that fails. It notices that no page of
 * the run can succeed, so that the run ends, and that nothing succeeds for a while, so that it
 * pauses and probes instead of turning page after page into a failed row.
 *
 * It judges by what the run and the model have shown, not by what this process happens to have
 * asked: whoever knows of an answer says so ({@linkcode Health.knows}). A page's failure is the
 * page's own where something else worked after it ({@linkcode Health.workedSince}); to find that
 * out, `label/ask.ts` asks for a page that is known to work.
 */

import type { Outcome } from "./engine.ts";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { minutes } from "../base/figures.ts";
import { type Throttled, ThrottledPages } from "./throttled_pages.ts";

/** After so many pages rejected alike and none answered, the request is wrong, not the pages. */
export const ALIKE_REJECTIONS = 5;
/** So many different pages failing in a row, with no answer in between, is the API's fault. */
export const OUTAGE_PAGES = 3;
/** First wait between two probes during an outage, milliseconds; it doubles each time. */
export const FIRST_PROBE_MS = 5_000;
/** Longest wait between two probes, milliseconds. */
export const LAST_PROBE_MS = 60_000;
/** Where nobody has asked for so long, it is not known how the API fared meanwhile, milliseconds. */
const SILENCE_MS = 2 * LAST_PROBE_MS;
/** How often a waiting page looks whether the outage is over, milliseconds. */
export const LOOK_MS = 500;

/** A page that alone is throttled is given up after so much of the longest outage at the least. */
const OWN_SHARE = 0.1;
/** The last time that a date can hold, milliseconds since the epoch. */
const LAST_DATE = 8.64e15;
/** The way around what was concluded from pages none of which is known to work. */
const OR_GO_ON = "; if it is these pages' fault, --no-guard fails them and goes on";

/** What {@linkcode Health} works with. */
export interface HealthOptions {
  /** Named where the model may be wrong. */
  readonly model: string;
  /** What to check where all first pages are rejected alike. @default `--model` */
  readonly request?: string;
  /** What to check when the API refuses the run; the connection's own. */
  readonly advice: string;
  /** Nothing but failures or 429 for so long ends the run, milliseconds. */
  readonly maxOutageMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Told of the beginning and the end of an outage. */
  readonly note: (message: string) => void;
  /** Told when the API is down, and when that is over. */
  readonly down?: () => void;
  /**
   * What becomes of pages while the API is down, for people; undefined where nothing goes on.
   * @default nothing does
   */
  readonly meanwhile?: () => string | undefined;
  /**
   * Looks whether any answer of this model is stored, whoever paid for it. Asked at most once, and
   * only before first pages could end the run. @default none is
   */
  readonly everAnswered?: () => Promise<boolean>;
  /** Whether pages fail by themselves where nothing is known to work; else the run ends. */
  readonly noGuard?: boolean;
}

/** An outage; a probe carries the one it probes. */
export interface Outage {
  /** When the first page of it failed, milliseconds since the epoch. */
  readonly began: number;
  /** When the next probe may be sent, milliseconds since the epoch. */
  nextProbe: number;
  /** Wait between the last probe and the next, milliseconds. */
  waitMs: number;
  /** Whether a probe is under way. */
  probing: boolean;
  /** Probes so far. */
  probes: number;
}

/** Leave to send one request. */
export interface Pass {
  /** Set if the request probes whether an outage is over. */
  readonly probes: Outage | undefined;
  /** Whether it asks for a page that is known to work. @default false */
  readonly control?: boolean;
  /** Which request it is, from 1; {@linkcode Health.begin} sets it. */
  number?: number;
}

/** Watches the outcomes of one run. */
export class Health {
  readonly #options: HealthOptions;
  /** Whether any page of the run, or of the model, is known to have been answered, ever. */
  #answered = false;
  #recalled: Promise<void> | undefined;
  #alike = { message: "", count: 0 };
  /** Requests so far, those under way, and the latest that worked: it was answered or rejected. */
  #requests = 0;
  readonly #underWay = new Set<number>();
  #worked = 0;
  /** Pages that are being asked for, their waits included. */
  #asking = 0;
  /** Different pages that were refused since anything worked. */
  readonly #refusing = new Set<string>();
  /**
   * Pages that failed while others were answered, and were not since: they show nothing of the API.
   * One that comes back from another engine is no news, or each time it would be an outage anew,
   * and the probe that ends it a page to pay.
   */
  readonly #suspects = new Set<string>();
  #throttledSince: number | undefined;
  readonly #throttled: ThrottledPages;
  /** Different pages that were told to wait for longer than there is patience, likewise. */
  readonly #hopeless = new Set<string>();
  /** Different pages that failed since the last answer, and since when. */
  #failing = new Set<string>();
  #failingSince = 0;
  /** When it failed last. */
  #failedAt = 0;
  /** When the API was last heard of, or until when it wanted to be left alone. */
  #heardAt: number;
  #outage: Outage | undefined;

  /** Starts with a healthy API. @param options Limits and time. */
  constructor(options: HealthOptions) {
    this.#options = options;
    this.#throttled = new ThrottledPages(options.clock, options.maxOutageMs * OWN_SHARE);
    this.#heardAt = options.clock.now();
  }

  /** Whether the API, and not a page, is failing now. */
  get outage(): boolean {
    return this.#outage !== undefined;
  }

  /** Since when it is failing, milliseconds since the epoch; undefined while it isn't. */
  get downSince(): number | undefined {
    return this.#outage && this.#failingSince;
  }

  /**
   * Whether it was seen to fail for longer than the run has patience. That nobody has asked it for a
   * while, as all pages were elsewhere, shows nothing.
   */
  get exhausted(): boolean {
    const { maxOutageMs } = this.#options;
    return this.outage && this.#failedAt - this.#failingSince >= maxOutageMs;
  }

  /** Whether that is longer ago than the run has patience. @param since Milliseconds. */
  outOfPatience(since: number): boolean {
    return this.#options.clock.now() - since >= this.#options.maxOutageMs;
  }

  /** Whether it is time to find out whether an API that failed answers again. */
  get wantsProbe(): boolean {
    const outage = this.#outage;
    return outage !== undefined && !outage.probing &&
      this.#options.clock.now() >= outage.nextProbe;
  }

  /** Whether somebody is finding that out now. */
  get isProbed(): boolean {
    return this.#outage?.probing ?? false;
  }

  /** Whether nothing starts now but what finds out whether the API works. */
  get holds(): boolean {
    return this.outage || this.refusesAll ||
      // Rejections come quicker than answers: those that are under way may yet show that it is the
      // pages.
      this.#rejectsAll && this.#underWay.size > 0 ||
      // Whether the key is wrong, those that are under way will show.
      this.#refusing.size > 0 && !this.#answered &&
        this.#refusing.size + this.#underWay.size >= OUTAGE_PAGES;
  }

  /** Whether all first pages were rejected alike, so far. */
  get #rejectsAll(): boolean {
    return !this.#answered && !this.noGuard && this.#alike.count >= ALIKE_REJECTIONS;
  }

  /** Whether so many different pages were refused in a row that it is hardly the pages' fault. */
  get refusesAll(): boolean {
    return this.#refusing.size >= OUTAGE_PAGES;
  }

  /** Whether pages fail by themselves where nothing is known to work. */
  get noGuard(): boolean {
    return this.#options.noGuard ?? false;
  }

  /** The time that the API asks to wait for, as far as the run has so much patience. */
  patientUntil(until: number | undefined): number | undefined {
    const { clock, maxOutageMs } = this.#options;
    return until !== undefined && until - clock.now() <= maxOutageMs ? until : undefined;
  }

  /** Something readable is stored: pages of this run are answered. */
  knows(): void {
    this.#answered = true;
  }

  /** Looks whether the model was ever asked with success, unless that is known already. */
  async recall(): Promise<void> {
    if (this.#answered) return;
    await (this.#recalled ??= (async () => {
      if (await this.#options.everAnswered?.()) this.#answered = true;
    })());
  }

  /**
   * Lets a request pass; during an outage only one probe at a time, at growing intervals.
   *
   * @param fresh Whether its page has not failed before: such a page probes first, as its answer is
   *   needed anyway.
   * @param control Whether it asks for a page that is known to work: a doubt doesn't hold it back.
   * @param elsewhere Whether the page may go elsewhere instead of waiting here. @default never
   * @returns `undefined` if it is to go elsewhere.
   */
  async pass(
    signal: AbortSignal,
    fresh: boolean,
    control: boolean,
    elsewhere: () => boolean,
  ): Promise<Pass | undefined>;
  /** As above; the page waits here, however long it takes. */
  async pass(signal: AbortSignal, fresh?: boolean, control?: boolean): Promise<Pass>;
  async pass(
    signal: AbortSignal,
    fresh = true,
    control = false,
    elsewhere: () => boolean = () => false,
  ): Promise<Pass | undefined> {
    const { clock } = this.#options;
    while (this.outage || !control && this.holds) {
      const outage = this.#outage;
      if (!outage) {
        if (elsewhere()) return undefined;
        await clock.sleep(LOOK_MS, signal);
        continue;
      }
      const { probing } = outage;
      const nextProbe = outage.nextProbe + (fresh ? 0 : LOOK_MS);
      if (!probing && clock.now() >= nextProbe) {
        outage.probing = true;
        outage.probes++;
        return { probes: outage, control };
      }
      if (elsewhere()) return undefined;
      const wait = probing ? LOOK_MS : Math.min(LOOK_MS, nextProbe - clock.now());
      await clock.sleep(wait, signal);
    }
    return { probes: undefined, control };
  }

  /** A request starts, and gets its number. */
  begin(pass: Pass): void {
    const now = this.#options.clock.now();
    if (this.#underWay.size === 0 && now - this.#heardAt > SILENCE_MS) {
      // What failed or was throttled long ago does not add up with what is now.
      this.#failing.clear();
      this.#failingSince = now;
      this.#throttledSince = undefined;
    }
    pass.number = ++this.#requests;
    this.#underWay.add(pass.number);
  }

  /** The number of the latest request; those that start from now on have greater ones. */
  get latest(): number {
    return this.#requests;
  }

  /** Whether a request that started after that one was answered or rejected: the API works. */
  workedSince(number: number): boolean {
    return this.#worked > number;
  }

  /** A request that was let pass is not sent after all, or has shown nothing. */
  cancel({ probes, number }: Pass): void {
    if (probes) probes.probing = false;
    if (number !== undefined) this.#underWay.delete(number);
  }

  /** A page begins to be asked for; {@linkcode leave} follows. */
  enter(): void {
    this.#asking++;
  }

  /** A page is through, whatever came of it. */
  leave(page: string): void {
    this.#asking--;
    this.#throttled.leave(page);
  }

  /**
   * What is to be made of a page's 429, once it is judged. @param page As in {@linkcode judge}.
   *
   * @param code The API's word for it, where it is none for a rate.
   */
  throttled(page: string, code: string | undefined): Throttled {
    return this.#throttled.throttled(page, code, this.latest, (n) => this.workedSince(n));
  }

  /**
   * Takes note of an outcome. Before a first page that is rejected or refused, {@linkcode recall}.
   *
   * @param page Tells pages apart, for example the image's SHA-256.
   * @param pass What {@linkcode pass} gave for the request.
   * @returns What the run must end with; `undefined` to go on.
   */
  judge(outcome: Outcome, page: string, pass: Pass): RunError | undefined {
    if (pass.number !== undefined) this.#underWay.delete(pass.number);
    const until = "until" in outcome ? outcome.until ?? 0 : 0;
    this.#heardAt = Math.max(this.#options.clock.now(), until);
    switch (outcome.kind) {
      case "answered":
        this.#answered = true;
        this.#recover(page, pass);
        return;
      case "accepted": // what becomes of it is not known yet
        this.#recover(page, pass);
        return;
      case "rejected":
        this.#recover(page, pass);
        return this.#judgeRejected(outcome.message);
      case "refused":
        this.cancel(pass);
        return this.#judgeRefused(outcome.message, page, pass);
      case "renewed": // it was refused, but the next one need not be
        this.cancel(pass);
        return;
      case "throttled":
        this.cancel(pass);
        return this.#judgeThrottled(outcome, page, pass);
      case "retryable":
        return this.#judgeFailed(outcome, page, pass);
    }
  }

  /**
   * What the run ends with if no page will be answered until somebody changes something. Its cause
   * says the same of this API alone, for a run that goes on without it.
   *
   * @param control Whether a page that is known to work was refused too.
   */
  refusal(message: string, control = false): RunError {
    const hint = control || this.noGuard ? "" : OR_GO_ON;
    const check = `check ${this.#options.advice}`;
    return new RunError(
      "api",
      `the API refuses this run: ${message}; ${check}, then run again; no row was marked as ` +
        `failed${hint}`,
      { cause: `the API refuses it: ${message}; ${check}` },
    );
  }

  /** Key trouble shows on every page; that of one page shows nothing yet. */
  #judgeRefused(message: string, page: string, pass: Pass): RunError | undefined {
    if (pass.control) return this.refusal(message, true);
    this.#refusing.add(page);
    if (this.noGuard || this.#answered) return undefined;
    // Nothing was answered ever. Once nobody is left who could be, there is nothing to wait for.
    const enough = Math.min(OUTAGE_PAGES, this.#asking);
    return this.#refusing.size >= enough ? this.refusal(message) : undefined;
  }

  /** A refused page was found to be refused by itself. */
  pardon(page: string): void {
    this.#refusing.delete(page);
  }

  #recover(page: string, { number, control = false }: Pass): void {
    this.#worked = Math.max(this.#worked, number ?? ++this.#requests);
    this.#suspects.delete(page);
    this.#throttled.worked(page, control);
    this.#throttledSince = undefined;
    this.#hopeless.clear();
    this.#refusing.clear();
    if (this.#outage) {
      // They failed before and during it, so what they do next shows nothing of the API.
      for (const failing of this.#failing) if (failing !== page) this.#suspects.add(failing);
      const seconds = Math.round((this.#options.clock.now() - this.#outage.began) / 1_000);
      this.#outage = undefined;
      this.#options.down?.();
      this.#options.note(`the API answers again after ${seconds} s: going on`);
    }
    this.#failing.clear();
  }

  #judgeFailed(
    outcome: Outcome & { kind: "retryable" },
    page: string,
    pass: Pass,
  ): RunError | undefined {
    const { clock, maxOutageMs } = this.#options;
    const { message, until = 0 } = outcome;
    const now = this.#failedAt = clock.now();
    const hopeless = until - now > maxOutageMs;
    if (hopeless && this.#worked === 0 && !this.noGuard) return this.#asksTooLong(until, message);
    if (pass.control) {
      // What is known to work doesn't: that is no page's fault.
      if (!this.#outage) this.#beginOutage(now, message);
    } else {
      if (this.#suspects.has(page) && !this.#outage) return;
      if (this.#failing.size === 0) this.#failingSince = now;
      // As many as are under way at most: during an outage only probes are sent.
      this.#failing.add(page);
    }
    const outage = this.#outage;
    if (outage) {
      // Requests that were in flight when the outage began show nothing new.
      if (pass.probes === outage) {
        outage.probing = false;
        outage.waitMs = Math.min(LAST_PROBE_MS, outage.waitMs * 2);
        outage.nextProbe = now + outage.waitMs;
      }
      const since = this.#failingSince;
      return this.#tooLong(since, "has failed on every page", message) ??
        (until - since > maxOutageMs ? this.#asksTooLong(until, message) : undefined);
    }
    if (this.#failing.size < OUTAGE_PAGES) return;
    // Nothing worked yet that could tell pages from the API, and the user says that it is the
    // pages.
    if (this.noGuard && this.#worked === 0) return;
    if (hopeless) return this.#asksTooLong(until, message);
    this.#beginOutage(now, message);
    return undefined;
  }

  /** Nobody can be reached, so that not even the only page is at fault. */
  unreachable(message: string): void {
    if (!this.#outage) this.#beginOutage(this.#options.clock.now(), message);
  }

  #beginOutage(now: number, message: string): void {
    const { note, maxOutageMs } = this.#options;
    if (this.#failing.size === 0) this.#failingSince = now;
    this.#outage = {
      began: this.#failingSince,
      nextProbe: now + FIRST_PROBE_MS,
      waitMs: FIRST_PROBE_MS,
      probing: false,
      probes: 0,
    };
    this.#options.down?.();
    const meanwhile = this.#options.meanwhile?.();
    note(
      `the API fails on every page (${message}): ` +
        (meanwhile === undefined
          ? `pausing, with a probe now and then, for up to ${minutes(maxOutageMs)}`
          : `asking it now and then, ${meanwhile}`),
    );
  }

  #judgeThrottled(
    { until = 0, message }: Outcome & { kind: "throttled" },
    page: string,
    { control }: Pass,
  ): RunError | undefined {
    if (control) this.#throttled.controlThrottled();
    this.#throttledSince ??= this.#options.clock.now();
    const since = this.#throttledSince;
    const ending = this.#tooLong(since, "has throttled every request", message);
    if (ending || until - since <= this.#options.maxOutageMs) return ending;
    // Sleeping past the end of all patience would only keep a machine busy. But on the word of one
    // page others need not wait.
    this.#hopeless.add(page);
    const enough = control || this.#hopeless.size >= Math.min(OUTAGE_PAGES, this.#asking);
    return enough ? this.#asksTooLong(until, message) : undefined;
  }

  #asksTooLong(until: number, message: string): RunError {
    const time = new Date(Math.min(until, LAST_DATE)).toISOString().replace(/\.\d+Z/, "Z");
    const what = `the API wants to be asked again at ${time} (${message}), which is further away ` +
      `than --max-outage-minutes allows (${minutes(this.#options.maxOutageMs)})`;
    const ways = "run the same command then and it continues";
    return new RunError("again", `${what}; ${ways}`, { cause: what });
  }

  #tooLong(since: number, what: string, message: string): RunError | undefined {
    if (!this.outOfPatience(since)) return;
    const happened = `the API ${what} for ${minutes(this.#options.maxOutageMs)} (${message})`;
    return new RunError(
      "again",
      `${happened}; run the same command later and it continues` +
        (this.#worked > 0 || this.noGuard ? "" : OR_GO_ON),
      { cause: happened },
    );
  }

  /** A wrong model name is answered like a bad file, so pages that fail all alike end the run. */
  #judgeRejected(message: string): RunError | undefined {
    const alike = this.#alike;
    alike.count = alike.message === message ? alike.count + 1 : 1;
    alike.message = message;
    if (!this.#rejectsAll || this.#underWay.size > 0) return;
    const { model, request = `--model ${model}` } = this.#options;
    const happened =
      `the API rejected the first ${alike.count} pages alike (${message}); check ${request}`;
    const ways = "then run again, or fail such pages and go on with --no-guard";
    return new RunError("api", `${happened}, ${ways}`, { cause: happened });
  }
}
