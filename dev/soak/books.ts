/**
 * @module soak/books: why a page was billed once more: every bill beyond the first of an image has
 * a cause that is allowed, or is a violation. Causes are found when the request arrives, by what
 * became of the earlier ones.
 */

/** What a page may be billed again for. */
export const CAUSES = {
  kill: "its request was in flight, or its answer not yet stored, when its process was killed",
  stall: "the same, when its process began to stand still",
  grace: "the same, when its process was told to stop and the store was gone for too long",
  torn: "its stored answer was torn",
  probe: "it was known to work while others failed",
  ticket: "what its answer was to be collected with was torn",
  forgotten: "the API had forgotten that it was to be collected",
} as const;
/** Why a page was billed again, though it may be. */
export type Cause = keyof typeof CAUSES;

/** What a page may not be billed again for. */
const WRONGS = {
  stored: "was asked for although its answer is stored",
  same: "was asked for twice by one process",
  parallel: "was asked for by two processes at once",
  dropped: "was asked for again, as a process that ended in order had not stored its answer",
  collectable: "was asked for although it is paid for, and its ticket is stored",
  vain: "was asked for again, although it is known to be worked on in vain",
} as const;
type Wrong = keyof typeof WRONGS;

/** A process, as far as its requests for pages go. */
export interface Asker {
  /** For people. */
  readonly name: string;
  /** What became of it. */
  fate: "alive" | "ended" | "killed" | "excused";
  /** Whether it stands still: what arrives of it now was sent before. */
  standing: boolean;
  /** Pages it was billed for in vain. */
  readonly blamed: Set<string>;
  /** How its requests have fared, by the way that they took. */
  readonly lanes: Map<string, Fared>;
}

/** How requests of a process on one lane (a model and a key) have fared. */
export interface Fared {
  /** Failures since the last answer, and those of pages that always fail since the last probe. */
  failedInRow: number;
  poisoned: number;
  /** Failures so far that may have looked like an engine that is down. */
  failed: number;
}

/** One request for a page. */
export interface Ask {
  readonly asker: Asker;
  /** An image and a model, see `pageOf`. */
  readonly page: string;
  readonly lane: Fared;
  readonly cause: Cause | Wrong | undefined;
  billed: boolean;
  /** Its process stood still after it. */
  stalled: boolean;
  /** Its answer was damaged after it was stored. */
  torn: boolean;
  /** What its answer is collected with; absent where answers come at once. */
  later?: Later;
}

/** An answer that is fetched later. */
export interface Later {
  /** The request's id. */
  readonly id: string;
  /** Whether there will be none. */
  readonly inVain: boolean;
  /** Whether its ticket is stored. */
  kept: boolean;
  /** Whether its ticket was damaged. */
  torn: boolean;
  /** Whether the API has forgotten it. */
  forgotten: boolean;
}

/** After so many failures in a row the program may look whether anything works. */
const SUSPICIOUS = 3;

/** The books of one round. */
export class Books {
  /** Pages billed again, by cause. */
  readonly again: Record<Cause, number> = zeros(CAUSES);
  /** Pages billed again for no good cause. */
  readonly wrong: Record<Wrong, number> = zeros(WRONGS);
  readonly #asks = new Map<string, Ask[]>();
  readonly #torn = new Map<string, Uint8Array>();
  /** Who was told that a page has no stored answer, and who that it has no ticket. */
  readonly #missed = { answer: new Map<string, Set<Asker>>(), ticket: new Map() };
  readonly #later = new Map<string, { readonly ask: Ask; readonly later: Later }>();
  readonly #violated: (kind: string, detail: string, page: string) => void;

  /** @param violated Told of what may not be: a kind, which, and the page. */
  constructor(violated: (kind: string, detail: string, page: string) => void) {
    this.#violated = violated;
  }

  /** Pages billed, those for wrong answers not counted. */
  get billed(): number {
    return [...this.#asks.values()].flat().filter(({ billed }) => billed).length;
  }

  /** Pages that were billed, each once. */
  get pages(): Set<string> {
    return new Set(
      [...this.#asks].filter(([, asks]) => asks.some(({ billed }) => billed)).map(([page]) => page),
    );
  }

  /** Whether a page's last answer can have been lost with its process, and nobody asked again. */
  isLost(page: string): boolean {
    const last = this.#asks.get(page)?.findLast(({ billed }) => billed);
    return last !== undefined && (last.stalled || ["killed", "excused"].includes(last.asker.fate));
  }

  /** Pages billed of one data set's processes. */
  billedTo(askers: ReadonlySet<Asker>): number {
    return [...this.#asks.values()].flat()
      .filter(({ billed, asker }) => billed && askers.has(asker)).length;
  }

  /** Who was billed for a page. */
  get billedAskers(): Set<Asker> {
    const billed = [...this.#asks.values()].flat().filter(({ billed }) => billed);
    return new Set(billed.map(({ asker }) => asker));
  }

  /** Pages billed more often than once. */
  get paidTwice(): number {
    return [...this.#asks.values()]
      .reduce((sum, asks) => sum + Math.max(0, asks.filter((ask) => ask.billed).length - 1), 0);
  }

  /** A stored answer was damaged; it is damaged as long as it is these bytes. */
  tear(page: string, bytes: Uint8Array): void {
    this.#torn.set(page, bytes);
    for (const ask of this.#asks.get(page) ?? []) ask.torn = true;
  }

  /** Whether these bytes are what was left of a page's stored answer. */
  isTorn(page: string, bytes: Uint8Array): boolean {
    return this.#torn.get(page) === bytes;
  }

  /** Whether a page's stored answer is as it was paid for. @param bytes What is stored. */
  isGood(page: string, bytes: Uint8Array | undefined): boolean {
    return bytes !== undefined && bytes !== this.#torn.get(page) &&
      this.#asks.get(page)?.some(({ billed }) => billed) === true;
  }

  /** Somebody looked for a page's stored answer or ticket, and there was none. */
  missed(asker: Asker, page: string, what: "answer" | "ticket" = "answer"): void {
    const askers = this.#missed[what].get(page) ?? new Set();
    this.#missed[what].set(page, askers.add(asker));
  }

  /** A request that was accepted, by the id that it got; `undefined` if there is none. */
  accepted(id: string): { readonly ask: Ask; readonly later: Later } | undefined {
    return this.#later.get(id);
  }

  /** Whether a page was billed and is worked on in vain. */
  isVain(page: string): boolean {
    return this.#asks.get(page)?.some(({ later }) => later?.inVain) === true;
  }

  /** A process stands still from now on: what it asked for may be paid for by others. */
  stall(asker: Asker): void {
    asker.standing = true;
    for (const ask of [...this.#asks.values()].flat()) if (ask.asker === asker) ask.stalled = true;
  }

  /**
   * A request arrived.
   *
   * @param stored What is stored for the page now.
   * @param on Which way it took. @default there is one only
   */
  ask(asker: Asker, page: string, stored: Uint8Array | undefined, on = ""): Ask {
    const fresh: Fared = { failedInRow: 0, poisoned: 0, failed: 0 };
    const lane = asker.lanes.get(on) ?? fresh;
    asker.lanes.set(on, lane);
    const asks = this.#asks.get(page) ?? [];
    this.#asks.set(page, asks);
    const cause = this.#cause(asker, page, asks, stored, lane);
    if (cause === "probe") {
      // Each is for one failure at least.
      lane.poisoned = Math.max(0, lane.poisoned - 1);
      lane.failedInRow = 0;
    }
    const { standing: stalled } = asker;
    const ask: Ask = { asker, page, lane, cause, billed: false, stalled, torn: false };
    asks.push(ask);
    return ask;
  }

  #cause(
    asker: Asker,
    page: string,
    asks: readonly Ask[],
    stored: Uint8Array | undefined,
    lane: Fared,
  ): Cause | Wrong | undefined {
    if (this.isGood(page, stored)) {
      // Who stood still may store its answer between another's look and its request.
      if (this.#isLate("answer", asker, page, asks)) return "stall";
      return lane.poisoned > 0 || lane.failedInRow >= SUSPICIOUS ? "probe" : "stored";
    }
    const last = asks.at(-1);
    if (!last) return undefined;
    const paid = asks.find(({ later }) => later?.kept && !later.torn && !later.forgotten);
    if (paid) {
      if (this.#isLate("ticket", asker, page, asks)) return "stall";
      return paid.later!.inVain ? "vain" : "collectable";
    }
    if (last.later?.torn) return "ticket";
    if (last.later?.forgotten) return "forgotten";
    if (last.torn) return "torn";
    const live = asks.filter(({ asker, stalled }) => asker.fate === "alive" && !stalled);
    if (live.some((ask) => ask.asker === asker)) return "same";
    if (live.length > 0) return "parallel";
    if (last.stalled && last.asker.fate !== "killed") return "stall";
    if (last.asker.fate === "killed") return "kill";
    return last.asker.fate === "excused" ? "grace" : "dropped";
  }

  /** Who stood still, and nobody else, may store something between another's look and its request. */
  #isLate(
    what: "answer" | "ticket",
    asker: Asker,
    page: string,
    asks: readonly Ask[],
  ): boolean {
    return this.#missed[what].get(page)?.has(asker) === true &&
      asks.every(({ stalled, asker }) => stalled || asker.fate === "killed");
  }

  /** It got its answer, or the id that it is collected with, which is billed. */
  bill(ask: Ask, later?: Pick<Later, "id" | "inVain">): void {
    const { asker, page, lane } = ask;
    lane.failedInRow = 0;
    if (later) {
      ask.later = { ...later, kept: false, torn: false, forgotten: false };
      this.#later.set(later.id, { ask, later: ask.later });
    }
    const asks = this.#asks.get(page)!;
    const before = asks.find(({ billed }) => billed);
    ask.billed = true;
    if (!before) return;
    // The earlier request's answer may come after the later one's.
    const cause = ask.cause ?? asks.find((other) => other !== ask && other.cause)?.cause ?? "kill";
    if (cause in WRONGS) {
      this.wrong[cause as Wrong]++;
      const earlier = `${before.asker.name} (${before.asker.fate})`;
      const detail = `page ${page.slice(0, -56)}, ${asker.name} after ${earlier}`;
      this.#violated(`a page ${WRONGS[cause as Wrong]}`, detail, page);
      return;
    }
    this.again[cause as Cause]++;
    if (cause === "kill" || cause === "stall" || cause === "grace") {
      const blamed = asks.findLast((other) => other !== ask && other.billed)!;
      blamed.asker.blamed.add(page);
    }
  }

  /**
   * It failed, or its answer was wrong on purpose.
   *
   * @param poisoned Whether it always will.
   * @param well Whether that shows no failing engine: the page was rejected, or came too soon.
   */
  fail(ask: Ask, poisoned: boolean, well = false): void {
    const { lane } = ask;
    const asks = this.#asks.get(ask.page)!;
    asks.splice(asks.indexOf(ask), 1);
    if (asks.length === 0) this.#asks.delete(ask.page);
    lane.failedInRow++;
    if (!well) lane.failed++;
    // A probe that failed by chance has shown nothing.
    if (poisoned || ask.cause === "probe") lane.poisoned++;
  }
}

function zeros<Name extends string>(names: Readonly<Record<Name, string>>): Record<Name, number> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, 0])) as Record<Name, number>;
}
