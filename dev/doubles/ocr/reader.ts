/**
 * @module doubles/ocr/reader: reads words off an image, offline, with Tesseract (English and
 * Korean).
 *
 * It owns the recognition workers and how their output becomes words. It stands in for the API on
 * a developer's machine; `dev/doubles/ocr/reading_server.ts` puts it behind HTTP and
 * `dev/doubles/ocr/score.ts` says how well it reads.
 */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import eng from "@tesseract.js-data/eng";
import kor from "@tesseract.js-data/kor";
import { createWorker, OEM, PSM, type WorkerParams } from "tesseract.js";
import type { ReadPage, ReadWord } from "../../testing/read_page.ts";

/** Reads images, as many at a time as it has workers. Dispose it to end them. */
export interface Reader extends AsyncDisposable {
  /**
   * Reads one image (JPEG, PNG, BMP or TIFF).
   *
   * @param signal Gives up waiting; its reason is thrown.
   * @throws {Error} if the bytes are no image that can be decoded; the reader stays usable
   */
  read(bytes: Uint8Array, signal?: AbortSignal): Promise<ReadPage>;
}

/** One line as the engine returns it; words carry a confidence of 0 to 100. */
export interface EngineLine {
  /** The line with its white space. */
  readonly text: string;
  /** The pieces in reading order, each a part of `text`. */
  readonly words: readonly EngineWord[];
}

/** One piece of a line as the engine returns it. */
export interface EngineWord {
  /** The piece, without white space. */
  readonly text: string;
  /** 0 to 100. */
  readonly confidence: number;
  /** Upright box in pixels. */
  readonly bbox: { readonly x0: number; readonly y0: number; readonly x1: number; y1: number };
}

/** Words below this confidence (0 to 100) are specks and rules, not text. */
const MIN_CONFIDENCE = 0.5;

/** The outputs to make; only hOCR tells the size of the page. */
const OUTPUT = { text: true, blocks: true, hocr: true };

type Worker = Awaited<ReturnType<typeof createWorker>>;

/**
 * Starts the workers, about 200 MB each. Language data is read from the package cache; a temporary
 * folder exists until the reader is disposed.
 *
 * @param options.folder Where the temporary folder is made. @default the system's
 * @param options.workers How many images are read at a time. @default 1
 */
export async function createReader(
  options: { workers?: number; folder?: string } = {},
): Promise<Reader> {
  const folder = await Deno.makeTempDir({ prefix: "reader_", dir: options.folder });
  const workers: Worker[] = [];
  const idle: Worker[] = [];
  const waiting: ((worker: Worker) => void)[] = [];
  const running = new Set<Promise<unknown>>();

  async function dispose(): Promise<void> {
    await Promise.allSettled(running); // a worker that is ended while it reads leaves a timer behind
    await Promise.all(workers.map((worker) => worker.terminate()));
    await Deno.remove(folder, { recursive: true });
  }

  async function recognize(bytes: Uint8Array, signal?: AbortSignal): Promise<ReadPage> {
    const worker = idle.pop() ?? await new Promise<Worker>((resolve) => waiting.push(resolve));
    try {
      signal?.throwIfAborted();
      const { data } = await worker.recognize(Buffer.from(bytes), {}, OUTPUT).catch((error) => {
        throw new Error(`Cannot read the image: ${error?.message ?? error}`);
      });
      const size = /class='ocr_page'[^>]*bbox 0 0 (\d+) (\d+)/.exec(data.hocr ?? "");
      if (!size) throw new Error("Cannot read the image: it has no size");
      const lines = (data.blocks ?? []).flatMap((block) =>
        block.paragraphs.flatMap((paragraph) => paragraph.lines)
      );
      return {
        width: Number(size[1]),
        height: Number(size[2]),
        confidence: data.confidence / 100,
        text: data.text.trim(),
        words: lines.flatMap(lineWords),
      };
    } finally {
      const next = waiting.shift();
      if (next) next(worker);
      else idle.push(worker);
    }
  }

  try {
    // The engine knows one data folder only; the smaller data of each package reads better.
    for (const { code, langPath } of [kor, eng]) {
      const name = `${code}.traineddata.gz`;
      const from = join(langPath, "..", "4.0.0_best_int", name);
      await Deno.writeFile(join(folder, name), await Deno.readFile(from));
    }
    for (let i = 0; i < (options.workers ?? 1); i++) {
      const worker = await createWorker(["kor", "eng"], OEM.LSTM_ONLY, {
        langPath: folder,
        cacheMethod: "none",
        gzip: true,
        // Required: without it an undecodable image ends the process. The rejection tells us too.
        errorHandler: () => {},
      });
      workers.push(worker);
      idle.push(worker);
      await worker.setParameters({
        tessedit_pageseg_mode: PSM.SINGLE_COLUMN,
        debug_file: "/dev/null", // its remarks on every image
      } as Partial<WorkerParams>);
    }
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    read(bytes, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      const reading = recognize(bytes, signal);
      running.add(reading);
      const forget = () => void running.delete(reading);
      reading.then(forget, forget);
      if (!signal) return reading;
      // The engine cannot stop in the middle; the caller need not wait for it.
      return new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        reading.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
      });
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/**
 * The words of a line. The engine returns Korean words in pieces; those with no white space between
 * them in the line's text are joined, which takes recall on Korean receipts from 82 % to 94 %.
 */
export function lineWords(line: EngineLine): ReadWord[] {
  const groups: EngineWord[][] = [];
  let end = -1;
  for (const word of line.words) {
    const start = line.text.indexOf(word.text, Math.max(end, 0));
    if (start >= 0 && start === end) groups.at(-1)?.push(word);
    else groups.push([word]);
    if (start >= 0) end = start + word.text.length;
  }
  return groups.map(joinPieces).filter((word) =>
    word.text.trim() !== "" && word.confidence >= MIN_CONFIDENCE / 100
  );
}

function joinPieces(pieces: readonly EngineWord[]): ReadWord {
  const x0 = Math.min(...pieces.map((piece) => piece.bbox.x0));
  const y0 = Math.min(...pieces.map((piece) => piece.bbox.y0));
  const x1 = Math.max(...pieces.map((piece) => piece.bbox.x1));
  const y1 = Math.max(...pieces.map((piece) => piece.bbox.y1));
  const text = pieces.map((piece) => piece.text).join("");
  const weight = pieces.reduce((sum, piece) => sum + piece.confidence * piece.text.length, 0);
  return {
    text,
    confidence: weight / text.length / 100,
    vertices: [{ x: x0, y: y0 }, { x: x1, y: y0 }, { x: x1, y: y1 }, { x: x0, y: y1 }],
  };
}
