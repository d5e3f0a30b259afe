/**
 * @module bench/tenant: one customer of the benchmark's servers: a bucket whose images are made up
 * when they are asked for, an account at the API with its limit and latency, and the books on both.
 */

import { encodeInput, inputRow, sizedImage } from "../testing/fixtures.ts";
import { type LimitSchedule, type RateLimit, rateLimit } from "../simulate/servers.ts";
import { lognormal, seeded } from "../testing/random.ts";
import type { DoubleObject } from "../doubles/s3/types.ts";
import { errorAnswer, pageBody } from "../doubles/ocr/upstage_answer.ts";
import { defaultInputKey } from "../../lib/state/keys.ts";

/** A data set to be labelled, and how the API behaves meanwhile. */
export interface Load {
  /** Bucket and account; one that is known keeps its objects, so what was learnt in it stays. */
  readonly tenant: string;
  /** Its images differ from those of every other data set. */
  readonly dataset: string;
  /** At least 1. */
  readonly rows: number;
  /** Length of each image, at least 200. */
  readonly imageBytes: number;
  /** Words in each answer. */
  readonly words: number;
  /** Length of each row's metadata, a JSON text, in bytes. @default it has none */
  readonly metadataBytes?: number;
  /** Length of each row's id, in bytes. @default as short as they get */
  readonly idBytes?: number;
  /** How long the first page takes, milliseconds. @default as long as the others */
  readonly firstMs?: number;
  /**
   * Requests per second, in fixed windows of a second that begin with the clock's; from so many
   * milliseconds after the first request on. All in the API's time. @default no limit
   */
  readonly limit?: LimitSchedule;
  /** How much faster than the clock the API's time runs: limit, windows, latency. @default 1 */
  readonly scale?: number;
  /** Median of a lognormal latency, milliseconds of the API's time. @default answers at once */
  readonly medianMs?: number;
}

/** Spread of the latency: standard deviation of its logarithm. */
export const LATENCY_SIGMA = 0.5;
/** A refusal takes so long, milliseconds of the API's time. */
const REFUSAL_MS = 50;

/** What a tenant has seen since it was last prepared; times are milliseconds since the epoch. */
export interface Books {
  /** Requests to the API. */
  requests: number;
  /** Those answered with 429. */
  throttled: number;
  /** Pages billed. */
  billed: number;
  /** The first request to the API. */
  firstAt: number;
  /** The last request that was not refused. */
  lastStartAt: number;
  /** The last answer. */
  lastAnswerAt: number;
  /** Requests to the object store. */
  storeRequests: number;
  /** Those before the first request to the API. */
  storeRequestsBefore: number;
}

/** Milliseconds since the epoch, finer than `Date.now()`. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Objects as they were written, and images by the key alone. */
class Objects extends Map<string, DoubleObject> {
  readonly images = new Map<string, { readonly bytes: number; readonly height: number }>();

  override get(key: string): DoubleObject | undefined {
    if (!key.startsWith("images/")) return super.get(key);
    const image = this.images.get(key.split("/")[1]);
    if (image === undefined) return undefined;
    const bytes = new Uint8Array(image.bytes);
    const head = sizedImage(`\0\0\0\0IDAT${key}`, PAGE_WIDTH, image.height);
    bytes.set(head.subarray(0, bytes.length));
    return { bytes, etag: `made-${key}`, contentType: "image/png", modified: new Date(0) };
  }
}

/** A bucket and an account. */
export class Tenant {
  /** The bucket's objects. */
  readonly objects = new Objects();
  /** What happened since the last `prepare()`. */
  books = emptyBooks();
  #load: Load | undefined;
  #answer = new Uint8Array();
  #limit: RateLimit | undefined;
  #random = seeded(1);

  /** Puts the data set into the bucket and starts new books. */
  async prepare(load: Load): Promise<void> {
    const { tenant, dataset, rows, imageBytes, words, metadataBytes, idBytes } = load;
    this.#load = load;
    this.#answer = new TextEncoder().encode(JSON.stringify(pageBody(benchPage(words))));
    this.#limit = undefined;
    this.#random = seeded(1);
    this.books = emptyBooks();
    this.objects.images.set(dataset, { bytes: imageBytes, height: pageHeight(words) });
    const bytes = await encodeInput(Array.from({ length: rows }, (_, i) =>
      inputRow(i, {
        ...(idBytes ? { id: `${i}`.padEnd(idBytes, "-long") } : {}),
        image_path: `s3://${tenant}/images/${dataset}/${i}.png`,
        metadata: metadataBytes ? benchMetadata(i, metadataBytes) : null,
      })));
    this.objects.set(defaultInputKey(dataset), {
      bytes,
      etag: `input-${dataset}`,
      contentType: "application/vnd.apache.parquet",
      modified: new Date(),
    });
  }

  /** Takes note of a request to the bucket. */
  noteStoreRequest(): void {
    this.books.storeRequests++;
    if (this.books.requests === 0) this.books.storeRequestsBefore++;
  }

  /** Answers a request to the API, whose body has arrived. */
  async post(): Promise<Response> {
    const { books } = this; // of the run that asks
    const { scale = 1, medianMs, firstMs } = this.#load!;
    const now = epochMs();
    if (books.requests++ === 0) books.firstAt = now;
    const until = this.#refusedUntil(now * scale);
    if (until !== undefined) {
      books.throttled++;
      await sleep(REFUSAL_MS / scale);
      // Half of the refusals name the time, as a Unix time in whole seconds of the API's time.
      const headers = this.#random() < 0.5
        ? { "x-upstage-ratelimit-retry-after-requests": `${Math.ceil(until / 1_000) / scale}` }
        : undefined;
      const refusal = errorAnswer(429, "too_many_requests", "Rate limit exceeded", headers);
      return new Response(refusal.body as string, refusal);
    }
    books.lastStartAt = now;
    books.billed++;
    if (firstMs && books.billed === 1) await sleep(firstMs);
    else if (medianMs) await sleep(lognormal(this.#random, medianMs, LATENCY_SIGMA) / scale);
    books.lastAnswerAt = epochMs();
    return new Response(this.#answer, { headers: { "content-type": "application/json" } });
  }

  /** Until when a request is refused, in the API's own time; `undefined` if it is taken. */
  #refusedUntil(now: number): number | undefined {
    const { limit } = this.#load!;
    if (!limit) return undefined;
    const schedule = () => limit.map((step) => ({ ...step, from: now + step.from }));
    this.#limit ??= rateLimit("fixed window", schedule(), 1);
    const verdict = this.#limit.admit(now);
    return verdict.taken ? undefined : verdict.until;
  }
}

/** Pixels across each page. */
const PAGE_WIDTH = 1_000;

/** A page with so many words. */
export function benchPage(words: number) {
  const each = Array.from({ length: words }, (_, i) => {
    const [x, y] = [40 + 90 * (i % 10), 60 + 30 * Math.floor(i / 10)];
    const vertices = [{ x, y }, { x: x + 80, y }, { x: x + 80, y: y + 22 }, { x, y: y + 22 }];
    return { text: `단어-${i}`, confidence: 0.9 + i % 100 / 1_000, vertices };
  });
  const text = each.map((word) => word.text).join(" ");
  return { width: PAGE_WIDTH, height: pageHeight(words), confidence: 0.97, text, words: each };
}

function pageHeight(words: number): number {
  return Math.max(1_400, 120 + 3 * words);
}

/** A JSON text of about so many bytes, another one for each row. */
function benchMetadata(index: number, bytes: number): string {
  const random = seeded(index + 1);
  const part = () => Math.floor(random() * 2 ** 32).toString(16).padStart(8, "0");
  return JSON.stringify({ index, parts: Array.from({ length: Math.ceil(bytes / 11) }, part) });
}

function emptyBooks(): Books {
  return {
    requests: 0,
    throttled: 0,
    billed: 0,
    firstAt: 0,
    lastStartAt: 0,
    lastAnswerAt: 0,
    storeRequests: 0,
    storeRequestsBefore: 0,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
