/**
 * @module state/tickets: what the answers to pages are collected with that are paid for and being
 * worked on. A ticket is stored before anybody looks for its answer, so a process that is killed
 * meanwhile leaves what the next one collects without paying; it is removed once the answer is
 * stored. One that is left over costs nothing, as answers are looked for first. Where there will be
 * no answer it says so, and stays: asking again would pay again.
 */

import { isDeepStrictEqual } from "node:util";

import { parseJsonAs } from "../base/json.ts";
import { StoreError } from "../base/errors.ts";
import { findObject, type Store, type StoredObject, type WriteOptions } from "../store/store.ts";
import { isNewer, writeDocument } from "./document.ts";
import { type TicketDocument, ticketDocument } from "./documents.ts";
import { setAsideMark, ticketKey, ticketSetAside } from "./keys.ts";

/** No ticket is longer, bytes. */
const MAX_TICKET_BYTES = 1 << 20;
/** What lies in a ticket's place is looked at so often, should it change meanwhile each time. */
const MOST_LOOKS = 4;

/** What lies in the place of a ticket. */
export interface FoundTicket {
  /** The ticket; absent where the object is none. */
  readonly ticket?: TicketDocument;
  /** What is wrong with the object, in words. */
  readonly problem?: string;
  /** Whether a later version of the program has written it. */
  readonly newer?: boolean;
  /** Version of the object; undefined where it was too long to be read. */
  readonly etag: string | undefined;
}

/** Tickets of one engine and model. */
export class Tickets {
  readonly #store: Store;
  readonly #engine: string;
  readonly #model: string;

  /** Reads nothing yet. @param store The run's store. */
  constructor(store: Store, engine: string, model: string) {
    this.#store = store;
    this.#engine = engine;
    this.#model = model;
  }

  /** Key of the ticket for an image, whether it exists or not. */
  key(sha256: string): string {
    return ticketKey(this.#engine, this.#model, sha256);
  }

  /** Finds the ticket for an image; `undefined` if there is none. @throws {StoreError} */
  async find(sha256: string, signal?: AbortSignal): Promise<FoundTicket | undefined> {
    const key = this.key(sha256);
    const options = { signal, maxBytes: MAX_TICKET_BYTES };
    const object = await findObject(this.#store, key, options).catch((error) => {
      if (error instanceof StoreError && error.kind === "too_large") return error;
      throw error;
    });
    if (!object) return undefined;
    if (object instanceof StoreError) {
      return { problem: `longer than ${MAX_TICKET_BYTES} bytes`, etag: undefined };
    }
    const { bytes, etag } = object;
    const { value, problem } = parseJsonAs(ticketDocument, bytes);
    if (value?.image_sha256 === sha256) return { ticket: value, etag };
    if (value) return { problem: "it is the ticket of another image", etag };
    return { problem, newer: isNewer(new TextDecoder().decode(bytes), "ticket"), etag };
  }

  /**
   * What lies in the ticket's place, as {@linkcode find}; of what is no ticket a copy is put where it
   * can be looked at, as an id may still be made out. Should something else lie there by then, that
   * is looked at: a process that stood still may have come back, and left its ticket.
   *
   * @returns Also the key of the copy, if there is one.
   */
  async findOrSetAside(
    sha256: string,
    signal?: AbortSignal,
  ): Promise<FoundTicket & { readonly copy?: string } | undefined> {
    for (let looks = 1;; looks++) {
      const found = await this.find(sha256, signal);
      if (!found || found.ticket || found.newer) return found;
      const { changed, copy } = await this.#setAside(sha256, found.etag);
      if (!changed || looks === MOST_LOOKS) return { ...found, copy };
    }
  }

  async #setAside(
    sha256: string,
    etag: string | undefined,
  ): Promise<{ readonly changed: boolean; readonly copy?: string }> {
    const options = { maxBytes: MAX_TICKET_BYTES };
    let object: StoredObject | undefined;
    try {
      object = await findObject(this.#store, this.key(sha256), options);
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === "too_large")) throw error;
      return { changed: etag !== undefined };
    }
    if (!object || object.etag !== etag) return { changed: true };
    const copy = ticketSetAside(this.#engine, this.#model, sha256, setAsideMark(object.etag));
    await this.#store.write(copy, object.bytes, { contentType: "application/json" });
    return { changed: false, copy };
  }

  /**
   * Stores a ticket. Where somebody else's lies there by now, that one stays: this process collects
   * with its own while it lives.
   *
   * @param instead Version of what it may replace.
   */
  async save(ticket: Omit<TicketDocument, "format">, instead?: string): Promise<void> {
    const onlyIf = instead === undefined ? "absent" : { etag: instead };
    try {
      await this.#write(ticket, onlyIf);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const there = error.kind === "precondition" || error.kind === "not_found";
      if (there && (await this.find(ticket.image_sha256))?.ticket) return;
      if (!there && error.kind !== "unsupported") throw error;
      await this.#write(ticket, undefined);
    }
  }

  /**
   * Writes down that there will be no answer. What can't be written down is found out again by
   * whoever looks. Never rejects.
   *
   * @param failed What the engine says.
   */
  async fail(ticket: TicketDocument, failed: string): Promise<void> {
    try {
      const found = await this.find(ticket.image_sha256);
      // Somebody else's may have an answer.
      if (found && !isDeepStrictEqual(found.ticket?.ticket, ticket.ticket)) return;
      const onlyIf = found ? { etag: found.etag! } : "absent";
      await this.#write({ ...ticket, failed }, onlyIf).catch(async (error) => {
        if (!(error instanceof StoreError) || error.kind !== "unsupported") throw error;
        await this.#write({ ...ticket, failed }, undefined);
      });
    } catch {
      // It costs nothing as it is.
    }
  }

  async #write(
    ticket: Omit<TicketDocument, "format">,
    onlyIf: WriteOptions["onlyIf"],
  ): Promise<void> {
    const document: TicketDocument = { format: "pseudolabel-ticket/1", ...ticket };
    await writeDocument(this.#store, this.key(ticket.image_sha256), document, {
      onlyIf,
      oneLine: true,
    });
  }

  /**
   * Removes a ticket that there will be no answer for, unless somebody else's lies there by now,
   * which may have one. Never rejects.
   */
  async drop(sha256: string, ticket: unknown): Promise<void> {
    try {
      const found = await this.find(sha256);
      if (found?.ticket && isDeepStrictEqual(found.ticket.ticket, ticket)) {
        await this.remove(sha256);
      }
    } catch {
      // It costs nothing where it lies.
    }
  }

  /** Removes the ticket for an image; one that can't be removed stays. Never rejects. */
  async remove(sha256: string): Promise<void> {
    try {
      await this.#store.remove(this.key(sha256));
    } catch {
      // It costs nothing where it lies.
    }
  }
}
