/**
 * @module soak/history: what happened to whom and when, so that a violation can be told from its
 * report alone: a round is not the same twice, as its processes take turns as they like.
 */

/** So many events are told at most, the last ones. */
const MOST = 40;

/** Something that happened. */
interface Event {
  /** Since the history began, milliseconds. */
  readonly ms: number;
  readonly about: readonly string[];
  readonly text: string;
}

interface Told {
  readonly event: Event;
  times: number;
}

/** A request, as it is told: `PUT lease`. */
const REQUEST = /^[A-Z]+ /;

/** What happened in a round. */
export class History {
  readonly #begin = performance.now();
  readonly #events: Event[] = [];

  /** Takes note. @param about Image and process that it happened to. */
  add(about: readonly (string | undefined)[], text: string): void {
    const ms = performance.now() - this.#begin;
    this.#events.push({ ms, about: about.filter((name) => name !== undefined), text });
  }

  /**
   * What happened to an image last, and what happened to no image but to whoever had to do with it,
   * in order: `12.345 demo-3 asks; 12.400 demo-3 is killed`. What a process asks for again before
   * anything else happens to it or to the image is told once: `12.345 demo-3 PUT lease (9 times)`.
   *
   * @param isProcess Tells processes from images.
   */
  of(image: string, isProcess: (name: string) => boolean): string {
    const processes = new Set(
      this.#events.filter(({ about }) => about.includes(image)).flatMap(({ about }) => about)
        .filter(isProcess),
    );
    const told: Told[] = [];
    /** What each process has asked for since anything else happened. */
    const asked = new Map<string | undefined, Map<string, Told>>();
    for (const event of this.#events) {
      const { about, text } = event;
      const ofImage = about.includes(image);
      if (!ofImage && !about.every((name) => processes.has(name))) continue;
      const who = about.find(isProcess);
      const before = ofImage ? undefined : asked.get(who)?.get(text);
      if (before) {
        before.times++;
        continue;
      }
      const entry = { event, times: 1 };
      told.push(entry);
      if (ofImage || who === undefined) asked.clear();
      else if (!REQUEST.test(text)) asked.delete(who);
      else asked.set(who, (asked.get(who) ?? new Map()).set(text, entry));
    }
    const lines = told.slice(-MOST).map(({ event: { ms, about, text }, times }) => {
      const who = about.find(isProcess);
      const often = times > 1 ? ` (${times} times)` : "";
      return `${(ms / 1_000).toFixed(3)} ${who ? `${who} ` : ""}${text}${often}`;
    });
    const left = told.length - lines.length;
    return [...left > 0 ? [`${left} events before`] : [], ...lines].join("; ");
  }
}
