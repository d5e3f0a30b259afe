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
} as const;
/** Why a page was billed again, though it may be. */
export type Cause = keyof typeof CAUSES;

/** What a page may not be billed again for. */
const WRONGS = {
  stored: "was asked for although its answer is stored",
  same: "was asked for twice by one process",
  parallel: "was asked for by two processes at once",
  dropped: "was asked for again, as a process that ended in order had not stored its answer",
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
  /** Requests of it that failed since the last answer, and since the last probe. */
  failedInRow: number;
  poisoned: number;
}

/** One request for a page. */
export interface Ask {
  readonly asker: Asker;
  readonly image: string;
  readonly cause: Cause | Wrong | undefined;
  billed: boolean;
  /** Its process stood still after it. */
  stalled: boolean;
  /** Its answer was damaged after it was stored. */
  torn: boolean;
}

/** After so many failures in a row the program may look whether anything works. */
const SUSPICIOUS = 3;

/** The books of one round. */
export class Books {
  /** Pages billed again, by cause. */
  readonly again: Record<Cause, number> = { kill: 0, stall: 0, grace: 0, torn: 0, probe: 0 };
  /** Pages billed again for no good cause. */
  readonly wrong: Record<Wrong, number> = { stored: 0, same: 0, parallel: 0, dropped: 0 };
  readonly #asks = new Map<string, Ask[]>();
  readonly #torn = new Map<string, Uint8Array>();
  /** Who was told that an image has no stored answer. */
  readonly #missed = new Map<string, Set<Asker>>();
  readonly #violated: (kind: string, detail: string, image: string) => void;

  /** @param violated Told of what may not be: a kind, which, and the image. */
  constructor(violated: (kind: string, detail: string, image: string) => void) {
    this.#violated = violated;
  }

  /** Pages billed, those for wrong answers not counted. */
  get billed(): number {
    return [...this.#asks.values()].flat().filter(({ billed }) => billed).length;
  }

  /** Pages billed of one data set's processes. */
  billedTo(askers: ReadonlySet<Asker>): number {
    return [...this.#asks.values()].flat()
      .filter(({ billed, asker }) => billed && askers.has(asker)).length;
  }

  /** Pages billed more often than once. */
  get paidTwice(): number {
    return [...this.#asks.values()]
      .reduce((sum, asks) => sum + Math.max(0, asks.filter((ask) => ask.billed).length - 1), 0);
  }

  /** A stored answer was damaged; it is damaged as long as it is these bytes. */
  tear(image: string, bytes: Uint8Array): void {
    this.#torn.set(image, bytes);
    for (const ask of this.#asks.get(image) ?? []) ask.torn = true;
  }

  /** Whether these bytes are what was left of an image's stored answer. */
  isTorn(image: string, bytes: Uint8Array): boolean {
    return this.#torn.get(image) === bytes;
  }

  /** Whether an image's stored answer is as it was paid for. @param bytes What is stored. */
  isGood(image: string, bytes: Uint8Array | undefined): boolean {
    return bytes !== undefined && bytes !== this.#torn.get(image) &&
      this.#asks.get(image)?.some(({ billed }) => billed) === true;
  }

  /** Somebody looked for an image's stored answer, and there was none. */
  missed(asker: Asker, image: string): void {
    const askers = this.#missed.get(image) ?? new Set();
    this.#missed.set(image, askers.add(asker));
  }

  /** A process stands still from now on: what it asked for may be paid for by others. */
  stall(asker: Asker): void {
    asker.standing = true;
    for (const ask of [...this.#asks.values()].flat()) if (ask.asker === asker) ask.stalled = true;
  }

  /** A request arrived. @param stored What is stored for the image now. */
  ask(asker: Asker, image: string, stored: Uint8Array | undefined): Ask {
    const asks = this.#asks.get(image) ?? [];
    this.#asks.set(image, asks);
    const cause = this.#cause(asker, image, asks, stored);
    if (cause === "probe") {
      // Each is for one failure at least.
      asker.poisoned = Math.max(0, asker.poisoned - 1);
      asker.failedInRow = 0;
    }
    const { standing: stalled } = asker;
    const ask: Ask = { asker, image, cause, billed: false, stalled, torn: false };
    asks.push(ask);
    return ask;
  }

  #cause(
    asker: Asker,
    image: string,
    asks: readonly Ask[],
    stored: Uint8Array | undefined,
  ): Cause | Wrong | undefined {
    if (this.isGood(image, stored)) {
      // Who stood still may store its answer between another's look and its request.
      const late = this.#missed.get(image)?.has(asker) && asks.every(({ stalled }) => stalled);
      if (late) return "stall";
      return asker.poisoned > 0 || asker.failedInRow >= SUSPICIOUS ? "probe" : "stored";
    }
    const last = asks.at(-1);
    if (!last) return undefined;
    if (last.torn) return "torn";
    const live = asks.filter(({ asker, stalled }) => asker.fate === "alive" && !stalled);
    if (live.some((ask) => ask.asker === asker)) return "same";
    if (live.length > 0) return "parallel";
    if (last.stalled && last.asker.fate !== "killed") return "stall";
    if (last.asker.fate === "killed") return "kill";
    return last.asker.fate === "excused" ? "grace" : "dropped";
  }

  /** It got its answer, which is billed. */
  bill(ask: Ask): void {
    const { asker, image } = ask;
    asker.failedInRow = 0;
    const asks = this.#asks.get(image)!;
    const before = asks.find(({ billed }) => billed);
    ask.billed = true;
    if (!before) return;
    // The earlier request's answer may come after the later one's.
    const cause = ask.cause ?? asks.find((other) => other !== ask && other.cause)?.cause ?? "kill";
    if (cause in WRONGS) {
      this.wrong[cause as Wrong]++;
      const earlier = `${before.asker.name} (${before.asker.fate})`;
      const detail = `image ${image.slice(0, 8)}, ${asker.name} after ${earlier}`;
      this.#violated(`an image ${WRONGS[cause as Wrong]}`, detail, image);
      return;
    }
    this.again[cause as Cause]++;
    if (cause === "kill" || cause === "stall" || cause === "grace") {
      const blamed = asks.findLast((other) => other !== ask && other.billed)!;
      blamed.asker.blamed.add(image);
    }
  }

  /** It failed, or its answer was wrong on purpose. @param poisoned Whether it always will. */
  fail(ask: Ask, poisoned: boolean): void {
    const asks = this.#asks.get(ask.image)!;
    asks.splice(asks.indexOf(ask), 1);
    if (asks.length === 0) this.#asks.delete(ask.image);
    ask.asker.failedInRow++;
    // A probe that failed by chance has shown nothing.
    if (poisoned || ask.cause === "probe") ask.asker.poisoned++;
  }
}
