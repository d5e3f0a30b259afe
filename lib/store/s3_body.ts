/**
 * @module store/s3_body: the body of an S3 object on its way, from the SDK's client or from
 * `fetch`, and how it is taken in whole: cut off when it stalls, is cancelled or has the wrong
 * length.
 */
import type { Readable } from "node:stream";
import { Deadlines } from "../base/deadlines.ts";

/** The body was not what the headers promised; worth another try. */
export class BrokenBody extends Error {}

/** How a body is taken. */
export interface TakeOptions {
  /** Its length in bytes, where that is known. */
  readonly given: number | undefined;
  /** Longest body of unknown length, bytes. */
  readonly most: number;
  /** Cancels it. */
  readonly signal: AbortSignal | undefined;
  /** Longest silence, milliseconds. */
  readonly stallMs: number;
}

/**
 * Whether a body comes so slowly that it might as well not come: a byte now and then is no silence,
 * but holds its reader up for ever. Four silences long it may take whatever it takes, then it must
 * have come by a kilobyte a second on the whole.
 *
 * @param ms Since it began.
 * @param at Bytes that have come.
 */
export function crawls(ms: number, at: number, stallMs: number): boolean {
  return ms > 4 * stallMs + at;
}

/** A body on its way. */
export interface S3Body {
  /**
   * Takes it in whole.
   *
   * @returns `undefined` for a body of unknown length that is longer than `most`.
   * @throws {BrokenBody} if it breaks off, stalls, is cancelled or has another length
   */
  takeWhole(options: TakeOptions): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Lets go of what has not come yet; its connection with it. Nothing to do once it was taken. */
  drop(): void;
}

/** Room for a body of unknown length at first, bytes; it doubles. */
const FIRST_UNKNOWN_BYTES = 256 * 1024;

function tooSlow(begun: number): Error {
  const seconds = Math.round((performance.now() - begun) / 1_000);
  return new Error(`slower than a kilobyte a second for ${seconds} s`);
}

function broken(at: number, given: number | undefined, error: unknown): BrokenBody {
  const state = error instanceof Error ? error.message : String(error);
  return new BrokenBody(`its body broke off at ${at} of ${given ?? "?"} bytes (${state})`);
}

/** A body that the SDK's client hands over as a Node stream. */
export function nodeBody(body: Readable): S3Body {
  // An error before anybody listens would end the process.
  body.on("error", () => {});
  return {
    drop: () => void (body.readableEnded || body.destroy()),

    async takeWhole({ given, most, signal, stallMs }) {
      let bytes = new Uint8Array(given ?? FIRST_UNKNOWN_BYTES);
      const length = given ?? most;
      let at = 0;
      const stop = () => body.destroy(new Error("cancelled"));
      const stall = () => body.destroy(new Error(`no bytes for ${stallMs} ms`));
      let timer = setTimeout(stall, stallMs);
      const begun = performance.now();
      signal?.addEventListener("abort", stop, { once: true });
      try {
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          if (crawls(performance.now() - begun, at, stallMs)) throw tooSlow(begun);
          clearTimeout(timer);
          timer = setTimeout(stall, stallMs);
          if (at + chunk.length > length) {
            if (given === undefined) return undefined;
            throw new Error("longer than its Content-Length");
          }
          if (at + chunk.length > bytes.length) {
            const longer = new Uint8Array(Math.min(length, 2 * (at + chunk.length)));
            longer.set(bytes);
            bytes = longer;
          }
          bytes.set(chunk, at);
          at += chunk.length;
        }
      } catch (error) {
        throw broken(at, given, error);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", stop);
      }
      if (given === undefined) return bytes.slice(0, at);
      if (at < given) throw new BrokenBody(`its body ended at ${at} of ${given} bytes`);
      return bytes;
    },
  };
}

/**
 * A body of known length from `fetch`, read straight into its place: through chunks of their own
 * the garbage of each image would be twice its size.
 *
 * @param stop Breaks the connection off.
 * @param ended Called once, when the connection is free or gone.
 * @param deadlines Those of all requests. @default its own
 */
export function fetchedBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  stop: (why: Error) => void,
  ended: () => void,
  deadlines: Deadlines = new Deadlines(),
): S3Body {
  let over = false;
  const end = () => {
    if (!over) ended();
    over = true;
  };
  const drop = () => {
    if (over) return;
    stop(new Error("dropped"));
    end();
  };
  return {
    drop,

    async takeWhole({ given, signal, stallMs }) {
      if (given === undefined) throw new Error("the length of a fetched body must be known");
      let bytes = new Uint8Array(given);
      let at = 0;
      if (!body) {
        end();
        if (given > 0) throw new BrokenBody(`its body ended at 0 of ${given} bytes`);
        return bytes;
      }
      const reader = body.getReader({ mode: "byob" });
      const cancel = () => stop(new Error("cancelled"));
      signal?.addEventListener("abort", cancel, { once: true });
      // One deadline for all chunks: it looks whether one has come since it was set.
      let seen = -1;
      const begun = performance.now();
      const look = () => {
        if (at === seen) return stop(new Error(`no bytes for ${stallMs} ms`));
        if (crawls(performance.now() - begun, at, stallMs)) return stop(tooSlow(begun));
        seen = at;
        lift = deadlines.set(stallMs, look);
      };
      let lift = deadlines.set(stallMs, look);
      try {
        // One byte more than there should be, to see the end.
        for (let last = new Uint8Array(1);;) {
          const full = at === given;
          const { done, value } = await reader.read(full ? last : bytes.subarray(at));
          if (done) break;
          if (full) throw new Error("longer than its Content-Length");
          bytes = new Uint8Array(value.buffer, 0, given);
          at += value.length;
          if (at === given) last = new Uint8Array(1);
        }
      } catch (error) {
        drop();
        throw broken(at, given, error);
      } finally {
        lift();
        signal?.removeEventListener("abort", cancel);
      }
      end();
      if (at < given) throw new BrokenBody(`its body ended at ${at} of ${given} bytes`);
      return bytes;
    },
  };
}
