/**
 * @module label/desk: what asks one engine: its answers that are stored, its lanes with their limits
 * and their health, the pages that it is known to work on. A run has one for its own engine, and
 * one for each that is asked where that fails.
 */

import { minutes } from "../base/figures.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { Connection, Engine } from "../engine/engine.ts";
import { Health, throttledPages } from "../engine/health.ts";
import type { Limiter } from "../pace/limiter.ts";
import type { Settings } from "../base/settings.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { Claims } from "../state/claims.ts";
import { askedBy, pollRateKey, rateKey, sharedRateKey } from "../state/keys.ts";
import type { SpendingLimit } from "../state/spending.ts";
import { Tickets } from "../state/tickets.ts";
import type { Patience } from "../store/patient.ts";
import { askKnownPage } from "./ask.ts";
import { Collecting } from "./collect.ts";
import type { ImageGuard } from "./image_guard.ts";
import type { ImageLoader } from "./images.ts";
import { KnownPage } from "./known_page.ts";
import type { Labeling } from "./label_row.ts";
import type { LabelingOptions } from "./labeling_options.ts";
import { type Lane, Lanes } from "./lanes.ts";
import { openPace } from "./pace.ts";
import { ReadableGuard } from "./readable_guard.ts";
import type { Remarks } from "./remarks.ts";
import type { StandIns } from "./stand_ins.ts";

/** What the desks of a run have in common. */
export interface SharedByDesks {
  /** The run. */
  readonly options: LabelingOptions;
  /** Told what people should know. */
  readonly remarks: Remarks;
  /** Whether another page may be paid, of whatever engine. */
  readonly spending: SpendingLimit;
  /** Reads images. */
  readonly images: ImageLoader;
  /** Ends a run none of whose images can be used. */
  readonly imageGuard: ImageGuard;
  /** Whether there are several desks, so that each must say which it is. */
  readonly several: boolean;
  /** Which of them can be had. */
  readonly standIns: StandIns;
}

/** The engine of a desk. */
export interface DeskOptions {
  /** How to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** The engine, ready to be asked. */
  readonly connection: Connection;
  /** Of a page, US dollars. */
  readonly price: number;
  /** By how much that is above the price of the run's own engine. */
  readonly extraCost: number;
  /** How fast, as far as the user says. */
  readonly pace: Pick<Settings, "rate" | "concurrency" | "requestDelayMs">;
  /** Which of the run's desks it is, from 0 for its own, in the order in which they are asked. */
  readonly place: number;
  /** Requests that other engines may have in flight for the same rows. @default none */
  readonly besides?: () => number;
  /** Told after each request, when more or fewer may be in flight. @default nobody */
  readonly onFit?: () => void;
}

/** A desk. Disposing it stores what was learnt and takes claims back. */
export interface Desk extends AsyncDisposable {
  /** What rows are labelled with by it. */
  readonly labeling: Labeling;
  /** Requests per second that are allowed just now. */
  readonly rate: () => number | null;
  /** Requests that may be in flight just now. */
  readonly inFlightCap: () => number;
  /** Makes as much room for rows as there is for requests. */
  readonly fitRows: () => void;
}

/** Opens a desk. @throws {StoreError} if the store fails */
export async function openDesk(desk: DeskOptions, shared: SharedByDesks): Promise<Desk> {
  const { engine, model, connection, price, extraCost, place } = desk;
  const { options: run, remarks, spending, images, imageGuard, several, standIns } = shared;
  const { settings, manifest, store, keys, tally, clock, random, halt } = run;
  const { dataset, run_id } = manifest;
  const { maxOutageMs, maxRetries, noGuard, retryFailed } = settings;
  // Another model of the run's own engine needs its name, too.
  const name = place > 0 && engine.name === run.engine.name
    ? `${engine.name}:${model}`
    : engine.name;
  const note: typeof run.note = several
    ? (message, facts) => run.note(`${name}: ${message}`, facts)
    : run.note;

  let readableGuard: ReadableGuard | undefined = undefined as ReadableGuard | undefined;
  const connections = [connection, ...connection.further ?? []];
  const collecting = connection.collect && new Collecting({
    tickets: new Tickets(store, engine.name, model),
    maxOutageMs,
    retriesRejected: retryFailed !== undefined &&
      (retryFailed.codes === "all" || retryFailed.codes.includes("api_rejected")),
    owe(pages) {
      tally.extraCost += extraCost * pages;
      spending.owe(pages, several ? price : 0);
    },
  });
  const polls = collecting && await openPace({
    ...{ store, clock, random, lanes: connections.length, server: connection.server },
    engine: { documentedRate: engine.documentedPollRate ?? engine.documentedRate },
    settings: { rate: undefined, requestDelayMs: undefined, concurrency: undefined },
    key: pollRateKey(engine.name, model),
    sparse: true,
    note: (message, facts) => note(`looking for answers: ${message}`, facts),
  });
  const claims = new Claims({
    ...{ store, keys, engine: engine.name, model, owner: run.owner, clock, note },
    holder: run.newRunId,
    leaseMs: settings.leaseMs,
    conditional: run.conditional,
    check: run.check,
    stop: halt.signal,
  });
  const pace = await openPace({
    waiting: collecting && ((rate) => collecting.waiting(rate)),
    ...{ settings: desk.pace, engine, store, note, clock, random },
    key: rateKey(engine.name, model),
    server: connection.server,
    ...run.conditional && {
      sharing: {
        keys: connections.map(({ account }) =>
          account === undefined ? undefined : sharedRateKey(engine.name, model, account)
        ),
        id: run.newRunId,
        isCompany: () => claims.together,
      },
    },
    lanes: connections.length,
    besides: desk.besides,
    onFit: desk.onFit,
    reused: () => tally.reused,
    proven: () => readableGuard?.satisfied ?? false,
  });

  // What earlier processes of the run have shown, as far as the answers can be none but this one's.
  const answered = [...run.done, ...run.earlier].filter(({ footer: { counts } }) =>
    counts.ok + counts.empty > 0
  );
  const readable = answered.length > 0 && !manifest.fallbacks;
  const answers = new AnswerStore(store, engine.name, model);
  const everAnswered = () => answers.any(halt.signal);
  const others = standIns.othersOf(place);
  const fallback = place > 0 ? { request: `--fallback ${engine.name}:${model}` } : {};
  const throttled = throttledPages({ clock, maxOutageMs });
  const lanes: Lanes = new Lanes(
    connections.map((connection, n): Lane => {
      const key = connections.length > 1 ? `key ${n + 1} of ${connections.length}` : "the key";
      const health: Health = new Health({
        ...{ model, advice: connection.advice, maxOutageMs, clock, everAnswered, noGuard },
        ...fallback,
        throttled,
        spared: () => lanes.spared,
        // A model that the server names can't be what is wrong.
        ...engine.findModel && { request: connection.advice },
        note: (message) => note(connections.length > 1 ? `${key}: ${message}` : message),
        meanwhile() {
          const up = lanes.open.filter((lane) => lane.health !== health && !lane.health.outage);
          if (up.length > 0) return `while pages go to ${up.map(({ name }) => name).join(", ")}`;
          if (others.any() === undefined || others.downSince() !== undefined) return undefined;
          return others.next() === undefined
            ? "while pages that need it wait, for up to " + minutes(maxOutageMs)
            : `while pages go to ${others.next()}`;
        },
        down() {
          // While another one is up, requests start.
          const since = standIns.downSince;
          tally.paused = since === undefined ? undefined : { what: "the API is down", since };
        },
      });
      const { limiter, rate, pause } = pace.lanes[n];
      const looks = polls && whileUp(polls.lanes[n].limiter, run.patience);
      return {
        ...{ name: key, connection, health, rate, pause },
        limiter: whileUp(limiter, run.patience),
        ...looks && { polls: looks },
      };
    }),
    note,
    others,
  );
  standIns.join(place, {
    name,
    get isOpen() {
      return lanes.open.length > 0;
    },
    get downSince() {
      return lanes.downSince;
    },
  });
  if (readable) lanes.knows();

  const known = new KnownPage({
    images: run.images,
    engine,
    note,
    async *rows(): AsyncGenerator<OutputRow> {
      for (const { rows } of answered) {
        for await (const row of rows()) {
          const { image_sha256, response_key } = row.metadata;
          const by = askedBy(response_key ?? "", image_sha256 ?? "");
          if (by?.engine === engine.name && by.model === model) yield row;
        }
      }
    },
  });
  readableGuard = new ReadableGuard({
    noGuard,
    known: !manifest.fallbacks && answered.some(({ footer: { counts } }) => counts.ok > 0),
    underWay: () => tally.inFlight + tally.unsaved,
    ...{ clock, signal: halt.signal },
    async readsKnownPage() {
      if (collecting) return undefined; // it would have to be waited for
      await known.find(halt.signal);
      if (known.blank) return undefined;
      const sent = await askKnownPage(labeling);
      if (sent?.kind !== "answered") return undefined;
      const { picture } = (await known.find(halt.signal))!;
      return engine.parse(sent.body, picture).problem === undefined;
    },
  });
  const labeling: Labeling = {
    ...{ engine, model, lanes, tally, clock, random, maxRetries, answers, known, claims, remarks },
    ...collecting && { collecting },
    ...{ images, imageGuard, readableGuard, askedInVain: new Set<string>(), underWay: new Map() },
    // Only where the user names the code: an answer that can't be read has been paid for.
    askAgain: new Set(retryFailed && retryFailed.codes !== "all" ? retryFailed.codes : []),
    payer: { dataset, run_id },
    // After a stall another run may be at work: what it asks for must not be asked for again.
    check: run.check,
    unsaved: pace.unsaved,
    waiting: pace.waiting,
    rows: pace.rows,
    maxOutageMs,
    spending: {
      take: () => spending.take(several ? price : 0),
      settle(pages) {
        tally.extraCost += extraCost * pages;
        spending.settle(pages, several ? price : 0);
      },
      get isShort() {
        return spending.isShort;
      },
      cover: () => spending.cover(),
    },
    halt,
    giveUp: run.giveUp,
  };
  return {
    labeling,
    rate: pace.rate,
    inFlightCap: pace.inFlightCap,
    fitRows: pace.fitRows,
    async [Symbol.asyncDispose]() {
      await claims[Symbol.asyncDispose]();
      await pace[Symbol.asyncDispose]();
      await polls?.[Symbol.asyncDispose]();
    },
  };
}

/** Turns that are given only while the store is up: what is paid must be stored. */
function whileUp(
  limiter: Pick<Limiter, "turn">,
  patience: Pick<Patience, "up" | "down">,
): Pick<Limiter, "turn"> {
  return {
    async turn(signal) {
      for (;;) {
        if (patience.down) await patience.up(signal);
        const permit = await limiter.turn(signal);
        if (!patience.down) return permit;
        permit.done({ kind: "failed" }); // the outage began while this one waited for its turn
      }
    },
  };
}
