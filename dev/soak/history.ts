/**
 * @module soak/history: what happened to whom and when, so that a violation can be told from its
 * report alone: a round is not the same twice, as its processes take turns as they like.
 */

/** Things that happened, each to an image, a process or both. */
export class History {
  readonly #begin = performance.now();
  readonly #events: { readonly ms: number; readonly about: readonly string[]; text: string }[] = [];

  /** Takes note. @param about Image and process that it happened to. */
  add(about: readonly (string | undefined)[], text: string): void {
    const ms = performance.now() - this.#begin;
    this.#events.push({ ms, about: about.filter((name) => name !== undefined), text });
  }

  /**
   * All that happened to an image, and all that happened to no image but to whoever had to do with
   * it, in order: `12.345 demo-3 asks; 12.400 demo-3 is killed`.
   *
   * @param isProcess Tells processes from images.
   */
  of(image: string, isProcess: (name: string) => boolean): string {
    const processes = new Set(
      this.#events.filter(({ about }) => about.includes(image)).flatMap(({ about }) => about)
        .filter(isProcess),
    );
    return this.#events.filter(({ about }) =>
      about.includes(image) || about.every((name) => processes.has(name))
    ).map(({ ms, about, text }) => {
      const who = about.find(isProcess);
      return `${(ms / 1_000).toFixed(3)} ${who ? `${who} ` : ""}${text}`;
    }).join("; ");
  }
}
