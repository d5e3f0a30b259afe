/**
 * @module soak/later: the API server of rounds whose answers are fetched later, and what goes wrong
 * there by itself: answers take a random time, links expire, the API forgets requests, and tickets
 * are torn between two processes. It keeps in the books which tickets are stored.
 */

import { Buffer } from "node:buffer";
import { startParseServer } from "../doubles/ocr/upstage_parse.ts";
import type { Look, ParseAnswer, ParseServer } from "../doubles/ocr/upstage_parse.ts";
import { wordLayout } from "../doubles/ocr/upstage_parse_body.ts";
import { type Answer, errorAnswer } from "../doubles/ocr/upstage_answer.ts";
import type { UpstageDocument } from "../doubles/ocr/upstage.ts";
import { ticketKey } from "../../lib/state/keys.ts";
import type { Ask, Asker, Books } from "./books.ts";
import { LATER, LATER_ENGINE, pageOf, partsOf } from "./data.ts";
import { between, type InVain, oneOf, tear, TEARS } from "./faults.ts";
import { ownerOf } from "./keys.ts";

/** How long the API works on a page, milliseconds: mostly, and in one of ten cases. */
const READY_MS = { mostly: 600, slow: 3_000 } as const;
/** Share of downloads whose link has expired. */
const EXPIRED_SHARE = 0.1;
/**
 * Share of rounds in which the API forgets a request that somebody is looking for, which takes a
 * minute, and share of looks until it has.
 */
const FORGETTING = 0.2;
const FORGETTING_LOOKS = 0.02;
/** Tickets that are spoilt after a kill, at most. */
const SPOILT = 2;
/** A ticket is so old when its request is forgotten between two processes, milliseconds. */
const EXPIRED_MS = 31 * 86_400_000;

/** What a page gets from the bench: an answer that is billed as accepted, or anything else. */
export type Taken = Answer | InVain;

/** What {@linkcode LaterPages} works with. */
export interface LaterOptions {
  /** Which pages were billed. */
  readonly books: Books;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether nothing misbehaves. */
  readonly calm: () => boolean;
  /** The objects in the store. */
  readonly objects: ReadonlyMap<string, { readonly bytes: Uint8Array<ArrayBuffer> }>;
  /** Replaces one. */
  readonly put: (key: string, bytes: Uint8Array<ArrayBuffer>) => void;
  /** Whether a page's answer is stored. */
  readonly isAnswered: (page: string) => boolean;
  /** What becomes of a document. */
  readonly answer: (document: UpstageDocument) => Promise<Taken>;
  /** Somebody looks or downloads: what is done to that process, and whether it is told anything. */
  readonly event: (asker: string) => "before" | "after" | undefined;
  /** What goes wrong with a look, as with any request; `undefined` for nothing. */
  readonly fault: () => Exclude<Answer, { kind: "page" | "truncated" }> | undefined;
  /** Takes note of what happened to an image. */
  readonly note: (image: string, asker: string | undefined, text: string) => void;
  /** Takes note of something that may not happen. */
  readonly violate: (kind: string, page: string) => void;
}

/** The server and its tickets. */
export class LaterPages implements AsyncDisposable {
  /** What happened. */
  readonly counts = {
    /** Pages that another process than the one that had asked has collected. */
    collected: 0,
    /** Tickets that were torn, requests that were forgotten, links that had expired. */
    tornTickets: 0,
    forgotten: 0,
    expiredLinks: 0,
  };
  readonly #options: LaterOptions;
  /** The asks of documents that are being answered. */
  readonly #asks = new WeakMap<UpstageDocument, { readonly ask: Ask; readonly inVain: boolean }>();
  /** When the API is ready with a request, and who has looked for it last. */
  readonly #work = new Map<string, { readonly readyAt: number; by: string; isTaken?: true }>();
  #api!: ParseServer;
  #inFlight = 0;
  #forgets: boolean;

  private constructor(options: LaterOptions) {
    this.#options = options;
    this.#forgets = options.random() < FORGETTING;
  }

  /** Starts the server. */
  static async open(options: LaterOptions): Promise<LaterPages> {
    const pages = new LaterPages(options);
    pages.#api = await startParseServer({
      looksUntilReady: 0,
      answer: (document) => pages.#answer(document),
      accepted: (document, id) => pages.#accepted(document, id),
      look: (look) => pages.#look(look),
      download: (look) => pages.#download(look),
    });
    return pages;
  }

  /** As {@linkcode ParseServer.url}. */
  get url(): string {
    return this.#api.url;
  }

  /** As {@linkcode ParseServer.billedPages}. */
  get billedPages(): number {
    return this.#api.billedPages;
  }

  /** Documents that are being answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** A document is going to be accepted for an ask. */
  expect(document: UpstageDocument, ask: Ask, inVain: boolean): void {
    this.#asks.set(document, { ask, inVain });
  }

  async #answer(document: UpstageDocument): Promise<ParseAnswer> {
    this.#inFlight++;
    try {
      const taken = await this.#options.answer(document);
      if (taken.kind === "page") return { kind: "layout", pages: [wordLayout(taken.page)] };
      if (taken.kind !== "truncated") return taken;
      return { kind: "truncated", pages: [wordLayout(taken.page)] };
    } finally {
      this.#inFlight--;
    }
  }

  #accepted(document: UpstageDocument, id: string): void {
    const { books, random } = this.#options;
    const expected = this.#asks.get(document);
    if (!expected) return; // its answer is cut, and nobody learns the id
    const { ask, inVain } = expected;
    books.bill(ask, { id, inVain });
    const isSlow = random() < 0.1;
    const ms = between(random, 0, isSlow ? READY_MS.slow : READY_MS.mostly);
    this.#work.set(id, { readyAt: performance.now() + ms, by: ask.asker.name });
  }

  #look({ id, apiKey }: Look): ReturnType<LaterOptions["fault"]> | "pending" {
    const { books, random, calm, event, fault, note } = this.#options;
    const { name } = ownerOf(apiKey!);
    const { ask, later } = books.accepted(id)!;
    const work = this.#work.get(id)!;
    const { image } = partsOf(ask.page);
    work.by = name;
    if (event(name) === "before") return { kind: "reset" };
    if (!calm() && this.#forgets && !later.inVain && random() < FORGETTING_LOOKS) {
      this.#forgets = false;
      this.#forget(id);
    }
    if (later.forgotten) {
      note(image, name, "looks (forgotten)");
      return UNKNOWN;
    }
    const failing = calm() ? undefined : fault();
    if (failing) {
      note(image, name, `looks (${failing.kind === "http" ? failing.status : failing.kind})`);
      return failing;
    }
    if (performance.now() >= work.readyAt) return undefined;
    note(image, name, "looks (pending)");
    return "pending";
  }

  #download({ id }: Look): ReturnType<LaterOptions["fault"]> {
    const { books, random, calm, event, fault, note } = this.#options;
    const work = this.#work.get(id)!;
    const { by } = work;
    const { ask } = books.accepted(id)!;
    const { image } = partsOf(ask.page);
    // No key goes there, so it is whoever has looked last.
    if (event(by) === "before") return { kind: "reset" };
    if (!calm() && random() < EXPIRED_SHARE) {
      this.counts.expiredLinks++;
      note(image, by, "follows a link that has expired");
      return { kind: "http", status: 403, body: "<Error><Code>AccessDenied</Code>" };
    }
    const failing = calm() ? undefined : fault();
    if (failing) return failing;
    note(image, by, "collects");
    if (by !== ask.asker.name && !work.isTaken) {
      work.isTaken = true;
      this.counts.collected++;
    }
  }

  #forget(id: string): void {
    this.#options.books.accepted(id)!.later.forgotten = true;
    this.counts.forgotten++;
  }

  /** A ticket is written, by whomever. @param before What lay there. */
  stored(key: string, bytes: Uint8Array, before: Uint8Array | undefined): void {
    const page = ticketPage(key);
    if (page === undefined) return;
    const { books, violate } = this.#options;
    const [old, now] = [before, bytes].map((bytes) => bytes && books.accepted(idIn(bytes) ?? ""));
    if (now?.ask.page !== page) return; // torn here
    const isGood = old?.ask.page === page && old.later.kept && !old.later.torn &&
      !old.later.forgotten;
    if (isGood && old !== now) violate("a ticket that was good was overwritten", page);
    if (old && old !== now) old.later.kept = false;
    now.later.kept = true;
  }

  /** A ticket is removed. */
  removed(key: string, bytes: Uint8Array | undefined): void {
    const page = ticketPage(key);
    if (page === undefined || !bytes) return;
    const { books, violate, isAnswered } = this.#options;
    const { later } = books.accepted(idIn(bytes) ?? "") ?? {};
    if (!isAnswered(page)) violate("a ticket was removed, and its answer is not stored", page);
    if (later) later.kept = false;
  }

  /** Spoils tickets that a dead process has left, so that their pages must be paid for again. */
  spoil(asker: Asker): void {
    const { books, random, objects, isAnswered } = this.#options;
    const left = [...objects].flatMap(([key, { bytes }]) => {
      const page = ticketPage(key);
      const found = page === undefined ? undefined : books.accepted(idIn(bytes) ?? "");
      if (!found || isAnswered(page!)) return [];
      const { ask, later } = found;
      const isWhole = later.kept && !later.torn && !later.forgotten && !later.inVain;
      return isWhole && ask.asker === asker ? [{ key, bytes, later }] : [];
    });
    const others = [...objects].filter(([key]) => ticketPage(key) !== undefined);
    for (const { key, bytes, later } of left.slice(0, between(random, 0, SPOILT))) {
      const { image } = partsOf(ticketPage(key)!);
      if (random() < 0.4) this.#age(key, bytes, later.id, image);
      else {
        const kind = oneOf(random, TEARS);
        const foreign = others.find(([other]) => other !== key)?.[1].bytes ?? bytes.slice(0, 1);
        later.torn = true;
        this.counts.tornTickets++;
        this.#options.note(image, undefined, `its ticket is torn (${kind})`);
        this.#options.put(key, tear(kind, bytes, foreign));
      }
    }
  }

  /** It is a month later. */
  #age(key: string, bytes: Uint8Array<ArrayBuffer>, id: string, image: string): void {
    const ticket = JSON.parse(new TextDecoder().decode(bytes));
    const accepted_at = new Date(Date.now() - EXPIRED_MS).toISOString();
    this.#forget(id);
    this.#options.note(image, undefined, "its ticket is a month old");
    this.#options.put(key, Buffer.from(JSON.stringify({ ...ticket, accepted_at })));
  }

  /** Closes the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]();
  }
}

const UNKNOWN = errorAnswer(404, "request_not_found", "There is no such request");

/** The page whose ticket a key names; `undefined` for any other key. */
export function ticketPage(key: string): string | undefined {
  const image = /\/(\w{64})\.json$/.exec(key)?.[1];
  return image && key === ticketKey(LATER_ENGINE, LATER, image) ? pageOf(image, LATER) : undefined;
}

/** The request id that a ticket holds, if it is one. */
function idIn(bytes: Uint8Array): string | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)).ticket.request_id;
  } catch {
    return undefined;
  }
}
