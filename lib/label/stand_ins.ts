/**
 * @module label/stand_ins: which engines of a run can be had, so that one that can't be is no end of
 * it while another can: a page passes on to those that come after an engine, and keeps what those
 * before it have made of it.
 */

import type { Others } from "./lanes.ts";

/** An engine, as far as the others need to know. */
export interface StandIn {
  /** For people. */
  readonly name: string;
  /** Whether it is asked at all, be it up or down. */
  readonly isOpen: boolean;
  /** Since when it is down, milliseconds since the epoch; undefined while it is up. */
  readonly downSince: number | undefined;
}

/** The engines of a run, in the order in which they are asked. */
export class StandIns {
  readonly #all: StandIn[] = [];

  /** An engine is there. @param place Its position in the order, from 0. */
  join(place: number, engine: StandIn): void {
    this.#all[place] = engine;
  }

  /** What the engine at that place sees of the others. */
  othersOf(place: number): Others {
    const open = (from = 0) =>
      this.#all.filter((engine, n) => n >= from && n !== place && engine.isOpen);
    return {
      next: () => namesOf(open(place + 1)),
      any: () => namesOf(open()),
      downSince: () => allDownSince(open()),
    };
  }

  /** Since when all are down that are asked, milliseconds since the epoch; else undefined. */
  get downSince(): number | undefined {
    return allDownSince(this.#all.filter(({ isOpen }) => isOpen));
  }
}

function namesOf(engines: readonly StandIn[]): string | undefined {
  return engines.map(({ name }) => name).join(", ") || undefined;
}

function allDownSince(engines: readonly StandIn[]): number | undefined {
  const since = engines.flatMap(({ downSince }) => downSince ?? []);
  return since.length > 0 && since.length === engines.length ? Math.max(...since) : undefined;
}
